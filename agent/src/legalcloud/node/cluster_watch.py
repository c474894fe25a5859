"""How full the cluster is and when it will be, as this node's monitor tells; only monitors' nodes watch it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from legalcloud import tree
from legalcloud.node import filling
from legalcloud.node.capacity import ClusterCapacity, gib
from legalcloud.node.filling import Filling
from legalcloud.node.history import Sample
from legalcloud.node.subject import Level, Line, Metric, Subject, World, gauge


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The cluster at one moment."""

    capacity: ClusterCapacity
    filling: Filling
    """Of raw bytes, against those that are used when the first OSD is full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What this node knows of it."""

    seen: Seen | None
    """None on a node that does not watch the cluster."""


def parse(raw: bytes) -> ClusterCapacity:
    """Read what the helper worked out. Raises: ParseError."""
    told = tree.parse(raw, "the helper's cluster")
    return ClusterCapacity(
        raw_bytes=told["raw_bytes"].count(),
        used_bytes=told["used_bytes"].count(),
        osds_down=told["osds_down"].count(),
        fullest_osd=told["fullest_osd"].count(),
        fullest_share=told["fullest_share"].number(),
        until_full_bytes=told["until_full_bytes"].count(),
        advised_bytes=told["advised_bytes"].count(),
        reserve_bytes=told["reserve_bytes"].count(),
        limited_by=told["limited_by"].word(),
    )


def read(world: World) -> Cluster:
    plan = world.settings.plan
    if plan is None or not world.settings.watches_cluster:
        return Cluster(seen=None)
    numbers = map(str, (plan.k, plan.m, plan.shards_per_site))
    capacity = parse(world.ask("cluster", *numbers).good("the helper's cluster"))
    full_bytes = capacity.used_bytes + int(capacity.until_full_bytes / plan.data_share)
    new = Sample(at_seconds=int(time.time()), used_bytes=capacity.used_bytes, total_bytes=capacity.raw_bytes)
    path = world.settings.paths.cluster_history
    kept = filling.keep(path, new, full_bytes=full_bytes, write=world.keeps)
    return Cluster(seen=Seen(capacity=capacity, filling=kept))


def _gauge(name: str, help_text: str, value: Callable[[ClusterCapacity], float], *, unit: str = "") -> Metric[Cluster]:
    return gauge(name, help_text, lambda facts: None if facts.seen is None else value(facts.seen.capacity), unit=unit)


def _filling(facts: Cluster) -> Filling | None:
    return None if facts.seen is None else facts.seen.filling


METRICS: tuple[Metric[Cluster], ...] = (
    _gauge(
        "legalcloud_cluster_raw_bytes",
        "Size of all OSDs to which data goes, parity included; this and what follows only where a monitor runs.",
        lambda capacity: capacity.raw_bytes,
        unit="bytes",
    ),
    _gauge("legalcloud_cluster_used_bytes", "Used of it.", lambda capacity: capacity.used_bytes, unit="bytes"),
    _gauge(
        "legalcloud_cluster_until_full_bytes",
        "What tenants can store until the first OSD is full and the cluster refuses to write.",
        lambda capacity: capacity.until_full_bytes,
        unit="bytes",
    ),
    _gauge(
        "legalcloud_cluster_advised_bytes",
        "What tenants can store until an OSD is near full, or would be if the largest node were lost.",
        lambda capacity: capacity.advised_bytes,
        unit="bytes",
    ),
    _gauge(
        "legalcloud_cluster_reserve_bytes",
        "What tenants cannot store so that a lost node fits on the others; 0 if no site has a node to spare.",
        lambda capacity: capacity.reserve_bytes,
        unit="bytes",
    ),
    _gauge(
        "legalcloud_cluster_osds_down",
        "OSDs to which data goes and which do not answer.",
        lambda capacity: capacity.osds_down,
    ),
    _gauge(
        "legalcloud_cluster_fullest_osd_ratio",
        "Used part of the fullest OSD.",
        lambda capacity: capacity.fullest_share,
        unit="ratio",
    ),
    *filling.metrics("cluster", _filling),
)


def lines(facts: Cluster) -> Iterator[Line]:
    if facts.seen is None:
        return
    room = facts.seen.capacity
    if room.osds_down:
        yield Line(
            level=Level.FINDING,
            words=f"OSDs to which data goes and that do not answer: {room.osds_down}",
            remedy="`ceph osd tree down` names them; ask their nodes.",
        )
    yield Line(
        level=Level.GOOD if room.advised_bytes else Level.FINDING,
        words=f"tenants can store {gib(room.advised_bytes)} more (then {room.limited_by} is near full), and"
        f" {gib(room.until_full_bytes)} until the cluster refuses to write; {gib(room.reserve_bytes)} are kept for the"
        f" loss of a node; fullest is osd.{room.fullest_osd} with {room.fullest_share:.0%}",
        remedy="" if room.advised_bytes else "Add drives or nodes, or delete what is no longer needed.",
    )
    yield from filling.lines(facts.seen.filling)


SUBJECT = Subject(name="cluster", every_seconds=300, deadline_seconds=30, read=read, metrics=METRICS, lines=lines)
