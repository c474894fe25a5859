"""How hard-pressed the node is: memory, stalls (PSI), room on file systems, time since it was started."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from legalcloud.errors import ParseError
from legalcloud.node.filesystems import Room, room
from legalcloud.node.subject import Kind, Level, Line, Metric, Sample, Subject, World, gauge

T = TypeVar("T")
RESOURCES = ("cpu", "memory", "io")
LEAST_FREE_RATIO = 0.1
"""Of a file system: journald, apt and the monitors' stores stop working well before zero; a mon warns at 0.3."""
LEAST_AVAILABLE_RATIO = 0.05
"""Of memory: below it the kernel reclaims all the time, and OSDs miss their heartbeats."""
MOST_STALLED_RATIO = 0.2
"""Of five minutes in which every task waited for memory: the node does nothing but make room."""
_KIB = 1024
_MICROSECONDS = 1_000_000
_DAY_SECONDS = 86400
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """From /proc/meminfo (proc_meminfo(5))."""

    total_bytes: int
    available_bytes: int
    """What programs can still get without swapping: `MemAvailable`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """From one file of /proc/pressure (the kernel's Documentation/accounting/psi.rst)."""

    some_seconds: float
    """Since the start, in which at least one task waited."""
    full_seconds: float | None
    """... in which all did; None where the kernel does not say so (CPU, before 5.13)."""
    full_ratio: float | None
    """Share of the last five minutes in which all waited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """All of it; each part is None if it could not be learnt."""

    memory: Memory | None
    stalls: Mapping[str, Stall | None]
    """By resource; None also where the kernel was built or started without PSI."""
    rooms: Mapping[str, Room | None]
    """By mount point; None if nothing is mounted there."""
    up_seconds: float | None
    """Since the kernel started."""


def memory(raw: bytes) -> Memory:
    """Parse /proc/meminfo. Raises: ParseError."""
    found = dict(re.findall(rb"^(MemTotal|MemAvailable):\s+(\d{1,15}) kB$", raw, re.MULTILINE))
    try:
        total, available = (int(found[name]) * _KIB for name in (b"MemTotal", b"MemAvailable"))
    except KeyError as error:
        raise ParseError(f"/proc/meminfo has no {error.args[0].decode()}") from error
    if not 0 <= available <= total or not total:
        raise ParseError(f"/proc/meminfo says that {available} of {total} bytes are available")
    return Memory(total_bytes=total, available_bytes=available)


_STALL = re.compile(
    rb"^(some|full) avg10=(\d{1,3}\.\d\d) avg60=(\d{1,3}\.\d\d) avg300=(\d{1,3}\.\d\d) total=(\d{1,18})$", re.MULTILINE
)


def stall(raw: bytes) -> Stall:
    """Parse one file of /proc/pressure. Raises: ParseError."""
    found = {kind: (float(avg300) / 100, int(total) / _MICROSECONDS) for kind, *_, avg300, total in _STALL.findall(raw)}
    if b"some" not in found:
        raise ParseError("/proc/pressure has no line `some`")
    ratio, seconds = found.get(b"full", (None, None))
    return Stall(some_seconds=found[b"some"][1], full_seconds=seconds, full_ratio=ratio)


def up_seconds(raw: bytes) -> float:
    """Parse /proc/uptime (proc_uptime(5)). Raises: ParseError."""
    found = re.fullmatch(rb"(\d{1,12}\.\d\d) \d{1,15}\.\d\d\n", raw)
    if found is None:
        raise ParseError(f"/proc/uptime is {raw[:40]!r}")
    return float(found[1])


def read(world: World) -> Pressure:
    return Pressure(
        memory=_file(world.root / "proc/meminfo", memory),
        stalls={name: _file(world.root / "proc/pressure" / name, stall) for name in RESOURCES},
        rooms={str(path): room(path) for path in world.settings.filesystems},
        up_seconds=_file(world.root / "proc/uptime", up_seconds),
    )


def _file(path: Path, parse: Callable[[bytes], T]) -> T | None:
    """Read one file; a kernel without PSI has none, or one that cannot be read."""
    try:
        return parse(path.read_bytes())
    except (OSError, ParseError):
        return None


def _stalled(value: Callable[[Stall], float | None]) -> Callable[[Pressure], Iterator[Sample]]:
    return lambda facts: (((name,), value(one)) for name, one in facts.stalls.items() if one)


def _rooms(value: Callable[[Room], float | None]) -> Callable[[Pressure], Iterator[Sample]]:
    return lambda facts: (((name,), value(one)) for name, one in facts.rooms.items() if one)


METRICS: tuple[Metric[Pressure], ...] = (
    gauge(
        "legalcloud_memory_size_bytes",
        "Memory of the node.",
        lambda facts: facts.memory.total_bytes if facts.memory else None,
        unit="bytes",
    ),
    gauge(
        "legalcloud_memory_available_bytes",
        "Memory that programs can still get without swapping.",
        lambda facts: facts.memory.available_bytes if facts.memory else None,
        unit="bytes",
    ),
    Metric(
        name="legalcloud_pressure_some_seconds_total",
        kind=Kind.COUNTER,
        unit="seconds",
        help="Time since the start in which at least one task waited for the resource.",
        labels=("resource",),
        samples=_stalled(lambda one: one.some_seconds),
    ),
    Metric(
        name="legalcloud_pressure_full_seconds_total",
        kind=Kind.COUNTER,
        unit="seconds",
        help="Time since the start in which all tasks waited for the resource.",
        labels=("resource",),
        samples=_stalled(lambda one: one.full_seconds),
    ),
    Metric(
        name="legalcloud_filesystem_size_bytes",
        unit="bytes",
        help="Size of a watched file system; no series if nothing is mounted there.",
        labels=("path",),
        samples=_rooms(lambda one: one.size_bytes),
    ),
    Metric(
        name="legalcloud_filesystem_free_bytes",
        unit="bytes",
        help="Room that users other than root still have.",
        labels=("path",),
        samples=_rooms(lambda one: one.free_bytes),
    ),
    Metric(
        name="legalcloud_filesystem_free_inodes",
        help="Files that can still be made; no series where the file system has no such limit.",
        labels=("path",),
        samples=_rooms(lambda one: one.free_inodes if one.inodes else None),
    ),
    gauge(
        "legalcloud_node_up_seconds",
        "Time since the kernel was started; on a node that is a container, its host's.",
        lambda facts: facts.up_seconds,
        unit="seconds",
    ),
)


def lines(facts: Pressure) -> Iterator[Line]:
    if facts.memory is None:
        yield Line(level=Level.UNKNOWN, words="memory is unknown", remedy="Read /proc/meminfo.")
    else:
        short = facts.memory.available_bytes < LEAST_AVAILABLE_RATIO * facts.memory.total_bytes
        yield Line(
            level=Level.FINDING if short else Level.GOOD,
            words=f"{_gib(facts.memory.available_bytes)} of {_gib(facts.memory.total_bytes)} memory available",
            remedy="See what takes it: `ps --sort=-rss -eo rss,comm | head`." if short else "",
        )
    waiting = facts.stalls.get("memory")
    if waiting and (waiting.full_ratio or 0) > MOST_STALLED_RATIO:
        yield Line(
            level=Level.FINDING,
            words=f"everything waited for memory {waiting.full_ratio:.0%} of the last five minutes",
            remedy="Lower osd_memory_target, or move a service away.",
        )
    if silent := ", ".join(name for name, one in facts.stalls.items() if one is None):
        words = f"nobody knows how long tasks wait for {silent}"
        yield Line(level=Level.UNKNOWN, words=words, remedy="Read /proc/pressure; with psi=0 the kernel has none.")
    for path, one in facts.rooms.items():
        yield _room_line(path, one)
    if facts.up_seconds is None:
        yield Line(level=Level.UNKNOWN, words="time since the start is unknown", remedy="Read /proc/uptime.")
    else:
        yield Line(level=Level.GOOD, words=f"up for {facts.up_seconds / _DAY_SECONDS:.1f} days")


def _room_line(path: str, one: Room | None) -> Line:
    if one is None:
        return Line(level=Level.UNKNOWN, words=f"nothing to see at {path}", remedy=f"`findmnt --target {path}`.")
    full = one.free_bytes < LEAST_FREE_RATIO * one.size_bytes
    crowded = one.inodes > 0 and one.free_inodes < LEAST_FREE_RATIO * one.inodes
    return Line(
        level=Level.FINDING if full or crowded else Level.GOOD,
        words=f"{_gib(one.free_bytes)} of {_gib(one.size_bytes)} free at {path}"
        + (f", and only {one.free_inodes} more files" if crowded else ""),
        remedy=f"See what fills it: `du -xh --max-depth=2 {path} | sort -h | tail`." if full or crowded else "",
    )


def _gib(count: int) -> str:
    return f"{count / _GIB:.1f} GiB"


SUBJECT = Subject(name="pressure", every_seconds=15, deadline_seconds=5, read=read, metrics=METRICS, lines=lines)
