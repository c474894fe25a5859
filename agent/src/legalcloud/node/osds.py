"""The OSDs of this node: what each says of itself, how full it is, and which drives it lies on; Ceph 20.2."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from legalcloud import tree
from legalcloud.errors import ParseError
from legalcloud.tree import Tree

T = TypeVar("T")
_NUMBER = re.compile(r"\d{1,5}", re.ASCII)


class State(StrEnum):
    """What an OSD says it is doing (`OSD::get_state_name`), and one that it cannot say."""

    INITIALIZING = "initializing"
    PREBOOT = "preboot"
    BOOTING = "booting"
    WAITING_FOR_HEALTHY = "waiting_for_healthy"
    ACTIVE = "active"
    """It serves: monitors have marked it up."""
    STOPPING = "stopping"
    STOPPED = "stopped"
    """It has a folder and no process listens."""


class Fullness(StrEnum):
    """What Ceph makes of how full an OSD is, best first."""

    ROOMY = "roomy"
    NEAR_FULL = "near full"
    """A warning and nothing else."""
    BACKFILL_FULL = "backfill full"
    """Nothing is moved to it, so nothing heals onto it."""
    FULL = "full"
    """The whole cluster refuses to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """From which share on an OSD is what; the defaults are Ceph's. The osdmap has them, and a node does not see it."""

    near_full: float = 0.85
    backfill_full: float = 0.90
    full: float = 0.95

    def judge(self, used_bytes: int, total_bytes: int) -> Fullness:
        share = used_bytes / total_bytes
        if share >= self.full:
            return Fullness.FULL
        if share >= self.backfill_full:
            return Fullness.BACKFILL_FULL
        return Fullness.NEAR_FULL if share >= self.near_full else Fullness.ROOMY


@dataclass(frozen=True, slots=True, kw_only=True)
class Drives:
    """Serials of the drives behind one OSD; a device without a known serial stands as its number, `8:0`."""

    data: tuple[str, ...]
    """None in it: the link to the drive leads nowhere, or there is none yet."""
    db: tuple[str, ...] | None
    """None: RocksDB lies with the data. None in it: its drive is gone."""
    wal: tuple[str, ...] | None
    """Likewise, for the write-ahead log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Osd:
    """One OSD as its own process sees it; whether the cluster counts it as up or in, only monitors know."""

    number: int
    state: State | None
    """`state` of `status`; None: it did not say, and `problem` says why."""
    problem: str | None
    """Why something of this OSD is unknown; None if all is known, or it is stopped."""
    placement_groups: int | None
    """`num_pgs` of `status`; None likewise."""
    used_bytes: int | None
    """`stat_bytes_used` of `perf dump`, metadata included; None if unknown or stopped."""
    total_bytes: int | None
    """`stat_bytes`; never 0. None likewise, and until the OSD has measured itself."""
    slow_operations: int | None
    """Waiting now for longer than `osd_op_complaint_time` (30 s), of `dump_blocked_ops_count`; None likewise."""
    drives: Drives

    def fullness(self, ratios: Ratios) -> Fullness | None:
        """None if the OSD did not say how full it is."""
        if self.used_bytes is None or self.total_bytes is None:
            return None
        return ratios.judge(self.used_bytes, self.total_bytes)


def osds(raw: bytes, serials: Mapping[str, str]) -> tuple[Osd, ...]:
    """Parse what `osd_sockets.look` found, as JSON; `serials` are by number of the device, `8:0`.

    An answer of an OSD that cannot be read costs its own facts and no others.
    Raises: ParseError if the whole cannot be read.
    """
    found = [_osd(name, each, serials) for name, each in tree.parse(raw, "osds").items()]
    return tuple(sorted(found, key=lambda osd: osd.number))


def _osd(name: str, found: Tree, serials: Mapping[str, str]) -> Osd:
    if not _NUMBER.fullmatch(name):
        raise ParseError(f"{found.path} is not the number of an OSD")
    problems: list[str] = []

    def answer(question: str, read: Callable[[Tree], T]) -> T | None:
        try:
            return read(tree.parse(found[question].text().encode(errors="replace"), f"osd.{name} {question}"))
        except ParseError as error:
            problems.append(str(error))
            return None

    stopped = found.maybe("stopped", read=Tree.flag)
    status, space = (None, None) if stopped else (answer("status", _status), answer("counters", _space))
    slow = None if stopped else answer("blocked", lambda blocked: blocked["num_blocked_ops"].count())
    state, placement_groups = status or (State.STOPPED if stopped else None, None)
    used_bytes, total_bytes = space or (None, None)
    return Osd(
        number=int(name),
        state=state,
        problem=found.maybe("problem", read=Tree.text) or next(iter(problems), None),
        placement_groups=placement_groups,
        used_bytes=used_bytes,
        total_bytes=total_bytes,
        slow_operations=slow,
        drives=_drives(found["drives"], serials),
    )


def _status(found: Tree) -> tuple[State, int]:
    word = found["state"].text()
    if word not in frozenset(State):
        raise ParseError(f"{found.path}.state is {word!r:.80}, which no OSD of Ceph 20.2 is in")
    return State(word), found["num_pgs"].count()


def _space(found: Tree) -> tuple[int, int] | None:
    used_bytes, total_bytes = found["osd"]["stat_bytes_used"].count(), found["osd"]["stat_bytes"].count()
    if used_bytes > total_bytes:
        raise ParseError(f"{found.path}: {used_bytes} of {total_bytes} bytes are used")
    return (used_bytes, total_bytes) if total_bytes else None


def _drives(found: Tree, serials: Mapping[str, str]) -> Drives:
    def named(use: str) -> tuple[str, ...] | None:
        numbers = None if found[use].value is None else found[use].texts()
        return None if numbers is None else tuple(serials.get(number, number) for number in numbers)

    return Drives(data=named("data") or (), db=named("db"), wal=named("wal"))
