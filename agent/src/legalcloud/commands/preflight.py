"""`legalcloud preflight`: show what the last preflight found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from legalcloud.errors import Exit, SourceError
from legalcloud.preflight.finding import Outcome, Severity
from legalcloud.preflight.judge import Result
from legalcloud.preflight.report import Report, condensed, from_json

if TYPE_CHECKING:
    from rich.table import Table

    from legalcloud.commands import Verbs

REPORT = Path("reports/preflight.json")
_STYLES = {
    Outcome.OK: "green",
    Outcome.FAILED: "bold red",
    Outcome.UNKNOWN: "bold red",
    Outcome.WAIVED: "yellow",
    Outcome.DEFERRED: "yellow",
}


def add_parser(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "preflight",
        help="show what the last run of playbooks/preflight.yml found",
        description="Show the last report of playbooks/preflight.yml. Exit code 0: nothing refuses (warnings "
        "may stand); 1: something refuses; 3: there is no report, or it cannot be read.",
    )
    parser.add_argument("--report", type=Path, default=REPORT, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print the report as it is, for machines")
    parser.add_argument("--all", action="store_true", help="show what is good, too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    raw = _read(args.report)
    report = from_json(raw)
    if args.json:
        sys.stdout.buffer.write(raw)
    else:
        _show(report, everything=args.all)
    return Exit.FINDINGS if report.refusals else Exit.GOOD


def _read(path: Path) -> bytes:
    hint = "Run `ansible-playbook playbooks/preflight.yml`, or name its report with --report FILE."
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SourceError(f"there is no report at {path} yet", hint=hint) from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}", hint=hint) from error


def _show(report: Report, *, everything: bool) -> None:
    from rich.console import Console  # noqa: PLC0415 -- a node's agent has no rich, and does not come here
    from rich.text import Text  # noqa: PLC0415 -- as above

    console = Console()
    shown, note = condensed([result for result in report.results if everything or result.outcome is not Outcome.OK])
    if shown:
        console.print(_table(shown))
    if note:
        console.print(Text(note))
    console.print(Text(f"{report.summary()}; {report.made_at:%Y-%m-%d %H:%M %Z}"), soft_wrap=True)


def _table(results: Sequence[Result]) -> Table:
    from rich import box  # noqa: PLC0415 -- as above
    from rich.table import Table  # noqa: PLC0415 -- as above
    from rich.text import Text  # noqa: PLC0415 -- as above

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Check", "Subject", "Outcome", "Seen, and what to do"):
        table.add_column(heading, overflow="fold")
    for result in results:
        warn = result.severity is Severity.WARN and result.warns
        outcome = Text(f"{result.outcome} (warning)" if warn else result.outcome)
        outcome.stylize("yellow" if warn else _STYLES[result.outcome])
        table.add_row(Text(result.check), Text(result.subject), outcome, Text("\n".join(_words(result))))
    return table


def _words(result: Result) -> Iterator[str]:
    yield result.seen
    if result.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
        yield result.remedy
    if result.outcome is Outcome.WAIVED:
        yield f"waived until {result.waived_until}: {result.waived_because}"
