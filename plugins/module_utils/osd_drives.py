"""What lies on the drives of a node, and which of them shall become OSDs: facts and a decision, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.drive_contents import LUKS_OURS

HALF_MADE = {"bluestore", "ceph_bluestore", LUKS_OURS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What lies on one drive."""

    device: str
    signatures: tuple[str, ...]
    fsid: str | None
    """Identity of the cluster whose OSD lies there; None if there is none, or it cannot be read."""
    osd: str | None
    finished: bool
    """Whether the OSD was made to its end."""
    locked: bool = False
    """Whether it is below a lock of ours that is closed: then only the cluster is known."""


def seen(contents: Mapping[str, Any], inside: Mapping[str, Any] | None) -> Seen:
    """Join what the first bytes of a drive say and, if it is encrypted and open, those of what is inside."""
    lock = contents["luks"]
    label = (inside or {}).get("bluestore") or contents["bluestore"] or {}
    signatures = contents["signatures"] or (["bluestore"] if contents["bluestore"] else [])
    return Seen(
        device=contents["device"],
        signatures=tuple(LUKS_OURS if lock and found == "crypto_LUKS" else found for found in signatures),
        fsid=label.get("ceph_fsid") or (lock or {}).get("ceph_fsid"),
        osd=label.get("whoami"),
        finished=label.get("ready") == "ready",
        locked=bool(lock and lock["keys"] and inside is None),
    )


def decide(
    drives: Mapping[str, Seen | None],
    fsid: str,
    overwrite: Collection[str],
    unfinished: Collection[str] = (),
    written_off: Collection[str] = (),
) -> tuple[list[str], list[str]]:
    """Return the serials to prepare and, in words, the drives that forbid to go on.

    `unfinished` are drives that were empty when an interrupted run began to make an OSD on them; a lock that names a
    key is opened before anybody says what is below it. Those `written_off` may be missing.
    """
    prepare, refused = [], []
    for serial, drive in sorted(drives.items()):
        if drive is None and serial in written_off:
            continue
        if drive is None:
            refused.append(
                f"{serial}: no drive of this node has this serial; look at `lsblk -o NAME,SERIAL`. A waiver of "
                "preflight for a dead one counts only in a run that judges (with --tags, name preflight too)"
            )
        elif serial in unfinished and not (drive.finished or drive.locked) and set(drive.signatures) <= HALF_MADE:
            prepare.append(serial)
        elif drive.fsid == fsid and (drive.osd is not None or (drive.locked and serial not in overwrite)):
            continue
        elif drive.signatures and serial not in overwrite:
            whose = f" of cluster {drive.fsid}" if drive.fsid else ""
            refused.append(
                f"{serial} ({drive.device}) holds {', '.join(drive.signatures)}{whose}; if that may be lost, name the "
                f'serial: -e \'{{"ceph_osd_overwrite": ["{serial}"]}}\''
            )
        else:
            prepare.append(serial)
    return prepare, refused
