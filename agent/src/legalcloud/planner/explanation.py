"""The planner's report in plain words for a person, with rich."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from legalcloud import plan as plan_file
from legalcloud.plan import count
from legalcloud.planner.capacity import NEAR_FULL, Capacity
from legalcloud.planner.durability import Durability
from legalcloud.planner.layout import Layout
from legalcloud.planner.losses import Loss
from legalcloud.planner.report import Outcome, Report
from legalcloud.planner.topology import Topology

MOST_NINES = 11
"""Beyond this, what the model leaves out decides."""


def explain(report: Report, console: Console) -> None:
    topology = report.topology
    here = ", ".join(f"{site.id} {count(len(site.nodes), 'node')}" for site in topology.sites)
    console.print(f"[bold]Sites[/]   {escape(here) or 'none with storage nodes'}; {count(topology.drives, 'drive')}")
    console.print(f"[bold]Goal[/]    {report.choice.wish.goal}")
    if report.outcome is None:
        _explain_refusal(report, console)
        return
    _explain_layout(report, report.outcome, console)
    console.print(_losses(report.outcome.losses))
    console.print(f"[bold]Healing[/]     {_healing(report.outcome, topology)}")
    console.print(f"[bold]Capacity[/]    {_capacity(report.outcome.capacity)}")
    console.print(f"[bold]Durability[/]  {_durability(report.outcome)}")
    _explain_others(report, console)
    console.print("\n[bold]Variables[/]")
    console.print(plan_file.text(report.outcome.plan), markup=False, highlight=False, soft_wrap=True, end="")
    for problem in report.problems:
        console.print(f"[bold red]The goal is not held:[/] {escape(problem)}")


def _explain_refusal(report: Report, console: Console) -> None:
    choice = report.choice
    wanted = "" if choice.wish.k is None else f" {choice.wish.k}+{choice.wish.m}"
    console.print(f"[bold red]Not feasible:[/]{wanted}")
    for reason in choice.reasons:
        console.print(f"  - {escape(reason)}")
    if choice.nearest is None:
        console.print("[bold]Nearest[/] no layout at all fits these sites and nodes.")
    else:
        layout = _words(choice.nearest.layout)
        console.print(f"[bold]Nearest[/] {layout}, with the goal: {choice.nearest.goal}.")
    if choice.growth:
        console.print(f"[bold]Or[/]      {choice.growth}.")


def _explain_layout(report: Report, outcome: Outcome, console: Console) -> None:
    layout = outcome.layout
    console.print(f"[bold green]Layout[/]  {_words(layout)}, min_size {layout.min_size}")
    left = layout.left_after(report.choice.wish.goal.lose_sites, 0)
    if report.choice.wish.goal.lose_sites:
        exactly = "exactly " if left == layout.min_size else ""
        console.print(
            f"        min_size is k+1, so that no write is without a spare; the goal's lost sites leave "
            f"{left} shards, {'which is ' + exactly + 'enough' if left >= layout.min_size else 'too few'}."
        )
    console.print(
        f"        Bucket index and metadata: {outcome.copies.size} copies, at most "
        f"{outcome.copies.per_site} a site, min_size {outcome.copies.min_size}."
    )


def _losses(found: tuple[Loss, ...]) -> Table:
    table = Table(title="What a loss costs, at worst", title_justify="left")
    for heading in ("lost", "shards left", "read and write", "data, if it never comes back"):
        table.add_column(heading)
    for loss in found:
        serves = "[green]go on[/]" if loss.serves else f"[yellow]stop[/]: {escape('; '.join(loss.stopped_by))}"
        table.add_row(str(loss), str(loss.shards_left), serves, "[red]lost[/]" if loss.data_lost else "[green]kept[/]")
    return table


def _healing(outcome: Outcome, topology: Topology) -> str:
    each = outcome.layout.shards_per_site
    stuck = [site.id for site in topology.sites if len(site.nodes) <= each]
    site_words = "After a lost site nothing moves: its shards stay missing until it is back."
    if len(topology.sites) == 1:
        site_words = "There is no second site."
    if stuck and len(stuck) == len(topology.sites):
        return (
            f"After a lost node nothing can move: {count(each, 'shard')} a site need all of its nodes. "
            f"The data stays degraded until the node is back or replaced. {site_words}"
        )
    where = f" in every site but {', '.join(stuck)}, which stays degraded until the node is back" if stuck else ""
    racks = (
        " Some racks have one node: Ceph leaves a wholly lost rack alone unless "
        "mon_osd_down_out_subtree_limit is datacenter."
        if topology.racks_of_one_node
        else ""
    )
    return f"A lost node's shards are rebuilt on the other nodes of its site by themselves{where}.{racks} {site_words}"


def _capacity(capacity: Capacity) -> str:
    def amount(share: float) -> str:
        if capacity.raw_bytes is None:
            return f"{share:.1%} of raw"
        return f"{share * capacity.raw_bytes / 1e12:,.2f} TB"

    full = f"tenants can store {amount(capacity.usable_share)} until a drive is {float(NEAR_FULL):.0%} full"
    raw = f"{count(capacity.drives, 'drive')} of one size"
    if capacity.drive_bytes is not None:
        raw += f", {amount(1.0)} raw"
    if not capacity.reserve_share:
        return f"{raw}: {full}. No reserve for a lost node: its shards could not use one."
    return (
        f"{raw}: {full}. Keep {amount(capacity.reserve_share)} of that free, so that losing the largest node "
        f"heals below that mark: store at most {amount(capacity.advised_share)}."
    )


def _durability(outcome: Outcome) -> str:
    d = outcome.durability
    size = outcome.copies.size
    words = (
        f"a chance of at most {d.objects_loss:.1e} a year that any object is lost, and of {d.index_loss:.1e} "
        f"for the bucket index with its {size} copies ({_nines(d)}). Assumed: drives fail independently, "
        f"{d.afr:.1%} of them a year, and are whole again within {d.repair_hours:g} h; any "
        f"{outcome.layout.m + 1} (index: {size}) of {d.drives} drives away at once count as a loss."
    )
    if d.outage_loss is not None:
        words += f" During a {d.outage_hours / 24:g}-day outage of a site: at most {d.outage_loss:.1e}."
    return (
        f"{words} Not counted: drives of one bad batch, nodes that take their drives along, fire and flood, "
        "faults of software, mistakes of people, lost keys. These decide in practice; backups and drills are "
        "for them."
    )


def _nines(d: Durability) -> str:
    return f"more than {MOST_NINES} nines" if d.nines > MOST_NINES else count(d.nines, "nine")


def _explain_others(report: Report, console: Console) -> None:
    others = [*report.choice.cheaper[:3], *report.choice.alternatives[:3]]
    if not others:
        return
    table = Table(title="Looked at and not taken", title_justify="left")
    for heading in ("layout", "overhead", "why not"):
        table.add_column(heading)
    for rejected in report.choice.cheaper[:3]:
        table.add_row(str(rejected.layout), _times(rejected.layout), escape("; ".join(rejected.reasons)))
    for layout in report.choice.alternatives[:3]:
        heals = layout.heals(report.topology) and not (report.outcome and report.outcome.plan.heals_after_node_loss)
        gain = "would heal by itself after a lost node; " if heals else ""
        chosen = report.outcome is not None and layout.overhead > report.outcome.layout.overhead
        why = "costs more" if chosen else "not what was asked for"
        table.add_row(f"{layout} over {count(layout.sites, 'site')}", _times(layout), f"{gain}{why}")
    console.print(table)


def _words(layout: Layout) -> str:
    return (
        f"{layout} at {_times(layout)}: {layout.k} data and {layout.m} parity shards, "
        f"{count(layout.shards_per_site, 'shard')} in each of {count(layout.sites, 'site')}, "
        "each on its own node"
    )


def _times(layout: Layout) -> str:
    return f"{float(layout.overhead):.4g}x"
