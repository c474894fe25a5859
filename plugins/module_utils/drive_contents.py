"""What lies on a drive: its size, its signatures and, if it belongs to Ceph, to which cluster.

BlueStore's label and the tags of LVM volumes also carry secrets (`osd_key`, `ceph.cephx_lockbox_secret`).
What is returned here is picked by name, so that they never leave the node.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

BEGUN = "var/lib/legalcloud/begun-osds"
LABEL_BYTES = 4096
LUKS_BYTES = 16384
"""Of one header of LUKS2 as cryptsetup makes it; a second one follows it at once."""
_MAGIC = b"bluestore block device\n"
_META_START = len(_MAGIC) + 37 + 6 + 16 + 8 + 8
"""`bluestore_bdev_label_t` of Ceph 20.2: uuid and newline, version header, uuid, size, birth time."""
_LABEL_KEYS = ("ceph_fsid", "whoami", "ready")
_LUKS_MAGIC = b"LUKS\xba\xbe\x00\x02"
_SECOND_MAGIC = b"SKUL\xba\xbe\x00\x02"
_LUKS_LABEL, _LUKS_SUBSYSTEM = slice(24, 72), slice(208, 256)
LUKS_OURS = "legalcloud-osd"
LUKS_TOKEN = "legalcloud"  # noqa: S105 -- of a LUKS token, which is no secret

LVS = ("lvs", "--reportformat", "json", "--options", "vg_name,lv_name,lv_tags,devices")


def look(device: str, run: Callable[[Sequence[str]], str]) -> dict[str, Any]:
    """Size, signatures and BlueStore label of one device; nothing is written. Needs root.

    `run` runs an argument list and gives its standard output, or raises OSError.
    """
    descriptor = os.open(device, os.O_RDONLY)
    try:
        size = os.lseek(descriptor, 0, os.SEEK_END)
        head = os.pread(descriptor, 2 * LUKS_BYTES, 0)
    finally:
        os.close(descriptor)
    signatures = json.loads(run(("wipefs", "--no-act", "--json", device)) or '{"signatures": []}')
    return {
        "device": device,
        "size_bytes": size,
        "signatures": sorted({found["type"] for found in signatures["signatures"]}),
        "bluestore": bluestore_label(head[:LABEL_BYTES]),
        "luks": luks_header(head),
    }


def luks_header(head: bytes) -> dict[str, Any] | None:
    """Which cluster's encrypted OSD the first bytes of a device name, and the keys that open it; None if not ours.

    The keys are names of what OpenBao keeps; there are none on a header that was left half made. Where the first header
    is damaged, the second one names them, as it does for cryptsetup.
    """
    if not head.startswith(_LUKS_MAGIC) or _text(head[_LUKS_SUBSYSTEM]) != LUKS_OURS:
        return None
    first, second = head[LABEL_BYTES:LUKS_BYTES], head[LUKS_BYTES:]
    keys = _tokens(first)
    if keys is None and second.startswith(_SECOND_MAGIC):
        keys = _tokens(second[LABEL_BYTES:])
    return {"ceph_fsid": _text(head[_LUKS_LABEL]), "keys": keys or []}


def _tokens(area: bytes) -> list[str] | None:
    """Names of our keys in the JSON of a header; None if it cannot be read."""
    try:
        return [token["key"] for token in json.loads(_text(area))["tokens"].values() if token["type"] == LUKS_TOKEN]
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("ascii", "replace")


def begun(serial: str, root: Path = Path("/")) -> Path:
    """Return the mark that stands on this node while an OSD is being made on an empty drive, and no longer.

    A drive with the mark holds half an OSD that never served anything: the run that made it was interrupted.
    """
    return root / BEGUN / quote(serial, safe="")


def bluestore_label(head: bytes) -> dict[str, str | None] | None:
    """Which OSD of which cluster the first bytes of a device name; None if they are not BlueStore's.

    A label that is damaged, or written by a newer format, gives None for what cannot be read from it.
    """
    if not head.startswith(_MAGIC):
        return None
    uuid = head[len(_MAGIC) : len(_MAGIC) + 36].decode("ascii", "replace")
    try:
        meta = _meta(head)
    except (struct.error, UnicodeDecodeError):
        meta = {}
    return {"osd_uuid": uuid, **{key: meta.get(key) for key in _LABEL_KEYS}}


def _meta(head: bytes) -> dict[str, str]:
    position = _META_START

    def number() -> int:
        nonlocal position
        (value,) = struct.unpack_from("<I", head, position)
        position += 4
        return int(value)

    def text() -> str:
        nonlocal position
        length = number()
        if position + length > len(head):
            raise struct.error("the label ends before its text")
        position += length
        return head[position - length : position].decode()

    text()  # what the device is for: "main", "bluefs db"
    found = {}
    for _ in range(number()):
        key, value = text(), text()
        if key in _LABEL_KEYS:
            found[key] = value
    return found


def volumes(run: Callable[[Sequence[str]], str]) -> list[dict[str, str | None]]:
    """Each LVM volume, the device that holds it and the cluster that its tags name; needs LVM's `lvs`."""
    report = json.loads(run(LVS))
    found: list[dict[str, str | None]] = []
    for volume in report["report"][0]["lv"]:
        tags = dict(tag.split("=", 1) for tag in volume["lv_tags"].split(",") if "=" in tag)
        found.extend(
            {
                "device": device.partition("(")[0],
                "volume": f"{volume['vg_name']}/{volume['lv_name']}",
                "ceph_fsid": tags.get("ceph.cluster_fsid"),
                "whoami": tags.get("ceph.osd_id"),
            }
            for device in volume["devices"].split(",")
            if device
        )
    return found
