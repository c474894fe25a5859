"""`legalcloud fleet`: every node side by side, asked over SSH from the controller."""

from __future__ import annotations

import argparse
import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from legalcloud import plan
from legalcloud.commands.node import EXITS
from legalcloud.commands.ssh import access_of, over_ssh
from legalcloud.errors import Exit, LegalcloudError, ParseError
from legalcloud.inventory import Inventory, load
from legalcloud.node.cluster import ClusterCapacity, of_cluster
from legalcloud.node.status import Status, from_json, plain
from legalcloud.node.subject import Level
from legalcloud.node.subjects import NAMES
from legalcloud.node.usage import cluster_usage
from legalcloud.register import Node

if TYPE_CHECKING:
    from legalcloud.commands import Verbs

ASK = "sudo -n /usr/local/bin/legalcloud node status --json"  # not every sudo looks there
ASK_CLUSTER = tuple(
    f"sudo -n ceph --connect-timeout 5 {words} --format json" for words in ("osd df tree", "df", "osd dump")
)
DATA_POOL = "hk.rgw.buckets.data"
SECONDS = 10.0
OLD = timedelta(minutes=5)
"""A status that is further from now is of a clock or an agent that stands still."""
_GIB = 2**30
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
    def level(self) -> Level:
        return Level.UNKNOWN if self.status is None else self.status.level

    @property
    def words(self) -> str:
        """The worst line, and how many more there are of its kind."""
        if self.status is None:
            return self.problem
        said = [line.words for line in self.status.lines if line.level is self.level]
        if self.level is Level.GOOD:
            return f"{len(said)} things looked at"
        return said[0] + (f" (and {len(said) - 1} more)" if len(said) > 1 else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What a monitor says still fits."""

    capacity: ClusterCapacity | None
    """None if none could be asked."""
    problem: str
    """Why not; empty if one could."""

    @property
    def level(self) -> Level:
        if self.capacity is None:
            return Level.UNKNOWN
        return Level.GOOD if self.capacity.advised_bytes and not self.capacity.osds_down else Level.FINDING

    @property
    def words(self) -> str:
        if self.capacity is None:
            return f"Nobody knows what the cluster still takes: {self.problem}."
        told = self.capacity
        return (
            f"Tenants can store {_gib(told.advised_bytes)} more (then {told.limited_by} is near full), and"
            f" {_gib(told.until_full_bytes)} until the cluster refuses to write;"
            f" {_gib(told.reserve_bytes)} are kept for the loss of a node. Fullest is osd.{told.fullest_osd} with"
            f" {told.fullest_share:.0%}." + (f" OSDs that do not answer: {told.osds_down}." if told.osds_down else "")
        )


Ask = Callable[[Node], bytes]
"""Returns what `legalcloud node status --json` printed there. Raises: LegalcloudError."""


def add_parser(verbs: Verbs) -> None:
    parser = verbs.add_parser("fleet", help="every node side by side")
    parser.description = "Every node of an inventory side by side."
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    status = actions.add_parser("status", help="ask every node how it is, in parallel")
    status.description = (
        "Ask every node over SSH how it is, all at once. Only nodes whose host key is known are spoken to. One that "
        "does not answer in time is a row that says so. A monitor is asked what the cluster still takes. "
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
    found: list[Cluster] = []

    def ask(node: Node, command: str) -> bytes:
        return over_ssh(node, access, command, args.seconds)

    asking = threading.Thread(target=lambda: found.append(cluster_of(inventory, ask)), daemon=True)
    asking.start()
    until = time.monotonic() + args.seconds
    rows = gather(inventory.register.nodes, lambda node: ask(node, ASK), args.seconds)
    asking.join(max(0.0, until - time.monotonic()))
    late = Cluster(capacity=None, problem=f"no monitor answered in {args.seconds:g} s")
    cluster = found[0] if found else late
    worst = level([*rows, cluster])
    if args.json:
        document = {
            "inventory": str(args.inventory),
            "asked_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "level": worst,
            "nodes": [{**_plain(row), "level": row.level} for row in rows],
            "cluster": {"level": cluster.level, "problem": cluster.problem, "capacity": plain(cluster.capacity)},
        }
        json.dump(document, sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        _show(rows, cluster)
    return EXITS[worst]


def cluster_of(inventory: Inventory, ask: Callable[[Node, str], bytes]) -> Cluster:
    """Ask all monitors at once and take the first whose answers can be read: one that hangs holds nobody up."""
    try:
        layout = plan.parse(inventory.plan, "group_vars/all/plan.yml")
    except LegalcloudError as error:
        return Cluster(capacity=None, problem=str(error))
    told: queue.SimpleQueue[Cluster] = queue.SimpleQueue()

    def one(node: Node) -> None:
        try:
            answers = (ask(node, command) for command in ASK_CLUSTER)
            usage = cluster_usage(*answers, data_pool=DATA_POOL)
            told.put(Cluster(capacity=of_cluster(usage, layout), problem=""))
        except LegalcloudError as error:
            told.put(Cluster(capacity=None, problem=f"{node.name}: {error}"))

    monitors = [node for node in inventory.register.nodes if "mons" in node.groups]
    for node in monitors:
        threading.Thread(target=one, args=(node,), daemon=True).start()
    found = Cluster(capacity=None, problem="the inventory has no monitor")
    for _ in monitors:
        found = told.get()
        if found.capacity:
            break
    return found


def level(rows: Sequence[Row | Cluster]) -> Level:
    levels = {row.level for row in rows}
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
    except LegalcloudError as error:
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
    console.print(Text(cluster.words, style=_STYLES[cluster.level]))


def _gib(count: int) -> str:
    return f"{count / _GIB:.1f} GiB"
