"""Work out what still fits in the cluster, by what its monitors know.

The fullest OSD decides, not the mean: the cluster refuses writes as soon as one OSD is full.
"""

from __future__ import annotations

from dataclasses import dataclass

from legalcloud.errors import SourceError
from legalcloud.node.capacity import ClusterCapacity
from legalcloud.node.usage import ClusterUsage, NodeUsage, SiteUsage
from legalcloud.planner.capacity import chances
from legalcloud.planner.layout import Layout


@dataclass(frozen=True, slots=True)
class _Room:
    """How much tenants can store before one OSD reaches its limit."""

    bytes: float
    limit: str


def of_cluster(usage: ClusterUsage, layout: Layout) -> ClusterCapacity:
    """Let each object go where the rule of the plan sends it: so many shards to each site, one to a node.

    Raises: SourceError if fewer sites or nodes take data than the plan needs.
    """
    _refuse_narrow(usage, layout)
    osds = [osd for site in usage.sites for node in site.nodes for osd in node.osds]
    fullest = max(osds, key=lambda osd: osd.used_bytes / osd.total_bytes)
    ratios = usage.ratios
    near = _least(usage, layout, ratios.near_full, lost=None)
    losses = [_least(usage, layout, ratios.near_full, lost=node) for site in usage.sites for node in site.nodes]
    advised = min((near, *losses), key=lambda room: room.bytes)
    return ClusterCapacity(
        raw_bytes=sum(osd.total_bytes for osd in osds),
        used_bytes=sum(osd.used_bytes for osd in osds),
        osds_down=sum(not osd.up for osd in osds),
        fullest_osd=fullest.number,
        fullest_share=fullest.used_bytes / fullest.total_bytes,
        until_full_bytes=int(_least(usage, layout, ratios.full, lost=None).bytes),
        advised_bytes=int(advised.bytes),
        reserve_bytes=int(near.bytes - advised.bytes),
        limited_by=advised.limit,
    )


def _refuse_narrow(usage: ClusterUsage, layout: Layout) -> None:
    if len(usage.sites) < layout.sites or any(len(site.nodes) < layout.shards_per_site for site in usage.sites):
        seen = ", ".join(f"{site.name}: {len(site.nodes)}" for site in usage.sites) or "none"
        raise SourceError(
            f"{layout} needs {layout.sites} sites of {layout.shards_per_site} nodes that take data; seen: {seen}",
            hint="Is this the plan of this cluster? `ceph osd tree` shows which OSDs are out.",
        )


def _least(usage: ClusterUsage, layout: Layout, limit: float, *, lost: NodeUsage | None) -> _Room:
    chosen = chances(tuple(site.weight for site in usage.sites), layout.sites)
    rooms = [
        room
        for site, chance in zip(usage.sites, chosen, strict=True)
        for room in _rooms(site, layout, limit, site_chance=chance, lost=lost)
    ]
    return min(rooms, key=lambda room: room.bytes)


def _rooms(site: SiteUsage, layout: Layout, limit: float, *, site_chance: float, lost: NodeUsage | None) -> list[_Room]:
    """Of each OSD: its free bytes over the part of each stored byte that CRUSH puts on it.

    What a lost node of this site held goes to the others in proportion to how much more often they are chosen; where
    each was chosen for every object already, nothing moves and nothing needs a reserve.
    """
    nodes = [node for node in site.nodes if node is not lost]
    chosen = chances(tuple(node.weight for node in nodes), layout.shards_per_site)
    whole = chances(tuple(node.weight for node in site.nodes), layout.shards_per_site)
    before = {node.name: chance for node, chance in zip(site.nodes, whole, strict=True)}
    here = lost if len(nodes) < len(site.nodes) else None
    rooms: list[_Room] = []
    for node, chance in zip(nodes, chosen, strict=True):
        taken = (chance - before[node.name]) / before[here.name] * here.used_bytes if here else 0.0
        for osd in node.osds:
            part = osd.weight / node.weight
            free = limit * osd.total_bytes - osd.used_bytes - taken * part
            stored = max(free, 0.0) / (site_chance * chance / layout.k * part)
            rooms.append(_Room(stored, f"osd.{osd.number}" + (f" without {lost.name}" if lost else "")))
    return rooms
