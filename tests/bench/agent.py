"""What the node agent costs, beside Debian's node exporter on the same node, and a Prometheus that scrapes 1,000."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plugins.module_utils.lab_host import cgroup
from tests.load.lab import Lab

from legalcloud.register import Node

SCRAPES = 1000
QUIET_SECONDS = 60
FLEET = 1000
FLEET_INTERVAL_SECONDS = 30
FLEET_SECONDS = 120
EXPORTER = "prometheus-node-exporter"
ON_NODE = Path(__file__).with_name("on_node.py")
FLEET_ON_NODE = Path(__file__).with_name("fleet_on_node.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One exporter after `SCRAPES` scrapes over one connection."""

    rss_bytes: int
    cpu_seconds_per_scrape: float
    """Of its own process: node_exporter looks while it answers, the agent in between."""
    p99_seconds: float
    median_seconds: float
    series: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetCost:
    """One Prometheus that scrapes so many agents every 30 s."""

    targets: int
    series: int
    cpu_cores: float
    rss_bytes: int
    disk_bytes_per_hour: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCosts:
    """All of it."""

    node: str
    agent: Cost
    exporter: Cost
    hung: Cost
    """A second agent whose helper takes every question and answers none."""
    background_cores: float
    """Of the agent, its commands and the helper, while nobody scrapes."""
    fleet: FleetCost


def cost(told: Mapping[str, float]) -> Cost:
    return Cost(
        rss_bytes=int(told["rss_bytes"]),
        cpu_seconds_per_scrape=told["cpu_seconds_per_scrape"],
        p99_seconds=told["p99_seconds"],
        median_seconds=told["median_seconds"],
        series=int(told["series"]),
        bytes=int(told["bytes"]),
    )


def measure(lab: Lab) -> AgentCosts:
    """Measure on a node without monitor, gateway or key manager. Raises: LabError."""
    busy = {"mons", "mgrs", "gateways", "kms"}
    node = next(node for node in lab.nodes if not node.groups & busy)
    with installed(lab, node, EXPORTER):
        words = ["python3", "-I", "-c", ON_NODE.read_text(), str(node.address), str(SCRAPES), "node_exporter"]
        told = json.loads(lab.run(node, words, timeout_seconds=300))
    before, start = cpu_seconds(node.name), time.monotonic()
    time.sleep(QUIET_SECONDS)
    cores = (cpu_seconds(node.name) - before) / (time.monotonic() - start)
    with installed(lab, node, "prometheus"):
        words = ["python3", "-I", "-c", FLEET_ON_NODE.read_text(), str(node.address), str(FLEET), str(FLEET_SECONDS)]
        fleet = json.loads(lab.run(node, words, timeout_seconds=FLEET_SECONDS + 120))
    return AgentCosts(
        node=node.name,
        agent=cost(told["agent"]),
        exporter=cost(told["node_exporter"]),
        hung=cost(told["hung"]),
        background_cores=cores,
        fleet=FleetCost(**fleet),
    )


@contextmanager
def installed(lab: Lab, node: Node, package: str) -> Iterator[None]:
    """Have a package of Debian for a while."""
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
    lab.run(node, [*apt, "update"], timeout_seconds=120)
    lab.run(node, [*apt, "install", "--yes", "--no-install-recommends", package], timeout_seconds=300)
    try:
        yield
    finally:
        lab.run(node, [*apt, "purge", "--yes", "--autoremove", package], timeout_seconds=120)


def cpu_seconds(machine: str) -> float:
    """Add up what the agent's control groups have used; the helper's stays with its slice as its processes go."""
    groups = ("legalcloud-agent.service", r"system-legalcloud\x2dagent\x2dhelper.slice")
    found = [path for name in groups for path in Path(cgroup(machine)).rglob(f"{name}/cpu.stat")]
    return sum(int(path.read_text().split()[1]) for path in found) / 1e6


def _row(name: str, one: Cost) -> str:
    return (
        f"| {name} | {one.rss_bytes / 1e6:.1f} | {one.cpu_seconds_per_scrape * 1e3:.2f} "
        f"| {one.median_seconds * 1e3:.2f} | {one.p99_seconds * 1e3:.1f} | {one.series} | {one.bytes} |"
    )


def section(found: AgentCosts) -> list[str]:
    """Write the part of the page."""
    rows = {"agent": found.agent, "node_exporter, Debian's": found.exporter, "agent whose helper hangs": found.hung}
    fleet = found.fleet
    head = ("what", "resident set MB", "CPU ms a scrape", "median ms", "p99 ms", "series", "bytes")
    return [
        "## The node agent",
        f"On {found.node}: {SCRAPES} scrapes over one connection, with TLS and client certificates for the agent and "
        "without for node_exporter, as Debian starts it. Goals: resident set 40 MB, 5 ms of CPU a scrape, "
        "p99 20 ms with a probe that hangs, 300 series.",
        "\n".join(
            [f"| {' | '.join(head)} |", "| --- " * len(head) + "|", *(_row(name, one) for name, one in rows.items())]
        ),
        f"While nobody scrapes, the agent, its commands and the helper take {found.background_cores * 1e3:.1f} ms of "
        "CPU a second: they look in the background, and a scrape costs the same however often it comes.",
        f"One Prometheus that scrapes {fleet.targets} simulated agents every {FLEET_INTERVAL_SECONDS} s "
        f"({fleet.series} series): {fleet.cpu_cores:.2f} cores, {fleet.rss_bytes / 1e6:.0f} MB resident, "
        f"{fleet.disk_bytes_per_hour / 1e6:.0f} MB an hour on disk. Without TLS, whose handshake a kept connection "
        "pays once.",
    ]


if __name__ == "__main__":
    sys.stdout.write("\n\n".join(section(measure(Lab()))) + "\n")
