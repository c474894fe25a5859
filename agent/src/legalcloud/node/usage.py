"""How full each OSD of the cluster is, by site and node, as the monitors see it; Ceph 20.2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from legalcloud import tree
from legalcloud.errors import ParseError
from legalcloud.node.osds import Ratios
from legalcloud.tree import Tree

_KIB = 1024
_WEIGHT_UNITS = 0x10000
"""CRUSH keeps weights as whole numbers of this part of a TiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OsdUsage:
    """One OSD that is in: data goes to it."""

    number: int
    up: bool
    """False: it does not answer, and its bytes are the last that it told."""
    weight: int
    """CRUSH's weight, lowered by the reweight; above 0."""
    used_bytes: int
    total_bytes: int
    """Above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeUsage:
    """A CRUSH host; never without OSDs."""

    name: str
    osds: tuple[OsdUsage, ...]

    @property
    def weight(self) -> int:
        return sum(osd.weight for osd in self.osds)

    @property
    def used_bytes(self) -> int:
        return sum(osd.used_bytes for osd in self.osds)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteUsage:
    """A CRUSH datacenter; never without nodes."""

    name: str
    nodes: tuple[NodeUsage, ...]

    @property
    def weight(self) -> int:
        return sum(node.weight for node in self.nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterUsage:
    """All that is needed to say what still fits."""

    sites: tuple[SiteUsage, ...]
    """By name."""
    ratios: Ratios


def cluster_usage(df_tree: bytes, osd_dump: bytes) -> ClusterUsage:
    """Parse `ceph osd df tree` and `ceph osd dump`, each with `--format json`.

    OSDs that are out, and buckets without OSDs, are left out.
    Raises: ParseError also if an OSD that is in has not told its size yet: nobody knows then what fits.
    """
    sites = tuple(_sites(tree.parse(df_tree, "ceph osd df tree")["nodes"]))
    if not sites:
        raise ParseError("`ceph osd df tree` shows no datacenter with an OSD that is in")
    return ClusterUsage(sites=sites, ratios=_ratios(tree.parse(osd_dump, "ceph osd dump")))


def _ratios(dump: Tree) -> Ratios:
    near_full, backfill_full, full = (dump[f"{name}_ratio"].number() for name in ("nearfull", "backfillfull", "full"))
    if not 0 < near_full <= backfill_full <= full <= 1:
        raise ParseError(
            f"{dump.path} has near-full, backfill-full and full ratios {near_full}, {backfill_full}, {full}"
        )
    return Ratios(near_full=near_full, backfill_full=backfill_full, full=full)


def _sites(nodes: Tree) -> Iterator[SiteUsage]:
    buckets = {bucket["id"].integer(): bucket for bucket in nodes.elements()}
    seen: set[int] = set()

    def below(bucket: Tree, kind: str) -> Iterator[Tree]:
        """Find what is of one kind below a bucket; in a tree, no bucket hangs on two branches."""
        pending = list(bucket["children"].elements())
        while pending:
            child = pending.pop()
            number = child.integer()
            if number not in buckets or number in seen:
                raise ParseError(f"{child.path}: there is no bucket {number} here, or it was met before")
            seen.add(number)
            found = buckets[number]
            if found["type"].value == kind:
                yield found
            elif found["type"].value != "osd":
                pending.extend(found["children"].elements())

    datacenters = [bucket for bucket in buckets.values() if bucket["type"].value == "datacenter"]
    for site in sorted(datacenters, key=lambda bucket: bucket["name"].word()):
        named = sorted((host["name"].word(), tuple(_in(below(host, "osd")))) for host in below(site, "host"))
        found = tuple(NodeUsage(name=name, osds=osds) for name, osds in named if osds)
        if found:
            yield SiteUsage(name=site["name"].word(), nodes=found)


def _in(osds: Iterator[Tree]) -> Iterator[OsdUsage]:
    for osd in osds:
        weight = round(osd["crush_weight"].number() * osd["reweight"].number() * _WEIGHT_UNITS)
        if weight <= 0:
            continue
        used_bytes, total_bytes = osd["kb_used"].count() * _KIB, osd["kb"].count() * _KIB
        if not total_bytes or used_bytes > total_bytes:
            raise ParseError(f"{osd.path} is in, and has used {used_bytes} of {total_bytes} bytes")
        yield OsdUsage(
            number=osd["id"].count(),
            up=osd["status"].text() == "up",
            weight=weight,
            used_bytes=used_bytes,
            total_bytes=total_bytes,
        )
