"""A firm that has left: its objects and keys are there, its file is not."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
from botocore.exceptions import ClientError
from tests.e2e.nodes import Lab, tool
from tests.e2e.openbao_revival import SNAPSHOTS, opened
from tests.e2e.tenant_lab import apply, root_session

FIRM = "parting-chambers"
LOCKED, PLAIN = f"{FIRM}-files", f"{FIRM}-notes"
KEY = "案件/終審"
FILE = f"""\
id: {FIRM}
name: {{en: "Parting Chambers (test)", zh_hant: 告別大律師事務所（測試）}}
contact: {{email: clerk@parting-chambers.example, language: zh_hant}}
reveal_to: {{recipient}}
quota: {{bytes: 1GiB, objects: 1000}}
buckets:
  - {{name: {LOCKED}, versioning: true, encryption: sse-s3, object_lock: {{mode: GOVERNANCE, days: 1}}}}
  - {{name: {PLAIN}, versioning: true, encryption: sse-kms}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """A firm with an object in each bucket, one under a legal hold, and an inventory from which it has left."""

    lab: Lab
    inventory: Path
    records: Path
    root: Any
    """S3 as the account's root."""
    held: str
    """The version under legal hold."""
    snapshot: bytes
    """Of OpenBao while the firm's keys were there, decrypted."""

    def shred(self, *words: str) -> tuple[int, str]:
        arguments = ("-e", f"tenant={FIRM}", "-e", f"confirm={FIRM}", "-e", f"records_dir={self.records}", *words)
        done = tool("ansible-playbook", "-i", str(self.inventory), "playbooks/shred_tenant.yml", *arguments)
        return done.returncode, done.stdout + done.stderr

    def certificates(self) -> list[Path]:
        return sorted(self.records.glob(f"*-erasure-{FIRM}.json"))

    def release(self) -> None:
        """Lift the hold and let the retention run out, as the operator may in this mode."""
        where = {"Bucket": LOCKED, "Key": KEY, "VersionId": self.held}
        self.root.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
        retention = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(seconds=2)}
        self.root.put_object_retention(**where, Retention=retention, BypassGovernanceRetention=True)
        time.sleep(3)

    def refusal(self, bucket: str) -> str:
        """Return the gateway's code for a GET; empty if it reads."""
        try:
            self.root.get_object(Bucket=bucket, Key=KEY)["Body"].read()
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""


@contextmanager
def departed(lab: Lab, inventory_folder: Path, folder: Path, client: Callable[[Any, str], Any]) -> Iterator[Departure]:
    """Onboard the firm with an inventory of its own in the folder, let it store and leave; remove it at the end."""
    inventory = folder / "lab"
    shutil.copytree(inventory_folder, inventory)
    path = inventory / "tenants" / f"{FIRM}.yml"
    path.write_text(FILE.replace("{recipient}", str(pyrage.x25519.Identity.generate().to_public())))
    apply(inventory, "-e", f"tenants_reveal_dir={folder}/revealed")
    root = client(root_session(lab, FIRM), "s3")
    held, _ = (root.put_object(Bucket=bucket, Key=KEY, Body=b"secret")["VersionId"] for bucket in (LOCKED, PLAIN))
    root.put_object_legal_hold(Bucket=LOCKED, Key=KEY, VersionId=held, LegalHold={"Status": "ON"})
    found = Departure(
        lab=lab, inventory=inventory, records=folder / "records", root=root, held=held, snapshot=_snapshot(lab)
    )
    path.unlink()
    try:
        yield found
    finally:
        _remove(found, client(root_session(lab, FIRM), "iam"))


def _snapshot(lab: Lab) -> bytes:
    """Take one on the first server, as the timer does, and open it with the lab's key."""
    node = lab.group("kms")[0]
    node.run(["systemctl", "start", "openbao-backup.service"])
    newest = json.loads(node.run(["cat", "/var/lib/legalcloud/openbao-backup.json"]))["newest"]
    keys = lab.state_dir / "controller/backup"
    return opened(node.run(["cat", f"{SNAPSHOTS}/{newest}"]), keys / "recipient.key", keys / "recipient.crt")


def _remove(departure: Departure, iam: Any) -> None:  # noqa: ANN401 -- boto3
    root = departure.root
    for bucket in (LOCKED, PLAIN):
        for page in root.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                where = {"Bucket": bucket, "Key": item["Key"], "VersionId": item["VersionId"]}
                if item in page.get("Versions", []) and bucket == LOCKED:
                    root.put_object_legal_hold(**where, LegalHold={"Status": "OFF"})
                root.delete_object(**where, BypassGovernanceRetention=True)
        root.delete_bucket(Bucket=bucket)
    for name in iam.list_user_policies(UserName=FIRM)["PolicyNames"]:
        iam.delete_user_policy(UserName=FIRM, PolicyName=name)
    for key in iam.list_access_keys(UserName=FIRM)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=FIRM, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=FIRM)
    admin = departure.lab.admin()
    account = admin.json("radosgw-admin", "account", "get", "--account-name", FIRM)["id"]
    admin.text("radosgw-admin", "user", "rm", "--uid", f"{FIRM}.root")
    admin.text("radosgw-admin", "account", "rm", "--account-id", account)
