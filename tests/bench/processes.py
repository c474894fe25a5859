"""What the lab's processes use, read from the host: its containers' processes are the host's own."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from plugins.module_utils.lab_host import cgroup

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
DAEMONS = ("ceph-osd", "radosgw", "haproxy", "ceph-mon", "ceph-mgr", "bird", "chronyd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process at one moment."""

    machine: str
    pid: int
    name: str
    started_ticks: int
    """Since the host's boot; with `pid` it tells this process from any other."""
    cpu_seconds: float
    """User and system (fields 14 and 15 of /proc/PID/stat)."""
    rss_bytes: int


def parse_stat(text: str, *, machine: str) -> Process:
    """Parse /proc/PID/stat by position, as proc_pid_stat(5) numbers the fields. Raises: ValueError if it is short."""
    pid, _, rest = text.partition(" (")
    name, _, tail = rest.rpartition(") ")
    fields = tail.split()
    if len(fields) < 22:  # up to field 24, less pid and name
        raise ValueError(f"/proc/{pid}/stat has {len(fields) + 2} fields")
    return Process(
        machine=machine,
        pid=int(pid),
        name=name,
        started_ticks=int(fields[19]),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / TICKS,
        rss_bytes=int(fields[21]) * PAGE_BYTES,
    )


def look(machines: Iterable[str]) -> tuple[Process, ...]:
    """Return every process of these machines; one that ends while we look is left out."""
    found = []
    for machine in machines:
        for pid in pids(machine):
            try:
                found.append(parse_stat(Path(f"/proc/{pid}/stat").read_text(), machine=machine))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return tuple(found)


def listed(file: Path) -> list[str]:
    """Read a list of process ids; a session may have ended, and its group gone, since it was found."""
    try:
        return file.read_text().split()
    except OSError:
        return []


def pids(machine: str) -> list[int]:
    return [int(pid) for folder, _, _ in os.walk(cgroup(machine)) for pid in listed(Path(folder, "cgroup.procs"))]


def used(before: Iterable[Process], after: Iterable[Process]) -> Mapping[str, float]:
    """CPU seconds by name between two looks, of the processes that were there at the second."""
    earlier = {(process.pid, process.started_ticks): process.cpu_seconds for process in before}
    spent: dict[str, float] = defaultdict(float)
    for process in after:
        spent[process.name] += process.cpu_seconds - earlier.get((process.pid, process.started_ticks), 0.0)
    return spent


def restarted(before: Iterable[Process], after: Iterable[Process]) -> list[str]:
    """Name the daemons of which a process of the first look is gone at the second, or a new one is there."""

    def lives(processes: Iterable[Process]) -> dict[tuple[int, int], str]:
        return {
            (process.pid, process.started_ticks): f"{process.name} on {process.machine}"
            for process in processes
            if process.name in DAEMONS
        }

    old, new = lives(before), lives(after)
    return sorted({(old | new)[life] for life in old.keys() ^ new.keys()})
