"""Every node loses power at once: operators can log in while Ceph still gathers, and all comes back by itself."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.load.lab import Lab
from tests.load.store import Store

from legalcloud.register import Node

pytestmark = pytest.mark.ci

LOGIN_SECONDS = 20
WHOLE_SECONDS = 240
KEY = "before-the-power-failure"
STAMPS = ("UserspaceTimestampMonotonic", "ActiveEnterTimestampMonotonic")
"""When systemd took over, and when a unit was up; in microseconds of one clock."""


def seconds_without_login(lab: Lab, node: Node) -> float:
    """Return how long this boot let in nobody but root."""
    shown = lab.run(node, ["systemctl", "show", f"--property={STAMPS[0]}", "--value"])
    up = lab.run(node, ["systemctl", "show", f"--property={STAMPS[1]}", "--value", "systemd-user-sessions.service"])
    return (int(up) - int(shown)) / 1e6


def read_until(store: Store, key: str, *, deadline: float) -> bytes:
    """Read an object once the S3 name answers; until the deadline, by the monotonic clock, failures are expected."""
    while True:
        try:
            return bytes(store.client().get_object(Bucket=store.bucket, Key=key)["Body"].read())
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise


def test_all_nodes_come_back_by_themselves_and_let_operators_in_before_ceph_is_up(
    tenant_session: Callable[[str], boto3.Session],
    endpoint_url: str,
    ca_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lab = Lab()
    store = Store(
        session=tenant_session("demo-chambers"),
        endpoint_url=endpoint_url,
        ca_file=ca_file,
        bucket="demo-chambers-scratch",
    )
    s3, body = store.client(), secrets.token_bytes(2**20)
    s3.put_object(Bucket=store.bucket, Key=KEY, Body=body)

    lab.kill(lab.nodes)
    lab.bring_back()
    start = time.monotonic()
    lab.wait_until_whole(timeout_seconds=WHOLE_SECONDS)
    whole = time.monotonic() - start
    returned = read_until(store, KEY, deadline=start + WHOLE_SECONDS)  # encrypted: OpenBao unsealed itself too
    serving = time.monotonic() - start
    closed = max(seconds_without_login(lab, node) for node in lab.nodes)

    assert closed < LOGIN_SECONDS
    assert returned == body
    s3.delete_object(Bucket=store.bucket, Key=KEY)
    with capsys.disabled():
        print(  # noqa: T201 -- numbers for a reader
            f"\npower failure everywhere: logins after {closed:.0f} s of boot; after all ran, "
            f"whole in {whole:.0f} s and serving in {serving:.0f} s"
        )
