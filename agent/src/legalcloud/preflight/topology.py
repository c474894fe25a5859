"""Checks of the inventory alone: voters, managers, gateways, racks and the plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from legalcloud.planner import agreement
from legalcloud.preflight.finding import Answer, Case, Check, Severity, Waivable, failed, holds, ok
from legalcloud.register import Node

_SITES_MIN = 2
_VOTERS_MIN = 3
_MANAGERS_MIN = 2
_UNEVEN = 1.25
"""A site with a quarter more drives than the smallest holds room that no stripe can use."""


def _names(nodes: tuple[Node, ...]) -> str:
    return ", ".join(node.name for node in nodes) or "none"


def _sites(case: Case) -> Iterator[Answer]:
    used = sorted({node.site for node in case.register.group("storage")})
    yield holds(len(used) >= _SITES_MIN, "storage", f"drives in {len(used)} sites: {', '.join(used) or 'none'}")


def _voters_odd(case: Case, group: str) -> Answer:
    voters = case.register.group(group)
    return holds(len(voters) >= _VOTERS_MIN and len(voters) % 2 == 1, group, f"{len(voters)} voters: {_names(voters)}")


def _mons(case: Case) -> Iterator[Answer]:
    yield _voters_odd(case, "mons")


def _kms(case: Case) -> Iterator[Answer]:
    if case.register.group("kms"):
        yield _voters_odd(case, "kms")
    else:
        yield ok("kms", "no key manager in this inventory")


def _majority(case: Case) -> Iterator[Answer]:
    for group in ("mons", "kms"):
        voters = case.register.group(group)
        if not voters:
            continue
        site, most = Counter(node.site for node in voters).most_common(1)[0]
        yield holds(2 * most < len(voters), group, f"the fullest site, {site}, has {most} of {len(voters)} voters")


def _managers(case: Case) -> Iterator[Answer]:
    managers = case.register.group("mgrs")
    sites = {node.site for node in managers}
    yield holds(
        len(managers) >= _MANAGERS_MIN and len(sites) >= _MANAGERS_MIN,
        "mgrs",
        f"{_names(managers)} in {len(sites)} sites",
    )


def _gateways(case: Case) -> Iterator[Answer]:
    for site in case.register.sites:
        here = tuple(node for node in case.register.group("gateways") if node.site == site.id)
        yield holds(bool(here), site.id, _names(here))


def _racks(case: Case) -> Iterator[Answer]:
    for site in case.register.sites:
        here = [node for node in case.register.group("storage") if node.site == site.id]
        racks = {node.rack for node in here}
        yield holds(len(here) < _SITES_MIN or len(racks) > 1, site.id, f"{len(here)} nodes in {len(racks)} racks")


def _even(case: Case) -> Iterator[Answer]:
    drives = Counter({site.id: 0 for site in case.register.sites})
    for node in case.register.group("storage"):
        drives[node.site] += len(node.drives)
    seen = ", ".join(f"{site} {count}" for site, count in drives.items())
    least, most = min(drives.values(), default=0), max(drives.values(), default=0)
    yield holds(least > 0 and most <= least * _UNEVEN, "storage", f"drives a site: {seen}")


def _monitoring(case: Case) -> Iterator[Answer]:
    watchers = case.register.group("monitoring")
    sites = {node.site for node in watchers}
    yield holds(len(sites) >= _SITES_MIN, "monitoring", f"{_names(watchers)} in {len(sites)} sites")


def _plan(case: Case) -> Iterator[Answer]:
    if case.plan is None:
        yield failed("legalcloud_plan", "there is no plan in group_vars/all/plan.yml")
        return
    problems = agreement.check(case.plan, case.register)
    for problem in problems:
        yield failed("legalcloud_plan", problem.removeprefix("legalcloud_plan: "))
    if not problems:
        yield ok("legalcloud_plan", f"{case.plan.k}+{case.plan.m}, {case.plan.shards_per_site} shards a site")


def _example(case: Case) -> Iterator[Answer]:
    for place in case.placeholders:
        yield failed(place, "as in inventories/example")
    if not case.placeholders:
        yield ok("inventory", "nothing of the example is left")


CHECKS = (
    Check(
        id="example-replaced",
        title="What the example says to replace is replaced",
        why="Nobody has the keys that belong to the example's: what is encrypted to them is lost.",
        remedy="Write your own value, or remove the file; inventories/example marks each with REPLACE.",
        judge=_example,
        waivable=Waivable.NO,
    ),
    Check(
        id="sites",
        title="Drives stand in more than one site",
        why="With one site a fire ends the service and the data.",
        remedy="Add nodes of another site to hosts.yml.",
        judge=_sites,
    ),
    Check(
        id="mons-odd",
        title="Monitors are odd in number, three or more",
        why="An even voter adds a failure mode without adding tolerance; fewer than three cannot lose one.",
        remedy="Add or remove a host of group mons in hosts.yml.",
        judge=_mons,
    ),
    Check(
        id="kms-odd",
        title="Key managers are odd in number, three or more",
        why="An even voter adds a failure mode without adding tolerance; fewer than three cannot lose one.",
        remedy="Add or remove a host of group kms in hosts.yml.",
        judge=_kms,
    ),
    Check(
        id="voters-spread",
        title="No site holds a majority of voters",
        why="Losing that site would stop all others.",
        remedy="Spread mons and kms over sites in hosts.yml, one a site.",
        judge=_majority,
    ),
    Check(
        id="mgrs",
        title="Two managers in two sites",
        why="Without a manager nothing is balanced, measured or healed by plan.",
        remedy="Name two hosts of different sites in group mgrs of hosts.yml.",
        judge=_managers,
    ),
    Check(
        id="gateway-per-site",
        title="Every site has a gateway",
        why="A site without one depends on another to be reached.",
        remedy="Name a host of that site in group gateways of hosts.yml.",
        judge=_gateways,
    ),
    Check(
        id="racks",
        title="A site's nodes stand in different racks",
        why="One power strip should not take a whole site.",
        remedy="Spread the nodes, or correct legalcloud_rack in hosts.yml.",
        judge=_racks,
        severity=Severity.WARN,
    ),
    Check(
        id="sites-even",
        title="Sites hold about the same number of drives",
        why="Shards are spread evenly over sites: the smallest site fills first, the rest stays empty.",
        remedy="Move or add drives.",
        judge=_even,
        severity=Severity.WARN,
    ),
    Check(
        id="monitoring-spread",
        title="Monitoring stands in two sites",
        why="Losing the only site that watches leaves nobody to say so.",
        remedy="Name two hosts of different sites in group monitoring of hosts.yml.",
        judge=_monitoring,
        severity=Severity.WARN,
    ),
    Check(
        id="plan",
        title="Plan holds on the register",
        why="The code of a pool cannot be changed later: what the sites cannot hold never gets clean.",
        remedy="Run `legalcloud plan`, read what it says, and commit what --write writes.",
        judge=_plan,
        waivable=Waivable.NO,
    ),
)
