"""`legalcloud health`: show what the last run of playbooks/verify.yml found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from legalcloud.errors import Exit, SourceError
from legalcloud.health import certificates, keys, snapshots
from legalcloud.health.locks import REFUSED
from legalcloud.health.report import Report, from_json

if TYPE_CHECKING:
    from legalcloud.commands import Verbs

REPORT = Path("reports/health.json")
GIB = 2**30
MIB = 2**20


def add_parser(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "health",
        help="show what the last run of playbooks/verify.yml found",
        description="Show the last report of playbooks/verify.yml: endpoint, tenants, health and capacity. Exit code "
        "0: all is well; 1: something is not; 3: there is no report, or it cannot be read.",
    )
    parser.add_argument("--report", type=Path, default=REPORT, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print the report as it is, for machines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    try:
        raw = args.report.read_bytes()
    except OSError as error:
        raise SourceError(
            f"no report at {args.report}: {error.strerror}",
            hint="Run `ansible-playbook playbooks/verify.yml`, or name its report with --report FILE.",
        ) from error
    report = from_json(raw)
    if args.json:
        sys.stdout.buffer.write(raw)
    else:
        _show(report)
    return Exit.FINDINGS if report.problems else Exit.GOOD


def rows(report: Report) -> Iterator[tuple[str, str]]:
    """Say what a person wants to know, a line each."""
    cluster, trip = report.cluster, report.round_trip
    groups = sum(cluster.placement_groups.values())
    sites = ", ".join(f"{site.name} {site.osds_up}/{site.osds}" for site in cluster.sites)
    yield "endpoint", report.endpoint
    yield "tenants", ", ".join(report.tenants) or "none"
    if trip is None:
        yield "an object", "unknown: nobody stored one and read it back"
    else:
        same = "the same byte for byte" if trip.same else "CHANGED"
        yield (
            "an object",
            f"{trip.size_bytes / MIB:g} MiB stored in {trip.put_seconds * 1000:.0f} ms, read in "
            f"{trip.get_seconds * 1000:.0f} ms, {same}",
        )
    yield "health", cluster.status
    yield (
        "monitors",
        f"{len(cluster.mons_in_quorum)} of {cluster.mons} agree: {', '.join(cluster.mons_in_quorum)}",
    )
    yield "gateways", ", ".join(cluster.gateways) or "none"
    refuse = [gateway.name for gateway in report.locks.gateways if gateway.lock_status == REFUSED]
    yield "own Object Lock", f"refused by {', '.join(sorted(refuse)) or 'none'}"
    yield "key managers", keys.summary(report.key_managers)
    if report.key_managers:
        yield "last snapshots", snapshots.summary(report.snapshots)
    yield "login certificates", certificates.summary(report.logins)
    yield "OSDs up", sites
    yield "placement groups", f"{groups}, {cluster.placement_groups.get('active+clean', 0)} active+clean"
    usable = cluster.stored_bytes + cluster.available_bytes
    yield (
        "usable capacity",
        f"{usable / GIB:.1f} GiB of {cluster.raw_bytes / GIB:.1f} GiB raw, {cluster.stored_bytes / GIB:.2f} GiB stored",
    )
    yield "Ceph", ", ".join(cluster.versions)


def _show(report: Report) -> None:
    from rich.console import Console  # noqa: PLC0415 -- only the controller has rich
    from rich.table import Table  # noqa: PLC0415 -- only the controller has rich

    console = Console()
    colour = "red" if report.problems else "green"
    table = Table(title=f"{report.inventory}, {report.looked_at:%Y-%m-%d %H:%M:%S} UTC", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows(report):
        table.add_row(name, f"[{colour}]{value}[/]" if name == "health" else value)
    console.print(table)
    for problem in report.problems:
        console.print(f"[red]not well[/]  {problem.subject}: {problem.what}. {problem.remedy}", highlight=False)
    if not report.problems:
        console.print("[green]All is well.[/]")
