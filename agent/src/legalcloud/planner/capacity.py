"""How much fits, from how often the CRUSH rule picks each node; drives are of one size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from legalcloud.planner.layout import Layout
from legalcloud.planner.topology import StorageSite, Topology

NEAR_FULL = Fraction(85, 100)
"""Ceph warns when a drive is this full (`mon_osd_nearfull_ratio`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Shares are of the raw capacity of all drives."""

    drives: int
    drive_bytes: int | None
    """None: nobody said."""
    usable_share: float
    """What tenants can store until the first drive is near full."""
    reserve_share: float
    """Part of `usable_share` to leave free, so that the shards of the largest node fit on the others."""

    @property
    def raw_bytes(self) -> int | None:
        return None if self.drive_bytes is None else self.drives * self.drive_bytes

    @property
    def advised_share(self) -> float:
        return self.usable_share - self.reserve_share


def capacity(layout: Layout, topology: Topology, drive_bytes: int | None) -> Capacity:
    usable = _usable_share(layout, topology, without=None)
    healing = (site for site in topology.sites if len(site.nodes) > layout.shards_per_site)
    after = [_usable_share(layout, topology, without=site) for site in healing]
    return Capacity(
        drives=topology.drives,
        drive_bytes=drive_bytes,
        usable_share=usable,
        reserve_share=max((usable - one for one in after), default=0.0),
    )


def _usable_share(layout: Layout, topology: Topology, without: StorageSite | None) -> float:
    """Let the fullest node set the limit: its drives over the shards that it gets of every object.

    `without` is a site that has lost its largest node: CRUSH still picks the site as often as before.
    """
    picked_sites = chances(tuple(site.drives for site in topology.sites), layout.sites)
    limits: list[float] = []
    for site, site_chance in zip(topology.sites, picked_sites, strict=True):
        drives = sorted(node.drives for node in site.nodes)
        if site is without:
            drives.pop()
        node_chances = chances(tuple(drives), layout.shards_per_site)
        limits.extend(
            have / (site_chance * chance) for have, chance in zip(drives, node_chances, strict=True) if chance
        )
    raw = topology.drives
    stored = min(limits, default=0.0) * layout.k  # in drives: each object puts 1/k of itself on a node it picks
    return float(NEAR_FULL) * stored / raw if raw else 0.0


def chances(weights: tuple[int, ...], picks: int) -> tuple[float, ...]:
    """How likely each is among `picks` different ones, drawn one after another by weight as CRUSH draws."""
    classes = tuple(sorted(Counter(weights).items()))
    expected = dict(zip((weight for weight, _ in classes), _picks(classes, picks), strict=True))
    return tuple(expected[weight] / weights.count(weight) for weight in weights)


@cache
def _picks(classes: tuple[tuple[int, int], ...], picks: int) -> tuple[float, ...]:
    """Expect so many picks from each class of equal weights; `classes` are (weight, how many are left)."""
    total = sum(weight * many for weight, many in classes)
    if not picks or not total:
        return (0.0,) * len(classes)
    result = [0.0] * len(classes)
    for index, (weight, many) in enumerate(classes):
        chance = weight * many / total
        if not chance:
            continue
        rest = _picks(_replaced(classes, index, (weight, many - 1)), picks - 1)
        for other, later in enumerate(rest):
            result[other] += chance * (later + (other == index))
    return tuple(result)


def _replaced(classes: Iterable[tuple[int, int]], index: int, new: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    return tuple(new if at == index else one for at, one in enumerate(classes))
