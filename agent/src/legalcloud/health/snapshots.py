"""Whether each key manager has a snapshot of OpenBao that is young enough; what nobody knows is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from legalcloud.health.facts import Problem

INTERVALS = 2
"""One run of the timer may fail, and nobody need be called."""
CLOCK_SECONDS = 60
REMEDY = (
    "`journalctl --unit=openbao-backup` there says why; `systemctl start openbao-backup.service` takes one now. "
    "docs/runbooks/openbao-restore.md needs them."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """What one key manager keeps of its own."""

    name: str
    age_seconds: float | None
    """Of the last good one, by the node's clock; None if there is none, or nobody knows."""
    interval_seconds: float | None
    """The longest time between two runs of its timer; None if nobody knows."""
    said: str
    """Of the last run; or why nobody knows."""


def parse(answers: Mapping[str, Mapping[str, object]]) -> tuple[Snapshots, ...]:
    """Read what module openbao_status returned, by server; before the ceremony there is nothing to save."""
    return tuple(_kept(name, answer) for name, answer in answers.items() if not _new(answer))


def _new(answer: Mapping[str, object]) -> bool:
    health = answer.get("health")
    return isinstance(health, Mapping) and health.get("initialized") is False


def _kept(name: str, answer: Mapping[str, object]) -> Snapshots:
    found = answer.get("snapshot")
    if not isinstance(found, Mapping):
        said = str(answer.get("msg") or "it gave no answer").strip()
        return Snapshots(name=name, age_seconds=None, interval_seconds=None, said=said)
    status, interval = found.get("status"), found.get("interval_seconds")
    last = status.get("last_good_at") if isinstance(status, Mapping) else None
    message = status.get("message") if isinstance(status, Mapping) else None
    return Snapshots(
        name=name,
        age_seconds=_seconds(last, found.get("now")),
        interval_seconds=float(interval) if isinstance(interval, int | float) and interval > 0 else None,
        said=str(found.get("problem") or message or "its status says nothing").strip(),
    )


def _seconds(begin: object, end: object) -> float | None:
    try:
        return (datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(begin))).total_seconds()
    except (ValueError, TypeError):  # the latter: one of them has no time zone
        return None


def judge(kept: Sequence[Snapshots]) -> Iterator[Problem]:
    """Name every key manager whose last good snapshot is too old, or not known to be there."""
    for one in kept:
        if one.age_seconds is None:
            yield Problem(
                subject=one.name, what=f"no good snapshot of OpenBao is known there: {one.said}", remedy=REMEDY
            )
        elif one.age_seconds < -CLOCK_SECONDS:
            yield Problem(
                subject=one.name,
                what=f"its last good snapshot of OpenBao is of {told(-one.age_seconds)} from now: its age is unknown",
                remedy="Is the clock right? `chronyc tracking` there.",
            )
        elif one.interval_seconds is None:
            yield Problem(
                subject=one.name,
                what="unknown how often it takes a snapshot of OpenBao: its timer names no time",
                remedy="`systemctl status openbao-backup.timer` there; playbooks/site.yml --tags openbao_backup.",
            )
        elif one.age_seconds > INTERVALS * one.interval_seconds:
            yield Problem(
                subject=one.name,
                what=f"its last good snapshot of OpenBao is {told(one.age_seconds)} old, and one is due every "
                f"{told(one.interval_seconds)}: {one.said}",
                remedy=REMEDY,
            )


def summary(kept: Sequence[Snapshots]) -> str:
    """Say it in one line, for a table."""
    ages = [f"{one.name} {'unknown' if one.age_seconds is None else told(one.age_seconds) + ' old'}" for one in kept]
    return ", ".join(ages) or "none: OpenBao is not initialised"


def told(seconds: float) -> str:
    """Give a time in the unit in which a person would say it."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
