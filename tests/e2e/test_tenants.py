"""Each firm reaches the data in its own buckets and nothing else, and a second run changes nothing.

Fixtures from conftest.py:
- `endpoint_url`: str, https, the S3 name; `ca_file`: Path of the CA's certificate.
- `inventory_folder`: Path of the inventory that the lab was made from, with its tenants applied.
- `tenant_session(tenant_id)`: boto3.Session with the keys that were revealed to that tenant.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import boto3
import pyrage
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.e2e.tenant_attempts import ALL_USERS, ATTEMPTS, FORBIDDEN, NOT_OFFERED, ROLE, TOPIC, Attack, policy

from legalcloud.inventory import load
from legalcloud.reveal import open_revealed

pytestmark = pytest.mark.ci

ROOT = Path(__file__).parents[2]
FIRM, RIVAL = "demo-chambers", "rival-chambers"
LOCKED, PLAIN, RIVAL_BUCKET = "demo-chambers-matters", "demo-chambers-scratch", "rival-chambers-files"
KEY = "案件/二〇二六/狀書.txt"
BODY = "機密".encode()
RECAP = re.compile(r"changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)")
RIVAL_FILE = """\
id: rival-chambers
name: {{en: "Rival & Co. (test)", zh_hant: 對手律師行（測試）}}
contact: {{email: clerk@rival-chambers.example, language: zh_hant}}
reveal_to: {recipient}
quota: {{bytes: 1GiB, objects: 1000}}
buckets:
  - {{name: rival-chambers-files, versioning: false, encryption: null}}
"""

Clients = Callable[[boto3.Session, str], Any]


def ansible(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(program)), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def apply(inventory: Path, *words: str) -> str:
    """Run the playbook; return all that it printed."""
    done = ansible("ansible-playbook", "-i", str(inventory), "playbooks/tenants.yml", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def changes(output: str) -> list[tuple[int, int, int]]:
    return [(int(c), int(u), int(f)) for c, u, f in RECAP.findall(output)]


def admin(inventory: Path, *words: str) -> Any:  # noqa: ANN401 -- JSON
    """Call radosgw-admin on the first monitor."""
    command = " ".join(["radosgw-admin", *words])
    done = ansible("ansible", "-i", str(inventory), "mons[0]", "-b", "-m", "command", "-a", command)
    assert done.returncode == 0, done.stdout + done.stderr
    _, _, answer = done.stdout.partition(">>\n")
    return json.loads(answer) if answer.strip() else None


def root_session(inventory: Path, firm: str) -> boto3.Session:
    key = admin(inventory, "user", "info", "--uid", f"{firm}.root")["keys"][0]
    return boto3.Session(key["access_key"], key["secret_key"], region_name="default")


@pytest.fixture(scope="module")
def client(endpoint_url: str, ca_file: Path) -> Clients:
    def make(session: boto3.Session, service: str) -> Any:  # noqa: ANN401 -- boto3
        options = Config(retries={"max_attempts": 3}, connect_timeout=10, read_timeout=60)
        return session.client(
            service,  # type: ignore[call-overload]  # the stubs want a literal
            endpoint_url=endpoint_url,
            verify=str(ca_file),
            region_name="default",
            config=options,
        )

    return make


@pytest.fixture(scope="module")
def rival(inventory_folder: Path, tmp_path_factory: pytest.TempPathFactory, client: Clients) -> Iterator[boto3.Session]:
    """Onboard a second firm with a file of its own, and take it away again."""
    folder, revealed = tmp_path_factory.mktemp("rival"), tmp_path_factory.mktemp("revealed")
    identity = pyrage.x25519.Identity.generate()
    shutil.copytree(inventory_folder, folder, dirs_exist_ok=True)
    (folder / "tenants" / f"{RIVAL}.yml").write_text(RIVAL_FILE.format(recipient=identity.to_public()))
    apply(folder, "-e", f"tenants_reveal_dir={revealed}", "-e", f"tenants_rotate={RIVAL}")
    (path,) = revealed.glob(f"{RIVAL}.*.age")
    key = open_revealed(path, identity=str(identity))
    session = boto3.Session(str(key["access_key_id"]), str(key["secret_access_key"]), region_name="default")
    client(session, "s3").put_object(Bucket=RIVAL_BUCKET, Key=KEY, Body=BODY)
    yield session
    root = root_session(inventory_folder, RIVAL)
    s3, iam = client(root, "s3"), client(root, "iam")
    for item in s3.list_objects_v2(Bucket=RIVAL_BUCKET).get("Contents", []):
        s3.delete_object(Bucket=RIVAL_BUCKET, Key=item["Key"])
    s3.delete_bucket(Bucket=RIVAL_BUCKET)
    iam.delete_user_policy(UserName=RIVAL, PolicyName="data-plane")
    for item in iam.list_access_keys(UserName=RIVAL)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=RIVAL, AccessKeyId=item["AccessKeyId"])
    iam.delete_user(UserName=RIVAL)
    admin(inventory_folder, "user", "rm", "--uid", f"{RIVAL}.root")
    admin(inventory_folder, "account", "rm", "--account-id", str(key["account_id"]))


@pytest.fixture(scope="module")
def attack(
    tenant_session: Callable[[str], boto3.Session], rival: boto3.Session, client: Clients, operator: Operator
) -> Attack:
    session = tenant_session(FIRM)
    s3 = client(session, "s3")
    s3.put_object(Bucket=PLAIN, Key=KEY, Body=BODY)
    version = s3.put_object(Bucket=LOCKED, Key=KEY, Body=BODY)["VersionId"]
    return Attack(
        s3=s3,
        iam=client(session, "iam"),
        sts=client(session, "sts"),
        sns=client(session, "sns"),
        firm=FIRM,
        account=operator.account,
        topic=operator.topic,
        locked=LOCKED,
        plain=PLAIN,
        key=KEY,
        version=version,
        rival=RIVAL_BUCKET,
    )


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
        "list_object_versions",
    )

    def __init__(self, session: boto3.Session, account: str, client: Clients) -> None:
        self.account = account
        self.topic = ""
        self.last: dict[str, Any] = {}
        self.s3, self.iam, self.sns = (client(session, name) for name in ("s3", "iam", "sns"))

    def everything(self, version: str) -> dict[str, Any]:
        seen: dict[str, Any] = {"buckets": ask(self.s3.list_buckets), "topics": ask(self.sns.list_topics)}
        for bucket in (LOCKED, PLAIN):
            for name in self.BUCKET_CALLS:
                seen[f"{bucket} {name}"] = ask(getattr(self.s3, name), Bucket=bucket)
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


def ask(call: Callable[..., dict[str, Any]], **arguments: str) -> Any:  # noqa: ANN401 -- JSON
    """Return an answer without what differs each time, or the code of a refusal."""
    try:
        return {key: value for key, value in call(**arguments).items() if key != "ResponseMetadata"}
    except ClientError as error:
        return error.response["Error"]["Code"]


@pytest.fixture(scope="module")
def operator(inventory_folder: Path, client: Clients) -> Iterator[Operator]:
    account = admin(inventory_folder, "account", "get", "--account-name", FIRM)["id"]
    root = Operator(root_session(inventory_folder, FIRM), account, client)
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:user/nobody"},
        "Action": "sts:AssumeRole",
    }
    with suppress(root.iam.exceptions.EntityAlreadyExistsException):
        root.iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=policy(trust))
    root.topic = root.sns.create_topic(Name=TOPIC)["TopicArn"]
    yield root
    root.sns.delete_topic(TopicArn=root.topic)
    root.iam.delete_role(RoleName=ROLE)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_is_forbidden_and_changes_nothing(
    name: str, attack: Attack, operator: Operator, rival: boto3.Session, client: Clients
) -> None:
    before = operator.last or operator.everything(attack.version)

    with pytest.raises(ClientError) as refusal:
        ATTEMPTS[name](attack)

    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == NOT_OFFERED.get(name, FORBIDDEN)
    operator.last = operator.everything(attack.version)
    assert operator.last == before
    assert [item["Key"] for item in client(rival, "s3").list_objects_v2(Bucket=RIVAL_BUCKET)["Contents"]] == [KEY]


def test_a_firm_uses_its_own_buckets(attack: Attack) -> None:
    s3 = attack.s3
    names = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    upload = s3.create_multipart_upload(Bucket=PLAIN, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=PLAIN, Key="parts", UploadId=upload, PartNumber=1, Body=BODY)["ETag"]
    s3.complete_multipart_upload(
        Bucket=PLAIN,
        Key="parts",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part}]},
    )
    aborted = s3.create_multipart_upload(Bucket=PLAIN, Key="aborted")["UploadId"]
    s3.abort_multipart_upload(Bucket=PLAIN, Key="aborted", UploadId=aborted)
    s3.put_object(Bucket=PLAIN, Key="private", Body=BODY, ACL="private")  # as rclone sends it
    retention = s3.get_object_retention(Bucket=LOCKED, Key=KEY, VersionId=attack.version)["Retention"]

    assert names == {LOCKED, PLAIN}
    assert s3.get_object(Bucket=LOCKED, Key=KEY)["Body"].read() == BODY
    assert s3.get_object(Bucket=PLAIN, Key="parts")["Body"].read() == BODY
    assert retention["Mode"] == "GOVERNANCE"
    s3.delete_objects(Bucket=PLAIN, Delete={"Objects": [{"Key": "parts"}, {"Key": "private"}]})
    assert {item["Key"] for item in s3.list_objects_v2(Bucket=PLAIN)["Contents"]} == {KEY}


@pytest.mark.parametrize("arguments", [{"ACL": "public-read"}, {"GrantRead": ALL_USERS}], ids=["canned", "grant"])
def test_an_acl_that_slips_in_opens_nothing(  # noqa: PLR0913, PLR0917 -- fixtures
    attack: Attack,
    rival: boto3.Session,
    client: Clients,
    endpoint_url: str,
    ca_file: Path,
    arguments: dict[str, str],
) -> None:
    """Policies see no ACL of a copy or a multipart upload; the public access block must hold."""
    nobody = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        verify=str(ca_file),
        region_name="default",
        config=Config(signature_version=UNSIGNED),
    )
    source = {"Bucket": PLAIN, "Key": KEY}
    with suppress(ClientError):
        attack.s3.copy_object(Bucket=PLAIN, Key="copied", CopySource=source, **arguments)
    with suppress(ClientError):
        upload = attack.s3.create_multipart_upload(Bucket=PLAIN, Key="uploaded", **arguments)["UploadId"]
        part = attack.s3.upload_part(Bucket=PLAIN, Key="uploaded", UploadId=upload, PartNumber=1, Body=BODY)
        attack.s3.complete_multipart_upload(
            Bucket=PLAIN,
            Key="uploaded",
            UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )
    for reader in (nobody, client(rival, "s3")):
        for key in (KEY, "copied", "uploaded"):
            with pytest.raises(ClientError) as refusal:
                reader.get_object(Bucket=PLAIN, Key=key)
            assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == FORBIDDEN
    attack.s3.delete_objects(Bucket=PLAIN, Delete={"Objects": [{"Key": "copied"}, {"Key": "uploaded"}]})


def test_names_in_chinese_survive(operator: Operator, inventory_folder: Path) -> None:
    (firm,) = (tenant for tenant in load(inventory_folder).tenants if tenant.id == FIRM)

    for bucket in (LOCKED, PLAIN):
        tags = {tag["Key"]: tag["Value"] for tag in operator.s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
        assert tags == {"firm-en": firm.name.en, "firm-zh-hant": firm.name.zh_hant}
    listed = operator.s3.list_objects_v2(Bucket=LOCKED)["Contents"]
    assert KEY in {item["Key"] for item in listed}


def test_a_second_run_changes_nothing_and_prints_no_key(inventory_folder: Path, operator: Operator) -> None:
    keys = ask(operator.iam.list_access_keys, UserName=FIRM)
    root = admin(inventory_folder, "user", "info", "--uid", f"{FIRM}.root")["keys"][0]

    output = apply(inventory_folder, "-vvv", "--diff")

    assert changes(output) == [(0, 0, 0)]
    assert ask(operator.iam.list_access_keys, UserName=FIRM) == keys
    assert root["secret_key"] not in output


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
    path.write_text(path.read_text().replace("encryption: null", "encryption: sse-s3"))
    before = operator.everything(attack.version)

    done = ansible(
        "ansible-playbook",
        "-i",
        str(folder),
        "playbooks/tenants.yml",
        "-e",
        "tenants_encryption_available=false",
    )

    assert done.returncode != 0
    assert f"{path}: buckets[0].encryption" in done.stdout
    assert "Nothing was touched" in done.stdout
    assert operator.everything(attack.version) == before


def test_a_rotated_key_replaces_the_old_one(
    rival: boto3.Session, client: Clients, inventory_folder: Path, tmp_path: Path
) -> None:
    identity = pyrage.x25519.Identity.generate()
    folder, revealed = tmp_path / "rival", tmp_path / "revealed"
    shutil.copytree(inventory_folder, folder)
    (folder / "tenants" / f"{RIVAL}.yml").write_text(RIVAL_FILE.format(recipient=identity.to_public()))

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
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == FORBIDDEN
    assert kept == BODY
    assert attack.s3.get_object(Bucket=PLAIN, Key=KEY)["Body"].read() == BODY
