#!/usr/bin/python
"""Ansible module: the OSDs of one node, a drive each."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_osd
short_description: Make an OSD on each registered drive of a node
description:
  - Finds each drive by its serial. A drive that holds an OSD of this cluster is left as it is; an empty one becomes an
    OSD; one with anything else on it is refused, unless the operator names its serial in I(overwrite).
  - An OSD that an interrupted run left half made is made anew; a mark on the node says which.
options:
  fsid: {description: Identity of the cluster., type: str, required: true}
  serials: {description: Serials of the drives., type: list, elements: str, required: true}
  method:
    description: C(raw) puts BlueStore on the drive itself; C(lvm) on a logical volume, encrypted by dm-crypt.
    type: str
    choices: [raw, lvm]
    required: true
  overwrite:
    description: Serials of drives whose contents the operator gives up.
    type: list
    elements: str
    default: []
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Make the OSDs
  ceph_osd:
    fsid: "{{ ceph_fsid }}"
    serials: [LAB-tko-1-1, LAB-tko-1-2]
    method: raw
"""

RETURN = r"""
osds:
  description: Number of the OSD by the serial of its drive.
  type: dict
  returned: always
units:
  description: Names of the OSDs' systemd units.
  type: list
  returned: always
"""

import fcntl
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.drive_contents import begun, look, volumes
from ansible.module_utils.drive_serials import DriveSerialError, resolve, sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What lies on one drive."""

    device: str
    signatures: tuple[str, ...]
    fsid: str | None
    """Identity of the cluster whose OSD lies there; None if there is none, or it cannot be read."""
    osd: str | None
    finished: bool | None
    """Whether the OSD was made to its end; None on a logical volume, whose tags do not say."""


def seen(contents: Mapping[str, Any], lvm: Sequence[Mapping[str, str | None]]) -> Seen:
    """Join what a drive's first bytes and the tags of its volumes say."""
    device = contents["device"]
    label = contents["bluestore"] or {}
    volume = next((v for v in lvm if v["device"] == device and v["ceph_fsid"]), {})
    return Seen(
        device=device,
        signatures=tuple(contents["signatures"]) or (("bluestore",) if contents["bluestore"] else ()),
        fsid=label.get("ceph_fsid") or volume.get("ceph_fsid"),
        osd=label.get("whoami") or volume.get("whoami"),
        finished=None if volume else label.get("ready") == "ready",
    )


LOCK = "/run/lock/legalcloud-osd"
CEPH_SIGNATURES = {"bluestore", "ceph_bluestore", "LVM2_member"}


def decide(
    drives: Mapping[str, Seen | None], fsid: str, overwrite: Collection[str], unfinished: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """Return the serials to prepare and, in words, the drives that forbid to go on.

    `unfinished` are drives that were empty when an interrupted run began to make an OSD on them.
    """
    prepare, refused = [], []
    for serial, drive in sorted(drives.items()):
        if drive is None:
            refused.append(f"{serial}: no drive of this node has this serial; look at `lsblk -o NAME,SERIAL`")
        elif serial in unfinished and drive.finished is None and serial not in overwrite:
            refused.append(
                f"{serial} ({drive.device}): an interrupted run began an OSD there; whether it ended cannot be told. "
                f"If `ceph osd tree` shows osd.{drive.osd} up, remove {begun(serial)}; if not, name the serial: "
                f'-e \'{{"ceph_osd_overwrite": ["{serial}"]}}\''
            )
        elif serial in unfinished and not drive.finished and set(drive.signatures) <= CEPH_SIGNATURES:
            prepare.append(serial)
        elif drive.fsid == fsid and drive.osd is not None and not (serial in unfinished and serial in overwrite):
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


class Node:
    """The drives of this node."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.lvm = module.params["method"] == "lvm"

    def run(self, argv: Sequence[str]) -> str:
        code, out, err = self.module.run_command(list(argv))
        if code != 0:
            last = "\n".join(err.strip().splitlines()[-5:])
            self.module.fail_json(msg=f"`{' '.join(argv)}` ended with {code}: {last}")
        return str(out)

    def drives(self) -> dict[str, Seen | None]:
        try:
            devices = resolve(*sources(self.run))
            tags = volumes(self.run) if self.lvm else []
            found = {}
            for serial in self.module.params["serials"]:
                device = devices.get(serial)
                found[serial] = seen(look(device, self.run), tags) if device else None
        except (DriveSerialError, OSError) as error:
            self.module.fail_json(msg=f"drives: {error}")
        return found

    def prepare(self, serial: str, drive: Seen) -> None:
        """Make the OSD and do not start it: while the mark stands, the drive has never served anything."""
        mark = begun(serial)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        os.sync()
        if drive.signatures:
            self.run(["ceph-volume", "lvm", "zap", "--destroy", drive.device] if self.lvm
                     else ["wipefs", "--all", drive.device])  # fmt: skip
        if self.lvm:
            self.run(["ceph-volume", "lvm", "prepare", "--bluestore", "--dmcrypt", "--data", drive.device])
        else:
            self.run(["ceph-volume", "raw", "prepare", "--bluestore", "--data", drive.device])
        mark.unlink()
        os.sync()

    def activate(self, osds: Collection[str]) -> bool:
        """Let ceph-volume open OSDs on logical volumes whose folders are empty, and enable its units for the next boot.

        OSDs on raw drives have a unit of ours. Returns whether anything was done.
        """
        asleep = [osd for osd in osds if not Path(f"/var/lib/ceph/osd/ceph-{osd}/type").exists()]
        if not (self.lvm and asleep):
            return False
        if not self.module.check_mode:
            self.run(["ceph-volume", "lvm", "activate", "--all"])
        return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "fsid": {"type": "str", "required": True},
            "serials": {"type": "list", "elements": "str", "required": True},
            "method": {"type": "str", "choices": ["raw", "lvm"], "required": True},
            "overwrite": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    lock = Path(LOCK).open("w")  # noqa: SIM115 -- held until this process ends
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        module.fail_json(
            msg="Another run is making OSDs on this node just now. Wait until it has ended, and run this again."
        )
    node = Node(module)
    drives = node.drives()
    unfinished = [serial for serial in drives if begun(serial).exists()]
    prepare, refused = decide(drives, module.params["fsid"], module.params["overwrite"], unfinished)
    if refused:
        module.fail_json(msg=f"Nothing was written to any drive. {'; '.join(refused)}")
    if prepare and not module.check_mode:
        for serial in prepare:
            drive = drives[serial]
            if drive is not None:
                node.prepare(serial, drive)
        drives = node.drives()
    for serial, drive in drives.items():
        if drive is not None and drive.finished and drive.fsid == module.params["fsid"] and not module.check_mode:
            begun(serial).unlink(missing_ok=True)
    osds = {serial: drive.osd for serial, drive in drives.items() if drive and drive.osd}
    activated = node.activate(osds.values())
    module.exit_json(
        changed=bool(prepare) or activated,
        osds=osds,
        units=[f"ceph-osd@{osd}.service" for osd in osds.values()],
        diff={"before": "", "after": "".join(f"OSD on {serial}\n" for serial in prepare)},
    )


if __name__ == "__main__":
    main()
