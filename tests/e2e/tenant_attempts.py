"""What a firm, or a thief with its key, may try at the gateway; every attempt must be refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

FORBIDDEN = 403
NOT_OFFERED = (
    "replicate", "serve a website", "delete the website",
    "assume a role", "create a topic", "read a topic", "list topics", "delete a topic",
)  # fmt: skip
"""What our gateways offer to nobody; they may say so (405) before they look at permissions."""
REFUSALS = dict.fromkeys(NOT_OFFERED, (FORBIDDEN, 405))
ALL_USERS = 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'
ROLE, TOPIC = "e2e-role", "e2e-topic"
"""Made by the operator in the firm's account where they can be, so that a refusal is not for want of them."""
ANYBODY_MAY = {"Effect": "Allow", "Principal": "*", "Action": "s3:*"}
LOCK = {"ObjectLockEnabled": "Enabled"}
TRUST = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """The clients of one firm, and what it aims at."""

    s3: Any
    iam: Any
    sts: Any
    sns: Any
    firm: str
    """The firm's id, which is also its user's name."""
    account: str
    locked: str
    """A bucket of the firm with versions and Object Lock."""
    plain: str
    """Another bucket of the firm."""
    key: str
    """An object in both."""
    version: str
    """Of that object in the locked bucket."""
    topic: str
    """ARN of TOPIC, which exists only where gateways offer topics."""
    rival: str
    """A bucket of another firm, with the same object in it."""


Attempt = Callable[[Attack], Any]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": "*"}


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


BUCKETS: dict[str, Attempt] = {
    "create a bucket": lambda a: a.s3.create_bucket(Bucket=f"{a.firm}-more"),
    "create a bucket with lock": lambda a: a.s3.create_bucket(Bucket=f"{a.firm}-more", ObjectLockEnabledForBucket=True),
    "create its own bucket again as public": lambda a: a.s3.create_bucket(Bucket=a.plain, ACL="public-read"),
    "delete a bucket": lambda a: a.s3.delete_bucket(Bucket=a.plain),
    "delete a bucket by way of an unknown subresource": lambda a: a.s3.delete_bucket_ownership_controls(Bucket=a.plain),
    "delete the encryption": lambda a: a.s3.delete_bucket_encryption(Bucket=a.plain),
    "change the encryption": lambda a: a.s3.put_bucket_encryption(
        Bucket=a.plain,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    ),
    "write a bucket policy": lambda a: a.s3.put_bucket_policy(
        Bucket=a.plain, Policy=policy({**ANYBODY_MAY, "Resource": f"arn:aws:s3:::{a.plain}/*"})
    ),
    "read the bucket policy": lambda a: a.s3.get_bucket_policy(Bucket=a.plain),
    "delete the bucket policy": lambda a: a.s3.delete_bucket_policy(Bucket=a.plain),
    "open the bucket's ACL": lambda a: a.s3.put_bucket_acl(Bucket=a.plain, ACL="public-read-write"),
    "grant to everybody in the bucket's ACL": lambda a: a.s3.put_bucket_acl(Bucket=a.plain, GrantRead=ALL_USERS),
    "read the bucket's ACL": lambda a: a.s3.get_bucket_acl(Bucket=a.plain),
    "suspend versioning": lambda a: a.s3.put_bucket_versioning(
        Bucket=a.locked, VersioningConfiguration={"Status": "Suspended"}
    ),
    "turn versioning on": lambda a: a.s3.put_bucket_versioning(
        Bucket=a.plain, VersioningConfiguration={"Status": "Enabled"}
    ),
    "drop the default retention": lambda a: a.s3.put_object_lock_configuration(
        Bucket=a.locked, ObjectLockConfiguration=LOCK
    ),
    "write a lifecycle that deletes": lambda a: a.s3.put_bucket_lifecycle_configuration(
        Bucket=a.plain,
        LifecycleConfiguration={
            "Rules": [{"ID": "x", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}}]
        },
    ),
    "read the lifecycle": lambda a: a.s3.get_bucket_lifecycle_configuration(Bucket=a.plain),
    "delete the lifecycle": lambda a: a.s3.delete_bucket_lifecycle(Bucket=a.plain),
    "write CORS": lambda a: a.s3.put_bucket_cors(
        Bucket=a.plain,
        CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]},
    ),
    "delete CORS": lambda a: a.s3.delete_bucket_cors(Bucket=a.plain),
    "send notifications": lambda a: a.s3.put_bucket_notification_configuration(
        Bucket=a.plain,
        NotificationConfiguration={
            "TopicConfigurations": [{"Id": "x", "TopicArn": a.topic, "Events": ["s3:ObjectCreated:*"]}]
        },
    ),
    "replicate": lambda a: a.s3.put_bucket_replication(
        Bucket=a.plain,
        ReplicationConfiguration={
            "Role": "",
            "Rules": [
                {
                    "ID": "x",
                    "Status": "Enabled",
                    "Priority": 1,
                    "Filter": {"Prefix": ""},
                    "DeleteMarkerReplication": {"Status": "Disabled"},
                    "Destination": {"Bucket": f"arn:aws:s3:::{a.rival}"},
                }
            ],
        },
    ),
    "delete the replication": lambda a: a.s3.delete_bucket_replication(Bucket=a.plain),
    "log into another bucket": lambda a: a.s3.put_bucket_logging(
        Bucket=a.plain,
        BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": a.locked, "TargetPrefix": "log/"}},
    ),
    "read the logging": lambda a: a.s3.get_bucket_logging(Bucket=a.plain),
    "serve a website": lambda a: a.s3.put_bucket_website(
        Bucket=a.plain, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}}
    ),
    "delete the website": lambda a: a.s3.delete_bucket_website(Bucket=a.plain),
    "rename the firm in the tags": lambda a: a.s3.put_bucket_tagging(
        Bucket=a.plain, Tagging={"TagSet": [{"Key": "firm-en", "Value": "x"}]}
    ),
    "delete the tags": lambda a: a.s3.delete_bucket_tagging(Bucket=a.plain),
    "let the requester pay": lambda a: a.s3.put_bucket_request_payment(
        Bucket=a.plain, RequestPaymentConfiguration={"Payer": "Requester"}
    ),
    "open the public access block": lambda a: a.s3.put_public_access_block(
        Bucket=a.plain, PublicAccessBlockConfiguration={"BlockPublicAcls": False, "IgnorePublicAcls": False}
    ),
    "delete the public access block": lambda a: a.s3.delete_public_access_block(Bucket=a.plain),
    "change who owns objects": lambda a: a.s3.put_bucket_ownership_controls(
        Bucket=a.plain, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    ),
}


def brief() -> dict[str, Any]:
    """Return a retention shorter than any default."""
    return {
        "ObjectLockMode": "GOVERNANCE",
        "ObjectLockRetainUntilDate": datetime.now(UTC) + timedelta(seconds=5),
    }


OBJECTS: dict[str, Attempt] = {
    "put an object with a retention of 5 s": lambda a: a.s3.put_object(Bucket=a.locked, Key="x", Body=b"", **brief()),
    "copy an object with a retention of 5 s": lambda a: a.s3.copy_object(
        Bucket=a.locked, Key="x", CopySource={"Bucket": a.plain, "Key": a.key}, **brief()
    ),
    "upload parts with a retention of 5 s": lambda a: a.s3.create_multipart_upload(Bucket=a.locked, Key="x", **brief()),
    "put an object with a legal hold": lambda a: a.s3.put_object(
        Bucket=a.locked, Key="x", Body=b"", ObjectLockLegalHoldStatus="ON"
    ),
    "delete a locked version": lambda a: a.s3.delete_object(Bucket=a.locked, Key=a.key, VersionId=a.version),
    "delete a locked version by bypass": lambda a: a.s3.delete_object(
        Bucket=a.locked, Key=a.key, VersionId=a.version, BypassGovernanceRetention=True
    ),
    "shorten a retention by bypass": lambda a: a.s3.put_object_retention(
        Bucket=a.locked,
        Key=a.key,
        VersionId=a.version,
        Retention={"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(seconds=5)},
        BypassGovernanceRetention=True,
    ),
    "lengthen a retention": lambda a: a.s3.put_object_retention(
        Bucket=a.locked,
        Key=a.key,
        VersionId=a.version,
        Retention={"Mode": "COMPLIANCE", "RetainUntilDate": tomorrow() + timedelta(days=9)},
    ),
    "put a legal hold": lambda a: a.s3.put_object_legal_hold(
        Bucket=a.locked, Key=a.key, VersionId=a.version, LegalHold={"Status": "ON"}
    ),
    "open an object's ACL": lambda a: a.s3.put_object_acl(Bucket=a.plain, Key=a.key, ACL="public-read"),
    "read an object's ACL": lambda a: a.s3.get_object_acl(Bucket=a.plain, Key=a.key),
    "put a public object": lambda a: a.s3.put_object(Bucket=a.plain, Key="x", Body=b"", ACL="public-read"),
    "put an object for all who have a key": lambda a: a.s3.put_object(
        Bucket=a.plain, Key="x", Body=b"", ACL="authenticated-read"
    ),
    "put an object and grant reading": lambda a: a.s3.put_object(
        Bucket=a.plain, Key="x", Body=b"", GrantRead=ALL_USERS
    ),
    "put an object and grant all": lambda a: a.s3.put_object(
        Bucket=a.plain, Key="x", Body=b"", GrantFullControl=ALL_USERS
    ),
    "tag an object": lambda a: a.s3.put_object_tagging(
        Bucket=a.plain, Key=a.key, Tagging={"TagSet": [{"Key": "x", "Value": "y"}]}
    ),
    "restore an object": lambda a: a.s3.restore_object(Bucket=a.plain, Key=a.key, RestoreRequest={"Days": 1}),
}

RIVAL: dict[str, Attempt] = {
    "head another firm's bucket": lambda a: a.s3.head_bucket(Bucket=a.rival),
    "list another firm's bucket": lambda a: a.s3.list_objects_v2(Bucket=a.rival),
    "list another firm's versions": lambda a: a.s3.list_object_versions(Bucket=a.rival),
    "list another firm's uploads": lambda a: a.s3.list_multipart_uploads(Bucket=a.rival),
    "read another firm's object": lambda a: a.s3.get_object(Bucket=a.rival, Key=a.key),
    "head another firm's object": lambda a: a.s3.head_object(Bucket=a.rival, Key=a.key),
    "copy another firm's object": lambda a: a.s3.copy_object(
        Bucket=a.plain, Key="x", CopySource={"Bucket": a.rival, "Key": a.key}
    ),
    "copy into another firm's bucket": lambda a: a.s3.copy_object(
        Bucket=a.rival, Key="x", CopySource={"Bucket": a.plain, "Key": a.key}
    ),
    "write into another firm's bucket": lambda a: a.s3.put_object(Bucket=a.rival, Key="x", Body=b""),
    "begin an upload to another firm's bucket": lambda a: a.s3.create_multipart_upload(Bucket=a.rival, Key="x"),
    "delete another firm's object": lambda a: a.s3.delete_object(Bucket=a.rival, Key=a.key),
    "read where another firm's bucket is": lambda a: a.s3.get_bucket_location(Bucket=a.rival),
    "create a bucket of another firm's name": lambda a: a.s3.create_bucket(Bucket=a.rival),
    "delete another firm's bucket": lambda a: a.s3.delete_bucket(Bucket=a.rival),
    "write another firm's policy": lambda a: a.s3.put_bucket_policy(
        Bucket=a.rival, Policy=policy({**ANYBODY_MAY, "Resource": f"arn:aws:s3:::{a.rival}/*"})
    ),
}

IDENTITY: dict[str, Attempt] = {
    "create a user": lambda a: a.iam.create_user(UserName="mole"),
    "list users": lambda a: a.iam.list_users(),
    "rename itself": lambda a: a.iam.update_user(UserName=a.firm, NewUserName="mole"),
    "delete itself": lambda a: a.iam.delete_user(UserName=a.firm),
    "make itself a second key": lambda a: a.iam.create_access_key(UserName=a.firm),
    "make a key for whom the gateway takes it to be": lambda a: a.iam.create_access_key(),
    "list its keys": lambda a: a.iam.list_access_keys(UserName=a.firm),
    "delete a role": lambda a: a.iam.delete_role(RoleName=ROLE),
    "change a role's trust": lambda a: a.iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=policy(TRUST)),
    "give a role a policy": lambda a: a.iam.put_role_policy(
        RoleName=ROLE, PolicyName="more", PolicyDocument=policy(allow("s3:*"))
    ),
    "read a topic": lambda a: a.sns.get_topic_attributes(TopicArn=a.topic),
    "widen its policy": lambda a: a.iam.put_user_policy(
        UserName=a.firm, PolicyName="data-plane", PolicyDocument=policy(allow("s3:*"))
    ),
    "add a policy": lambda a: a.iam.put_user_policy(
        UserName=a.firm, PolicyName="more", PolicyDocument=policy(allow("iam:*"))
    ),
    "read its policy": lambda a: a.iam.get_user_policy(UserName=a.firm, PolicyName="data-plane"),
    "delete its policy": lambda a: a.iam.delete_user_policy(UserName=a.firm, PolicyName="data-plane"),
    "attach full access": lambda a: a.iam.attach_user_policy(
        UserName=a.firm, PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess"
    ),
    "create a group": lambda a: a.iam.create_group(GroupName="moles"),
    "create a role": lambda a: a.iam.create_role(RoleName="mole", AssumeRolePolicyDocument=policy(TRUST)),
    "list roles": lambda a: a.iam.list_roles(),
    "create an identity provider": lambda a: a.iam.create_open_id_connect_provider(
        Url="https://mole.example", ThumbprintList=["0" * 40]
    ),
    "assume a role": lambda a: a.sts.assume_role(
        RoleArn=f"arn:aws:iam::{a.account}:role/{ROLE}", RoleSessionName="mole"
    ),
    "create a topic": lambda a: a.sns.create_topic(Name="mole"),
    "list topics": lambda a: a.sns.list_topics(),
    "delete a topic": lambda a: a.sns.delete_topic(TopicArn=a.topic),
}

ATTEMPTS = {**BUCKETS, **OBJECTS, **RIVAL, **IDENTITY}
