"""How fast something fills, by medians: one odd hour, one odd day or one jump of the level does not bend it.

A day counts as the median of its hours. The rate is the median of all differences between days a week apart
(Theil-Sen, with the weekly cycle taken out by the choice of pairs). What comes or goes at once is a level change:
it is taken out of the series first, and comes back as rate only if it happens again and again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from legalcloud.node.history import Sample

DAY_SECONDS = 86_400
WEEK_DAYS = 7
WINDOW_DAYS = 35
"""The rate is that of the last five weeks: four weeks of pairs, so a jump that was missed is a quarter of them."""
RECENT_DAYS = 10
"""How long a new pace must last to be believed: longer than a week, which one missed jump can colour as a whole."""
LEAST_PAIRS = 7
JUMP = 4.0
"""A level change is so many times what four days of five stay within ..."""
JUMP_SHARE = 0.01
"""... and at least this share of what fits: a smaller one cannot mislead the median."""
RECURRING = 3
"""Level changes in one direction, within the history, that are not chance any more but how this thing is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelChange:
    """Much came or went at once: an import, a mass delete, a reset."""

    days_ago: int
    """Of its last day, in whole days before the last sample."""
    bytes: int
    """Beyond what usually comes in that time; negative if it went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Rates in bytes a day."""

    level_bytes: float
    """Used now, without the noise of the last hour."""
    rate: float
    slow_rate: float
    """A tenth of the weeks was slower; a pace that has just dropped may drop as much again."""
    fast_rate: float
    """A tenth of the weeks was faster; a pace that has just risen may rise as much again."""
    level_changes: tuple[LevelChange, ...]
    """Oldest first."""


def trend(samples: Sequence[Sample], full_bytes: int) -> Trend | None:
    """Find the trend at the last sample; None if fewer than `LEAST_PAIRS` pairs of days are a week apart."""
    days = _days(samples)
    changes = _level_changes(days, full_bytes)
    rates, change = _weekly_rates(_without(days, changes))
    if len(rates) < LEAST_PAIRS:
        return None
    span = days[0][0] - days[-1][0]
    recurring = _recurring(changes) / span
    rate = median(rates)
    return Trend(
        level_bytes=_level(samples, days, rate, full_bytes),
        rate=rate + recurring,
        slow_rate=_quantile(rates, 0.1) + min(change, 0.0) + recurring,
        fast_rate=_quantile(rates, 0.9) + max(change, 0.0) + recurring,
        level_changes=changes,
    )


def _days(samples: Sequence[Sample]) -> list[tuple[int, float]]:
    """Median of each day that has samples, as (days ago, used bytes), oldest first; a day ends at the last sample."""
    last = samples[-1].at_seconds
    by_day: dict[int, list[int]] = {}
    for sample in samples:
        by_day.setdefault((last - sample.at_seconds) // DAY_SECONDS, []).append(sample.used_bytes)
    return [(ago, median(used)) for ago, used in sorted(by_day.items(), reverse=True)]


def _level_changes(days: Sequence[tuple[int, float]], full_bytes: int) -> tuple[LevelChange, ...]:
    steps = [(before[0] - after[0], after[0], after[1] - before[1]) for before, after in pairwise(days)]
    if not steps:
        return ()
    usual = median(step / length for length, _ago, step in steps)
    excess = [(ago, step - usual * length) for length, ago, step in steps]
    within = _quantile(sorted(abs(beyond) for _ago, beyond in excess), 0.8)
    least = max(JUMP * within, JUMP_SHARE * full_bytes)
    found: list[LevelChange] = []
    for ago, beyond in excess:
        if abs(beyond) < least:
            continue
        before = found[-1] if found else None
        if before and before.days_ago == ago + 1 and (before.bytes > 0) == (beyond > 0):  # it took more than a day
            found[-1] = LevelChange(days_ago=ago, bytes=before.bytes + round(beyond))
        else:
            found.append(LevelChange(days_ago=ago, bytes=round(beyond)))
    return tuple(found)


def _without(days: Iterable[tuple[int, float]], changes: Sequence[LevelChange]) -> dict[int, float]:
    """Lower or lift what was before each change, so that the series goes on without it."""
    return {ago: used + sum(c.bytes for c in changes if c.days_ago < ago) for ago, used in days}


def _weekly_rates(days: dict[int, float]) -> tuple[list[float], float]:
    """Sorted rates of the window, and 0; or only the recent ones if all are beyond what was usual, and by how much."""
    by_end = {
        ago: (used - days[ago + WEEK_DAYS]) / WEEK_DAYS
        for ago, used in days.items()
        if ago + WEEK_DAYS in days and ago + WEEK_DAYS < WINDOW_DAYS
    }
    recent = sorted(rate for ago, rate in by_end.items() if ago < RECENT_DAYS)
    before = sorted(rate for ago, rate in by_end.items() if ago >= RECENT_DAYS)
    enough = min(len(recent), len(before)) >= LEAST_PAIRS
    if enough and (recent[0] > _quantile(before, 0.75) or recent[-1] < _quantile(before, 0.25)):
        return recent, median(recent) - median(before)
    return sorted(by_end.values()), 0.0


def _recurring(changes: Sequence[LevelChange]) -> int:
    up = [change.bytes for change in changes if change.bytes > 0]
    down = [change.bytes for change in changes if change.bytes < 0]
    return sum(sum(those) for those in (up, down) if len(those) >= RECURRING)


def _level(samples: Sequence[Sample], days: Sequence[tuple[int, float]], rate: float, full_bytes: int) -> float:
    """Half a day on from the last day's median, unless the level has just jumped away from it."""
    smooth = days[-1][1] + rate / 2
    recent = median(sample.used_bytes for sample in samples[-3:])
    return recent if abs(recent - smooth) > JUMP_SHARE * full_bytes else smooth


def median(values: Iterable[float]) -> float:
    """As in `statistics`, which with decimals and random numbers would take 0.7 MB of the daemon's memory."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[round(share * (len(ordered) - 1))]
