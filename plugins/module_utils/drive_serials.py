"""Which device carries which serial: the one answer that every module asks for.

Production reads serials from `lsblk` and from the links in /dev/disk/by-id. A loop device has no serial, so a
lab node names its drives in one root-owned file, which production never has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

LAB_FILE = "/etc/legalcloud/lab-drives.json"
BY_ID = "/dev/disk/by-id"
LSBLK = (
    "lsblk",
    "--json",
    "--bytes",
    "--output",
    "NAME,PATH,TYPE,SIZE,SERIAL,MODEL,FSTYPE,PTTYPE,MOUNTPOINTS,RO",
)

_PARTITION = re.compile(r"-part\d+$")
_NVME_NAMESPACE = re.compile(r"_\d{1,3}$")


class DriveSerialError(Exception):
    """A source of serials says something that we cannot read."""


def candidates(lsblk: Mapping[str, Any], lab: Mapping[str, str], by_id: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Every device that claims a serial, by serial.

    `lsblk` is the JSON of `LSBLK`, `lab` the lab file, `by_id` link name to device path. A link's name does
    not say where its model ends and its serial begins, so every tail after a separator may be a serial.
    """
    found: dict[str, set[str]] = {}
    for serial, device in _claims(lsblk, lab, by_id):
        found.setdefault(serial, set()).add(device)
    return {serial: frozenset(devices) for serial, devices in found.items()}


def resolve(lsblk: Mapping[str, Any], lab: Mapping[str, str], by_id: Mapping[str, str]) -> dict[str, str]:
    """Give serial to device path; one that two devices claim is left out: a guess could destroy data."""
    claimed = candidates(lsblk, lab, by_id)
    return {serial: next(iter(devices)) for serial, devices in claimed.items() if len(devices) == 1}


def _claims(lsblk: Mapping[str, Any], lab: Mapping[str, str], by_id: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from lab.items()
    for block in lsblk.get("blockdevices", []):
        serial = (block.get("serial") or "").strip()
        if serial and block.get("type") == "disk":
            yield serial, block["path"]
    for link, device in by_id.items():
        if _PARTITION.search(link):
            continue
        for name in {link, _NVME_NAMESPACE.sub("", link)}:
            _bus, _dash, rest = name.partition("-")
            yield rest, device
            for position, letter in enumerate(rest):
                if letter == "_":
                    yield rest[position + 1 :], device


def sources(
    run: Callable[[Sequence[str]], str], root: Path = Path("/")
) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """Read the three sources on this machine, ready for `resolve(*sources(run))`.

    `run` runs an argument list and gives its standard output, or raises.
    """
    try:
        lsblk: dict[str, Any] = json.loads(run(LSBLK))
    except ValueError as error:
        raise DriveSerialError(f"`{' '.join(LSBLK)}` did not print JSON: {error}") from error
    return lsblk, lab_drives(root), links(root)


def lab_drives(root: Path = Path("/")) -> dict[str, str]:
    path = root / LAB_FILE.lstrip("/")
    if not path.exists():
        return {}
    state = path.stat()
    if state.st_uid != 0 or state.st_mode & 0o022:
        raise DriveSerialError(
            f"{path} must belong to root and be writable by nobody else: it decides which drive is wiped"
        )
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise DriveSerialError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(device, str) for device in content.values()):
        raise DriveSerialError(f"{path} must be an object of serial to device path")
    return content


def links(root: Path = Path("/")) -> dict[str, str]:
    """Name of each link in /dev/disk/by-id and the device that it leads to; empty where udev does not run."""
    folder = root / BY_ID.lstrip("/")
    if not folder.is_dir():
        return {}
    return {link.name: str(link.resolve()) for link in sorted(folder.iterdir())}
