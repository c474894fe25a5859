"""The OSDs of this node and the room on them: who serves, how full, on which drive, and what still fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from legalcloud.node import drives
from legalcloud.node.capacity import NodeCapacity, gib, of_node
from legalcloud.node.osd_sockets import device_number
from legalcloud.node.osds import Fullness, Osd, Ratios, State, osds
from legalcloud.node.subject import Level, Line, Metric, Sample, Subject, World, gauge

RATIOS = Ratios()
"""A node does not see the cluster's own; the nodes that watch the cluster do (`cluster_watch.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """All of it."""

    osds: tuple[Osd, ...]
    capacity: NodeCapacity
    without_osd: tuple[str, ...]
    """Serials of the register's drives for OSDs that are present and carry none."""


def read(world: World) -> Storage:
    fleet = drives.look(world)
    serials = {device_number(Path(device)): serial for serial, device in fleet.present.items()}
    found = osds(world.ask("osds").good("the helper's osds"), serials)
    carrying = {serial for osd in found for serial in osd.drives.data}
    wanted = [drive.serial for drive in world.settings.drives]
    plan = world.settings.plan
    return Storage(
        osds=found,
        capacity=of_node(found, data_share=plan.data_share if plan else None, ratios=RATIOS),
        without_osd=tuple(serial for serial in wanted if serial in fleet.present and serial not in carrying),
    )


def _each(value: Callable[[Osd], float | None]) -> Callable[[Storage], Iterator[Sample]]:
    return lambda facts: (((str(osd.number),), value(osd)) for osd in facts.osds)


def _used_ratio(osd: Osd) -> float | None:
    return None if osd.used_bytes is None or osd.total_bytes is None else osd.used_bytes / osd.total_bytes


def _active(facts: Storage) -> Iterator[Sample]:
    for osd in facts.osds:
        labels = (str(osd.number), ",".join(osd.drives.data), ",".join(osd.drives.db or ()))
        yield labels, None if osd.state is None else osd.state is State.ACTIVE


def _slow(facts: Storage) -> int | None:
    known = [osd.slow_operations for osd in facts.osds if osd.slow_operations is not None]
    return sum(known) if known else None


METRICS: tuple[Metric[Storage], ...] = (
    Metric(
        name="legalcloud_osd_active",
        help="Whether the OSD serves, and which drives it lies on (its database's, if that has its own); no series if "
        "it did not say.",
        labels=("osd", "serial", "db_serial"),
        samples=_active,
    ),
    Metric(
        name="legalcloud_osd_used_ratio",
        unit="ratio",
        help="Used part of the OSD; at 0.95 the whole cluster refuses to write.",
        labels=("osd",),
        samples=_each(_used_ratio),
    ),
    gauge(
        "legalcloud_osds_slow_operations",
        "Operations that wait for longer than 30 s, on all OSDs of the node that said so.",
        _slow,
    ),
    gauge(
        "legalcloud_osds_unknown",
        "OSDs that are stopped, or did not say how full they are.",
        lambda facts: facts.capacity.osds_unknown,
    ),
    gauge(
        "legalcloud_drives_without_osd",
        "Drives of the register for OSDs that are present and carry none.",
        lambda facts: len(facts.without_osd),
    ),
    gauge(
        "legalcloud_node_raw_bytes",
        "Size of all OSDs that are known, parity included.",
        lambda facts: facts.capacity.raw_bytes,
        unit="bytes",
    ),
    gauge(
        "legalcloud_node_used_bytes",
        "Used of it.",
        lambda facts: facts.capacity.used_bytes,
        unit="bytes",
    ),
    gauge(
        "legalcloud_node_tenant_free_bytes",
        "What tenants can store until this node's fullest OSD is near full, if all have as much room in proportion.",
        lambda facts: facts.capacity.tenant_bytes,
        unit="bytes",
    ),
)


def lines(facts: Storage) -> Iterator[Line]:
    for serial in facts.without_osd:
        yield Line(
            level=Level.FINDING,
            words=f"drive {serial} is there and carries no OSD",
            remedy="Run playbooks/site.yml --tags ceph_osd.",
        )
    for osd in facts.osds:
        yield from _osd_lines(osd)
    room = facts.capacity
    if room.osds and room.fullest_share is not None:
        words = f"{gib(room.used_bytes)} of {gib(room.raw_bytes)} used, fullest is osd.{room.fullest_osd}"
        words += f" with {room.fullest_share:.0%}"
        if room.tenant_bytes is not None:
            words += f"; near full when tenants store {gib(room.tenant_bytes)} more on it"
        yield Line(level=Level.GOOD, words=words)


def _osd_lines(osd: Osd) -> Iterator[Line]:
    name = f"osd.{osd.number}"
    remedy = f"`systemctl status ceph-osd@{osd.number}`; `journalctl --unit=ceph-osd@{osd.number}`."
    if osd.problem is not None:
        yield Line(level=Level.UNKNOWN, words=f"{name} could not be asked whole: {osd.problem}", remedy=remedy)
    if osd.state not in (State.ACTIVE, None):
        yield Line(level=Level.FINDING, words=f"{name} is {osd.state}, and shall be active", remedy=remedy)
    fullness = osd.fullness(RATIOS)
    if fullness not in (Fullness.ROOMY, None):
        yield Line(
            level=Level.FINDING,
            words=f"{name} is {fullness}",
            remedy="`ceph osd df tree`; add drives, or delete what is no longer needed.",
        )
    if osd.slow_operations:
        yield Line(
            level=Level.FINDING,
            words=f"{osd.slow_operations} operations of {name} have waited for longer than 30 s",
            remedy=f"`ceph daemon {name} dump_blocked_ops`; look at its drive.",
        )


SUBJECT = Subject(name="osds", every_seconds=30, deadline_seconds=25, read=read, metrics=METRICS, lines=lines)
