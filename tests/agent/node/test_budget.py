"""How many series a large node has: 24 drives, each with an OSD, and nothing but storage on it."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.agent.node.node_sample import HERE, settings
from tests.agent.node.test_capacity import osd
from tests.agent.node.test_metrics import PRESSURE, seen
from tests.agent.node.test_storage import NOW

from legalcloud.node import certificates, clock, metrics, pressure, ruleset, smart, subjects
from legalcloud.node.capacity import of_node
from legalcloud.node.drives import Drives
from legalcloud.node.filling import Filling
from legalcloud.node.forecast import Forecast, Outlook
from legalcloud.node.hsm import Hsm
from legalcloud.node.keys import Keys
from legalcloud.node.osds import Ratios
from legalcloud.node.packages import Packages, Updates
from legalcloud.node.probe import Seen
from legalcloud.node.serials import Fleet
from legalcloud.node.storage import Storage
from legalcloud.node.units import Unit, Units

MOST = 300
DRIVES = 24
DATA = HERE / "data"
SERVICES = ("ceph-osd.target", "chrony.service", "nftables.service", "ssh.service")


def raw(name: str) -> bytes:
    return (DATA / name).read_bytes()


def some_certificates(count: int) -> bytes:
    """Take as many as a storage node has: of the CA, the node, its agent and its statements."""
    return json.dumps(dict(list(json.loads(raw("certificates/gateway.json")).items())[:count])).encode()


def large_node() -> tuple[Seen[object], ...]:
    """Say as much as a node can: every drive tells all that it knows, two of them are flash."""
    serials = [f"SN{number:04}" for number in range(DRIVES)]
    told = [
        smart.parse(raw(f"smart/{'nvme_worn' if number < 2 else 'ata_hdd_failing'}.json")) for number in range(DRIVES)
    ]
    osds = tuple(osd(number, 100 + number) for number in range(DRIVES))
    stall = pressure.stall(raw("pressure/memory"))
    facts: dict[str, object] = {
        "units": Units(
            expected={name: Unit(loaded="loaded", active="active", sub="running", restarts=0) for name in SERVICES},
            failed=(),
        ),
        "drives": Drives(
            fleet=Fleet(
                present={serial: f"/dev/sd{serial}" for serial in serials}, absent=(), ambiguous={}, unexpected=()
            ),
            facts=dict(zip(serials, told, strict=True)),
            problems={},
        ),
        "osds": Storage(osds=osds, capacity=of_node(osds, data_share=0.5, ratios=Ratios()), without_osd=()),
        "forecast": Filling(
            forecast=Forecast(
                outlook=Outlook.FILLING, reason="", days=90, days_lower=60, days_upper=120, rate_bytes_per_day=1.0
            ),
            samples=2000,
            problem=None,
        ),
        "keys": Keys(server=None, hsm_away_seconds=None, backup=None, gateway_served=None),
        "hsm": Hsm(tokens={}),
        "certificates": certificates.parse(some_certificates(4), now=NOW),
        "clock": clock.parse(raw("clock/tracking.csv"), raw("clock/sources.csv"), now=NOW),
        "ruleset": ruleset.parse(raw("ruleset/storage.json")),
        "packages": Packages(
            ceph="20.2.1",
            faults=(),
            kernel="6.12",
            kernel_installed="6.12",
            reboot_needed=False,
            updates=Updates(pending=0, security=0),
            lists_age_seconds=1.0,
        ),
        "pressure": pressure.Pressure(
            memory=PRESSURE.memory,
            stalls=dict.fromkeys(pressure.RESOURCES, stall),
            rooms={"/": PRESSURE.rooms["/"]},
            up_seconds=1.0,
        ),
    }
    return tuple(seen(name, facts[name]) for name in subjects.NAMES)


def counted(text: bytes) -> dict[str, int]:
    return {family.name: len(family.samples) for family in text_string_to_metric_families(text.decode())}


def test_a_storage_node_with_24_drives_has_300_series_at_most() -> None:
    found = counted(metrics.exposition(settings(services=SERVICES), subjects.ALL, large_node()))

    assert sum(found.values()) <= MOST, found
    assert found["legalcloud_drive_passed"] == found["legalcloud_osd_active"] == DRIVES
    assert found["legalcloud_probe_success"] == len(subjects.ALL)


@pytest.mark.parametrize("subject", subjects.NAMES)
def test_every_subject_of_that_node_has_series_or_nothing_to_say(subject: str) -> None:
    (one,) = (one for one in subjects.ALL if one.name == subject)
    (look,) = (look for look in large_node() if look.name == subject)

    told = [value for metric in one.metrics for _, value in metric.samples(look.facts) if value is not None]
    assert bool(told) is (subject not in {"keys", "hsm"}), "this node has neither"
