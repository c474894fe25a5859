"""A run of the playbook changes what the files say, prints no key, and takes nothing away that a firm relies on."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import boto3
import pyrage
import pytest
from botocore.exceptions import ClientError
from tests.e2e.nodes import Lab
from tests.e2e.tenant_attempts import FORBIDDEN, Attack
from tests.e2e.tenant_lab import (
    BODY,
    FIRM,
    KEY,
    PLAIN,
    RIVAL,
    RIVAL_BUCKET,
    Clients,
    Operator,
    apply,
    ask,
    changes,
    root_key,
    root_session,
    run,
    status,
    with_rival,
)  # fmt: skip

from legalcloud.reveal import open_revealed

pytestmark = pytest.mark.ci
pytest_plugins = ("tests.e2e.tenant_fixtures",)

DEEDS = f"{RIVAL}-deeds"
DEEDS_KEPT = f"{{name: {DEEDS}, versioning: true, encryption: sse-kms, object_lock: {{mode: COMPLIANCE, days: 30}}}}"
DEEDS_LOST = f"{{name: {DEEDS}, versioning: true, encryption: sse-kms}}"


def test_a_second_run_changes_nothing_and_prints_no_key(inventory_folder: Path, lab: Lab, operator: Operator) -> None:
    keys = ask(operator.iam.list_access_keys, UserName=FIRM)
    secret = root_key(lab, FIRM)["secret_key"]

    output = apply(inventory_folder, "-vvv", "--diff")

    assert changes(output) == [(0, 0, 0)]
    assert ask(operator.iam.list_access_keys, UserName=FIRM) == keys
    assert secret not in output


def test_a_run_that_was_killed_before_the_key_was_revealed_leaves_no_key(
    inventory_folder: Path, operator: Operator
) -> None:
    """A key that the policy does not name was revealed to nobody."""
    (known,) = operator.iam.list_access_keys(UserName=FIRM)["AccessKeyMetadata"]
    stray = operator.iam.create_access_key(UserName=FIRM)["AccessKey"]["AccessKeyId"]

    output = apply(inventory_folder, "--diff")

    assert f"key {stray}: remove" in output
    assert [key["AccessKeyId"] for key in operator.iam.list_access_keys(UserName=FIRM)["AccessKeyMetadata"]] == [
        known["AccessKeyId"]
    ]


def test_a_wrong_file_is_refused_by_name_before_anything_is_touched(
    inventory_folder: Path, tmp_path: Path, operator: Operator, attack: Attack
) -> None:
    folder = tmp_path / "wrong"
    shutil.copytree(inventory_folder, folder)
    path = folder / "tenants" / f"{FIRM}.yml"
    path.write_text(path.read_text().replace("encryption: sse-kms", "encryption: null"))
    before = operator.everything(attack.version)

    code, output = run(folder)

    assert code != 0
    assert f"{path}: buckets[0].encryption" in output
    assert "Nothing was touched" in output
    assert operator.everything(attack.version) == before


def test_a_file_that_lost_a_line_takes_no_protection_away(
    rival: boto3.Session, client: Clients, lab: Lab, inventory_folder: Path, tmp_path: Path
) -> None:
    recipient = pyrage.x25519.Identity.generate().to_public()  # rival has its key; none is revealed
    kept = with_rival(inventory_folder, tmp_path / "kept", recipient, DEEDS_KEPT)
    lost = with_rival(inventory_folder, tmp_path / "lost", recipient, DEEDS_LOST)
    s3 = client(root_session(lab, RIVAL), "s3")

    def default() -> object:
        return ask(s3.get_object_lock_configuration, Bucket=DEEDS)["ObjectLockConfiguration"].get("Rule")

    apply(kept)
    rule = default()
    twice = apply(kept)
    refused, reason = run(lost)
    after_refusal = default()
    misspelt, correction = run(lost, "-e", f"tenants_weaken={DEEDS}-x")
    asked_for = apply(lost, "-e", f"tenants_weaken={DEEDS}", "--diff")
    after_consent = default()
    again = apply(lost)

    assert rule == {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}
    assert changes(twice) == [(0, 0, 0)]
    assert refused != 0
    assert f"tenants/{RIVAL}.yml: bucket {DEEDS}: object_lock: has {{mode: COMPLIANCE, days: 30}}" in reason
    assert f"-e tenants_weaken={DEEDS}" in reason
    assert after_refusal == rule
    assert misspelt != 0
    assert f"tenants_weaken: no file in {lost}/tenants has a bucket {DEEDS}-x" in correction
    assert f"bucket {DEEDS}: lock" in asked_for
    assert after_consent is None
    assert changes(again) == [(0, 0, 0)]


def test_a_rotated_key_replaces_the_old_one(
    rival: boto3.Session, client: Clients, inventory_folder: Path, tmp_path: Path
) -> None:
    identity = pyrage.x25519.Identity.generate()
    revealed = tmp_path / "revealed"
    folder = with_rival(inventory_folder, tmp_path / "rival", identity.to_public())

    output = apply(folder, "-e", f"tenants_reveal_dir={revealed}", "-e", f"tenants_rotate={RIVAL}", "-vvv", "--diff")

    (path,) = revealed.iterdir()
    key = open_revealed(path, identity=str(identity))
    fresh = boto3.Session(str(key["access_key_id"]), str(key["secret_access_key"]), region_name="default")
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(key["secret_access_key"]) not in output
    assert client(fresh, "s3").get_object(Bucket=RIVAL_BUCKET, Key=KEY)["Body"].read() == BODY
    with pytest.raises(ClientError) as refusal:
        client(rival, "s3").list_buckets()
    assert refusal.value.response["Error"]["Code"] == "InvalidAccessKeyId"


def test_a_bucket_that_leaves_the_file_keeps_its_data_and_loses_the_firm(
    inventory_folder: Path, tmp_path: Path, attack: Attack, operator: Operator
) -> None:
    folder = tmp_path / "shorter"
    shutil.copytree(inventory_folder, folder)
    path = folder / "tenants" / f"{FIRM}.yml"
    text, scratch = path.read_text(), f"  - name: {PLAIN}\n"
    path.write_text(re.sub(rf"{re.escape(scratch)}(    .*\n)+", "", text))

    output = apply(folder)
    with pytest.raises(ClientError) as refusal:
        attack.s3.get_object(Bucket=PLAIN, Key=KEY)
    kept = operator.s3.get_object(Bucket=PLAIN, Key=KEY)["Body"].read()
    apply(inventory_folder)

    assert scratch in text
    assert f"bucket {PLAIN} of {FIRM} is in no tenant file" in output
    assert status(refusal.value) == FORBIDDEN
    assert kept == BODY
    assert attack.s3.get_object(Bucket=PLAIN, Key=KEY)["Body"].read() == BODY
