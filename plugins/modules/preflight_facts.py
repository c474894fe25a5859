#!/usr/bin/python
"""Ansible module: everything that preflight asks one node, in one call that changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_facts
short_description: Gather what preflight judges on one node
description:
  - Needs root, and nothing but Python and what every Debian has. What cannot be learnt is reported as such.
  - Secrets that lie beside a fact (an OSD's key in its label, a secret in an LVM tag) are never read out.
options:
  node: {description: Name of this node in the register., type: str, required: true}
  nodes: {description: Address of every node of the register by name., type: dict, required: true}
  serials: {description: Serials of its drives in the register., type: list, elements: str, required: true}
  time_sources: {description: Configured NTP servers., type: list, elements: str, required: true}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Gather facts
  preflight_facts:
    node: tko-1
    nodes: {tko-1: 10.77.1.11, tko-2: 10.77.1.12}
    serials: [LAB-tko-1-1]
    time_sources: [stdtime.gov.hk]
"""

RETURN = r"""
facts:
  description: What was seen; legalcloud.preflight.parse reads it.
  type: dict
  returned: success
"""

import functools
import os
import platform
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils import drive_contents, drive_serials, node_network
from ansible.module_utils.basic import AnsibleModule

FORMAT = 1
PATIENCE_SECONDS = 8
FILES = (
    "/etc/os-release",
    "/etc/machine-id",
    "/proc/meminfo",
    "/proc/swaps",
    "/proc/self/mounts",
    "/proc/sys/kernel/random/entropy_avail",
)
COMMANDS = {
    "ceph_packages": ("apt-cache", "policy", "ceph-mon", "ceph-osd"),
    "systemd": ("systemctl", "--version"),
    "chrony_tracking": ("chronyc", "-n", "-c", "tracking"),
    "chrony_sources": ("chronyc", "-n", "-c", "sources"),
    "crush_tree": ("ceph", "--connect-timeout", "5", "osd", "crush", "tree", "--format", "json"),
}
CEPH_CONFIGURATION = "/etc/ceph/ceph.conf"
TIME_ZONE = "/etc/localtime"


def run(argv: Sequence[str]) -> str:
    """Run a command and return what it printed; raises OSError if it fails or takes too long."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise OSError(f"{argv[0]} gave no answer in {PATIENCE_SECONDS} s") from error
    if done.returncode != 0:
        raise OSError(f"{argv[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[:200]}")
    return done.stdout


def text_of(path: str) -> str | None:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return None


def time_zone() -> str | None:
    """Name of the zone; Debian without a link keeps UTC."""
    link = Path(TIME_ZONE)
    if not link.exists():
        return "Etc/UTC"
    _folder, _slash, zone = str(link.resolve()).partition("/zoneinfo/")
    return zone or None


def cluster_fsid() -> str | None:
    found = re.search(r"^\s*fsid\s*=\s*(\S+)", text_of(CEPH_CONFIGURATION) or "", re.MULTILINE)
    return found.group(1) if found else None


def space(path: str) -> dict[str, int]:
    usage = os.statvfs(path)
    return {"size_bytes": usage.f_blocks * usage.f_frsize, "free_bytes": usage.f_bavail * usage.f_frsize}


def drives(serials: Sequence[str]) -> dict[str, Any]:
    """Look at lsblk and at each of our drives; a device is opened only if its serial is ours."""
    try:
        lsblk, lab, links = drive_serials.sources(run)
    except (OSError, drive_serials.DriveSerialError) as error:
        return {"problem": str(error)}
    claimed = drive_serials.candidates(lsblk, lab, links)
    resolved = drive_serials.resolve(lsblk, lab, links)
    seen: dict[str, Any] = {}
    for serial in serials:
        if serial in resolved:
            try:
                seen[serial] = drive_contents.look(resolved[serial], run)
                seen[serial]["begun"] = drive_contents.begun(serial).exists()
            except OSError as error:
                seen[serial] = {"device": resolved[serial], "problem": str(error)}
        else:
            seen[serial] = {"device": None, "claimed_by": sorted(claimed.get(serial, ()))}
    try:
        volumes: Any = drive_contents.volumes(run) if shutil.which("lvs", path="/usr/sbin:/sbin") else []
    except OSError as error:
        volumes = {"problem": str(error)}
    return {"lsblk": lsblk, "seen": seen, "volumes": volumes}


def network(node: str, nodes: Mapping[str, str], time_sources: Sequence[str]) -> dict[str, Any]:
    interfaces = node_network.interfaces()
    own = [seen["mtu_bytes"] for seen in interfaces.values() if nodes.get(node) in seen["addresses"]]
    peers = {name: address for name, address in nodes.items() if name != node}
    jobs: dict[str, Any] = {
        **{f"forward {name}": functools.partial(node_network.addresses_of, name) for name in nodes},
        **{f"reverse {name}": functools.partial(node_network.name_of, place) for name, place in nodes.items()},
        **{f"time {server}": functools.partial(node_network.ask_time, server) for server in time_sources},
        "echo": functools.partial(node_network.echoes, peers, own[0] if own else 1500),
    }
    answers = node_network.in_time(jobs, PATIENCE_SECONDS)
    return {
        "interfaces": interfaces,
        "forward": {name: answers[f"forward {name}"] for name in nodes},
        "reverse": {name: answers[f"reverse {name}"] for name in nodes},
        "time": {server: answers[f"time {server}"] for server in time_sources},
        "echo": answers["echo"],
        "listeners": node_network.listeners(),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "node": {"type": "str", "required": True},
            "nodes": {"type": "dict", "required": True},
            "serials": {"type": "list", "elements": "str", "required": True},
            "time_sources": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    commands: dict[str, Any] = node_network.in_time(
        {name: functools.partial(run, argv) for name, argv in COMMANDS.items()}, PATIENCE_SECONDS + 1
    )
    facts = {
        "format": FORMAT,
        "node": wanted["node"],
        "hostname": socket.gethostname(),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "time_zone": time_zone(),
        "cluster_fsid": cluster_fsid(),
        "var_lib": space("/var/lib"),
        "files": {path: text_of(path) for path in FILES},
        "commands": commands,
        "network": network(wanted["node"], wanted["nodes"], wanted["time_sources"]),
        "drives": drives(wanted["serials"]),
    }
    module.exit_json(changed=False, facts=facts)


if __name__ == "__main__":
    main()
