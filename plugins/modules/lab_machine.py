#!/usr/bin/python
"""Ansible module: one Debian machine of the lab, as a systemd-nspawn container."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_machine
short_description: Make, start and remove one Debian machine of the lab
description:
  - A machine is an overlay over an image, drives that are loop devices, and network interfaces on bridges of the host.
  - A machine that was killed is started again as it was. One whose specification changed, or that was never finished,
    is made anew, drives included.
  - Remains of a killed run (mounts, loop devices, processes) are cleared before a machine is made or removed.
options:
  name: {description: Name of the machine and its host name., type: str, required: true}
  folder: {description: Folder of the machine's files; owned by this module., type: path, required: true}
  state:
    description: C(killed) ends all processes at once, as a power cut does, and keeps the files.
    type: str
    choices: [running, killed, absent]
    default: running
  image: {description: Folder of the image that the root is laid over., type: path}
  interfaces:
    description: Network interfaces, each with the name in the machine and the bridge of the host.
    type: list
    elements: dict
    default: []
  drives:
    description: Drives, each with C(serial), C(device) in the machine and C(size_bytes).
    type: list
    elements: dict
    default: []
  files:
    description: Files laid into the root before the first boot, each with C(path), C(content) and C(mode).
    type: list
    elements: dict
    default: []
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Start a machine
  lab_machine:
    name: tko-1
    folder: /var/lib/legalcloud-lab/machines/tko-1
    image: /var/lib/legalcloud-lab/image
    interfaces: [{name: host0, bridge: lc-tko}]
    drives: [{serial: LAB-tko-1-1, device: /dev/vdb, size_bytes: 8589934592}]
"""

RETURN = r"""
action:
  description: What was done, in a word (none, create, start, plug, kill, remove).
  type: str
  returned: always
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_host import LabError, cgroup, mount_points, remove_cgroup, run


def digest(params: dict[str, Any]) -> str:
    """Digest of everything that, once changed, asks for a new machine."""
    keys = ("name", "image", "interfaces", "drives", "files")
    return hashlib.sha256(json.dumps({key: params[key] for key in keys}, sort_keys=True).encode()).hexdigest()


def decide(state: str, *, running: bool, plugged: bool, made_from: str | None, wanted: str) -> str:
    """Choose the action: none, create, start, plug, kill or remove."""
    if state == "absent":
        return "remove"
    if state == "killed":
        return "kill" if running else "none"
    if made_from != wanted:
        return "create"
    if not running:
        return "start"
    return "none" if plugged else "plug"


class Machine:
    """The thin shell: what the host really does."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.name: str = params["name"]
        self.folder = Path(params["folder"])
        self.root = self.folder / "root"
        self.stamp = self.folder / "made-from"
        self.cgroup = cgroup(self.name)

    def running(self) -> bool:
        events = self.cgroup / "cgroup.events"
        return events.exists() and "populated 1" in events.read_text()

    def links(self) -> list[tuple[str, str]]:
        """Name of each interface on the host, and the bridge that it belongs to."""
        return [(f"v{self.name}-{n}", wish["bridge"]) for n, wish in enumerate(self.params["interfaces"])]

    def plugged(self) -> bool:
        """Say whether the bridges have the interfaces: a run that was killed may not have come so far."""
        masters = [(Path(f"/sys/class/net/{link}/master"), bridge) for link, bridge in self.links()]
        return all(master.exists() and master.resolve().name == bridge for master, bridge in masters)

    def made_from(self) -> str | None:
        return self.stamp.read_text() if self.stamp.exists() else None

    def kill(self) -> None:
        if self.running():
            (self.cgroup / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + 30
        while self.running():
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: processes in {self.cgroup} do not end; a drive may hang")
            time.sleep(0.05)
        remove_cgroup(self.cgroup)

    def clear(self) -> None:
        """End what runs, and undo mounts and loop devices, whatever an earlier run left."""
        self.kill()
        for link in Path("/sys/class/net").glob(f"v{self.name}-[0-9]"):
            # The kernel takes its time to remove a dead machine's interface, and may be doing it just now.
            with contextlib.suppress(LabError):
                run(["ip", "link", "delete", link.name])
        for point in mount_points(self.folder):
            run(["umount", "--lazy", str(point)])
        for image in self.folder.glob("drive-*.img"):
            for line in run(["losetup", "--noheadings", "--output", "NAME", "--associated", str(image)]).split():
                run(["losetup", "--detach", line])

    def remove(self) -> bool:
        existed = self.folder.exists() or self.running()
        self.clear()
        if self.folder.exists():
            shutil.rmtree(self.folder)
        return existed

    def create(self) -> None:
        self.remove()
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True)
        for file in self.params["files"]:
            target = self.folder / "upper" / file["path"].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch(mode=0o600)
            target.write_text(file["content"])
            target.chmod(int(file["mode"], 8))
        for number, drive in enumerate(self.params["drives"], start=1):
            with (self.folder / f"drive-{number}.img").open("wb") as image:
                image.truncate(drive["size_bytes"])
        self.stamp.write_text(digest(self.params))

    def start(self) -> None:
        self.clear()
        layers = f"lowerdir={self.params['image']},upperdir={self.folder}/upper,workdir={self.folder}/work"
        run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)])
        self.cgroup.mkdir(parents=True)
        binds = []
        for number, drive in enumerate(self.params["drives"], start=1):
            image = self.folder / f"drive-{number}.img"
            loop = run(["losetup", "--find", "--show", "--direct-io=on", str(image)]).strip()
            binds.append(f"--bind={loop}:{drive['device']}")
        names = [wish["name"] for wish in self.params["interfaces"]]
        argv = [
            "systemd-nspawn", "--boot", f"--directory={self.root}", f"--machine={self.name}", f"--hostname={self.name}",
            "--register=no", "--keep-unit", "--link-journal=no", "--settings=no", "--capability=all",
            "--resolv-conf=off", "--timezone=off", "--console=read-only", "--private-network",
            *(f"--network-veth-extra={link}:{name}" for (link, _), name in zip(self.links(), names, strict=True)),
            *binds,
        ]  # fmt: skip
        # A shell puts itself into the machine's control group and becomes nspawn there, so that one write ends all.
        enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        with (self.folder / "console.log").open("wb") as console:
            subprocess.Popen(
                ["/bin/sh", "-c", enter, str(self.cgroup), *argv],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )
        self.plug()

    def plug(self) -> None:
        deadline = time.monotonic() + 20
        for link, bridge in self.links():
            while not Path(f"/sys/class/net/{link}").exists():
                if time.monotonic() > deadline:
                    raise LabError(f"{self.name}: no interface {link} after 20 s; see {self.folder}/console.log")
                time.sleep(0.02)
            run(["ip", "link", "set", link, "master", bridge, "up"])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "folder": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["running", "killed", "absent"], "default": "running"},
            "image": {"type": "path"},
            "interfaces": {"type": "list", "elements": "dict", "default": []},
            "drives": {"type": "list", "elements": "dict", "default": []},
            "files": {"type": "list", "elements": "dict", "default": [], "no_log": True},
        },
        required_if=[("state", "running", ["image"])],
        supports_check_mode=True,
    )
    machine = Machine(module.params)
    action = decide(
        module.params["state"],
        running=machine.running(),
        plugged=machine.plugged(),
        made_from=machine.made_from(),
        wanted=digest(module.params),
    )
    if module.check_mode:
        changed = machine.folder.exists() if action == "remove" else action != "none"
        module.exit_json(changed=changed, action=action)
    changed = action != "none"
    try:
        if action == "remove":
            changed = machine.remove()
        elif action == "kill":
            machine.kill()
        elif action == "create":
            machine.create()
            machine.start()
        elif action == "start":
            machine.start()
        elif action == "plug":
            machine.plug()
    except (LabError, OSError) as error:
        module.fail_json(msg=f"machine {machine.name}: {error}")
    module.exit_json(changed=changed, action=action)


if __name__ == "__main__":
    main()
