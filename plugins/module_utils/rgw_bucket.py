"""A firm's buckets: how they are, how its file wants them, and the steps between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

ALGORITHMS = {"sse-s3": "AES256", "sse-kms": "aws:kms"}
BLOCK = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
LOCK_ABSENT, BLOCK_ABSENT = "ObjectLockConfigurationNotFoundError", "NoSuchPublicAccessBlockConfiguration"
CRYPT_ABSENT, TAGS_ABSENT = "ServerSideEncryptionConfigurationNotFoundError", "NoSuchTagSet"
POLICY_ABSENT = "NoSuchBucketPolicy"

Tags = tuple[tuple[str, str], ...]
Retention = tuple[str, int]
"""Mode and days."""


class BucketConflictError(Exception):
    """What the file asks for cannot be had, or would take protection away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketState:
    """One bucket, as the gateway shows it or as the file wants it."""

    versioning: bool
    locked: bool
    """Whether Object Lock is on; it can never be switched off again."""
    retention: Retention | None
    """What an object gets when nobody asks for another."""
    encryption: str | None
    """AES256, aws:kms or None."""
    kms_key: str | None = None
    """Name of the key, for aws:kms."""
    tags: Tags
    """The firm's names, in UTF-8; the gateway's account and user names cannot hold Chinese."""
    closed: bool = True
    """Whether public ACLs and policies are blocked and ignored."""
    policy: bool = False
    """Whether the bucket has a policy; ours never have."""


def wanted_state(bucket: Mapping[str, Any], names: Mapping[str, str], key_name: str) -> BucketState:
    """Read one bucket of a tenant's file; `key_name` is the firm's key, for sse-kms."""
    lock = bucket["object_lock"]
    return BucketState(
        versioning=bucket["versioning"],
        locked=lock is not None,
        retention=(lock["mode"], lock["days"]) if lock else None,
        encryption=ALGORITHMS[bucket["encryption"]] if bucket["encryption"] else None,
        kms_key=key_name if bucket["encryption"] == "sse-kms" else None,
        tags=tuple(sorted({"firm-en": names["en"], "firm-zh-hant": names["zh_hant"]}.items())),
    )


def look(s3: Any, name: str, absent: Callable[[Exception], str]) -> BucketState:  # noqa: ANN401 -- boto3
    """Ask the gateway; `absent` tells the S3 error code of an exception."""

    def ask(call: Callable[..., Any], expected: str) -> Any:  # noqa: ANN401 -- JSON
        try:
            return call(Bucket=name)
        except Exception as error:
            if absent(error) == expected:
                return {}
            raise

    lock = ask(s3.get_object_lock_configuration, LOCK_ABSENT).get("ObjectLockConfiguration", {})
    default = lock.get("Rule", {}).get("DefaultRetention")
    crypt = ask(s3.get_bucket_encryption, CRYPT_ABSENT).get("ServerSideEncryptionConfiguration", {})
    rules = [rule["ApplyServerSideEncryptionByDefault"] for rule in crypt.get("Rules", [])]
    tags = ask(s3.get_bucket_tagging, TAGS_ABSENT).get("TagSet", [])
    block = ask(s3.get_public_access_block, BLOCK_ABSENT).get("PublicAccessBlockConfiguration", {})
    return BucketState(
        versioning=s3.get_bucket_versioning(Bucket=name).get("Status") == "Enabled",
        locked=lock.get("ObjectLockEnabled") == "Enabled",
        retention=(default["Mode"], default.get("Days") or default.get("Years", 0) * 365) if default else None,
        encryption=rules[0]["SSEAlgorithm"] if rules else None,
        kms_key=rules[0].get("KMSMasterKeyID") if rules else None,
        tags=tuple(sorted((tag["Key"], tag["Value"]) for tag in tags)),
        closed=block == BLOCK,
        policy=bool(ask(s3.get_bucket_policy, POLICY_ABSENT)),
    )


def steps(name: str, seen: BucketState | None, wanted: BucketState, *, weaken: bool = False) -> list[str]:
    """Name what must be done, in its order; each name is a row of `apply`.

    `weaken` lets retention and versioning go; a lock and encryption stay even so.
    Raises: BucketConflictError if the file would take away what the bucket already promises.
    """
    if seen is None:
        return ["create", "close", *_settings(BucketState(**NEW), wanted)]
    if seen.locked and not wanted.versioning:
        raise BucketConflictError(
            f"bucket {name}: versioning: false, but it has Object Lock, which cannot be switched off. "
            "Write versioning: true, or use a new bucket."
        )
    if seen.encryption and not wanted.encryption:
        raise BucketConflictError(
            f"bucket {name}: encryption: null, but it encrypts with {seen.encryption}. Write the encryption "
            "that it has; to store in the clear, use a new bucket."
        )
    if not weaken:
        _refuse_loss(name, seen, wanted)
    return [*([] if seen.closed else ["close"]), *_settings(seen, wanted)]


def _refuse_loss(name: str, seen: BucketState, wanted: BucketState) -> None:
    """Stop a file that lost a line, which says the same as one that was meant to."""
    consent = f"If it is meant, ask for it in this one run: -e tenants_weaken={name}."
    if _weaker(seen.retention, wanted.retention):
        raise BucketConflictError(
            f"bucket {name}: object_lock: has {_shown(seen.retention)}, but the file wants {_shown(wanted.retention)}: "
            f"new objects would be protected less. Write object_lock: {_shown(seen.retention)}. {consent}"
        )
    if seen.versioning and not wanted.versioning:
        raise BucketConflictError(
            f"bucket {name}: versioning: has true, but the file wants false: what is overwritten or deleted would be "
            f"lost. Write versioning: true. {consent}"
        )


def _weaker(seen: Retention | None, wanted: Retention | None) -> bool:
    """Say whether an object would be kept for less time, or by a mode that somebody can lift."""
    if seen is None or wanted is None:
        return seen is not None
    return wanted[1] < seen[1] or (seen[0] == "COMPLIANCE" and wanted[0] != "COMPLIANCE")


def _shown(retention: Retention | None) -> str:
    return f"{{mode: {retention[0]}, days: {retention[1]}}}" if retention else "null"


NEW: dict[str, Any] = {
    "versioning": False,
    "locked": False,
    "retention": None,
    "encryption": None,
    "tags": (),
}


def _settings(seen: BucketState, wanted: BucketState) -> list[str]:
    differs = {
        "unpolicy": seen.policy,
        "versioning": seen.versioning != wanted.versioning,
        "lock": seen.retention != wanted.retention or (wanted.locked and not seen.locked),
        "encrypt": (seen.encryption, seen.kms_key) != (wanted.encryption, wanted.kms_key),
        "tag": seen.tags != wanted.tags,
    }
    return [step for step, needed in differs.items() if needed]


def apply(s3: Any, name: str, step: str, wanted: BucketState) -> None:  # noqa: ANN401 -- boto3
    """Take one step."""
    match step:
        case "create":
            s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=wanted.locked)
        case "close":
            s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=BLOCK)
        case "unpolicy":
            s3.delete_bucket_policy(Bucket=name)
        case "versioning":
            status = "Enabled" if wanted.versioning else "Suspended"
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": status})
        case "lock":
            lock: dict[str, Any] = {"ObjectLockEnabled": "Enabled"}
            if wanted.retention:
                mode, days = wanted.retention
                lock["Rule"] = {"DefaultRetention": {"Mode": mode, "Days": days}}
            s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
        case "encrypt":
            rule = {"SSEAlgorithm": wanted.encryption}
            if wanted.kms_key:
                rule["KMSMasterKeyID"] = wanted.kms_key
            rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]}
            s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=rules)
        case "tag":
            tags = {"TagSet": [{"Key": key, "Value": value} for key, value in wanted.tags]}
            s3.put_bucket_tagging(Bucket=name, Tagging=tags)
        case _:
            raise AssertionError(step)
