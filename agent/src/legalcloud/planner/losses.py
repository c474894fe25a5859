"""What each loss costs, in the worst case of which site and which nodes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from legalcloud.plan import Goal, count, in_words
from legalcloud.planner.crush import Replicas
from legalcloud.planner.layout import Layout
from legalcloud.register import Register


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One kind of loss and what is certain to be left after it."""

    sites: int
    nodes: int
    shards_left: int
    copies_left: int
    """Of the replicated pools."""
    stopped_by: tuple[str, ...]
    """What stops reading and writing; Ceph serves neither below min_size. Empty: both go on."""
    data_lost: bool
    """If what was lost never comes back."""

    def __str__(self) -> str:
        if not self.sites:
            return f"any {in_words(self.nodes, 'node')}"
        more = f" and {in_words(self.nodes, 'node')} elsewhere" if self.nodes else ""
        return f"any {in_words(self.sites, 'site')}{more}"

    @property
    def serves(self) -> bool:
        return not self.stopped_by


def losses(layout: Layout, copies: Replicas, register: Register, goal: Goal) -> tuple[Loss, ...]:
    """Look at one node, two nodes, a site, a site and a node, and at what the goal names."""
    kinds = {(0, 1), (0, 2), (1, 0), (1, 1), (0, goal.lose_nodes), (goal.lose_sites, 0)} - {(0, 0)}
    ordered = sorted(kinds, key=lambda kind: (kind[0], kind[1]))
    return tuple(_loss(layout, copies, register, sites, nodes) for sites, nodes in ordered)


def promise_problems(register: Register, goal: Goal) -> tuple[str, ...]:
    """Say what besides shards would break "go on reading and writing" when the goal's sites are lost."""
    stopped = _stopped_services(register, goal.lose_sites, 0) if goal.lose_sites else ()
    return tuple(
        f"losing {count(goal.lose_sites, 'site')} stops reading and writing: {reason}; "
        f"spread them over {2 * goal.lose_sites + 1} sites in hosts.yml"
        for reason in stopped
    )


def _loss(layout: Layout, copies: Replicas, register: Register, sites: int, nodes: int) -> Loss:
    shards_left, copies_left = layout.left_after(sites, nodes), copies.left_after(sites, nodes)
    stopped: list[str] = []
    if shards_left < layout.min_size:
        stopped.append(f"{count(shards_left, 'shard')} left, min_size is {layout.min_size}")
    if copies_left < copies.min_size:
        left = "1 copy" if copies_left == 1 else f"{copies_left} copies"
        stopped.append(f"{left} of the index left, {copies.min_size} needed")
    stopped.extend(_stopped_services(register, sites, nodes))
    return Loss(
        sites=sites,
        nodes=nodes,
        shards_left=shards_left,
        copies_left=copies_left,
        stopped_by=tuple(stopped),
        data_lost=shards_left < layout.k or copies_left < 1,
    )


def _stopped_services(register: Register, sites: int, nodes: int) -> tuple[str, ...]:
    """Ask for more than half of the monitors and for one gateway."""
    found: list[str] = []
    monitors, gateways = len(register.group("mons")), len(register.group("gateways"))
    monitors_left = _left(register, "mons", sites, nodes)
    if 2 * monitors_left <= monitors:
        found.append(f"{monitors_left} of {count(monitors, 'monitor')} left, more than half needed")
    gateways_left = _left(register, "gateways", sites, nodes)
    if gateways_left < 1:
        found.append(f"no gateway left of {gateways}")
    return tuple(found)


def _left(register: Register, group: str, sites: int, nodes: int) -> int:
    by_site = sorted(Counter(node.site for node in register.group(group)).values(), reverse=True)
    return max(sum(by_site[sites:]) - nodes, 0)
