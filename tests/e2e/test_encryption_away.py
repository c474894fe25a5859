"""Encryption goes on while keys, credentials and servers change; without any server nothing is stored."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from tests.e2e.nodes import Lab, Node, eventually
from tests.e2e.openbao_servers import CA, unsealed
from tests.e2e.tenant_lab import FIRM, LOCKED, PLAIN, status

pytestmark = pytest.mark.long

BODY = b"x" * 65536
AWAY_STATUS = {503}
"""What a call is told without any server (ADR 0014)."""
REFUSED_SECONDS = 2.0
DRAIN_SECONDS = 90
"""For connections of the process before; it is ended after 60."""
GOOD_AT_LEAST = 20
KEY = "e2e-away"
TOKEN = "/run/rgw-kms/token"  # noqa: S105 -- its place
RECOVERY_SECONDS = 45
"""After a token was revoked: a look every 15 s, a login, and a loaded machine."""
RETURN_SECONDS = 120
TRIES = 3
TOKENS = "/var/lib/legalcloud-hsm/kms"
AWAY = {
    "stops": ("systemctl stop openbao.service", "systemctl start openbao.service"),
    "is killed": ("systemctl kill --signal=KILL openbao.service", "systemctl start openbao.service"),
    "hangs": ("systemctl kill --signal=STOP openbao.service", "systemctl kill --signal=CONT openbao.service"),
    "is sealed without its HSM": (
        f"mkdir {TOKENS}.away && mv {TOKENS}/* {TOKENS}.away && systemctl restart openbao.service",
        f"mv {TOKENS}.away/* {TOKENS} && rmdir {TOKENS}.away",
    ),
}  # fmt: skip
"""How a server goes away, and what brings it back: the last one unseals by itself."""


@pytest.fixture
def s3(tenant_session: Callable[[str], boto3.Session], endpoint_url: str, ca_file: Path) -> Any:  # noqa: ANN401 -- boto3
    """Give a client that tells of the first refusal, and does not try again."""
    return tenant_session(FIRM).client(
        "s3",
        endpoint_url=endpoint_url,
        verify=str(ca_file),
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60),
    )


@dataclass(slots=True)
class Load:
    """What became of the requests."""

    good: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    longest_seconds: float = 0.0


@contextmanager
def load(s3: Any) -> Iterator[Load]:  # noqa: ANN401 -- boto3
    """PUT and GET in both kinds of bucket until the block ends."""
    seen, ended = Load(), threading.Event()

    def run() -> None:
        while not ended.is_set():
            for bucket in (PLAIN, LOCKED):
                for call in (
                    lambda b=bucket: s3.put_object(Bucket=b, Key=KEY, Body=BODY),
                    lambda b=bucket: read(s3, b),
                ):
                    begun = time.monotonic()
                    try:
                        call()
                    except (ClientError, BotoCoreError) as error:
                        seen.failed[str(error)] += 1
                    else:
                        seen.good += 1
                    seen.longest_seconds = max(seen.longest_seconds, time.monotonic() - begun)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def read(s3: Any, bucket: str) -> None:  # noqa: ANN401 -- boto3
    assert s3.get_object(Bucket=bucket, Key=KEY)["Body"].read() == BODY


def works(s3: Any) -> bool:  # noqa: ANN401 -- boto3
    try:
        for bucket in (PLAIN, LOCKED):
            s3.put_object(Bucket=bucket, Key=KEY, Body=BODY)
            read(s3, bucket)
    except (ClientError, BotoCoreError):
        return False
    return True


def data_key(lab: Lab, key: str) -> str:
    """Return the wrapped data key of an object in the bucket without versions; it begins with vault:vVERSION."""
    bucket = lab.admin().json("radosgw-admin", "bucket", "stats", "--bucket", PLAIN)
    return lab.admin().text(
        "rados", "--pool", "hk.rgw.buckets.data", "getxattr", f"{bucket['marker']}_{key}", "user.rgw.crypt.datakey"
    )


def test_a_rotated_key_encrypts_what_is_new_and_opens_what_is_old(lab: Lab, s3: Any) -> None:  # noqa: ANN401 -- boto3
    s3.put_object(Bucket=PLAIN, Key="e2e-old", Body=BODY)
    before = data_key(lab, "e2e-old")

    done = lab.playbook("rotate_transit_keys.yml", "-e", f"tenant={FIRM}")
    unknown = lab.playbook("rotate_transit_keys.yml", "-e", "tenant=nobody")
    s3.put_object(Bucket=PLAIN, Key="e2e-new", Body=BODY)

    def version(wrapped: str) -> int:
        return int(wrapped.split(":")[1].removeprefix("v"))

    assert done.returncode == 0, done.stdout
    assert version(data_key(lab, "e2e-new")) == version(before) + 1
    assert data_key(lab, "e2e-old") == before
    assert s3.get_object(Bucket=PLAIN, Key="e2e-old")["Body"].read() == BODY
    assert unknown.returncode != 0
    for key in ("e2e-old", "e2e-new"):
        s3.delete_object(Bucket=PLAIN, Key=key)


def test_gateways_get_other_credentials_and_no_request_fails(lab: Lab, s3: Any) -> None:  # noqa: ANN401 -- boto3
    gateways = lab.group("gateways")
    before = [node.text("cat", TOKEN) for node in gateways]

    with load(s3) as seen:
        done = lab.playbook("rotate_gateway_credentials.yml")

    assert done.returncode == 0, done.stdout
    assert seen.failed == {}
    assert seen.good > GOOD_AT_LEAST
    for node, old in zip(gateways, before, strict=True):
        assert node.text("cat", TOKEN) != old
        assert old not in done.stdout
        assert told(node, old) == "403"


def told(node: Node, token: str) -> str:
    """Ask OpenBao about a token; return the status of HTTP. The token goes by standard input."""
    config = f'header = "X-Vault-Token: {token}"\nurl = "https://127.0.0.1:8191/v1/auth/token/lookup-self"\n'
    words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", CA, "--config", "-"]
    return node.run(words, config.encode()).decode()


def test_a_gateway_whose_token_was_revoked_has_another_soon(lab: Lab, s3: Any) -> None:  # noqa: ANN401 -- boto3
    (node, *_) = lab.group("gateways")
    old = node.text("cat", TOKEN)
    config = (
        f'header = "X-Vault-Token: {old}"\nrequest = POST\nurl = "https://127.0.0.1:8191/v1/auth/token/revoke-self"\n'
    )
    node.run(["curl", "-sf", "--cacert", CA, "--config", "-"], config.encode())

    eventually(
        lambda: node.text("cat", TOKEN) != old, seconds=RECOVERY_SECONDS, hint="the gateway's program took no notice"
    )

    assert told(node, node.text("cat", TOKEN)) == "200"
    assert works(s3)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("way", AWAY, ids=[name.replace(" ", "-") for name in AWAY])
def test_one_server_that(lab: Lab, s3: Any, way: str, number: int) -> None:  # noqa: ANN401 -- boto3
    """Costs no request, whichever of them it is."""
    node, (begin, end) = lab.group("kms")[number], AWAY[way]
    assert works(s3)

    with load(s3) as seen:
        time.sleep(3)
        node.text("sh", "-c", begin)
        try:
            before = seen.good
            time.sleep(15)
            meanwhile = seen.good - before
        finally:
            node.text("sh", "-c", end)
        time.sleep(15)

    sys.stdout.write(f"{node.name} {way}: {seen.good} good, longest {seen.longest_seconds:.1f} s\n")
    assert seen.failed == {}, f"{seen.good} good, longest {seen.longest_seconds:.1f} s"
    assert meanwhile > GOOD_AT_LEAST
    assert seen.good - before - meanwhile > GOOD_AT_LEAST, "after it was back"
    eventually(
        lambda: unsealed(node), seconds=RETURN_SECONDS, hint=f"OpenBao of {node.name} did not come back by itself"
    )


@pytest.mark.parametrize("way", ["stops", "hangs", "is sealed without its HSM"], ids=lambda way: way.replace(" ", "-"))
def test_when_every_server(lab: Lab, s3: Any, way: str) -> None:  # noqa: ANN401 -- boto3
    """Nothing is stored, whatever the way, and everything returns by itself."""
    begin, end = AWAY[way]
    servers = lab.group("kms")
    assert works(s3)
    told: Counter[str] = Counter()  # by call, bucket, status and code
    longest = 0.0
    begun_on: list[Node] = []
    try:
        for node in servers:
            node.text("sh", "-c", begin)
            begun_on.append(node)
        time.sleep(5)  # the proxies look every second, twice
        for bucket, _ in itertools.product((PLAIN, LOCKED), range(TRIES)):
            for verb, call in (
                ("PUT", partial(s3.put_object, Key="e2e-refused", Body=BODY)),
                ("GET", partial(s3.get_object, Key=KEY)),
            ):
                begun = time.monotonic()
                with pytest.raises(ClientError) as refused:
                    call(Bucket=bucket)
                longest = max(longest, time.monotonic() - begun)
                assert status(refused.value) in AWAY_STATUS
                told[f"{verb} {bucket}: {status(refused.value)} {refused.value.response['Error']['Code']}"] += 1
        for bucket in (PLAIN, LOCKED):
            versions = s3.list_object_versions(Bucket=bucket, Prefix="e2e-refused")
            assert not versions.get("Versions"), f"{bucket} stored what it refused"
            s3.delete_object(Bucket=bucket, Key="e2e-refused")
    finally:
        for node in begun_on:
            node.text("sh", "-c", end)

    assert longest < REFUSED_SECONDS
    begun = time.monotonic()
    eventually(lambda: works(s3), seconds=RETURN_SECONDS, hint="OpenBao is up, and the gateways do not encrypt")
    back = time.monotonic() - begun
    sys.stdout.write(
        f"every server {way}: {dict(sorted(told.items()))}, longest {longest:.1f} s; {back:.1f} s to return\n"
    )


def test_without_a_quorum_the_last_server_goes_on_for_a_while(lab: Lab, s3: Any) -> None:  # noqa: ANN401 -- boto3
    """Two of three are away; what is told is documented in ADR 0014."""
    *away, _ = lab.group("kms")
    begin, end = AWAY["stops"]
    assert works(s3)
    try:
        for node in away:
            node.text("sh", "-c", begin)
        time.sleep(5)
        with load(s3) as seen:
            time.sleep(30)
    finally:
        for node in away:
            node.text("sh", "-c", end)

    sys.stdout.write(f"without a quorum: {seen.good} good, longest {seen.longest_seconds:.1f} s, {dict(seen.failed)}\n")
    assert seen.failed == {}
    assert seen.good > GOOD_AT_LEAST
    eventually(lambda: works(s3), seconds=RETURN_SECONDS, hint="the quorum is back, and the gateways do not encrypt")


def test_the_proxys_certificate_is_renewed_and_no_request_fails(lab: Lab, s3: Any) -> None:  # noqa: ANN401 -- boto3
    gateways = lab.group("gateways")
    before = [served(node) for node in gateways]
    for node in gateways:
        node.text("rm", "/etc/legalcloud/pki/kms-proxy.crt")

    with load(s3) as seen:
        done = lab.playbook("site.yml", "--tags", "certificate,openbao_agent")

    assert done.returncode == 0, done.stdout
    assert (seen.failed, seen.good > GOOD_AT_LEAST) == ({}, True)
    for node, old in zip(gateways, before, strict=True):
        assert served(node) != old, node.name
    for node in gateways:
        eventually(
            lambda n=node: n.text("pgrep", "--count", "--euid", "kms-proxy").strip() == "1",  # type: ignore[misc]
            seconds=DRAIN_SECONDS,
            hint=f"the process before goes on at {node.name}",
        )


def served(node: Node) -> str:
    """Return the certificate with which the proxy answers, in PEM."""
    script = "openssl s_client -connect 127.0.0.1:8191 </dev/null 2>/dev/null | openssl x509"
    return node.text("sh", "-c", script)
