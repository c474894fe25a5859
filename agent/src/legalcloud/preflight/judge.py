"""All checks over one case, and what waivers make of their answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from legalcloud.preflight import ceph, clock, drives, network, system, topology
from legalcloud.preflight.finding import (
    NODE_ANSWERS,
    Answer,
    Case,
    Check,
    Outcome,
    Severity,
    Waivable,
    failed,
    ok,
)
from legalcloud.preflight.limits import Waiver

_BAD = (Outcome.FAILED, Outcome.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One answer of one check, after waivers."""

    check: str
    title: str
    severity: Severity
    subject: str
    outcome: Outcome
    seen: str
    why: str
    remedy: str
    waived_because: str | None
    waived_until: date | None

    @property
    def refuses(self) -> bool:
        return self.severity is Severity.REFUSE and self.outcome in _BAD

    @property
    def warns(self) -> bool:
        return self.severity is Severity.WARN and self.outcome in _BAD


def _waivers(case: Case) -> Iterator[Answer]:
    for place, waiver in enumerate(case.limits.waivers):
        subject = f"preflight_waivers[{place}]"
        check = BY_ID.get(waiver.check)
        if check is None:
            yield failed(subject, f"{waiver}: there is no such check")
        elif check.waivable is Waivable.NO:
            yield failed(subject, f"{waiver}: this check cannot be waived")
        elif check.waivable is Waivable.BY_SUBJECT and waiver.subject is None:
            yield failed(subject, f"{waiver}: name the one subject that is waived, as NODE or NODE/SERIAL")
        elif waiver.expires < case.today:
            yield failed(subject, f"{waiver}: expired on {waiver.expires}")
        else:
            yield ok(subject, f"{waiver}: until {waiver.expires}, because {waiver.reason}")


CHECKS: tuple[Check, ...] = (
    Check(
        id="waivers",
        title="Waivers are in force",
        why="An exception that has no end is a rule.",
        remedy="Correct the fault and remove the waiver, or decide anew and set a new day.",
        judge=_waivers,
        waivable=Waivable.NO,
    ),
    *topology.CHECKS,
    *system.CHECKS,
    *clock.CHECKS,
    *network.CHECKS,
    *drives.CHECKS,
    *ceph.CHECKS,
)
BY_ID = {check.id: check for check in CHECKS}


def judge(case: Case, checks: Sequence[Check] = CHECKS) -> tuple[Result, ...]:
    """Every answer of every check, in the order of the checks; none about what a person has written off."""
    return tuple(
        _result(case, check, answer)
        for check in checks
        for answer in check.judge(case)
        if not _follows(case, check, answer)
    )


def _follows(case: Case, check: Check, answer: Answer) -> bool:
    """Tell whether an answer is missing only because its node or drive is written off: its waived line says so."""
    return answer.outcome is Outcome.UNKNOWN and check.id != NODE_ANSWERS and case.written_off(answer.subject)


def _result(case: Case, check: Check, answer: Answer) -> Result:
    waiver = _waiver_for(case, check, answer)
    return Result(
        check=check.id,
        title=check.title,
        severity=check.severity,
        subject=answer.subject,
        outcome=Outcome.WAIVED if waiver else answer.outcome,
        seen=answer.seen,
        why=check.why,
        remedy=check.remedy,
        waived_because=waiver.reason if waiver else None,
        waived_until=waiver.expires if waiver else None,
    )


def _waiver_for(case: Case, check: Check, answer: Answer) -> Waiver | None:
    if answer.outcome not in _BAD or check.waivable is Waivable.NO:
        return None
    return case.waiver(check.id, answer.subject, named=check.waivable is Waivable.BY_SUBJECT)
