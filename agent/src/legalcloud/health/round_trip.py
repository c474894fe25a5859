"""Store an object, read it back, compare, delete it: what every tenant does, done once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from legalcloud.errors import SourceError
from legalcloud.health.facts import RoundTrip

TIMEOUT_SECONDS = 15


def round_trip(*, endpoint: str, ca_file: Path, keys: Mapping[str, str], bucket: str, size_bytes: int) -> RoundTrip:
    """Do one round trip of random bytes under the name `legalcloud-canary-…`.

    `keys` has `access_key_id` and `secret_access_key`, as in the file revealed to a tenant. A versioned bucket keeps
    the version and a delete marker. Then an upload with a lock of its own is tried, which shall be refused.
    Raises: SourceError if the endpoint refuses or does not answer.
    """
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        verify=str(ca_file),
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
        region_name="hk",
        config=Config(
            s3={"addressing_style": "path"},
            connect_timeout=5,
            read_timeout=TIMEOUT_SECONDS,
            retries={"mode": "standard"},
        ),
    )
    name, body = f"legalcloud-canary-{secrets.token_hex(8)}", secrets.token_bytes(size_bytes)
    try:
        begun = time.monotonic()
        client.put_object(Bucket=bucket, Key=name, Body=body)
        stored = time.monotonic()
        answer = client.get_object(Bucket=bucket, Key=name)["Body"].read()
        read = time.monotonic()
        client.delete_object(Bucket=bucket, Key=name)
        lock_status = _lock(client, bucket, name)
    except (BotoCoreError, ClientError) as error:
        raise SourceError(
            f"{endpoint}, bucket {bucket}: {error}",
            hint="Look at the gateways: `systemctl status haproxy s3-announcer ceph-radosgw@rgw.$(hostname)`.",
        ) from error
    return RoundTrip(
        bucket=bucket,
        size_bytes=size_bytes,
        put_seconds=round(stored - begun, 4),
        get_seconds=round(read - stored, 4),
        same=answer == body,
        lock_status=lock_status,
    )


def _lock(client: Any, bucket: str, name: str) -> int:  # noqa: ANN401 -- boto3 has no types
    """Try an upload that is locked for a minute; return the HTTP status. It is gone afterwards, or its lock soon is."""
    until = datetime.now(UTC) + timedelta(minutes=1)
    try:
        client.put_object(
            Bucket=bucket, Key=name, Body=b"", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until
        )
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return HTTPStatus.OK
