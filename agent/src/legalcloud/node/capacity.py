"""What still fits, on one node by its own OSDs and in the whole cluster: the fullest OSD decides, not the mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from legalcloud.node.osds import Osd, Ratios

_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCapacity:
    """What a node can know alone: its own OSDs.

    The share of each object that this node is given, other nodes' room and the reserve for the loss of a node
    depend on the whole cluster: see `ClusterCapacity`.
    """

    osds: int
    osds_unknown: int
    """Stopped, or silent on how full they are; nothing below counts on them."""
    raw_bytes: int
    """Of the OSDs that are known."""
    used_bytes: int
    """Likewise."""
    fullest_osd: int | None
    """Its number; None if no OSD is known."""
    fullest_share: float | None
    """Used part of that OSD, 0 to 1; None likewise."""
    tenant_bytes: int | None
    """What tenants can store until an OSD of this node is near full, if all nodes have as much room in proportion;
    None while any OSD is unknown, for it may be the fullest, and on a node that was told no plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterCapacity:
    """What only the cluster knows."""

    raw_bytes: int
    """Of the OSDs that are in."""
    used_bytes: int
    """Of them, with parity."""
    osds_down: int
    """OSDs that are in and do not answer."""
    fullest_osd: int
    """Its number."""
    fullest_share: float
    """Used part of that OSD, 0 to 1."""
    until_full_bytes: int
    """What tenants can store until the first OSD is full and the cluster refuses to write."""
    advised_bytes: int
    """... until the first OSD is near full, or a lost node would not fit on the others any more, whichever is first."""
    reserve_bytes: int
    """What it costs to keep room for the node whose loss would be worst; 0 if no site heals by itself."""
    limited_by: str
    """The OSD that `advised_bytes` meets first, as `osd.3`, and after which loss: `osd.3 without cwn-1`."""


def of_node(osds: Sequence[Osd], *, data_share: float | None, ratios: Ratios) -> NodeCapacity:
    """Assume that CRUSH weighs the OSDs of a node by their size, as Ceph does when it makes them.

    `data_share` is the part of raw bytes that is not parity, k / (k + m).
    """
    known = [
        (osd.used_bytes / osd.total_bytes, osd.number, osd.used_bytes, osd.total_bytes)
        for osd in osds
        if osd.used_bytes is not None and osd.total_bytes is not None
    ]
    fullest = max(known, default=None)
    raw_bytes = sum(total for _share, _number, _used, total in known)
    room = None
    if fullest and len(known) == len(osds) and data_share is not None:
        room = int(max(ratios.near_full - fullest[0], 0.0) * raw_bytes * data_share)
    return NodeCapacity(
        osds=len(osds),
        osds_unknown=len(osds) - len(known),
        raw_bytes=raw_bytes,
        used_bytes=sum(used for _share, _number, used, _total in known),
        fullest_osd=fullest[1] if fullest else None,
        fullest_share=fullest[0] if fullest else None,
        tenant_bytes=room,
    )


def gib(count: int) -> str:
    """Write a number of bytes for a person."""
    return f"{count / _GIB:.1f} GiB"
