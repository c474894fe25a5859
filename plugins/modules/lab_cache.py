#!/usr/bin/python
"""Ansible module: the lab's caching package mirror, an nginx of its own on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_cache
short_description: Start and stop the lab's caching package mirror
description:
  - Runs nginx with a configuration of its own, so that it works on a host whose first process is not systemd.
options:
  folder: {description: Folder of its configuration and cache; owned by this module., type: path, required: true}
  configuration: {description: Text of nginx.conf., type: str, default: ""}
  state: {description: Whether it shall run., type: str, choices: [present, absent], default: present}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Start the mirror
  lab_cache:
    folder: /var/lib/legalcloud-lab/mirror
    configuration: "{{ lookup('ansible.builtin.template', 'nginx.conf.j2') }}"
"""

RETURN = r"""
pid:
  description: Process id of nginx.
  type: int
  returned: when it runs
"""

import os
import shutil
import signal
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_host import LabError, run


def nginx_pid(folder: Path) -> int | None:
    """Process id of our nginx, or None: a stale pid file may name somebody else's process."""
    file = folder / "nginx.pid"
    pid = file.read_text().strip() if file.exists() else ""
    if not pid.isdigit():
        return None
    cmdline = Path(f"/proc/{pid}/cmdline")
    ours = cmdline.exists() and str(folder / "nginx.conf").encode() in cmdline.read_bytes()
    return int(pid) if ours else None


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise LabError(f"nginx (process {pid}) does not end")
        time.sleep(0.05)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "configuration": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["folder"])
    present = module.params["state"] == "present"
    file = folder / "nginx.conf"
    same = file.exists() and file.read_text() == module.params["configuration"]
    pid = nginx_pid(folder)
    changed = (pid is None or not same) if present else folder.exists()
    if changed and not module.check_mode:
        try:
            if pid is not None:
                stop(pid)
            if present:
                (folder / "cache").mkdir(parents=True, exist_ok=True)
                file.write_text(module.params["configuration"])
                run(["nginx", "-p", str(folder), "-c", str(file)])
            else:
                shutil.rmtree(folder)
        except (LabError, OSError) as error:
            module.fail_json(msg=f"package mirror: {error}")
    module.exit_json(changed=changed, pid=nginx_pid(folder))


if __name__ == "__main__":
    main()
