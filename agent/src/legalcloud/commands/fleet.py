"""`legalcloud fleet`: every node side by side, asked over SSH from the controller."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from legalcloud.commands.node import EXITS
from legalcloud.commands.ssh import access_of, over_ssh
from legalcloud.errors import Exit, LegalcloudError, ParseError
from legalcloud.inventory import load
from legalcloud.node import cluster_watch
from legalcloud.node.status import Part, Status, from_json, plain
from legalcloud.node.subject import Level, Line
from legalcloud.node.subjects import NAMES
from legalcloud.register import Node

if TYPE_CHECKING:
    from legalcloud.commands import Verbs

ASK = "sudo -n /usr/local/bin/legalcloud node status --json"  # not every sudo looks there
SECONDS = 10.0
_STARTING_SECONDS = 3.0
"""Of that, for SSH, sudo and Python; a node without an agent spends the rest on running its probes once."""
OLD = timedelta(minutes=5)
"""A status that is further from now is of a clock or an agent that stands still."""
_STYLES = {Level.GOOD: "green", Level.FINDING: "bold red", Level.UNKNOWN: "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One node."""

    node: str
    site: str
    status: Status | None
    """None if it could not be asked."""
    problem: str
    """Why not; empty if it could."""

    @property
    def lines(self) -> tuple[Line, ...]:
        """What it says of itself; what it knows of the cluster is said once for all."""
        if self.status is None:
            return ()
        own = tuple(part for part in self.status.parts if _cluster_age_seconds(part) is None)
        return replace(self.status, parts=own).lines

    @property
    def level(self) -> Level:
        return level(self.lines)

    @property
    def words(self) -> str:
        """The worst line, and how many more there are of its kind."""
        if self.status is None:
            return self.problem
        said = [line.words for line in self.lines if line.level is self.level]
        if self.level is Level.GOOD:
            return f"{len(said)} things looked at"
        return said[0] + (f" (and {len(said) - 1} more)" if len(said) > 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the node of a monitor knows of the cluster."""

    node: str | None = None
    """None if no node knows."""
    part: Part | None = None
    """Likewise."""

    @property
    def lines(self) -> tuple[Line, ...]:
        return self.part.lines if self.part else (_NOBODY,)

    @property
    def level(self) -> Level:
        return level(self.lines)


_NOBODY = Line(
    level=Level.UNKNOWN, words="nobody knows what it still takes: no node of a monitor has seen it in the last minutes"
)


def _cluster_age_seconds(part: Part) -> float | None:
    """Age of what a node knows of the cluster; None if this is not that, or it is old or in doubt."""
    known = part.name == cluster_watch.SUBJECT.name and part.success and part.lines and not part.stale
    age_seconds = part.age_seconds if known and isinstance(part.age_seconds, int | float) else -1
    return age_seconds if age_seconds >= 0 else None


Ask = Callable[[Node], bytes]
"""Returns what `legalcloud node status --json` printed there. Raises: LegalcloudError."""


def add_parser(verbs: Verbs) -> None:
    parser = verbs.add_parser("fleet", help="every node side by side")
    parser.description = "Every node of an inventory side by side."
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    status = actions.add_parser("status", help="ask every node how it is, in parallel")
    status.description = (
        "Ask every node over SSH how it is, all at once. Only nodes whose host key is known are spoken to. One that "
        "does not answer in time is a row that says so. What the cluster still takes is told by the node of a monitor. "
        "Exit code 0: all is good; 1: something is not; 3: something, "
        "or a whole node, could not be learnt."
    )
    status.add_argument(
        "-i", "--inventory", type=Path, default=Path("inventories/lab"), metavar="FOLDER", help="default: %(default)s"
    )
    status.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help="time limit (default: %(default)s)")
    status.add_argument("--json", action="store_true", help="print every node's status for machines")
    status.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    inventory = load(args.inventory)
    access = access_of(inventory)
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # a row says what went wrong
    ask = f"{ASK} --seconds {max(1.0, args.seconds - _STARTING_SECONDS):g}"
    rows = gather(inventory.register.nodes, lambda node: over_ssh(node, access, ask, args.seconds), args.seconds)
    monitors = {node.name for node in inventory.register.group("mons")}
    cluster = cluster_of([row for row in rows if row.node in monitors])
    worst = level([*rows, cluster])
    if args.json:
        document = {
            "inventory": str(args.inventory),
            "asked_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "level": worst,
            "nodes": [{**_plain(row), "level": row.level} for row in rows],
            "cluster": {"level": cluster.level, "node": cluster.node, "part": plain(cluster.part)},
        }
        json.dump(document, sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        _show(rows, cluster)
    return EXITS[worst]


def cluster_of(rows: Sequence[Row]) -> Cluster:
    """Believe the node that has looked last."""
    told = [
        (age_seconds, row.node, part)
        for row in rows
        for part in (row.status.parts if row.status else ())
        if (age_seconds := _cluster_age_seconds(part)) is not None
    ]
    _age, node, part = min(told, key=lambda one: one[:2], default=(0, None, None))
    return Cluster(node=node, part=part)


def level(said: Sequence[Row | Cluster | Line]) -> Level:
    levels = {one.level for one in said}
    return next((one for one in (Level.FINDING, Level.UNKNOWN, Level.GOOD) if one in levels), Level.UNKNOWN)


def gather(nodes: Sequence[Node], ask: Ask, seconds: float) -> tuple[Row, ...]:
    """Ask all nodes at once; who has not answered in time is a row that says so, and is waited for no longer."""
    until = time.monotonic() + seconds
    late = f"did not answer in {seconds:g} s"
    rows = {node.name: Row(node=node.name, site=node.site, status=None, problem=late) for node in nodes}

    def one(node: Node) -> None:
        rows[node.name] = _row(node, ask)

    threads = [threading.Thread(target=one, args=(node,), daemon=True) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return tuple(rows[node.name] for node in nodes)


def _row(node: Node, ask: Ask) -> Row:
    status, problem = None, ""
    try:
        status = from_json(ask(node))
        if status.node != node.name:
            raise ParseError(f"says that it is {status.node!r}")
        if missing := set(NAMES) - {part.name for part in status.parts}:
            raise ParseError(f"says nothing of {', '.join(sorted(missing))}: its agent may be an older one")
        if abs(datetime.now(UTC) - status.looked_at) > OLD:
            raise ParseError(f"says how it was at {status.looked_at:%Y-%m-%d %H:%M:%S} UTC, which is not now")
    except (LegalcloudError, TypeError, ValueError) as error:  # the latter: it says what no agent of ours does
        status, problem = None, str(error)
    return Row(node=node.name, site=node.site, status=status, problem=problem)


def _plain(row: Row) -> Mapping[str, object]:
    return {"node": row.node, "site": row.site, "problem": row.problem, "status": plain(row.status)}


def _show(rows: Sequence[Row], cluster: Cluster) -> None:
    from rich import box  # noqa: PLC0415 -- only the controller has rich
    from rich.console import Console  # noqa: PLC0415 -- as above
    from rich.table import Table  # noqa: PLC0415 -- as above
    from rich.text import Text  # noqa: PLC0415 -- as above

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Node", "Site", "State", "What", "Agent"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        version = "-" if row.status is None else row.status.version
        table.add_row(row.node, row.site, Text(row.level, style=_STYLES[row.level]), Text(row.words), Text(version))
    console = Console()
    console.print(table)
    good = sum(row.level is Level.GOOD for row in rows)
    console.print(f"{good} of {len(rows)} nodes are good.", highlight=False)
    console.print(f"The cluster{f', by {cluster.node}' if cluster.node else ''}:", highlight=False)
    for line in cluster.lines:
        console.print(Text(f"  {line.words}", style=_STYLES[line.level]))
