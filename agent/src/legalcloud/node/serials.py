"""Which device carries which serial, and how the register's drives stand against what is there.

The same answer as plugins/module_utils/drive_serials.py gives to Ansible's modules, which a test compares; that file
goes to nodes by itself and cannot import this package.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from legalcloud.errors import ParseError
from legalcloud.tree import Tree
from legalcloud.tree import parse as parse_json

LSBLK = ("lsblk", "--json", "--bytes", "--output", "PATH,TYPE,SIZE,SERIAL,MODEL,MOUNTPOINTS")
LAB_FILE = Path("etc/legalcloud/lab-drives.json")
"""A loop device has no serial, so a lab's node names its drives here. Production never has this file."""
BY_ID = Path("dev/disk/by-id")
_PARTITION = re.compile(r"-part\d+$")
_NVME_NAMESPACE = re.compile(r"_\d{1,3}$")
_DRIVE = re.compile(r"/dev/(sd[a-z]+|vd[a-z]+|nvme\d+n\d+)")
"""Not zram, nbd and the like, which are disks to lsblk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A whole disk that lsblk lists."""

    path: str
    size_bytes: int
    serial: str | None
    model: str | None
    used: bool
    """Whether it, or anything on it, is mounted or swap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The register's drives against those that are there; no serial stands in two of these."""

    present: Mapping[str, str]
    """Device by serial."""
    absent: tuple[str, ...]
    """Serials of the register that no device carries."""
    ambiguous: Mapping[str, tuple[str, ...]]
    """Serials that several devices claim: which one is it?"""
    unexpected: tuple[Disk, ...]
    """Disks that the register does not know and that nothing is mounted from."""


def disks(raw: bytes) -> tuple[Disk, ...]:
    """Parse `lsblk --json --bytes` with the columns of LSBLK (util-linux 2.38 to 2.42). Raises: ParseError."""
    listed = parse_json(raw, "`lsblk`")["blockdevices"].elements()
    return tuple(_disk(block) for block in listed if block["type"].text() == "disk")


def _disk(block: Tree) -> Disk:
    return Disk(
        path=block["path"].word(),
        size_bytes=block["size"].count(),
        serial=block.maybe("serial", read=Tree.word),
        model=block.maybe("model", read=Tree.word),
        used=_used(block, depth=0),
    )


def _used(block: Tree, depth: int) -> bool:
    if depth > 20:  # noqa: PLR2004 -- partition, RAID, LVM, LUKS, LVM again: no machine stacks more
        raise ParseError("`lsblk` nests without end")
    mounted = any(place.text_or_none() for place in block["mountpoints"].elements())
    below = block.maybe("children", read=lambda found: tuple(found.elements())) or ()
    return mounted or any(_used(child, depth + 1) for child in below)


def lab_drives(raw: bytes) -> Mapping[str, str]:
    """Parse the lab's file: device path by serial. Raises: ParseError."""
    told = parse_json(raw, f"/{LAB_FILE}")
    return {Tree(serial, "a serial").word(): device.word() for serial, device in told.items()}


def candidates(seen: Iterable[Disk], lab: Mapping[str, str], links: Mapping[str, str]) -> Mapping[str, frozenset[str]]:
    """Name every device that claims a serial, by serial; `links` are the names in /dev/disk/by-id and their devices.

    A link's name does not say where its model ends and its serial begins, so each tail after a `_` may be a serial.
    """
    found: dict[str, set[str]] = {}
    for serial, device in _claims(seen, lab, links):
        found.setdefault(serial, set()).add(device)
    return {serial: frozenset(devices) for serial, devices in found.items()}


def _claims(seen: Iterable[Disk], lab: Mapping[str, str], links: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from lab.items()
    yield from ((disk.serial, disk.path) for disk in seen if disk.serial)
    for link, device in links.items():
        if _PARTITION.search(link):
            continue
        for name in {link, _NVME_NAMESPACE.sub("", link)}:
            rest = name.partition("-")[2]
            tails = (rest[place + 1 :] for place, letter in enumerate(rest) if letter == "_")
            yield from ((serial, device) for serial in (rest, *tails))


def reconcile(
    expected: Sequence[str],
    seen: Sequence[Disk],
    lab: Mapping[str, str],
    links: Mapping[str, str],
    *,
    alive: Callable[[str], bool] = lambda _device: True,
) -> Fleet:
    """Compare the register's serials with what is there; `alive` tells whether a device can be read at all."""
    claims = candidates(seen, lab, links)
    by_serial = {serial: sorted(filter(alive, claims.get(serial, ()))) for serial in expected}
    taken = {device for devices in by_serial.values() for device in devices}
    return Fleet(
        present={serial: devices[0] for serial, devices in by_serial.items() if len(devices) == 1},
        absent=tuple(sorted(serial for serial, devices in by_serial.items() if not devices)),
        ambiguous={serial: tuple(devices) for serial, devices in by_serial.items() if len(devices) > 1},
        unexpected=tuple(
            disk
            for disk in seen
            if disk.size_bytes and not disk.used and disk.path not in taken and _DRIVE.fullmatch(disk.path)
        ),
    )


def links(root: Path) -> Mapping[str, str]:
    """Read /dev/disk/by-id; empty where udev does not run."""
    try:
        return {link.name: str(link.resolve()) for link in sorted((root / BY_ID).iterdir())}
    except OSError:
        return {}


def alive(device: str, *, root: Path = Path("/")) -> bool:
    """Tell whether the kernel still has something behind a device's name: a drive that was pulled has no size."""
    try:
        state = Path(device).stat()
        place = f"{os.major(state.st_rdev)}:{os.minor(state.st_rdev)}"
        return stat.S_ISBLK(state.st_mode) and int((root / "sys/dev/block" / place / "size").read_bytes()) > 0
    except (OSError, ValueError):
        return False
