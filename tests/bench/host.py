"""The machine, the lab and the versions that a number was measured with."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.load.lab import ROOT, Lab

LOOK_SECONDS = 10
BUSY_AT_REST = 0.25
"""The lab's forty daemons alone take about a tenth; above this, others are at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where and when."""

    measured_at: datetime
    commit: str
    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    busy_before: float
    """Part of the processors' time that was taken before the benchmark began, 0 to 1; see BUSY_AT_REST."""
    shape: str
    versions: tuple[str, ...]


def describe(lab: Lab) -> Setting:
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    sites = sorted({node.site for node in lab.nodes})
    return Setting(
        measured_at=datetime.now(UTC),
        commit=_commit(),
        cpu=model[1] if model else "unknown",
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=int(memory[1]) * 1024 if memory else 0,
        kernel=platform.release(),
        busy_before=_busy(),
        shape=(
            f"{len(lab.nodes)} nodes in {len(sites)} sites, {sum(len(node.drives) for node in lab.nodes)} drives, "
            f"{len(lab.members('mons'))} monitors, {len(lab.members('gateways'))} gateways"
        ),
        versions=_versions(lab),
    )


def _busy() -> float:
    """Watch /proc/stat for some seconds; what waits for a drive counts as idle."""

    def ticks() -> tuple[int, int]:
        found = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        return sum(found), found[3] + found[4]

    before = ticks()
    time.sleep(LOOK_SECONDS)
    took, idle = (after - earlier for after, earlier in zip(ticks(), before, strict=True))
    return 1 - idle / took


def _commit() -> str:
    words = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _versions(lab: Lab) -> tuple[str, ...]:
    packages = ("ceph-osd", "radosgw", "haproxy", "bird2", "bird3")
    query = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", *packages]
    gateway = lab.members("gateways")[0]
    told = lab.run(gateway, ["bash", "-c", '"$@" 2>/dev/null; true', "bash", *query])
    return tuple(line for line in told.splitlines() if len(line.split()) == 2)
