"""A firm that leaves: what must be kept is kept, the rest is unreadable, and the certificate says the truth."""

from __future__ import annotations

import base64
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest
from botocore.exceptions import ClientError
from tests.e2e.nodes import Lab, tool
from tests.e2e.openbao_revival import SNAPSHOTS, Revival, opened, without_snapshots
from tests.e2e.tenant_lab import apply, root_session

from legalcloud.canonical import canonical
from legalcloud.cli import main

pytestmark = pytest.mark.ci

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


@pytest.fixture(scope="module")
def client(endpoint_url: str, ca_file: Path) -> Callable[[Any, str], Any]:
    return lambda session, service: session.client(service, endpoint_url=endpoint_url, verify=str(ca_file))


@pytest.fixture(scope="module")
def departure(
    lab: Lab, inventory_folder: Path, tmp_path_factory: pytest.TempPathFactory, client: Callable[[Any, str], Any]
) -> Iterator[Departure]:
    folder = tmp_path_factory.mktemp("departure")
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
    yield found
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


def verified(path: Path, trust: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["record", "verify", str(path), "--trust", str(trust), "--json"])
    printed = capsys.readouterr().out
    return code, json.loads(printed)["record"]["body"] if printed else {}


def test_a_tenant_that_is_not_named_twice_is_left_alone(departure: Departure) -> None:
    code, output = departure.shred("-e", "confirm=demo-chambers")

    assert code != 0
    assert "Say which, and say it twice" in output


def test_a_tenant_that_has_a_file_is_left_alone(departure: Departure) -> None:
    code, output = departure.shred("-e", "tenant=demo-chambers", "-e", "confirm=demo-chambers")

    assert code != 0
    assert "tenants/demo-chambers.yml is there" in output


def test_a_version_under_legal_hold_is_named_and_nothing_is_destroyed(departure: Departure) -> None:
    code, output = departure.shred()

    assert code != 0
    said = re.sub(r"\s+", " ", output)
    assert f"{LOCKED}/{KEY} version {departure.held}: legal hold and retention until" in said
    assert (departure.refusal(LOCKED), departure.refusal(PLAIN)) == ("", "")
    assert departure.certificates() == []


def test_a_run_that_was_stopped_is_finished_and_its_certificate_holds(
    departure: Departure, lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    departure.release()

    stopped, reason = departure.shred("-e", f"tenant_erasure_signing_host={lab.groups['storage'][-1]}")
    code, output = departure.shred()

    assert stopped != 0  # after the keys were destroyed: that host has no evidence key
    assert "evidence.crt" in reason
    assert code == 0, output
    assert {departure.refusal(LOCKED), departure.refusal(PLAIN)} == {"InvalidArgument"}
    (path,) = departure.certificates()
    trust = Path(lab.variables["ca_dir"]) / "ca.crt"
    code, body = verified(path, trust, capsys)
    assert code == 0
    assert [key["mount"] for key in body["destroyed"]["keys"]] == ["transit-s3", "transit-kms"]
    assert body["destroyed"]["data"]["versions"] == 2
    assert {proof["refusal"] for proof in body["proof"]} == {"InvalidArgument"}
    assert body["final"] is False
    assert body["not_final_before"] > body["shredded_at"]
    assert KEY not in path.read_text()

    document = json.loads(path.read_bytes())
    payload = base64.b64decode(document["payload"]).replace(b'"final":false', b'"final":true')
    (tmp_path / "changed.json").write_bytes(
        canonical({**document, "payload": base64.b64encode(payload).decode()}) + b"\n"
    )
    assert verified(tmp_path / "changed.json", trust, capsys)[0] == 4


def test_a_snapshot_from_before_and_the_hsm_bring_the_key_back(departure: Departure, lab: Lab) -> None:
    """So "not final" is the truth."""
    revival = Revival(lab.group("kms")[2])
    try:
        revival.restore(departure.snapshot)
        assert revival.has(f"transit-kms/keys/{FIRM}")
        assert not revival.has("transit-kms/keys/nobody")
    finally:
        revival.remove()


def test_a_second_run_writes_nothing_while_it_is_not_final(departure: Departure) -> None:
    before = departure.certificates()

    code, output = departure.shred()

    assert code == 0, output
    assert "not final before" in output
    assert departure.certificates() == before


def test_a_folder_that_is_not_there_proves_nothing(departure: Departure) -> None:
    before = departure.certificates()

    code, output = departure.shred("-e", "tenant_erasure_snapshot_folder=/var/backups/moved")

    assert code != 0
    assert "/var/backups/moved is no folder here" in " ".join(output.split())
    assert departure.certificates() == before


def test_once_no_snapshot_is_left_the_certificate_is_final(
    departure: Departure, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after the days that snapshots are kept: the servers have none from before."""
    with without_snapshots(lab.group("kms")):
        code, output = departure.shred()

    assert code == 0, output
    first, last = departure.certificates()
    code, body = verified(last, Path(lab.variables["ca_dir"]) / "ca.crt", capsys)
    assert code == 0
    assert (body["final"], body["not_final_before"], body["revivable_by"]) == (True, None, [])
    assert body["follows"]["file"] == first.name
    again, output = departure.shred()
    assert again == 0
    assert departure.certificates() == [first, last]
