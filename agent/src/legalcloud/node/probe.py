"""Probes run in the background, each in a thread of its own; whoever asks for facts only reads memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from legalcloud.errors import LegalcloudError

F = TypeVar("F")
Clock = Callable[[], float]
"""Seconds that only ever grow."""

STALE_AFTER = 3
"""Intervals without new facts: one run may be slow, one may fail, the third is no accident."""
_STACK_BYTES = 2**19
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe(Generic[F]):
    """One source of facts."""

    name: str
    every_seconds: float
    deadline_seconds: float
    read: Callable[[], F]
    """Raises LegalcloudError if there are no facts to be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen(Generic[F]):
    """How one probe stands at one moment."""

    name: str
    facts: F | None
    """The last good ones; None if there never were any."""
    age_seconds: float | None
    """Since the last good run began; None if there never was one."""
    stale: bool
    """Whether facts are too old to act upon, or missing."""
    success: bool | None
    """Of the last run; None until the first has ended. A run past its deadline is a failure, though it goes on."""
    duration_seconds: float | None
    """Of the last run, or of the present one once it is past its deadline."""
    problem: str | None
    """Why the last run failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Track(Generic[F]):
    """What is remembered of one probe. Replaced as a whole, never changed, so that reading needs no lock."""

    facts: F | None = None
    facts_at: float | None = None
    began_at: float | None = None
    """None between runs."""
    success: bool | None = None
    duration_seconds: float | None = None
    problem: str | None = None


@dataclass(slots=True)
class Board:
    """All probes of a node and what they last saw."""

    probes: tuple[Probe[object], ...]
    clock: Clock = time.monotonic
    _tracks: dict[str, _Track[object]] = field(init=False)
    _stop: threading.Event = field(init=False, default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._tracks = {probe.name: _Track() for probe in self.probes}

    def start(self) -> None:
        """Begin all probes. A probe that hangs keeps its one thread and gets no other."""
        threading.stack_size(_STACK_BYTES)
        for probe in self.probes:
            threading.Thread(target=self._repeat, args=(probe,), name=probe.name, daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def run_once(self, seconds: float) -> None:
        """Run every probe once side by side, and wait at most so long."""
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self.once, args=(probe,), daemon=True) for probe in self.probes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def look(self) -> tuple[Seen[object], ...]:
        """Say how every probe stands, in order; this never waits."""
        return tuple(self._seen(probe) for probe in self.probes)

    def once(self, probe: Probe[object]) -> None:
        before, began = self._tracks[probe.name], self.clock()
        self._tracks[probe.name] = replace(before, began_at=began)
        facts, facts_at, problem = before.facts, before.facts_at, None
        try:
            facts, facts_at = probe.read(), began
        except (LegalcloudError, OSError) as error:
            problem = str(error) or type(error).__name__
            if problem != before.problem:
                _log.warning("probe %s failed: %s", probe.name, problem)
        except Exception as error:  # noqa: BLE001 -- a fault of ours costs its own probe; the journal has the trace
            problem = f"a fault of this program: {type(error).__name__}: {error}"
            _log.exception("probe %s has a fault", probe.name)
        self._tracks[probe.name] = _Track(
            facts=facts,
            facts_at=facts_at,
            success=problem is None,
            duration_seconds=self.clock() - began,
            problem=problem,
        )

    def _repeat(self, probe: Probe[object]) -> None:
        while not self._stop.is_set():
            began = self.clock()
            self.once(probe)
            self._stop.wait(max(0.0, began + probe.every_seconds - self.clock()))

    def _seen(self, probe: Probe[object]) -> Seen[object]:
        track, now = self._tracks[probe.name], self.clock()
        running = None if track.began_at is None else now - track.began_at
        late = running is not None and running > probe.deadline_seconds
        age = None if track.facts_at is None else now - track.facts_at
        return Seen(
            name=probe.name,
            facts=track.facts,
            age_seconds=age,
            stale=age is None or age > STALE_AFTER * probe.every_seconds + probe.deadline_seconds,
            success=False if late else track.success,
            duration_seconds=running if late else track.duration_seconds,
            problem=f"no answer in {probe.deadline_seconds:g} s" if late else track.problem,
        )
