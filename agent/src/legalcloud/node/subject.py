"""What every subject that the agent watches brings along: how to read it, its metrics, and its words for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from legalcloud.node.settings import Settings
from legalcloud.run import Done, Run

F = TypeVar("F")
Sample = tuple[tuple[str, ...], float | None]
"""Values of the labels, in the order of the row, and the number; None is unknown and gives no series."""


class Kind(StrEnum):
    """What Prometheus may do with a number."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Generic[F]):
    """One row of the table of metrics."""

    name: str
    """`legalcloud_<noun>_<unit>`; `_total` for counters, `_info` for a constant 1."""
    kind: Kind = Kind.GAUGE
    unit: str = ""
    """Base unit that the name ends in; empty for a count, a ratio of none, or yes and no."""
    help: str
    labels: tuple[str, ...] = ()
    samples: Callable[[F], Iterable[Sample]]


def gauge(name: str, help_text: str, value: Callable[[F], float | None], *, unit: str = "") -> Metric[F]:
    """Make the row of a metric without labels."""
    return Metric(name=name, unit=unit, help=help_text, samples=lambda facts: (((), value(facts)),))


class Level(StrEnum):
    """How good a line of the status is."""

    GOOD = "good"
    FINDING = "finding"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing said to a person."""

    level: Level
    words: str
    remedy: str = ""
    """What to do; empty only where all is good."""


class Ask(Protocol):
    """Ask the privileged helper for one of its deeds, by name.

    Raises: CommandError if it refuses or cannot be reached, SourceTimeoutError if it takes too long.
    """

    def __call__(self, name: str, *arguments: str) -> Done: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that a reader may touch; tests pass one of their own."""

    settings: Settings
    run: Run
    ask: Ask
    root: Path = Path("/")
    """Where /proc and /sys are."""
    keeps: bool = False
    """Whether what is learnt may be written down: only the daemon does, in folders of its own user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(Generic[F]):
    """One thing that the agent watches; its facts are one frozen dataclass."""

    name: str
    """Also of its probe."""
    every_seconds: float
    deadline_seconds: float
    read: Callable[[World], F]
    metrics: Sequence[Metric[F]]
    lines: Callable[[F], Iterable[Line]]


Subjects = Sequence[Subject[Any]]
"""Each has facts of its own kind, and only it reads them."""
