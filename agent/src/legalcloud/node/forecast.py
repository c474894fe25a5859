"""Days until full, of a node or of the cluster, with an interval, or why nobody can say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from legalcloud.node.history import Sample
from legalcloud.node.trend import DAY_SECONDS, LEAST_PAIRS, WEEK_DAYS, LevelChange, Trend, trend

HISTORY_DAYS = 90
STALE_DAYS = 2
FAR_DAYS = 3650
"""Beyond ten years a trend of weeks says "not filling"."""


class Outlook(StrEnum):
    """What the trend comes to."""

    FILLING = "filling"
    NOT_FILLING = "not filling"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """When it is full if the next weeks are like the last five."""

    outlook: Outlook
    reason: str
    """For a person: why it is unknown, or what the numbers rest on."""
    days: float | None = None
    """0 if it is full now; None unless it is filling."""
    days_lower: float | None = None
    """At the pace of its fastest weeks; None if even these do not fill it within ten years."""
    days_upper: float | None = None
    """At the pace of its slowest weeks; None if these do not fill it within ten years."""
    rate_bytes_per_day: float | None = None
    """None if unknown; negative if it empties."""
    level_changes: tuple[LevelChange, ...] = ()
    """What came or went at once and was not taken for growth, oldest first."""


def forecast(samples: Sequence[Sample], *, now_seconds: int, full_bytes: int) -> Forecast:
    """Foresee when `full_bytes` are used; `samples` are in order of time and not later than now.

    Raises: nothing; too short, too old or odd a history is an unknown outlook with its reason.
    """
    recent = [sample for sample in samples if sample.at_seconds > now_seconds - HISTORY_DAYS * DAY_SECONDS]
    if not recent or full_bytes <= 0:
        return _unknown("there is no history yet" if full_bytes > 0 else "its size is not known")
    age_days = (now_seconds - recent[-1].at_seconds) / DAY_SECONDS
    if age_days > STALE_DAYS:
        return _unknown(f"the last sample is {age_days:.0f} days old")
    found = trend(recent, full_bytes)
    if found is None:
        days = (recent[-1].at_seconds - recent[0].at_seconds) / DAY_SECONDS
        return _unknown(
            f"{days:.0f} days of history have fewer than {LEAST_PAIRS} pairs of days a week apart"
            f" in the last weeks; {WEEK_DAYS + LEAST_PAIRS} days without gaps are enough"
        )
    return _judged(found, full_bytes)


def _unknown(reason: str) -> Forecast:
    return Forecast(outlook=Outlook.UNKNOWN, reason=reason)


def _judged(found: Trend, full_bytes: int) -> Forecast:
    room = max(full_bytes - found.level_bytes, 0.0)
    days = _days(room, found.rate)
    outlook = Outlook.NOT_FILLING if days is None else Outlook.FILLING
    return Forecast(
        outlook=outlook,
        reason=_reason(found, room, outlook),
        days=days,
        days_lower=_days(room, found.fast_rate),
        days_upper=_days(room, found.slow_rate),
        rate_bytes_per_day=found.rate,
        level_changes=found.level_changes,
    )


def _days(room: float, rate: float) -> float | None:
    if room == 0:
        return 0.0
    return room / rate if rate * FAR_DAYS > room else None


def _reason(found: Trend, room: float, outlook: Outlook) -> str:
    if room == 0:
        return "it is full"
    if outlook is Outlook.NOT_FILLING:
        return "it empties" if found.rate < 0 else "at this pace it takes more than ten years"
    left_out = len(found.level_changes)
    return f"the trend of five weeks, without {left_out} changes at once" if left_out else "the trend of five weeks"
