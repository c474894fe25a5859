"""What a firm's user may do at the gateway: the data of its own buckets, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

POLICY_NAME = "data-plane"
REVEALED = "Revealed"

LISTING = (
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:GetBucketLocation",
    "s3:GetBucketVersioning",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketEncryption",
)
"""Of a bucket. Ceph 20.2 says GetBucketEncryption where Amazon says GetEncryptionConfiguration."""

HANDLING = (
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:GetObjectAttributes",
    "s3:GetObjectVersionAttributes",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "s3:GetObjectRetention",
    "s3:GetObjectLegalHold",
)
"""Of an object. Not among them, on purpose: BypassGovernanceRetention and all that writes an ACL or lock."""

OPEN_ACLS = ("public-*", "authenticated-*", "aws-*", "log-*", "bucket-owner-read")
GRANTS = ("read", "write", "read-acp", "write-acp", "full-control")
ALL = "arn:aws:s3:::*"


SSE = "s3:x-amz-server-side-encryption"


def tenant_policy(buckets: Sequence[str], access_key: str, key_name: str) -> dict[str, Any]:
    """Return the inline policy; its first Sid names the one key that was revealed to the firm.

    The gateway asks for no permission of its own when an ACL comes with PutObject, hence the refusals. It
    does not show the ACL of a copy or a multipart upload to policies, hence also each bucket's public access
    block.

    Encryption that comes with PutObject, a form or an upload replaces the bucket's default: an empty one would store
    in the clear, another firm's key would tie the object to that firm, and a key of the client's own is in no HSM. The
    gateway fills in the default before it asks here, so that `key_name`, the firm's own, is let through.
    """
    arns = [f"arn:aws:s3:::{name}" for name in sorted(buckets)]
    statements = [_statement(f"{REVEALED}{access_key}", "Allow", ["s3:ListAllMyBuckets"], [ALL])]
    if arns:
        statements.append(_statement("Listing", "Allow", LISTING, arns))
        statements.append(_statement("Handling", "Allow", HANDLING, [f"{arn}/*" for arn in arns]))
    refusals: dict[str, dict[str, dict[str, list[str]]]] = {"NoOpenAcl": {"StringLike": {"s3:x-amz-acl": [*OPEN_ACLS]}}}
    for number, name in enumerate(GRANTS):
        refusals[f"NoGrant{number}"] = {"StringLike": {f"s3:x-amz-grant-{name}": ["*"]}}
    refusals["NoClearText"] = {"StringEquals": {SSE: [""]}}
    refusals["NoForeignKey"] = {
        "StringEquals": {SSE: ["aws:kms"]},
        "StringNotEquals": {f"{SSE}-aws-kms-key-id": [key_name]},
    }
    refusals["NoCustomerKey"] = {"StringLike": {f"{SSE}-customer-algorithm": ["*"]}}
    for sid, condition in refusals.items():
        statements.append({**_statement(sid, "Deny", ["s3:PutObject"], [ALL]), "Condition": condition})
    return {"Version": "2012-10-17", "Statement": statements}


def revealed_key(policy: Mapping[str, Any] | None) -> str | None:
    """Return the key that a policy names as revealed."""
    if not policy or not policy.get("Statement"):
        return None
    sid = str(policy["Statement"][0].get("Sid", ""))
    return sid.removeprefix(REVEALED) if sid.startswith(REVEALED) else None


def _statement(sid: str, effect: str, actions: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": effect, "Action": list(actions), "Resource": list(resources)}
