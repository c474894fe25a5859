"""`legalcloud plan`: an inventory and a failure goal become a layout, explained, checked or written."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from legalcloud import inventory, plan
from legalcloud.errors import Exit, InputError
from legalcloud.plan import DEFAULT_GOAL, Goal, Plan
from legalcloud.planner.agreement import check
from legalcloud.planner.choice import Wish
from legalcloud.planner.durability import DEFAULT_AFR, DEFAULT_REPAIR_HOURS
from legalcloud.planner.layout import LEAST_K, LEAST_M, MOST_SHARDS
from legalcloud.planner.report import Drives, Report, as_json, report

if TYPE_CHECKING:
    from legalcloud.commands import Verbs

PLAN_FILE = Path("group_vars/all/plan.yml")
UNITS = {"GB": 10**9, "TB": 10**12, "GiB": 2**30, "TiB": 2**40}


def add_parser(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "plan",
        help="choose and explain how data is spread, or check the committed plan",
        description="Turn an inventory and a failure goal into an erasure-code layout, and explain it.",
    )
    parser.add_argument(
        "-i",
        "--inventory",
        type=Path,
        default=Path("inventories/lab"),
        metavar="FOLDER",
        help="default: %(default)s",
    )
    parser.add_argument(
        "--lose-sites",
        type=_from(0),
        metavar="N",
        help=f"sites to lose and go on (default: the committed plan's, else {DEFAULT_GOAL.lose_sites})",
    )
    parser.add_argument(
        "--lose-nodes",
        type=_from(0),
        metavar="N",
        help=f"nodes to lose without loss (default: the committed plan's, else {DEFAULT_GOAL.lose_nodes})",
    )
    parser.add_argument("--k", type=_from(LEAST_K), help="with --m: this code and no other")
    parser.add_argument("--m", type=_from(LEAST_M), help="parity shards; fewer than two are refused")
    parser.add_argument(
        "--self-healing", action="store_true", help="only layouts that rebuild a lost node by themselves"
    )
    parser.add_argument(
        "--max-shards",
        type=_from(LEAST_K + LEAST_M),
        default=MOST_SHARDS,
        metavar="N",
        help="default: %(default)s",
    )
    parser.add_argument(
        "--drive-size", type=_bytes, metavar="16TB", help="of every drive; without it, capacity is in shares"
    )
    parser.add_argument(
        "--afr",
        type=_rate,
        default=DEFAULT_AFR,
        help="drives that fail in a year, as a fraction (default: %(default)s)",
    )
    parser.add_argument(
        "--repair-hours", type=_hours, default=DEFAULT_REPAIR_HOURS, metavar="H", help="default: %(default)s"
    )
    parser.add_argument("--json", action="store_true", help="print the report for machines")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help=f"write {PLAN_FILE} in the inventory")
    action.add_argument("--check", action="store_true", help="only compare the committed plan with the register")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    if (args.k is None) != (args.m is None):
        raise InputError("--k and --m go together", hint="Give both, or neither and let the planner choose.")
    found = inventory.load(args.inventory)
    path = args.inventory / PLAN_FILE
    committed = None if found.plan is None else plan.parse(found.plan, str(path))
    if args.check:
        problems = _problems(committed, found, path)
        _say_check(problems, path, as_data=args.json)
        return Exit.FINDINGS if problems else Exit.GOOD
    outcome = report(
        _wish(args, committed),
        found.register,
        Drives(size_bytes=args.drive_size, afr=args.afr, repair_hours=args.repair_hours),
    )
    if args.json:
        _print(json.dumps(as_json(outcome), indent=2, ensure_ascii=False))
    else:
        _explain(outcome)
    if not outcome.good or outcome.outcome is None:
        if args.write:
            print(f"legalcloud plan: {path} was not written", file=sys.stderr)  # noqa: T201 -- a command speaks
        return Exit.FINDINGS
    if args.write:
        _write(path, outcome.outcome.plan, committed)
    return Exit.GOOD


def _wish(args: argparse.Namespace, committed: Plan | None) -> Wish:
    goal = committed.goal if committed else DEFAULT_GOAL
    return Wish(
        goal=Goal(
            lose_sites=goal.lose_sites if args.lose_sites is None else args.lose_sites,
            lose_nodes=goal.lose_nodes if args.lose_nodes is None else args.lose_nodes,
        ),
        k=args.k,
        m=args.m,
        self_healing=args.self_healing,
        most_shards=args.max_shards,
    )


def _problems(committed: Plan | None, found: inventory.Inventory, path: Path) -> tuple[str, ...]:
    if committed is None:
        return (f"{path}: there is no plan; run `legalcloud plan -i {found.folder} --write`",)
    return check(committed, found.register)


def _say_check(problems: tuple[str, ...], path: Path, *, as_data: bool) -> None:
    if as_data:
        _print(json.dumps({"agrees": not problems, "problems": list(problems)}, indent=2, ensure_ascii=False))
        return
    for problem in problems:
        _print(problem)
    if not problems:
        _print(f"{path} agrees with the register")


def _explain(outcome: Report) -> None:
    # Nodes install the package without the extra that carries rich; only this verb needs it.
    from rich.console import Console  # noqa: PLC0415 -- see above

    from legalcloud.planner.explanation import explain  # noqa: PLC0415 -- see above

    explain(outcome, Console())


def _write(path: Path, new: Plan, committed: Plan | None) -> None:
    """Replace the file in one step, and only if its bytes differ; stdout may be JSON, so speak on stderr."""
    content = plan.text(new).encode()
    if path.is_file() and path.read_bytes() == content:
        print(f"{path} is already so; not written", file=sys.stderr)  # noqa: T201 -- a command speaks
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".plan.", delete=False) as handle:
        scratch = Path(handle.name)
        try:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
            scratch.chmod(0o644)
            scratch.replace(path)
        except BaseException:
            scratch.unlink(missing_ok=True)
            raise
    print(f"{path} written", file=sys.stderr)  # noqa: T201 -- a command speaks
    if committed and (committed.k, committed.m) != (new.k, new.m):
        print(  # noqa: T201 -- a command speaks
            f"  it was {committed.k}+{committed.m}: the code of an existing pool cannot change, "
            "so this plan is for a new cluster; on a running one put the old file back",
            file=sys.stderr,
        )


def _from(least: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is less than {least}")
        return number

    return whole_number


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(GB|TB|GiB|TiB)", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 16TB or 14.55TiB")
    return int(float(match[1]) * UNITS[match[2]])


def _rate(text: str) -> float:
    rate = _number(text)
    if not 0 < rate < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1; 2 % is 0.02")
    return rate


def _hours(text: str) -> float:
    hours = _number(text)
    if not 0 < hours < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number of hours")
    return hours


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def _print(text: str) -> None:
    print(text)  # noqa: T201 -- a command speaks to a person
