"""A node, then a site, is killed under load: no request fails, nothing is lost, and all is whole again after.

A kill cuts a machine off the network and ends all its processes, both at once; the host keeps its page cache: a crash,
not a power cut.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from tests.load.generator import Load
from tests.load.lab import Lab
from tests.load.ledger import Ledger, replay
from tests.load.outage import Outage, endure, heart
from tests.load.reader import clear, read_back
from tests.load.store import Store

pytestmark = pytest.mark.ci

LIMIT_SECONDS = 30
"""Far above the goals (8 s for a node, 12 s for a site), which the benchmark judges on a quiet machine: here a
stall means that something does not fail over at all."""


@pytest.fixture(scope="module")
def machines() -> Lab:
    return Lab()


@pytest.fixture(scope="module")
def store(tenant_session: Callable[[str], boto3.Session], endpoint_url: str, ca_file: Path) -> Store:
    return Store(
        session=tenant_session("demo-chambers"),
        endpoint_url=endpoint_url,
        ca_file=ca_file,
        bucket="demo-chambers-scratch",
    )


def judge(outage: Outage, screen: pytest.CaptureFixture[str]) -> None:
    with screen.disabled():
        print(f"\n{outage.report()}")  # noqa: T201 -- the number is what a person reads this test for
    assert outage.loss.requests > 20, "too few requests to call it load"
    assert not outage.failed
    assert not outage.while_down.faults
    assert not outage.at_end.faults
    assert not outage.wronged_osds
    assert outage.loss.longest_stall_seconds < LIMIT_SECONDS
    assert outage.comeback.longest_stall_seconds < LIMIT_SECONDS


def test_the_harness_notices_one_object_removed_and_one_altered_behind_its_back(store: Store, tmp_path: Path) -> None:
    prefix = f"{tmp_path.name}/"
    with Ledger(tmp_path / "ledger") as ledger, Load(store, ledger, prefix=prefix, clients=2) as load:
        while len(load.requests) < 40:
            load.wait(0.1)
        load.stop()
    with (tmp_path / "ledger").open("rb") as lines:
        expected = replay(lines)
    assert not read_back(store, expected).faults
    removed, altered, *_ = (key for key, one in expected.items() if None not in one.allowed)
    s3 = store.client()

    s3.delete_object(Bucket=store.bucket, Key=removed)
    s3.put_object(Bucket=store.bucket, Key=altered, Body=b"forged")
    findings = read_back(store, expected)

    assert findings.lost == (removed,)
    assert findings.corrupt == (f"{altered}: never written",)
    clear(store, prefix)


def test_a_killed_node_costs_no_request_and_no_object(
    machines: Lab, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bystander = next(node for node in machines.members("storage") if not node.groups & {"mons", "mgrs", "gateways"})

    judge(endure(machines, store, [bystander], tmp_path), capsys)


def test_a_killed_site_costs_no_request_and_no_object(
    machines: Lab, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The site that holds the leading monitor, the active manager and the gateway that answers."""
    nodes = heart(machines)
    assert any("gateways" in node.groups for node in nodes)

    judge(endure(machines, store, nodes, tmp_path), capsys)
