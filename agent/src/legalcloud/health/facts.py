"""What the cluster said and what one object went through, as facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The OSDs of one site."""

    name: str
    osds_up: int
    osds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The cluster at one moment."""

    status: str
    """`health.status` of `ceph status`: HEALTH_OK, HEALTH_WARN or HEALTH_ERR."""
    checks: Mapping[str, str]
    """Summary of each health check that is raised, by its code."""
    mons: int
    mons_in_quorum: tuple[str, ...]
    gateways: tuple[str, ...]
    """Host names, from the service map."""
    placement_groups: Mapping[str, int]
    """Number of placement groups by state."""
    sites: tuple[Site, ...]
    raw_bytes: int
    raw_used_bytes: int
    stored_bytes: int
    """User bytes in the data pool, before erasure coding (`stored`)."""
    available_bytes: int
    """User bytes that still fit into the data pool, as the fullest OSD allows (`max_avail`)."""
    versions: tuple[str, ...]
    """Ceph versions that run; more than one while an upgrade is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTrip:
    """One object stored, read back and deleted through the S3 endpoint."""

    bucket: str
    size_bytes: int
    put_seconds: float
    get_seconds: float
    same: bool
    """Whether what came back is byte for byte what was sent."""
    lock_status: int
    """HTTP status of an upload with an Object Lock of the client's own; 403 if it is refused, as it shall be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is not well."""

    subject: str
    what: str
    remedy: str
