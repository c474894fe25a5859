"""What a firm stores is encrypted with its own key, whatever it sends, and on no drive is it found in the clear."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.e2e.encryption_attempts import ATTEMPTS, GOOD, NAME, Firm, RefusedError
from tests.e2e.nodes import Lab, eventually
from tests.e2e.tenant_lab import FIRM, LOCKED, PLAIN, RIVAL, Clients, root_session, status

pytestmark = pytest.mark.ci
pytest_plugins = ("tests.e2e.tenant_fixtures",)

FORBIDDEN = 403
BODY = "機密".encode() * 1000
PART_BYTES = 5 * 2**20
OFFENDER = "demo-chambers-e2e-clear"
MARKER_BYTES = 64
READ_BYTES = 4 * 2**20


@pytest.fixture(scope="module", params=[PLAIN, LOCKED])
def firm(  # noqa: PLR0913, PLR0917 -- fixtures
    request: pytest.FixtureRequest,
    tenant_session: Callable[[str], boto3.Session],
    rival: boto3.Session,
    client: Clients,
    endpoint_url: str,
    ca_file: Path,
) -> Firm:
    del rival  # its key must be there to be named
    session, bucket = tenant_session(FIRM), request.param
    s3 = client(session, "s3")
    s3.put_object(Bucket=bucket, Key="dodged", Body=BODY)
    return Firm(
        session=session,
        s3=s3,
        endpoint_url=endpoint_url,
        ca_file=str(ca_file),
        bucket=bucket,
        source="dodged",
        foreign_key=RIVAL,
    )


@pytest.fixture(scope="module")
def root(lab: Lab, client: Clients) -> Any:  # noqa: ANN401 -- boto3
    return client(root_session(lab, FIRM), "s3")


def stored(s3: Any, bucket: str, prefix: str) -> list[str]:  # noqa: ANN401 -- boto3
    return [version["Key"] for version in s3.list_object_versions(Bucket=bucket, Prefix=prefix).get("Versions", [])]


@pytest.mark.parametrize("name", ATTEMPTS)
def test_encryption_cannot_be_dodged(name: str, firm: Firm, root: Any) -> None:  # noqa: ANN401 -- boto3
    with pytest.raises((ClientError, RefusedError)) as refusal:
        ATTEMPTS[name](firm)

    error = refusal.value
    assert isinstance(error, ClientError | RefusedError)
    told = (
        (status(error), error.response["Error"]["Code"])
        if isinstance(error, ClientError)
        else (error.status, error.code)
    )
    assert told == (FORBIDDEN, "AccessDenied")
    assert NAME not in stored(root, firm.bucket, NAME)
    assert not root.list_multipart_uploads(Bucket=firm.bucket, Prefix=NAME).get("Uploads")


def encryption(s3: Any, bucket: str, key: str) -> tuple[str | None, str | None]:  # noqa: ANN401 -- boto3
    head = s3.head_object(Bucket=bucket, Key=key)
    return head.get("ServerSideEncryption"), head.get("SSEKMSKeyId")


@pytest.mark.parametrize("name", GOOD)
def test_each_way_of_asking_works_with_what_a_firm_may_ask_for(name: str, firm: Firm) -> None:
    target = {"Bucket": firm.bucket, "Key": "e2e-asked"}
    GOOD[name](replace(firm, name=target["Key"]))

    assert encryption(firm.s3, firm.bucket, target["Key"]) == ("AES256", None)
    assert firm.s3.get_object(**target)["Body"].read() == (BODY if name == "a copy" else b"clear")
    firm.s3.delete_object(**target)


def test_a_plain_request_is_encrypted_with_the_firms_key(firm: Firm) -> None:
    wanted = {PLAIN: ("AES256", None), LOCKED: ("aws:kms", FIRM)}[firm.bucket]
    upload = {"Bucket": firm.bucket, "Key": "e2e-parts"}
    parts = [secrets.token_bytes(PART_BYTES), BODY]
    ident = firm.s3.create_multipart_upload(**upload)["UploadId"]
    tags = [
        firm.s3.upload_part(**upload, UploadId=ident, PartNumber=number, Body=part)["ETag"]
        for number, part in enumerate(parts, 1)
    ]
    listed = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
    firm.s3.complete_multipart_upload(**upload, UploadId=ident, MultipartUpload={"Parts": listed})
    across = firm.s3.get_object(**upload, Range=f"bytes={PART_BYTES - 5000}-{PART_BYTES + 4999}")["Body"].read()

    assert encryption(firm.s3, firm.bucket, "dodged") == wanted
    assert encryption(firm.s3, firm.bucket, "e2e-parts") == wanted
    assert firm.s3.get_object(Bucket=firm.bucket, Key="dodged")["Body"].read() == BODY
    assert firm.s3.get_object(**upload)["Body"].read() == b"".join(parts)
    assert across == b"".join(parts)[PART_BYTES - 5000 : PART_BYTES + 5000]
    firm.s3.delete_object(**upload)


def test_a_copy_that_asks_for_encryption_is_made(firm: Firm) -> None:
    target = {"Bucket": firm.bucket, "Key": "e2e-copy"}
    firm.s3.copy_object(**{**firm.copy, **target}, ServerSideEncryption="AES256")

    assert encryption(firm.s3, firm.bucket, "e2e-copy") == ("AES256", None)
    assert firm.s3.get_object(**target)["Body"].read() == BODY
    firm.s3.delete_object(**target)


@pytest.fixture
def offender(root: Any) -> Iterator[str]:  # noqa: ANN401 -- boto3
    """Give a bucket without default encryption, made by the operator: the way past everything that binds a firm."""
    with suppress(ClientError):
        root.create_bucket(Bucket=OFFENDER)
    yield OFFENDER
    for key in stored(root, OFFENDER, ""):
        root.delete_object(Bucket=OFFENDER, Key=key)
    root.delete_bucket(Bucket=OFFENDER)


def watched(lab: Lab) -> dict[str, Any]:
    lab.admin().text("systemctl", "start", "encryption-watch.service")
    found: dict[str, Any] = lab.admin().json("cat", "/var/lib/encryption-watch/result.json")
    return found


@pytest.mark.parametrize("unit", ["kms-proxy.service", "rgw-kms-agent.service"])
def test_what_leads_a_gateway_to_openbao_writes_for_itself_alone(lab: Lab, unit: str) -> None:
    for node in lab.group("gateways"):
        assert node.text("systemctl", "show", "--property=UMask", "--value", unit).strip() == "0077"


def test_the_watch_finds_a_bucket_and_an_object_in_the_clear(lab: Lab, root: Any, offender: str) -> None:  # noqa: ANN401 -- boto3
    before = watched(lab)
    root.put_object(Bucket=offender, Key="機密.txt", Body=BODY)

    found = watched(lab)
    numbers = lab.admin().text("cat", "/var/lib/prometheus/node-exporter/legalcloud_encryption.prom")
    root.put_bucket_encryption(
        Bucket=offender,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    root.copy_object(
        Bucket=offender,
        Key="機密.txt",
        CopySource={"Bucket": offender, "Key": "機密.txt"},
        MetadataDirective="REPLACE",
        ServerSideEncryption="AES256",
    )
    mended = watched(lab)

    assert offender in found["clear_buckets"]
    assert found["clear_objects"] == before["clear_objects"] + 1
    assert any(name.endswith("_機密.txt") for name in found["samples"])
    assert f"legalcloud_encryption_clear_objects {found['clear_objects']}\n" in numbers
    assert "機密" not in numbers
    assert offender not in mended["clear_buckets"]
    assert mended["clear_objects"] == before["clear_objects"]


def holds(path: Path, marker: bytes) -> bool:
    """Search what a sparse file holds, and skip its holes."""
    with path.open("rb") as drive:
        at, end = 0, drive.seek(0, os.SEEK_END)
        while at < end:
            try:
                begin = os.lseek(drive.fileno(), at, os.SEEK_DATA)
            except OSError:
                return False
            at = os.lseek(drive.fileno(), begin, os.SEEK_HOLE)
            rest = b""
            for place in range(begin, at, READ_BYTES):
                block = rest + os.pread(drive.fileno(), min(READ_BYTES, at - place), place)
                if marker in block:
                    return True
                rest = block[-len(marker) :]
    return False


def test_no_drive_holds_the_plaintext_but_of_the_control_object(
    lab: Lab,
    tenant_session: Callable[[str], boto3.Session],
    client: Clients,
    root: Any,  # noqa: ANN401 -- boto3
    offender: str,
) -> None:
    """A marker of 64 bytes fills the object, so that one survives whole in every chunk of an erasure-coded stripe."""
    drives = sorted((lab.state_dir / "machines").glob("*/drive-*.img"))
    hidden = {bucket: secrets.token_bytes(MARKER_BYTES) for bucket in (PLAIN, LOCKED)}
    bare = secrets.token_bytes(MARKER_BYTES)
    s3 = client(tenant_session(FIRM), "s3")
    for bucket, marker in hidden.items():
        s3.put_object(Bucket=bucket, Key="e2e-marker", Body=marker * (2**20 // MARKER_BYTES))
    root.put_object(Bucket=offender, Key="e2e-marker", Body=bare * (2**20 // MARKER_BYTES))

    eventually(
        lambda: any(holds(drive, bare) for drive in drives), seconds=60, hint="the control object is on no drive"
    )
    seen = {bucket: [drive.name for drive in drives if holds(drive, marker)] for bucket, marker in hidden.items()}

    assert len(drives) == len(lab.ceph("osd", "ls"))
    assert seen == {PLAIN: [], LOCKED: []}
    for bucket in hidden:
        s3.delete_object(Bucket=bucket, Key="e2e-marker")
