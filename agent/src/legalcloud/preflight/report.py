"""The outcome of one preflight: as JSON for machines, as a table for people."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from legalcloud.errors import ParseError
from legalcloud.preflight.finding import NODE_ANSWERS, Outcome, Severity
from legalcloud.preflight.judge import Result
from legalcloud.tree import Tree

FORMAT = "legalcloud-preflight/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one run found."""

    made_at: datetime
    """UTC."""
    inventory: str
    results: tuple[Result, ...]

    @property
    def refusals(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.refuses)

    @property
    def warnings(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.warns)

    def summary(self) -> str:
        counts = Counter(result.outcome for result in self.results)
        told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
        verdict = f"{len(self.refusals)} refusals" if self.refusals else "no refusal"
        checks = len({result.check for result in self.results})
        warned = f"{len(self.warnings)} warnings"
        return f"preflight of {self.inventory}: {verdict}, {warned}; {checks} checks: {told}"


def to_json(report: Report) -> bytes:
    document = {
        "format": FORMAT,
        "made_at": report.made_at.isoformat(timespec="seconds"),
        "inventory": report.inventory,
        "verdict": "refused" if report.refusals else "good",
        "summary": report.summary(),
        "results": [
            {
                "check": result.check,
                "title": result.title,
                "severity": result.severity,
                "subject": result.subject,
                "outcome": result.outcome,
                "seen": result.seen,
                "why": result.why,
                "remedy": result.remedy,
                "waived_because": result.waived_because,
                "waived_until": result.waived_until.isoformat() if result.waived_until else None,
            }
            for result in report.results
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def from_json(raw: bytes) -> Report:
    """Read a report that `to_json` wrote; the verdict is counted again, not believed.

    Raises: ParseError if it is not such a report.
    """
    try:
        tree = Tree(json.loads(raw), "report")
        if tree["format"].text() != FORMAT:
            raise ParseError(f"report.format is {tree['format'].text()!r}; this program reads {FORMAT!r}")
        return Report(
            made_at=datetime.fromisoformat(tree["made_at"].text()),
            inventory=tree["inventory"].text(),
            results=tuple(_result(entry) for entry in tree["results"].elements()),
        )
    except ValueError as error:
        raise ParseError(f"the report cannot be read: {error}") from error


def _result(entry: Tree) -> Result:
    until = entry["waived_until"].text_or_none()
    return Result(
        check=entry["check"].text(),
        title=entry["title"].text(),
        severity=Severity(entry["severity"].text()),
        subject=entry["subject"].text(),
        outcome=Outcome(entry["outcome"].text()),
        seen=entry["seen"].text(),
        why=entry["why"].text(),
        remedy=entry["remedy"].text(),
        waived_because=entry["waived_because"].text_or_none(),
        waived_until=date.fromisoformat(until) if until else None,
    )


def condensed(results: Sequence[Result]) -> tuple[tuple[Result, ...], str | None]:
    """Leave out what merely follows from silent nodes, and say how much; the report itself keeps it."""
    silent = {result.subject for result in results if result.check == NODE_ANSWERS and result.refuses}
    shown = tuple(
        result
        for result in results
        if result.check == NODE_ANSWERS or result.outcome is not Outcome.UNKNOWN or result.subject not in silent
    )
    hidden = len(results) - len(shown)
    note = f"{hidden} more questions to {', '.join(sorted(silent))} have no answer" if hidden else None
    return shown, note


def findings_text(results: Sequence[Result]) -> str:
    """Plain lines for a log: what, where, why and what to do, one check at a time."""
    lines: list[str] = []
    last = None
    shown, note = condensed(results)
    for result in shown:
        if result.check != last:
            lines.append(f"{result.check} [{result.severity}]: {result.title}")
            lines.append(f"    why:    {result.why}")
            lines.append(f"    remedy: {result.remedy}")
            last = result.check
        lines.append(f"    {result.outcome:<8}{result.subject}: {result.seen}")
    if note:
        lines.append(note)
    return "\n".join(lines)
