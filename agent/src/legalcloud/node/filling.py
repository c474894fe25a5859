"""When this node is full: a sample of its OSDs each hour, kept for 90 days, and what their trend comes to.

The cluster's forecast (`cluster_watch.py`) is made of the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from legalcloud.errors import SourceError
from legalcloud.node import history
from legalcloud.node.forecast import Forecast, Outlook, forecast
from legalcloud.node.history import Sample
from legalcloud.node.osds import Osd, Ratios, osds
from legalcloud.node.subject import F, Level, Line, Metric, Subject, World
from legalcloud.node.subject import Sample as Series

FEW_DAYS = 60
"""Drives take weeks to come and a night to fill: order when the fastest weeks would fill it by then."""
_DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """How it goes on."""

    forecast: Forecast
    samples: int
    """Hours that are known, of 90 days."""
    problem: str | None
    """What is odd about the history; None if nothing is."""


def sample(found: tuple[Osd, ...], *, now: float) -> Sample:
    """Add up all OSDs. Raises: SourceError if one is unknown, for a sum without it would look like a mass delete."""
    known = [(osd.used_bytes, osd.total_bytes) for osd in found if osd.used_bytes is not None and osd.total_bytes]
    if len(known) < len(found):
        raise SourceError(
            f"{len(found) - len(known)} of {len(found)} OSDs did not say how full they are: this hour has no sample",
            hint="`legalcloud node status` says which.",
        )
    used_bytes, total_bytes = (sum(each) for each in zip(*known, strict=True)) if known else (0, 0)
    return Sample(at_seconds=int(now), used_bytes=used_bytes, total_bytes=total_bytes)


def keep(path: Path, new: Sample, *, full_bytes: int, write: bool = True) -> Filling:
    """Add one sample to the file and look ahead; one that is not, or cannot be, written does for now.

    `full_bytes` are used when it takes no more.
    """
    before = history.read(path)
    after = history.add(before, new)
    problem = before.problem or after.problem
    try:
        if write and not before.unreadable:
            history.write(path, after)
    except OSError as error:
        problem = f"{path} cannot be written: {error.strerror}"
    return Filling(
        forecast=forecast(
            after.until(new.at_seconds),
            now_seconds=new.at_seconds,
            full_bytes=full_bytes,
        ),
        samples=len(after.samples),
        problem=problem,
    )


def read(world: World) -> Filling:
    found = osds(world.ask("osds").good("the helper's osds"), {})
    if not found and world.settings.drives:
        raise SourceError("no OSD has a folder here: this hour has no sample", hint="docs/runbooks/drive-locked.md.")
    new = sample(found, now=time.time())
    full_bytes = int(Ratios().full * new.total_bytes)
    return keep(world.settings.paths.history, new, full_bytes=full_bytes, write=world.keeps)


def _until_full(facts: Filling) -> Iterator[Series]:
    told = facts.forecast
    for bound, days in (("likely", told.days), ("soonest", told.days_lower), ("latest", told.days_upper)):
        yield (bound,), None if days is None else days * _DAY_SECONDS


def metrics(what: str, filling: Callable[[F], Filling | None]) -> tuple[Metric[F], ...]:
    """Make the rows for the forecast of the `node` or of the `cluster`."""

    def each(samples: Callable[[Filling], Iterable[Series]]) -> Callable[[F], Iterable[Series]]:
        return lambda facts: () if (found := filling(facts)) is None else samples(found)

    return (
        Metric(
            name=f"legalcloud_{what}_until_full_seconds",
            unit="seconds",
            help=f"Time until the {what} is full: likely, and at the pace of its fastest and slowest weeks; "
            "no series if not.",
            labels=("bound",),
            samples=each(_until_full),
        ),
        Metric(
            name=f"legalcloud_{what}_outlook_info",
            help=f"Whether the {what} is filling, not filling, or nobody can say (unknown).",
            labels=("outlook",),
            samples=each(lambda found: (((found.forecast.outlook,), 1),)),
        ),
        Metric(
            name=f"legalcloud_{what}_growth_day_bytes",
            unit="bytes",
            help="Bytes by which the used part grows in a day; negative if it empties.",
            samples=each(lambda found: (((), found.forecast.rate_bytes_per_day),)),
        ),
        Metric(
            name=f"legalcloud_{what}_history_samples",
            help=f"Hours of the last 90 days in which the use of the {what} is known.",
            samples=each(lambda found: (((), found.samples),)),
        ),
    )


METRICS: tuple[Metric[Filling], ...] = metrics("node", lambda facts: facts)


def lines(facts: Filling) -> Iterator[Line]:
    told = facts.forecast
    if facts.problem:
        yield Line(
            level=Level.UNKNOWN, words=f"history: {facts.problem}", remedy="`timedatectl`; docs/forecast.md says more."
        )
    if told.outlook is Outlook.UNKNOWN:
        yield Line(
            level=Level.UNKNOWN,
            words=f"nobody can say when it is full: {told.reason}",
            remedy="It mends itself as the hours pass; docs/forecast.md says how many it needs.",
        )
        return
    soon = told.days_lower is not None and told.days_lower < FEW_DAYS
    yield Line(
        level=Level.FINDING if soon else Level.GOOD,
        words=in_words(told),
        remedy="Order drives or nodes; docs/forecast.md says what the numbers rest on." if soon else "",
    )


def in_words(told: Forecast) -> str:
    """Say when it is full, for a person."""
    if told.outlook is not Outlook.FILLING:
        return f"{told.outlook}: {told.reason}"
    latest = f"{told.days_upper:.0f} days" if told.days_upper is not None else "never"
    soonest = f"{told.days_lower or 0:.0f}"
    return f"full in about {told.days or 0:.0f} days (between {soonest} and {latest}): {told.reason}"


SUBJECT = Subject(name="forecast", every_seconds=3600, deadline_seconds=30, read=read, metrics=METRICS, lines=lines)
