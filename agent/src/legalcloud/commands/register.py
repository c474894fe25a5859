"""`legalcloud register`: check an inventory and show its register of sites, nodes and drives."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from legalcloud.boundary import Judgement, Verdict, judge
from legalcloud.errors import Exit, InputError
from legalcloud.inventory import Inventory, load
from legalcloud.register import Node, Site, Text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as Styled

    from legalcloud.commands import Verbs

DEFAULT_INVENTORY = Path("inventories/lab")
PIPE_WIDTH = 160
"""Columns, where the output is no terminal that could tell."""


def add_parser(verbs: Verbs) -> None:
    parser = verbs.add_parser("register", help="check the inventory and show the register of sites")
    parser.description = "Check an inventory: every fault is listed with file, line, key and remedy. Changes nothing."
    parser.add_argument(
        "-i",
        "--inventory",
        type=Path,
        default=DEFAULT_INVENTORY,
        metavar="FOLDER",
        help="default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="print the register for machines")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> Exit:
    inventory = load(args.inventory)
    if args.json:
        json.dump(facts(inventory), sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        show(inventory, _console())
    return Exit.GOOD


def facts(inventory: Inventory) -> dict[str, object]:
    """Give the checked register as plain values, in the order of the files."""
    return {
        "inventory": str(inventory.folder),
        "sites": [_site(site) for site in inventory.register.sites],
        "nodes": [_node(node) for node in inventory.register.nodes],
        "tenants": [{"id": tenant.id, "name": _text(tenant.name)} for tenant in inventory.tenants],
    }


def show(inventory: Inventory, console: Console) -> None:
    """Print the register as tables, with colour where the console has it."""
    register = inventory.register
    sites = _table("Sites", "id", "name", "district", "address", "operator", "place", "boundary")
    for site in register.sites:
        judgement = judge(site.latitude, site.longitude)
        sites.add_row(
            site.id,
            *(f"{text.en}\n{text.zh_hant}" for text in (site.name, site.district, site.address)),
            site.operator,
            f"{site.latitude:.4f} N\n{site.longitude:.4f} E",
            _boundary(site, judgement),
        )
    nodes = _table("Nodes", "name", "address", "site", "rack", "groups", "drives")
    for node in register.nodes:
        groups = ", ".join(sorted(node.groups))
        drives = "\n".join(f"{drive.serial} ({drive.use})" for drive in node.drives)
        nodes.add_row(node.name, str(node.address), node.site, node.rack, groups, drives)
    tenants = _table("Tenants", "id", "name", "buckets")
    for tenant in inventory.tenants:
        buckets = "\n".join(bucket.name for bucket in tenant.buckets)
        tenants.add_row(tenant.id, f"{tenant.name.en}\n{tenant.name.zh_hant}", buckets)
    for table in (sites, nodes, tenants):
        console.print(table)
    counts = {
        "sites": len(register.sites),
        "nodes": len(register.nodes),
        "drives": sum(len(node.drives) for node in register.nodes),
        "tenants": len(inventory.tenants),
    }
    summary = ", ".join(f"{kind}: {count}" for kind, count in counts.items())
    console.print(f"{inventory.folder} is sound. {summary}.")


def _boundary(site: Site, judgement: Judgement) -> Styled:
    from rich.text import Text as Styled  # noqa: PLC0415 -- nodes do not have rich; only the tables need it

    colour = "green" if judgement.verdict is Verdict.INSIDE else "yellow"
    others = f"{judgement.metres_to_others / 1000:.1f} km to {judgement.nearest_other}"
    lines = [str(judgement.verdict), others]
    if site.border_waiver and judgement.verdict is not Verdict.INSIDE:
        lines.append(f"waiver until {site.border_waiver.expires}")
    return Styled("\n".join(lines), style=colour)


def _console() -> Console:
    try:
        from rich.console import Console  # noqa: PLC0415 -- as above
    except ImportError:
        raise InputError(
            "the tables need the Python package rich", hint="Use --json, or install legalcloud[controller]."
        ) from None
    wide = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(markup=False, highlight=False, width=wide)


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table  # noqa: PLC0415 -- as above

    return Table(*columns, title=title, title_justify="left", show_lines=True)


def _text(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh_hant": text.zh_hant}


def _site(site: Site) -> dict[str, object]:
    judgement = judge(site.latitude, site.longitude)
    waiver = site.border_waiver
    return {
        "id": site.id,
        "name": _text(site.name),
        "district": _text(site.district),
        "address": _text(site.address),
        "operator": site.operator,
        "latitude": site.latitude,
        "longitude": site.longitude,
        "subnets": [str(subnet) for subnet in site.subnets],
        "boundary": {
            "verdict": judgement.verdict.name.lower(),
            "metres_to_hong_kong": round(judgement.metres_to_hong_kong),
            "metres_to_others": round(judgement.metres_to_others),
            "nearest_other": judgement.nearest_other,
        },
        "border_waiver": waiver
        and {"reason": waiver.reason, "surveyed_by": waiver.surveyed_by, "expires": str(waiver.expires)},
    }


def _node(node: Node) -> dict[str, object]:
    return {
        "name": node.name,
        "address": str(node.address),
        "site": node.site,
        "rack": node.rack,
        "groups": sorted(node.groups),
        "drives": [{"serial": drive.serial, "use": str(drive.use)} for drive in node.drives],
    }
