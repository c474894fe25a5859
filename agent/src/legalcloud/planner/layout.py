"""Erasure-code layouts: which exist, which hold a goal on a topology, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from legalcloud.plan import DECIMALS, Goal, Plan, count
from legalcloud.planner.topology import Topology

LEAST_K = 2
"""The erasure-code plugins refuse k=1."""
LEAST_M = 2
"""With m=1 a drive that fails while another is being rebuilt loses data."""
MOST_SHARDS = 12
"""Every write touches each shard; in three sites 12 of them cost 1.71x, and no number reaches 1.5x."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How one object is cut and spread: `shards_per_site` shards in each of `sites`, each on its own node."""

    k: int
    m: int
    sites: int
    shards_per_site: int

    def __post_init__(self) -> None:
        if self.k + self.m != self.sites * self.shards_per_site:
            raise ValueError(f"{self.k}+{self.m} is not {self.sites} x {self.shards_per_site}")

    def __str__(self) -> str:
        return f"{self.k}+{self.m}"

    @property
    def shards(self) -> int:
        return self.k + self.m

    @property
    def min_size(self) -> int:
        """Shards below which Ceph stops serving: one more than k, so that no write is without a spare."""
        return self.k + 1

    @property
    def overhead(self) -> Fraction:
        return Fraction(self.shards, self.k)

    def left_after(self, sites: int, nodes: int) -> int:
        """Count the shards that are certain to be left when these are lost, wherever they are."""
        in_other_sites = max(self.sites - sites, 0) * self.shards_per_site
        return max(in_other_sites - nodes, 0)

    def heals(self, topology: Topology) -> bool:
        """Whether every site has a node to spare: CRUSH never moves a shard to another site by this rule."""
        return topology.narrowest > self.shards_per_site


def plan_of(layout: Layout, goal: Goal, topology: Topology) -> Plan:
    return Plan(
        goal=goal,
        k=layout.k,
        m=layout.m,
        shards_per_site=layout.shards_per_site,
        min_size=layout.min_size,
        overhead=round(float(layout.overhead), DECIMALS),
        heals_after_node_loss=layout.heals(topology),
    )


def objections(layout: Layout, goal: Goal, topology: Topology) -> tuple[str, ...]:
    """Say why the layout does not hold the goal here; nothing means that it does."""
    found: list[str] = []
    if layout.k < LEAST_K:
        found.append(f"k={layout.k}: erasure coding needs k of at least {LEAST_K}")
    if layout.m < LEAST_M:
        found.append(f"m={layout.m}: m of at least {LEAST_M} is needed to be safe while a lost shard is rebuilt")
    if layout.sites > len(topology.sites):
        found.append(f"it needs {count(layout.sites, 'site')}, and there are {len(topology.sites)}")
    found.extend(
        f"{layout.shards_per_site} shards a site need as many nodes, and site {site.id} has {len(site.nodes)}"
        for site in topology.sites
        if len(site.nodes) < layout.shards_per_site
    )
    left = layout.left_after(goal.lose_sites, 0)
    if goal.lose_sites and left < layout.min_size:
        cost = "all reading and writing stops" if left >= layout.k else "data is lost"
        found.append(
            f"losing {count(goal.lose_sites, 'site')} leaves {count(left, 'shard')} of {layout.shards}: "
            f"{cost} (min_size is {layout.min_size})"
        )
    if layout.left_after(0, goal.lose_nodes) < layout.k:
        found.append(f"losing {count(goal.lose_nodes, 'node')} loses data: m={layout.m} spares only {layout.m}")
    return tuple(found)


def layouts_of(k: int, m: int, topology: Topology) -> tuple[Layout, ...]:
    """Spread k+m shards in every way that splits them evenly over some of the sites."""
    return tuple(
        Layout(k=k, m=m, sites=sites, shards_per_site=(k + m) // sites)
        for sites in range(1, max(len(topology.sites), 1) + 1)
        if (k + m) % sites == 0
    )


def candidates(topology: Topology, most_shards: int = MOST_SHARDS) -> Iterator[Layout]:
    """Every layout that the failure domains can hold, whatever the goal."""
    for sites in range(1, len(topology.sites) + 1):
        for shards_per_site in range(1, min(topology.narrowest, most_shards // sites) + 1):
            shards = sites * shards_per_site
            for m in range(LEAST_M, shards - LEAST_K + 1):
                yield Layout(k=shards - m, m=m, sites=sites, shards_per_site=shards_per_site)


def rank(layout: Layout, topology: Topology) -> tuple[Fraction, bool, int, int]:
    """Order by cost first; then healing by itself; then fewer shards in one site; then fewer shards."""
    return (layout.overhead, not layout.heals(topology), layout.shards_per_site, layout.shards)


def feasible(
    topology: Topology, goal: Goal, *, most_shards: int = MOST_SHARDS, self_healing: bool = False
) -> tuple[Layout, ...]:
    """All layouts that hold the goal, best first."""
    good = (
        layout
        for layout in candidates(topology, most_shards)
        if not objections(layout, goal, topology) and (layout.heals(topology) or not self_healing)
    )
    return tuple(sorted(good, key=lambda layout: rank(layout, topology)))
