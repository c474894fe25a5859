"""What one node said about itself, as facts; None is always "could not be learnt"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Room of one file system."""

    size_bytes: int
    free_bytes: int
    """For users other than root (`f_bavail`), which is what a Ceph monitor watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package as `apt-cache policy` shows it."""

    installed: str | None
    """None if it is known that it is not installed."""
    candidate: str | None
    """None if no package source offers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The machine and its operating system."""

    os_id: str | None
    os_codename: str | None
    """`VERSION_CODENAME`; Debian testing has no `VERSION_ID`."""
    machine: str
    python: tuple[int, ...]
    systemd: int | None
    machine_id: str | None
    hostname: str
    time_zone: str | None
    memory_bytes: int | None
    cores: int
    """Cores that this node may run on."""
    entropy_bits: int | None
    swaps: tuple[str, ...] | None
    """Devices and files of /proc/swaps."""
    var_lib: Space
    packages: Mapping[str, Package] | None
    """By name: ceph-mon and ceph-osd."""
    cluster_fsid: str | None
    """From /etc/ceph/ceph.conf; None until the node was provisioned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAnswer:
    """One configured time server as asked by this node."""

    addresses: tuple[str, ...]
    offset_seconds: float | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The node's clock."""

    answers: Mapping[str, TimeAnswer]
    """By configured source."""
    chrony_problem: str | None
    """Why chrony gave no answer; None if it did."""
    synchronised: bool
    """`Leap status` of `chronyc tracking` is not "Not synchronised"."""
    offset_seconds: float | None
    """`System time` of `chronyc tracking`."""
    sources: tuple[str, ...]
    """Addresses that chrony follows, without reference clocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One network interface."""

    name: str
    mtu_bytes: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """How a peer answered; neither packet may be fragmented."""

    small: bool
    full: bool
    """A packet as large as the MTU of the interface that carries the node's address."""
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One listening TCP port."""

    port: int
    process: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The network as this node sees it."""

    interfaces: tuple[Interface, ...]
    forward: Mapping[str, tuple[str, ...] | None]
    """Addresses by node name; None if the name has none."""
    reverse: Mapping[str, str | None]
    """Name that the address of each node leads to."""
    echoes: Mapping[str, Echo] | None
    listeners: tuple[Listener, ...]

    def interface_of(self, address: str) -> Interface | None:
        return next((seen for seen in self.interfaces if address in seen.addresses), None)


OUR_LOCK = "legalcloud-osd"
"""Stands among a drive's signatures for LUKS that this project put there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OsdMark:
    """Whose OSD lies on a drive: from BlueStore's label, the lock of an encrypted drive, or the tags of LVM volumes."""

    cluster_fsid: str | None
    osd: str | None
    """None if it cannot be read, as behind a lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveSeen:
    """One registered drive as found on its node."""

    serial: str
    device: str | None
    """None if no device, or more than one, carries the serial."""
    claimed_by: tuple[str, ...]
    size_bytes: int | None
    signatures: tuple[str, ...] | None
    """Types that `wipefs` finds: file systems, partition tables, LVM, BlueStore."""
    marks: tuple[OsdMark, ...]
    mounts: tuple[str, ...]
    """Where it, or anything on it, is mounted; "[SWAP]" for swap."""
    begun: bool
    """Whether site.yml began to make an OSD on it while it was empty, and was interrupted."""
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the cluster has one host."""

    path: tuple[str, ...]
    """From the root: "root=hk", "datacenter=tko", "rack=tko-r1"."""
    osds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """Everything that one node said."""

    node: str
    system: System
    clock: Clock
    network: Network
    drives: Mapping[str, DriveSeen] | None
    """By serial."""
    drives_problem: str | None
    system_disks: frozenset[str]
    """Disks below "/" and /boot; empty where the root is no block device."""
    crush: Mapping[str, Place] | None
    """By host; None but on a monitor that the cluster answers."""

    @property
    def provisioned(self) -> bool:
        """Whether site.yml has been here: what it brings may be missing before, and must not be after."""
        return self.system.cluster_fsid is not None
