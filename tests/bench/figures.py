"""What was measured, as facts; nothing here measures or writes."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One way to move objects: what is done, how large, along which path."""

    verb: str
    size_bytes: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """One measurement of a cell."""

    objects_per_second: float
    bytes_per_second: float
    cpu_seconds_per_gb: Mapping[str, float]
    """By name of the daemon, and `client`; per 10^9 bytes of user data."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median of several measurements, with the least and the greatest."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def show(self, digits: int = 0, unit: str = "") -> str:
        if not self.values:
            return "not measured"
        low, high = min(self.values), max(self.values)
        return f"{self.median:.{digits}f}{unit} ({low:.{digits}f}-{high:.{digits}f})"


Rounds = Sequence[Mapping[Cell, Speed]]


def spread(rounds: Rounds, cell: Cell, of: Callable[[Speed], float]) -> Spread:
    return Spread(tuple(of(speeds[cell]) for speeds in rounds if cell in speeds))


def ratio(rounds: Rounds, part: Cell, whole: Cell) -> Spread:
    """Bytes a second of one cell over another's, round by round: both sides of each ratio ran side by side."""
    return Spread(
        tuple(
            speeds[part].bytes_per_second / speeds[whole].bytes_per_second
            for speeds in rounds
            if part in speeds and whole in speeds
        )
    )
