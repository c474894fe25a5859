#!/usr/bin/python
"""Ansible module: the OSDs of one node, a drive each."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_osd
short_description: Make an OSD on each registered drive of a node
description:
  - Finds each drive by its serial. A drive that holds an OSD of this cluster is left as it is; an empty one becomes an
    OSD; one with anything else on it is refused, unless the operator names its serial in I(overwrite).
  - A drive of this cluster that is locked is opened first, by the program that opens drives at boot.
  - An OSD that an interrupted run left half made is made anew; a mark on the node says which.
options:
  fsid: {description: Identity of the cluster., type: str, required: true}
  serials: {description: Serials of the drives., type: list, elements: str, required: true}
  method:
    description: C(raw) puts BlueStore on the drive itself; C(luks) encrypts it, with a key that OpenBao keeps.
    type: str
    choices: [raw, luks]
    required: true
  overwrite:
    description: Serials of drives whose contents the operator gives up.
    type: list
    elements: str
    default: []
  written_off:
    description: Serials of drives that may be missing; a warning names each that is.
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run
from ansible.module_utils.drive_contents import begun, look
from ansible.module_utils.drive_keys import DriveKeyError, Settings, logged_in, mapper, pipe_into, seal, unlock
from ansible.module_utils.drive_serials import DriveSerialError, resolve, sources
from ansible.module_utils.openbao import OpenBaoError
from ansible.module_utils.osd_drives import Seen, decide, seen

LOCK = "/run/lock/legalcloud-osd"
ACTIVATE = "/usr/local/libexec/legalcloud/activate-osds"


class Node:
    """The drives of this node."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.encrypted = module.params["method"] == "luks"

    def run(self, argv: Sequence[str]) -> str:
        code, out, err = run(argv)
        if code != 0:
            last = "\n".join(err.strip().splitlines()[-5:])
            self.module.fail_json(msg=f"`{' '.join(argv)}` ended with {code}: {last}")
        return str(out)

    def look(self) -> dict[str, Mapping[str, Any] | None]:
        try:
            devices = resolve(*sources(self.run))
            return {
                serial: look(devices[serial], self.run) if serial in devices else None
                for serial in self.module.params["serials"]
            }
        except (DriveSerialError, OSError) as error:
            self.module.fail_json(msg=f"drives: {error}")

    def drives(self) -> dict[str, Seen | None]:
        found: dict[str, Seen | None] = {}
        for serial, contents in self.look().items():
            opened = mapper(serial)
            inside = look(str(opened), self.run) if contents and contents["luks"] and opened.exists() else None
            found[serial] = seen(contents, inside) if contents else None
        return found

    def open(self) -> bool:
        """Open what is locked and wake what sleeps. Returns whether there was anything to do.

        A drive that does not wake ends the run, unless the operator gave it up.
        """
        asleep = self.asleep()
        if not asleep or self.module.check_mode:
            return bool(asleep)
        _, _, err = run([ACTIVATE])
        left = sorted(self.asleep() - set(self.module.params["overwrite"]))
        if left:
            self.module.fail_json(
                msg=f"Nothing was written to any drive. Not open or not awake: {', '.join(left)}. {err.strip()}"
            )
        return True

    def asleep(self) -> set[str]:
        """Name the drives of this cluster that are locked, or whose OSD has no folder."""
        return {
            serial
            for serial, drive in self.drives().items()
            if drive
            and drive.fsid == self.module.params["fsid"]
            and (drive.locked or (drive.finished and not awake(drive)))
        }

    def prepare(self, serial: str, drive: Seen) -> None:
        """Make the OSD and do not start it: while the mark stands, the drive has never served anything."""
        mark = begun(serial)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        os.sync()
        opened = mapper(serial)
        if opened.exists():
            self.run(["cryptsetup", "close", opened.name])
        if drive.signatures:
            self.run(["wipefs", "--all", drive.device])
        if self.encrypted:
            self.seal(serial, drive.device)
        self.run(["ceph-volume", "raw", "prepare", "--bluestore", "--data",
                  str(opened) if self.encrypted else drive.device])  # fmt: skip
        mark.unlink()
        os.sync()

    def seal(self, serial: str, device: str) -> None:
        """Encrypt an empty drive and open it, by the way that a boot will take."""
        try:
            with logged_in(Settings.read()) as keys:
                seal(serial, device, self.module.params["fsid"], keys, pipe_into)
                header = look(device, self.run)["luks"]
                unlock(serial, device, header["keys"], keys, pipe_into)
        except (DriveKeyError, OpenBaoError, OSError) as error:
            self.module.fail_json(
                msg=f"{serial}: {error} Is OpenBao unsealed, and was the key ceremony held "
                "(playbooks/key_ceremony.yml)? Then run this again: the drive is made anew."
            )


def awake(drive: Seen) -> bool:
    return Path(f"/var/lib/ceph/osd/ceph-{drive.osd}/type").exists()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "fsid": {"type": "str", "required": True},
            "serials": {"type": "list", "elements": "str", "required": True},
            "method": {"type": "str", "choices": ["raw", "luks"], "required": True},
            "overwrite": {"type": "list", "elements": "str", "default": []},
            "written_off": {"type": "list", "elements": "str", "default": []},
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
    opened = node.open()
    drives = node.drives()
    unfinished = [serial for serial in drives if begun(serial).exists()]
    written_off = module.params["written_off"]
    prepare, refused = decide(drives, module.params["fsid"], module.params["overwrite"], unfinished, written_off)
    if refused:
        module.fail_json(msg=f"Nothing was written to any drive. {'; '.join(refused)}")
    for serial in sorted(serial for serial, drive in drives.items() if drive is None):
        module.warn(
            f"{serial}: no drive of this node has this serial; a waiver of preflight lets the run go on without it"
        )
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
    module.exit_json(
        changed=bool(prepare) or opened,
        osds=osds,
        units=[f"ceph-osd@{osd}.service" for osd in osds.values()],
        diff={"before": "", "after": "".join(f"OSD on {serial}\n" for serial in prepare)},
    )


if __name__ == "__main__":
    main()
