"""Synthetic histories to forecast, each the story of one thing that can go on with a cluster; none is recorded.

They were written before the forecast was tuned, and the seeds that tests use are not the ones it was tried with.
"""

from __future__ import annotations

import math
import random
from typing import Protocol

from legalcloud.node.history import HOUR_SECONDS, Sample

START_SECONDS = 1_790_000_000
TOTAL_BYTES = 100 * 10**12
DAYS = 90 + 15


class Story(Protocol):
    """What share of the total is used on a day; asked for each hour in turn."""

    __name__: str

    def __call__(self, day: float, chance: random.Random, /) -> float: ...


def linear(day: float, _: random.Random) -> float:
    return 0.30 + 0.003 * day


def flat(_day: float, _: random.Random) -> float:
    return 0.40


def falling(day: float, _: random.Random) -> float:
    return 0.60 - 0.002 * day


def noise(day: float, chance: random.Random) -> float:
    return linear(day, chance) + chance.gauss(0, 0.01)


def weekly_cycle(day: float, chance: random.Random) -> float:
    """Grow from Monday to Friday; what is temporary is tidied away at the weekend."""
    weekday = day % 7
    busy = 0.02 * min(weekday, 5) - 0.05 * max(weekday - 5, 0)
    return 0.30 + 0.002 * day + busy + chance.gauss(0, 0.001)


def daily_cycle(day: float, chance: random.Random) -> float:
    return linear(day, chance) + 0.01 * math.sin(2 * math.pi * day) + chance.gauss(0, 0.001)


def weekly_backup(day: float, chance: random.Random) -> float:
    """Grow by one large backup a week and by nothing else."""
    return 0.30 + 0.02 * (day // 7) + chance.gauss(0, 0.0005)


def step(day: float, chance: random.Random) -> float:
    """Let a firm bring its archive."""
    return linear(day, chance) + 0.15 * (day >= 61.4) + chance.gauss(0, 0.001)


def mass_delete(day: float, chance: random.Random) -> float:
    """Let a firm leave; the garbage collector takes two days."""
    gone = min(max((day - 57.2) / 2, 0), 1)
    return 0.50 + 0.002 * day - 0.20 * gone + chance.gauss(0, 0.001)


def reset(day: float, chance: random.Random) -> float:
    """Make the cluster anew; it fills at its old pace."""
    return (0.40 if day < 50 else 0.02) + 0.004 * (day if day < 50 else day - 50) + chance.gauss(0, 0.001)


def burst(day: float, chance: random.Random) -> float:
    """Scratch data comes for three days and goes again."""
    return linear(day, chance) + 0.12 * (64 <= day < 67) + chance.gauss(0, 0.001)


def retention(day: float, chance: random.Random) -> float:
    """Each 30 days what is too old is deleted: it never fills."""
    return 0.40 + 0.005 * (day % 30) + chance.gauss(0, 0.001)


def growth_change(day: float, chance: random.Random) -> float:
    """Grow three times as fast from one day on."""
    return 0.20 + 0.002 * day + 0.004 * max(day - 60, 0) + chance.gauss(0, 0.001)


def exponential(day: float, chance: random.Random) -> float:
    return float(0.15 * 2 ** (day / 45)) + chance.gauss(0, 0.001)


def outliers(day: float, chance: random.Random) -> float:
    """One hour in fifty reads as nothing or as everything."""
    return chance.choice((0.0, 1.0)) if chance.random() < 0.02 else linear(day, chance)


class RandomWalk:
    """No plan at all: each hour adds or takes by chance, on the whole 0.2 % a day."""

    __name__ = "random_walk"

    def __init__(self) -> None:
        self.used = 0.30

    def __call__(self, day: float, chance: random.Random) -> float:
        self.used = 0.30 if day == 0 else self.used + chance.gauss(0.002 / 24, 0.001)
        return self.used


STORIES: tuple[Story, ...] = (
    linear, flat, falling, noise, weekly_cycle, daily_cycle, weekly_backup, step, mass_delete, reset, burst, retention,
    growth_change, exponential, outliers, RandomWalk(),
)  # fmt: skip


def samples(story: Story, *, seed: int, days: int = DAYS) -> list[Sample]:
    chance = random.Random(f"{story.__name__} {seed}")  # noqa: S311 -- repeatable, not secret
    return [
        Sample(
            at_seconds=START_SECONDS + hour * HOUR_SECONDS,
            used_bytes=round(TOTAL_BYTES * min(max(story(hour / 24, chance), 0.0), 1.0)),
            total_bytes=TOTAL_BYTES,
        )
        for hour in range(days * 24)
    ]


def gap(story: Story, *, seed: int) -> list[Sample]:
    """Nothing was sampled for nine days, and one hour in ten is missing besides."""
    chance = random.Random(f"gap {seed}")  # noqa: S311 -- as above
    whole = samples(story, seed=seed)
    return [s for hour, s in enumerate(whole) if not 55 * 24 <= hour < 64 * 24 and chance.random() > 0.1]
