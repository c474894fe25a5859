"""The forecast on synthetic histories; its quality against a line is in test_forecast_backtest.py."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.node import series
from tests.agent.node.series import START_SECONDS, TOTAL_BYTES

from legalcloud.node.forecast import Forecast, Outlook, forecast
from legalcloud.node.history import HOUR_SECONDS, Sample
from legalcloud.node.trend import DAY_SECONDS

FULL_BYTES = TOTAL_BYTES * 85 // 100


def seen(story: series.Story, day: float, *, full_bytes: int = FULL_BYTES) -> Forecast:
    now = START_SECONDS + round(day * DAY_SECONDS)
    known = [sample for sample in series.samples(story, seed=5) if sample.at_seconds <= now]
    return forecast(known, now_seconds=now, full_bytes=full_bytes)


def test_a_steady_pace_fills_on_the_day_that_a_ruler_would_say() -> None:
    found = seen(series.linear, 90)

    assert found.outlook is Outlook.FILLING
    assert found.days == pytest.approx((0.85 - 0.30 - 0.003 * 90) / 0.003, abs=0.1)
    assert found.days_lower == pytest.approx(found.days)
    assert found.days_upper == pytest.approx(found.days)


@pytest.mark.parametrize("story", [series.flat, series.falling])
def test_what_is_flat_or_falls_is_not_filling(story: series.Story) -> None:
    found = seen(story, 90)

    assert (found.outlook, found.days, found.days_lower) == (Outlook.NOT_FILLING, None, None)


def test_an_archive_that_came_at_once_is_named_and_is_not_growth() -> None:
    found = seen(series.step, 64)

    assert [change.days_ago for change in found.level_changes] == [2]
    assert found.level_changes[0].bytes == pytest.approx(0.15 * TOTAL_BYTES, rel=0.03)
    assert found.rate_bytes_per_day == pytest.approx(0.003 * TOTAL_BYTES, rel=0.05)


def test_an_archive_that_came_two_hours_ago_already_shortens_the_time() -> None:
    """At its rate of 0.3 % a day, 15 % are 50 days."""
    before, after = seen(series.step, 61), seen(series.step, 61.5)

    assert before.days is not None
    assert after.days == pytest.approx(before.days - 50.5, abs=2)


@pytest.mark.parametrize(
    ("story", "day", "share_a_day"),
    [(series.mass_delete, 60, 0.002), (series.mass_delete, 75, 0.002), (series.reset, 52, 0.004)],
)
def test_a_mass_delete_or_a_reset_hides_no_growth(story: series.Story, day: int, share_a_day: float) -> None:
    found = seen(story, day)

    assert found.outlook is Outlook.FILLING
    assert found.rate_bytes_per_day == pytest.approx(share_a_day * TOTAL_BYTES, rel=0.1)


def test_deletes_that_come_each_month_count_as_what_they_are() -> None:
    """It grows by 0.5 % a day and loses 15 % a month: for ever half full."""
    found = seen(series.retention, 100, full_bytes=TOTAL_BYTES)

    assert found.rate_bytes_per_day == pytest.approx(0, abs=0.001 * TOTAL_BYTES)


def test_a_week_of_backups_is_growth_and_no_jump() -> None:
    found = seen(series.weekly_backup, 90)

    assert found.rate_bytes_per_day == pytest.approx(0.02 / 7 * TOTAL_BYTES, rel=0.1)


def test_a_faster_pace_is_believed_within_three_weeks_and_feared_within_two() -> None:
    assert seen(series.growth_change, 81).rate_bytes_per_day == pytest.approx(0.006 * TOTAL_BYTES, rel=0.1)

    early = seen(series.growth_change, 70)

    assert early.days is not None
    assert early.days_lower is not None
    assert early.days_lower < early.days


def test_what_is_full_has_no_days_left() -> None:
    found = seen(series.linear, 90, full_bytes=TOTAL_BYTES // 2)

    assert (found.outlook, found.days, found.days_lower, found.days_upper) == (Outlook.FILLING, 0, 0, 0)


@pytest.mark.parametrize(
    ("samples", "full_bytes", "said"),
    [
        ([], FULL_BYTES, "no history yet"),
        (series.samples(series.linear, seed=5, days=12), FULL_BYTES, "12 days of history"),
        (series.samples(series.linear, seed=5, days=40)[:1] * 2, FULL_BYTES, "0 days of history"),
        (series.samples(series.linear, seed=5, days=40), 0, "size is not known"),
    ],
)
def test_too_little_is_unknown_with_its_reason(samples: list[Sample], full_bytes: int, said: str) -> None:
    now = samples[-1].at_seconds if samples else START_SECONDS
    found = forecast(samples, now_seconds=now, full_bytes=full_bytes)

    assert (found.outlook, found.days, found.rate_bytes_per_day) == (Outlook.UNKNOWN, None, None)
    assert said in found.reason


def test_a_history_that_ended_three_days_ago_is_unknown() -> None:
    samples = series.samples(series.linear, seed=5, days=40)
    found = forecast(samples, now_seconds=samples[-1].at_seconds + 3 * DAY_SECONDS, full_bytes=FULL_BYTES)

    assert (found.outlook, found.reason) == (Outlook.UNKNOWN, "the last sample is 3 days old")


def test_after_a_long_gap_a_forecast_waits_for_new_pairs() -> None:
    samples = series.samples(series.linear, seed=5, days=60)
    found = forecast(
        [s for s in samples if not 20 * 24 <= (s.at_seconds - START_SECONDS) // HOUR_SECONDS < 50 * 24],
        now_seconds=samples[-1].at_seconds,
        full_bytes=FULL_BYTES,
    )

    assert found.outlook is Outlook.UNKNOWN


def test_ninety_days_of_hours_take_less_than_fifty_milliseconds() -> None:
    samples = series.samples(series.noise, seed=5)[: 90 * 24]
    started = time.process_time()
    for _ in range(5):
        forecast(samples, now_seconds=samples[-1].at_seconds, full_bytes=FULL_BYTES)

    assert (time.process_time() - started) / 5 < 0.050


@given(
    st.lists(st.tuples(st.integers(0, 100 * 24), st.integers(0, 10**18)), max_size=80),
    st.integers(-1, 10**18),
    st.integers(0, 3),
)
def test_any_history_gives_an_outlook_whose_days_are_in_order(
    points: list[tuple[int, int]], full_bytes: int, seed: int
) -> None:
    """Forty days of noise lie below the odd points, so that most of them have enough pairs."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable, not secret
    hours = {hour: chance.randrange(10**15) for hour in range(40 * 24)} if seed else {}
    used = {**hours, **dict(points)}
    samples = [Sample(at_seconds=hour * HOUR_SECONDS, used_bytes=used[hour], total_bytes=1) for hour in sorted(used)]
    now = samples[-1].at_seconds if samples else 0

    found = forecast(samples, now_seconds=now, full_bytes=full_bytes)

    assert (found.days is not None) == (found.outlook is Outlook.FILLING)
    assert found.reason
    known = [days for days in (found.days_lower, found.days, found.days_upper) if days is not None]
    assert known == sorted(known)
    assert all(0 <= days <= 3650 for days in known)
