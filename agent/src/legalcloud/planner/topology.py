"""The storage nodes of a register by site: all that a layout depends on."""

from __future__ import annotations

from dataclasses import dataclass

from legalcloud.register import DriveUse, Register


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageNode:
    """One CRUSH host."""

    name: str
    rack: str
    drives: int
    """Drives for OSDs; all of one size is assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSite:
    """One CRUSH datacenter; never without nodes."""

    id: str
    nodes: tuple[StorageNode, ...]

    @property
    def drives(self) -> int:
        return sum(node.drives for node in self.nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The sites that hold data; a site with only a monitor is not among them."""

    sites: tuple[StorageSite, ...]

    @property
    def narrowest(self) -> int:
        """Nodes in the site that has fewest: no rule can put more shards in each site."""
        return min((len(site.nodes) for site in self.sites), default=0)

    @property
    def drives(self) -> int:
        return sum(site.drives for site in self.sites)

    @property
    def racks_of_one_node(self) -> bool:
        racks = [(site.id, node.rack) for site in self.sites for node in site.nodes]
        return any(racks.count(rack) == 1 for rack in racks)


def of_register(register: Register) -> Topology:
    sites = (
        StorageSite(
            id=site.id,
            nodes=tuple(
                StorageNode(
                    name=node.name,
                    rack=node.rack,
                    drives=sum(drive.use is DriveUse.OSD for drive in node.drives),
                )
                for node in register.group("storage")
                if node.site == site.id
            ),
        )
        for site in register.sites
    )
    return Topology(sites=tuple(site for site in sites if site.nodes))


def of_counts(nodes_by_site: tuple[int, ...], drives_per_node: int = 1) -> Topology:
    """Make a topology of bare numbers, for asking "what if": `of_counts((2, 2, 2))`."""
    return Topology(
        sites=tuple(
            StorageSite(
                id=f"site{s}",
                nodes=tuple(
                    StorageNode(name=f"site{s}-{n}", rack=f"r{n}", drives=drives_per_node) for n in range(1, nodes + 1)
                ),
            )
            for s, nodes in enumerate(nodes_by_site, 1)
        )
    )
