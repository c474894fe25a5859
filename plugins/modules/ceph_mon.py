#!/usr/bin/python
"""Ansible module: the store of a Ceph monitor."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_mon
short_description: Make the store of a Ceph monitor, once
description:
  - With I(state=keys), reads the keys of an existing monitor, or offers new ones where there is none, and changes
    nothing. The play passes the keys of any existing monitor on, and new ones only if no monitor has any, so that a
    monitor that is replaced joins the cluster instead of founding another. In check mode none are offered.
  - With I(state=present), makes the store and the administrator's keyring. The store is made in an unfinished folder
    of our own beside its place and renamed. That folder is all that is ever removed; whatever else is in the store's
    place without our mark is refused, for it may be the only copy of the keys of encrypted drives.
options:
  name: {description: Name of the monitor., type: str, required: true}
  fsid: {description: Identity of the cluster., type: str, required: true}
  members:
    description: Names and addresses of all monitors.
    type: dict
    default: {}
  mon_key: {description: Key of the monitors., type: str}
  admin_key: {description: Key of client.admin., type: str}
  state: {description: What to do., type: str, choices: [keys, present], default: present}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Make the store
  ceph_mon:
    name: tko-1
    fsid: "{{ ceph_fsid }}"
    members: {tko-1: 10.77.1.11, cwn-1: 10.77.2.11, sht-1: 10.77.3.11}
    mon_key: "{{ mon_key }}"
    admin_key: "{{ admin_key }}"
  no_log: true  # the keys
"""

RETURN = r"""
exists:
  description: Whether the monitor had a store.
  type: bool
  returned: always
mon_key:
  description: Key of the monitors, existing or offered.
  type: str
  returned: with state keys; null where none is offered
admin_key:
  description: Key of client.admin, existing or offered.
  type: str
  returned: with state keys; null where none is offered
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import need, run

STORE = Path("/var/lib/ceph/mon")
ADMIN_KEYRING = Path("/etc/ceph/ceph.client.admin.keyring")
KEY = re.compile(r"^\s*key\s*=\s*(\S+)\s*$", re.MULTILINE)


def keyring(entity: str, key: str, caps: dict[str, str]) -> str:
    lines = [f"[{entity}]", f"\tkey = {key}", *(f'\tcaps {who} = "{cap}"' for who, cap in caps.items())]
    return "\n".join(lines) + "\n"


def key_in(path: Path) -> str | None:
    """Return the first key of a keyring file; None if there is no such file."""
    found = KEY.search(path.read_text()) if path.exists() else None
    return found.group(1) if found else None


def write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text)


def store_stands(folder: Path) -> bool:
    """Tell whether a finished store is there; a missing or empty folder, as the package makes it, is none.

    Raises: ValueError if something else is there: a store that was restored or adopted, or half of one.
    """
    if (folder / "done").exists():
        return True
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(
            f"{folder} is not empty and has no file named done: these playbooks did not finish it. It may be a store "
            "that was restored, with the only keys of encrypted drives. Nothing was changed. If it is good, run: "
            f"sudo -u ceph touch {folder}/done. If it is not, move it away by hand and keep it."
        )
    return False


def settle(folder: Path, owner: str, group: str) -> None:
    """Give a tree to its owner and see it on the disk."""
    for name, _, files in os.walk(folder):
        for path in (Path(name), *(Path(name, file) for file in files)):
            shutil.chown(path, owner, group)
            flush(path)


def flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Mon:
    """One monitor on this node."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.name: str = module.params["name"]
        self.folder = STORE / f"ceph-{self.name}"
        self.unfinished = STORE / f".ceph-{self.name}.unfinished"
        try:
            self.exists = store_stands(self.folder)
        except ValueError as error:
            module.fail_json(msg=str(error))

    def keys(self) -> None:
        mon_key, admin_key = key_in(self.folder / "keyring"), key_in(ADMIN_KEYRING)
        if self.exists and not (mon_key and admin_key):
            self.module.fail_json(
                msg=f"{self.folder} has a store, but its keyring or {ADMIN_KEYRING} is gone. Restore the file from "
                "another monitor; docs/controller.md says how."
            )
        self.module.exit_json(
            changed=False,
            exists=self.exists,
            mon_key=mon_key if self.exists else self._offer(),
            admin_key=admin_key if self.exists else self._offer(),
        )

    def _offer(self) -> str | None:
        """Check mode runs before Ceph is installed, and nobody would use what it offers."""
        return None if self.module.check_mode else self._new_key()

    def _new_key(self) -> str:
        return str(need(self.module, ["ceph-authtool", "--gen-print-key"])).strip()

    def make(self) -> None:
        params = self.module.params
        changed = not self.exists
        if self.exists or self.module.check_mode:
            self.module.exit_json(changed=changed, exists=self.exists)
        if self.unfinished.exists():
            shutil.rmtree(self.unfinished)
        admin = {"mon": "allow *", "mgr": "allow *", "osd": "allow *", "mds": "allow *"}
        bootstrap = {"mon": "profile bootstrap-osd", "mgr": "allow r"}
        write_private(ADMIN_KEYRING, keyring("client.admin", params["admin_key"], admin))
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.chown(folder, "ceph", "ceph")
            write_private(
                folder / "keyring",
                keyring("mon.", params["mon_key"], {"mon": "allow *"})
                + keyring("client.admin", params["admin_key"], admin)
                + keyring("client.bootstrap-osd", self._new_key(), bootstrap),
            )
            monmap = str(folder / "monmap")
            members = [
                word
                for member, address in sorted(params["members"].items())
                for word in ("--addv", member, f"[v2:{address}:3300]")
            ]
            self._run(["monmaptool", "--create", "--clobber", "--fsid", params["fsid"], *members, monmap])
            for file in folder.iterdir():
                shutil.chown(file, "ceph", "ceph")
            self._run(
                ["ceph-mon", "--mkfs", "--id", self.name, "--mon-data", str(self.unfinished), "--monmap", monmap,
                 "--keyring", str(folder / "keyring"), "--setuser", "ceph", "--setgroup", "ceph"]
            )  # fmt: skip
        write_private(self.unfinished / "keyring", keyring("mon.", params["mon_key"], {"mon": "allow *"}))
        (self.unfinished / "done").touch()
        settle(self.unfinished, "ceph", "ceph")
        flush(ADMIN_KEYRING)
        self.unfinished.rename(self.folder)  # onto nothing or an empty folder; rename(2) refuses any other
        flush(STORE)
        self.module.exit_json(changed=True, exists=False)

    def _run(self, argv: list[str]) -> None:
        code, _, err = run(argv)
        if code != 0:
            self.module.fail_json(msg=f"`{' '.join(argv)}` ended with {code}: {err.strip()}")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "fsid": {"type": "str", "required": True},
            "members": {"type": "dict", "default": {}},
            "mon_key": {"type": "str", "no_log": True},
            "admin_key": {"type": "str", "no_log": True},
            "state": {"type": "str", "choices": ["keys", "present"], "default": "present"},
        },
        required_if=[("state", "present", ["members", "mon_key", "admin_key"])],
        supports_check_mode=True,
    )
    mon = Mon(module)
    mon.keys() if module.params["state"] == "keys" else mon.make()


if __name__ == "__main__":
    main()
