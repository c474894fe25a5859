"""Two firms of the lab, the playbook that keeps them, and the operator who sees everything of one."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from tests.e2e.nodes import Lab, tool
from tests.e2e.tenant_attempts import ROLE, TOPIC

FIRM, RIVAL = "demo-chambers", "rival-chambers"
LOCKED, PLAIN, RIVAL_BUCKET = "demo-chambers-matters", "demo-chambers-scratch", "rival-chambers-files"
KEY = "案件/二〇二六/狀書.txt"
AIMS = (KEY, "x")
"""All that attempts write to; other tests work in the same buckets meanwhile."""
BODY = "機密".encode()
RECAP = re.compile(r"changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)")
RIVAL_FILE = """\
id: rival-chambers
name: {en: "Rival & Co. (test)", zh_hant: 對手律師行（測試）}
contact: {email: clerk@rival-chambers.example, language: zh_hant}
reveal_to: {recipient}
quota: {bytes: 1GiB, objects: 1000}
buckets:
  - {name: rival-chambers-files, versioning: false, encryption: sse-s3}
"""

Clients = Callable[[boto3.Session, str], Any]


def with_rival(inventory: Path, folder: Path, recipient: object, *more: str) -> Path:
    """Copy the inventory to a folder, add the second firm, with `more` buckets, and return the folder."""
    shutil.copytree(inventory, folder, dirs_exist_ok=True)
    text = RIVAL_FILE.replace("{recipient}", str(recipient)) + "".join(f"  - {bucket}\n" for bucket in more)
    (folder / "tenants" / f"{RIVAL}.yml").write_text(text)
    return folder


def run(inventory: Path, *words: str) -> tuple[int, str]:
    """Run the playbook; return how it ended and all that it printed."""
    done = tool("ansible-playbook", "-i", str(inventory), "playbooks/tenants.yml", *words)
    return done.returncode, done.stdout + done.stderr


def apply(inventory: Path, *words: str) -> str:
    code, output = run(inventory, *words)
    assert code == 0, output
    return output


def changes(output: str) -> list[tuple[int, int, int]]:
    return [(int(c), int(u), int(f)) for c, u, f in RECAP.findall(output)]


def root_key(lab: Lab, firm: str) -> dict[str, str]:
    key: dict[str, str] = lab.admin().json("radosgw-admin", "user", "info", "--uid", f"{firm}.root")["keys"][0]
    return key


def root_session(lab: Lab, firm: str) -> boto3.Session:
    key = root_key(lab, firm)
    return boto3.Session(key["access_key"], key["secret_key"], region_name="default")


def status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def ask(call: Callable[..., dict[str, Any]], **arguments: str) -> Any:  # noqa: ANN401 -- JSON
    """Return an answer without what differs each time, or the code of a refusal."""
    try:
        return {key: value for key, value in call(**arguments).items() if key != "ResponseMetadata"}
    except ClientError as error:
        return error.response.get("Error", {}).get("Code", status(error))


class Operator:
    """The root of the firm's account, who sees everything that an attempt could have changed."""

    BUCKET_CALLS = (
        "get_bucket_acl",
        "get_bucket_policy",
        "get_bucket_versioning",
        "get_bucket_encryption",
        "get_bucket_lifecycle_configuration",
        "get_bucket_cors",
        "get_bucket_notification_configuration",
        "get_bucket_replication",
        "get_bucket_logging",
        "get_bucket_website",
        "get_bucket_tagging",
        "get_bucket_request_payment",
        "get_public_access_block",
        "get_object_lock_configuration",
    )

    def __init__(self, session: boto3.Session, account: str, client: Clients) -> None:
        self.account = account
        self.topic = f"arn:aws:sns:hk:{account}:{TOPIC}"
        self.last: dict[str, Any] = {}
        self.s3, self.iam, self.sns = (client(session, name) for name in ("s3", "iam", "sns"))

    def everything(self, version: str) -> dict[str, Any]:
        seen: dict[str, Any] = {"buckets": ask(self.s3.list_buckets), "topics": ask(self.sns.list_topics)}
        for bucket in (LOCKED, PLAIN):
            for name in self.BUCKET_CALLS:
                seen[f"{bucket} {name}"] = ask(getattr(self.s3, name), Bucket=bucket)
            for prefix in AIMS:
                seen[f"{bucket} {prefix}"] = ask(self.s3.list_object_versions, Bucket=bucket, Prefix=prefix)
            seen[f"{bucket} object ACL"] = ask(self.s3.get_object_acl, Bucket=bucket, Key=KEY)
            seen[f"{bucket} object tags"] = ask(self.s3.get_object_tagging, Bucket=bucket, Key=KEY)
        locked = {"Bucket": LOCKED, "Key": KEY, "VersionId": version}
        seen["retention"] = ask(self.s3.get_object_retention, **locked)
        seen["legal hold"] = ask(self.s3.get_object_legal_hold, **locked)
        for name in ("list_users", "list_groups", "list_roles", "list_open_id_connect_providers"):
            seen[name] = ask(getattr(self.iam, name))
        user = {"UserName": FIRM}
        seen["policy"] = ask(self.iam.get_user_policy, **user, PolicyName="data-plane")
        for name in ("list_user_policies", "list_attached_user_policies", "list_access_keys"):
            seen[name] = ask(getattr(self.iam, name), **user)
        seen["role"] = ask(self.iam.get_role, RoleName=ROLE)
        seen["role policies"] = ask(self.iam.list_role_policies, RoleName=ROLE)
        seen["root keys"] = ask(self.iam.list_access_keys)
        return seen
