"""The register of sites, nodes and drives as facts; where they come from is `inventory.py`'s business."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

GROUPS = ("storage", "mons", "mgrs", "gateways", "kms", "monitoring")
"""What a node can be for; a node may be in several."""


class DriveUse(StrEnum):
    """What a drive is for."""

    OSD = "osd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text in the two languages of the register."""

    en: str
    zh_hant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BorderWaiver:
    """A person's word that a site near the boundary is inside it."""

    reason: str
    surveyed_by: str
    expires: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One data centre."""

    id: str
    name: Text
    district: Text
    address: Text
    operator: str
    latitude: float
    """Degrees, WGS 84."""
    longitude: float
    """Degrees, WGS 84."""
    subnets: tuple[IPv4Network | IPv6Network, ...]
    border_waiver: BorderWaiver | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """One drive as bought and registered, not as seen."""

    serial: str
    use: DriveUse


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One server."""

    name: str
    address: IPv4Address | IPv6Address
    site: str
    """`Site.id`."""
    rack: str
    drives: tuple[Drive, ...]
    groups: frozenset[str]
    """Of `GROUPS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """All sites and nodes of one inventory."""

    sites: tuple[Site, ...]
    nodes: tuple[Node, ...]

    def site(self, site_id: str) -> Site:
        return next(site for site in self.sites if site.id == site_id)

    def group(self, name: str) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if name in node.groups)
