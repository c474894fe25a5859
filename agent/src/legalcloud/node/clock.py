"""The node's clock: whom it follows, how far it may be off, and in one word how good its time is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from legalcloud import chrony
from legalcloud.errors import ParseError
from legalcloud.node.subject import Level, Line, Metric, Subject, World, gauge

MOST_ERROR_SECONDS = 0.05
"""Monitors accept 50 ms among themselves (mon_clock_drift_allowed)."""
_MISSED_UPDATES = 8
"""Intervals without an update: chrony keeps eight polls in `reach`, so none of them was answered."""
_LEAST_UPDATE_SECONDS = 64.0
"""chrony's shortest usual interval; just after its start the intervals are shorter."""
_LIMIT_SECONDS = 5
_COMMAND = ("chronyc", "-n", "-c")


class Quality(StrEnum):
    """How good the time is, best first."""

    SYNCHRONISED = "synchronised"
    """A source was compared lately, and the clock is within MOST_ERROR_SECONDS of it."""
    INEXACT = "inexact"
    """A source was compared lately, but the clock may be off by more than that."""
    ADRIFT = "adrift"
    """It was right once; no source has been compared for _MISSED_UPDATES intervals."""
    OWN = "its own"
    """It follows nothing but itself (`local stratum`)."""
    UNSYNCHRONISED = "not synchronised"
    """chrony does not know the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """What chrony says."""

    quality: Quality
    source: str | None
    """Address or name of what is followed; None if nothing is."""
    stratum: int | None
    """Steps from a reference clock; None while not synchronised."""
    leap: str
    """`Normal`, `Insert second`, `Delete second` or `Not synchronised`."""
    behind_seconds: float | None
    """Positive if the clock is slow; None while chrony does not know the time."""
    error_seconds: float | None
    """How wrong the clock may be at most, by chronyc(1); None likewise."""
    update_age_seconds: float | None
    """Since the last comparison with a source; None if there never was one."""
    sources: int
    """Sources that chrony was told of."""
    sources_answering: int
    """... of which so many answered one of the last eight polls."""


def parse(tracking: bytes, sources: bytes, *, now: float) -> Clock:
    """Parse `chronyc -n -c tracking` and `... sources`; `now` is in seconds since 1970, by the same clock.

    Raises: ParseError.
    """
    try:
        followed, known = chrony.tracking(tracking.decode("ascii")), chrony.sources(sources.decode("ascii"))
    except UnicodeDecodeError as error:
        raise ParseError(f"chronyc printed what is not ASCII at byte {error.start}") from error
    age = max(0.0, now - followed.updated_at) if followed.updated_at else None
    lost = not followed.synchronised
    return Clock(
        quality=_quality(followed, age),
        source=followed.reference,
        stratum=None if lost else followed.stratum,
        leap=followed.leap,
        behind_seconds=None if lost else followed.behind_seconds,
        error_seconds=None if lost else followed.error_seconds,
        update_age_seconds=age,
        sources=len(known),
        sources_answering=sum(source.reach > 0 for source in known),
    )


def _quality(followed: chrony.Tracking, age_seconds: float | None) -> Quality:
    if not followed.synchronised:
        return Quality.UNSYNCHRONISED
    if followed.reference_id == chrony.OWN_CLOCK_ID:
        return Quality.OWN
    patience = _MISSED_UPDATES * max(followed.update_interval_seconds, _LEAST_UPDATE_SECONDS)
    if age_seconds is None or age_seconds > patience:
        return Quality.ADRIFT
    return Quality.SYNCHRONISED if followed.error_seconds <= MOST_ERROR_SECONDS else Quality.INEXACT


def read(world: World) -> Clock:
    tracking, sources = (
        world.run([*_COMMAND, word], seconds=_LIMIT_SECONDS).good(f"chronyc {word}") for word in ("tracking", "sources")
    )
    return parse(tracking, sources, now=time.time())


METRICS: tuple[Metric[Clock], ...] = (
    Metric(
        name="legalcloud_clock_quality_info",
        help="How good the time is, in one of five words: " + ", ".join(Quality) + ".",
        labels=("quality",),
        samples=lambda facts: (((facts.quality,), 1),),
    ),
    gauge(
        "legalcloud_clock_behind_seconds",
        "How far the clock is behind its source; negative if it is ahead.",
        lambda facts: facts.behind_seconds,
        unit="seconds",
    ),
    gauge(
        "legalcloud_clock_error_seconds",
        "How wrong the clock may be at most: offset, dispersion and half of the delay to the reference clock.",
        lambda facts: facts.error_seconds,
        unit="seconds",
    ),
    gauge(
        "legalcloud_clock_update_age_seconds",
        "Time since the clock was last compared with a source.",
        lambda facts: facts.update_age_seconds,
        unit="seconds",
    ),
    gauge("legalcloud_clock_stratum", "Steps from a reference clock.", lambda facts: facts.stratum),
    gauge("legalcloud_clock_sources", "Time sources that chrony was told of.", lambda facts: facts.sources),
    gauge(
        "legalcloud_clock_sources_answering",
        "Time sources that answered one of the last eight polls.",
        lambda facts: facts.sources_answering,
    ),
    Metric(
        name="legalcloud_clock_source_info",
        help="Address or name of the time source that is followed.",
        labels=("source",),
        samples=lambda facts: () if facts.source is None else (((facts.source,), 1),),
    ),
)


def lines(facts: Clock) -> Iterator[Line]:
    if facts.quality is Quality.SYNCHRONISED:
        yield Line(level=Level.GOOD, words=f"clock follows {facts.source}, and is off by at most {_off(facts)}")
        return
    words = {
        Quality.INEXACT: f"clock follows {facts.source}, and may be off by {_off(facts)}",
        Quality.ADRIFT: f"clock has heard nothing of {facts.source} for {facts.update_age_seconds or 0:.0f} s",
        Quality.OWN: "clock follows nothing but itself",
    }
    yield Line(
        level=Level.FINDING,
        words=words.get(facts.quality, "clock is not synchronised")
        + f"; {facts.sources_answering} of {facts.sources} time sources answer",
        remedy="`chronyc sources`; open UDP 123 to them. In a hurry: `chronyc makestep`.",
    )


def _off(facts: Clock) -> str:
    return "an unknown time" if facts.error_seconds is None else f"{facts.error_seconds * 1000:.3f} ms"


SUBJECT = Subject(name="clock", every_seconds=30, deadline_seconds=12, read=read, metrics=METRICS, lines=lines)
