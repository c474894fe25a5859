"""How far off the forecast is against a 5-day line (Prometheus' `predict_linear(x[5d])`), where it loses too.

Both see each history up to every third day from the 30th to the 90th, and say how much is used 7 and 14 days
later. `pytest -s` prints the table; docs/forecast.md keeps one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from statistics import mean, median

from tests.agent.node import series
from tests.agent.node.series import START_SECONDS, TOTAL_BYTES

from legalcloud.node.history import HOUR_SECONDS, Sample
from legalcloud.node.trend import DAY_SECONDS, trend

SEEDS = (11, 12, 13)
"""The forecast was tried out with others."""
HORIZONS = (7, 14)
TIE = 0.05
"""Percent of the total: two errors that differ by less are one."""


@dataclass(slots=True)
class Errors:
    """In percent of the total, by days ahead."""

    ours: dict[int, list[float]] = field(default_factory=lambda: {days: [] for days in HORIZONS})
    line: dict[int, list[float]] = field(default_factory=lambda: {days: [] for days in HORIZONS})
    covered: list[bool] = field(default_factory=list)
    """Whether what came, 14 days ahead, was within the interval and one percent."""

    def lead(self, days: int) -> float:
        return mean(self.line[days]) - mean(self.ours[days])


def line_of_five_days(known: list[Sample], at_seconds: int) -> float:
    points = [(s.at_seconds, s.used_bytes) for s in known if s.at_seconds > known[-1].at_seconds - 5 * DAY_SECONDS]
    middle, used = mean(at for at, _ in points), mean(used for _, used in points)
    slope = sum((at - middle) * (y - used) for at, y in points) / sum((at - middle) ** 2 for at, _ in points)
    return used + slope * (at_seconds - middle)


def measure(samples: list[Sample], found: Errors) -> None:
    by_time = {sample.at_seconds: sample.used_bytes for sample in samples}
    for day in range(30, 91, 3):
        now = START_SECONDS + day * DAY_SECONDS
        known = [sample for sample in samples if sample.at_seconds <= now]
        ours = trend(known, TOTAL_BYTES)
        if ours is None or known[-1].at_seconds < now - DAY_SECONDS:
            continue
        for days in HORIZONS:
            at = now + days * DAY_SECONDS
            around = [
                by_time[hour]
                for hour in range(at - 3 * HOUR_SECONDS, at + 4 * HOUR_SECONDS, HOUR_SECONDS)
                if hour in by_time
            ]
            if not around:
                continue  # it came in a gap, where nobody looked
            came = median(around)
            found.ours[days].append(_percent(_within(ours.level_bytes + ours.rate * days) - came))
            found.line[days].append(_percent(_within(line_of_five_days(known, at)) - came))
            if days == HORIZONS[-1]:
                least, most = (ours.level_bytes + rate * days for rate in (ours.slow_rate, ours.fast_rate))
                found.covered.append(least - TOTAL_BYTES / 100 <= came <= most + TOTAL_BYTES / 100)


def _within(used: float) -> float:
    return min(max(used, 0.0), float(TOTAL_BYTES))


def _percent(difference: float) -> float:
    return abs(difference) * 100 / TOTAL_BYTES


@cache
def backtest() -> dict[str, Errors]:
    found: dict[str, Errors] = {}
    for story in series.STORIES:
        for seed in SEEDS:
            measure(series.samples(story, seed=seed), found.setdefault(story.__name__, Errors()))
    for seed in SEEDS:
        measure(series.gap(series.noise, seed=seed), found.setdefault("gap", Errors()))
    return found


def table(found: dict[str, Errors]) -> str:
    rows = [
        "| history | ours, 7 days | line | ours, 14 days | line | ours, worst | line | in the interval |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, errors in found.items():
        means = [f"{mean(of[days]):.2f}" for days in HORIZONS for of in (errors.ours, errors.line)]
        worst = [f"{max(of[HORIZONS[-1]]):.1f}" for of in (errors.ours, errors.line)]
        rows.append(f"| {' | '.join([name, *means, *worst, f'{mean(errors.covered):.0%}'])} |")
    return "\n".join(rows)


def test_the_table_is_printed_also_where_the_forecast_loses() -> None:
    print(table(backtest()))  # noqa: T201 -- for a person with `pytest -s`

    assert len(backtest()) >= 12


def test_it_is_closer_than_a_line_at_both_horizons_on_twelve_histories_of_seventeen() -> None:
    won = {name for name, errors in backtest().items() if all(errors.lead(days) > TIE for days in HORIZONS)}

    assert len(won) >= 12, sorted(won)


def test_it_loses_only_where_the_pace_itself_changes() -> None:
    lost = {name for name, errors in backtest().items() if any(errors.lead(days) < -TIE for days in HORIZONS)}

    assert lost == {"growth_change", "exponential"}


def test_where_it_loses_it_loses_little() -> None:
    assert all(errors.lead(days) > -1.0 for errors in backtest().values() for days in HORIZONS)


def test_no_forecast_is_further_off_than_what_came_at_once_after_it() -> None:
    """Nobody foresees a step; the bound is its size and the growth that was misjudged on top of it."""
    jumps = {"step": 15.0, "mass_delete": 20.0, "reset": 58.0, "burst": 12.0, "retention": 15.0}

    for name, errors in backtest().items():
        assert max(errors.ours[14]) < jumps.get(name, 0.0) + 8.0, name


def test_the_interval_holds_what_came_nine_times_in_ten_unless_it_came_at_once() -> None:
    usual = [name for name in backtest() if name not in {"step", "mass_delete", "reset", "retention", "growth_change"}]

    assert mean(hit for name in usual for hit in backtest()[name].covered) > 0.9
