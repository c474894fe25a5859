"""An upper bound on the chance of losing data, from drives that fail independently and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass

from legalcloud.planner.crush import Replicas
from legalcloud.planner.layout import Layout
from legalcloud.planner.topology import Topology

HOURS_A_YEAR = 8766.0
DEFAULT_AFR = 0.02
"""Annual failure rate of a drive: fleets publish 1 to 2 % for hard disks, less for flash."""
DEFAULT_REPAIR_HOURS = 72.0
"""From a drive's failure until its shards are whole again: long enough for a person to bring a new one."""
OUTAGE_HOURS = 7 * 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """Chances that any data is lost, at most, given the assumptions."""

    afr: float
    repair_hours: float
    drives: int
    objects_loss: float
    """In a year, of objects."""
    index_loss: float
    """In a year, of the replicated bucket index and metadata."""
    outage_hours: float
    outage_loss: float | None
    """During one outage of a whole site, `outage_hours` long; None if it stops the service anyway."""

    @property
    def nines(self) -> int:
        """Whole nines of annual durability, rounded down."""
        return nines(max(self.objects_loss, self.index_loss))


def durability(layout: Layout, copies: Replicas, topology: Topology, *, afr: float, repair_hours: float) -> Durability:
    rest = topology.drives - min((site.drives for site in topology.sites), default=0)
    spare = min(layout.m - layout.shards_per_site, copies.left_after(1, 0) - 1)

    def in_a_year(spare: int) -> float:
        return chance_of_loss(topology.drives, spare, afr=afr, repair_hours=repair_hours, hours=HOURS_A_YEAR)

    return Durability(
        afr=afr,
        repair_hours=repair_hours,
        drives=topology.drives,
        objects_loss=in_a_year(layout.m),
        index_loss=in_a_year(copies.size - 1),
        outage_hours=OUTAGE_HOURS,
        outage_loss=None
        if spare < 1 or layout.sites == 1
        else chance_of_loss(rest, spare, afr=afr, repair_hours=repair_hours, hours=OUTAGE_HOURS),
    )


def chance_of_loss(drives: int, spare: int, *, afr: float, repair_hours: float, hours: float) -> float:
    """Chance that more than `spare` of `drives` are ever away at the same time within `hours`.

    A birth-death chain: with i drives away the next fails at (drives - i) times the drive's rate, and repairs
    end at i over `repair_hours`. Its mean time to absorption is a closed sum; 1 - exp(-hours / mean) is not
    less than the true chance while `hours` is below that mean, because such a chain wears in, not out.
    """
    rate = -math.log1p(-afr) / HOURS_A_YEAR
    if not rate or drives <= spare:
        return 0.0
    mean = 0.0
    waiting = 0.0
    for away in range(spare + 1):
        fails = (drives - away) * rate
        waiting = 1 / fails + waiting * (away / repair_hours) / fails
        mean += waiting
    return min(1.0, -math.expm1(-hours / mean)) if hours < mean else 1.0


def nines(chance: float) -> int:
    return math.floor(-math.log10(chance)) if chance > 0 else 0
