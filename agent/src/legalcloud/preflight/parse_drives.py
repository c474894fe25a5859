"""Drives in what module `preflight_facts` returned: `lsblk`, `wipefs`, BlueStore labels, LVM tags."""

from __future__ import annotations

from collections.abc import Iterator

from legalcloud.preflight.facts import OUR_LOCK, DriveSeen, OsdMark
from legalcloud.tree import Tree

_SYSTEM_MOUNTS = ("/", "/boot", "/boot/efi", "/usr", "/var")


def drives(tree: Tree, mounts: str | None) -> dict[str, DriveSeen]:
    return {serial: _drive(serial, seen, tree, mounts or "") for serial, seen in tree["seen"].items()}


def _drive(serial: str, seen: Tree, tree: Tree, mounts: str) -> DriveSeen:
    device = seen["device"].text_or_none()
    problem = seen.problem()
    if device is None or problem:
        return DriveSeen(
            serial=serial,
            device=device,
            claimed_by=() if device else seen["claimed_by"].texts(),
            size_bytes=None,
            signatures=None,
            marks=(),
            mounts=(),
            begun=False,
            problem=problem,
        )
    below = {device, *_paths_below(device, tree["lsblk"])}
    return DriveSeen(
        serial=serial,
        device=device,
        claimed_by=(device,),
        size_bytes=seen["size_bytes"].integer(),
        signatures=_signatures(seen),
        marks=(*_label(seen["bluestore"]), *_lock(seen["luks"]), *_volumes(below, tree["volumes"])),
        mounts=tuple(sorted({*_mounts_of(below, mounts), *_mountpoints_below(device, tree["lsblk"])})),
        begun=seen["begun"].flag(),
        problem=None,
    )


def _signatures(seen: Tree) -> tuple[str, ...]:
    """Give an encrypted drive of ours a name of its own: the lock of a stranger is somebody's data."""
    ours = seen["luks"].value is not None
    return tuple(OUR_LOCK if ours and found == "crypto_LUKS" else found for found in seen["signatures"].texts())


def _lock(lock: Tree) -> tuple[OsdMark, ...]:
    if lock.value is None:
        return ()
    return (OsdMark(cluster_fsid=lock["ceph_fsid"].text_or_none(), osd=None),)


def _label(label: Tree) -> tuple[OsdMark, ...]:
    if label.value is None:
        return ()
    return (OsdMark(cluster_fsid=label["ceph_fsid"].text_or_none(), osd=label["whoami"].text_or_none()),)


def _volumes(devices: set[str], volumes: Tree) -> Iterator[OsdMark]:
    if volumes.problem():
        return
    for volume in volumes.elements():
        if volume["device"].text() in devices:
            yield OsdMark(cluster_fsid=volume["ceph_fsid"].text_or_none(), osd=volume["whoami"].text_or_none())


def _mounts_of(devices: set[str], mounts: str) -> Iterator[str]:
    """/proc/self/mounts (proc_pid_mounts(5)): a lab's drive is a bind that lsblk does not list."""
    for line in mounts.splitlines():
        source, _space, rest = line.partition(" ")
        place = rest.partition(" ")[0]
        if source in devices and not place.startswith("/dev/"):
            yield place


def system_disks(lsblk: Tree) -> frozenset[str]:
    """Disks with a system mount on them or on anything below them."""
    return frozenset(
        block["path"].text()
        for block in lsblk["blockdevices"].elements()
        if set(_mountpoints(block)) & set(_SYSTEM_MOUNTS)
    )


def _paths_below(device: str, lsblk: Tree) -> Iterator[str]:
    for block in _walk(lsblk["blockdevices"]):
        if block["path"].text() == device:
            yield from (below["path"].text() for below in _descend(block))


def _mountpoints_below(device: str, lsblk: Tree) -> Iterator[str]:
    for block in _walk(lsblk["blockdevices"]):
        if block["path"].text() == device:
            yield from _mountpoints(block)


def _mountpoints(block: Tree) -> Iterator[str]:
    for each in _descend(block):
        for mountpoint in each["mountpoints"].elements():
            if place := mountpoint.text_or_none():
                yield place


def _descend(block: Tree) -> Iterator[Tree]:
    yield block
    if isinstance(block.value, dict) and "children" in block.value:
        yield from _walk(block["children"])


def _walk(blocks: Tree) -> Iterator[Tree]:
    for block in blocks.elements():
        yield from _descend(block)
