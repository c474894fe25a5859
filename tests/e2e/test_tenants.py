"""Each firm reaches the data in its own buckets and nothing else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.e2e.tenant_attempts import ALL_USERS, ATTEMPTS, FORBIDDEN, REFUSALS, Attack
from tests.e2e.tenant_lab import BODY, FIRM, KEY, LOCKED, PLAIN, RIVAL_BUCKET, Clients, Operator, ask, status

from legalcloud.inventory import load

pytestmark = pytest.mark.ci
pytest_plugins = ("tests.e2e.tenant_fixtures",)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_is_forbidden_and_changes_nothing(
    name: str, attack: Attack, operator: Operator, rival: boto3.Session, client: Clients
) -> None:
    before = operator.last or operator.everything(attack.version)

    with pytest.raises(ClientError) as refusal:
        ATTEMPTS[name](attack)

    assert status(refusal.value) in REFUSALS.get(name, (FORBIDDEN,))
    operator.last = operator.everything(attack.version)
    assert operator.last == before
    assert [item["Key"] for item in client(rival, "s3").list_objects_v2(Bucket=RIVAL_BUCKET)["Contents"]] == [KEY]


def test_notifications_are_none_to_read(attack: Attack) -> None:
    """A gateway without topics takes the question for a listing of the bucket, which the firm may have."""
    assert ask(attack.s3.get_bucket_notification_configuration, Bucket=PLAIN) in ({}, "AccessDenied")


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
    listings = [s3.list_objects_v2(Bucket=PLAIN, Prefix=key) for key in (KEY, "parts", "private", "aborted")]
    assert [item["Key"] for listing in listings for item in listing.get("Contents", [])] == [KEY]


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
            assert status(refusal.value) == FORBIDDEN
    attack.s3.delete_objects(Bucket=PLAIN, Delete={"Objects": [{"Key": "copied"}, {"Key": "uploaded"}]})


def test_names_in_chinese_survive(operator: Operator, inventory_folder: Path) -> None:
    (firm,) = (tenant for tenant in load(inventory_folder).tenants if tenant.id == FIRM)

    for bucket in (LOCKED, PLAIN):
        tags = {tag["Key"]: tag["Value"] for tag in operator.s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
        assert tags == {"firm-en": firm.name.en, "firm-zh-hant": firm.name.zh_hant}
    listed = operator.s3.list_objects_v2(Bucket=LOCKED, Prefix=KEY)["Contents"]
    assert KEY in {item["Key"] for item in listed}
