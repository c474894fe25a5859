"""The lab as its controller sees it: run a command on a node, ask the cluster, kill machines, bring them back."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import yaml
from plugins.module_utils.lab_host import cgroup, run

from legalcloud.inventory import load
from legalcloud.register import Node
from legalcloud.reveal import open_revealed

ROOT = Path(__file__).parents[2]
INVENTORY = ROOT / "inventories/lab"


class LabError(Exception):
    """The lab did not do what a test asked of it."""


class Lab:
    """The lab that stands, by the inventory that it was made from."""

    def __init__(self, inventory: Path = INVENTORY) -> None:
        self.inventory = inventory
        variables = inventory / "group_vars/all"
        self._machines = yaml.safe_load((variables / "lab.yml").read_text())
        self.s3_name: str = yaml.safe_load((variables / "site.yml").read_text())["ingress_s3_name"]
        self.state = Path(self._machines["lab_state_dir"])
        self.ca_file = self.state / "controller/ca/ca.crt"
        self.nodes: tuple[Node, ...] = load(inventory).register.nodes

    @property
    def endpoint_url(self) -> str:
        return f"https://{self.s3_name}"

    def session(self, tenant: str) -> boto3.Session:
        """Return the tenant's own session, from the newest file that was revealed to the lab's identity."""
        files = sorted(
            (self.state / "controller/revealed").glob(f"{tenant}.*.age"), key=lambda path: path.stat().st_mtime
        )
        if not files:
            raise LabError(f"no key was revealed to {tenant}: run playbooks/tenants.yml")
        identity = (self.inventory / "lab-age-identity.txt").read_text()
        key = open_revealed(files[-1], identity=_secret_line(identity))
        return boto3.Session(str(key["access_key_id"]), str(key["secret_access_key"]), region_name="default")

    def members(self, group: str) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if group in node.groups)

    def of_site(self, site: str) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.site == site)

    def run(self, node: Node, argv: Sequence[str], *, timeout_seconds: float = 60) -> str:
        """Run a command on a node as root and return what it printed. Raises: LabError with its own words."""
        command = [*self._ssh, f"{self._machines['ansible_user']}@{node.address}", f"sudo {shlex.join(argv)}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{node.name}: `{shlex.join(argv)}` took more than {timeout_seconds} s") from error
        if done.returncode != 0:
            raise LabError(f"{node.name}: `{shlex.join(argv)}` ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    @cached_property
    def _ssh(self) -> list[str]:
        return [
            "ssh", "-i", str(self.state / "ssh_key"), "-o", f"UserKnownHostsFile={self.state}/known_hosts",
            "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=3",
            "-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=3",
        ]  # fmt: skip

    def ceph(self, *words: str) -> Any:  # noqa: ANN401 -- JSON
        return json.loads(self.ask_ceph(*words, "--format", "json"))

    def ask_ceph(self, *words: str) -> str:
        """Ask the cluster through the first monitor's node that answers."""
        failures = []
        for node in self.members("mons"):
            if not _alive(node.name):
                continue
            try:
                return self.run(node, ["ceph", "--connect-timeout", "15", *words])
            except LabError as error:
                failures.append(str(error))
        raise LabError("; ".join(failures) or "no machine with a monitor is up: run playbooks/lab.yml")

    def up_since(self) -> dict[int, int]:
        """Map each OSD that is up to the epoch since which it is: a healthy OSD keeps its own."""
        return {osd["osd"]: osd["up_from"] for osd in self.ceph("osd", "dump")["osds"] if osd["up"]}

    def osds_of(self, nodes: Iterable[Node]) -> set[int]:
        names = {node.name for node in nodes}
        tree = self.ceph("osd", "tree")["nodes"]
        return {child for item in tree if item["name"] in names for child in item.get("children", ())}

    def kill(self, nodes: Iterable[Node]) -> float:
        """Cut these machines off and end every process on them; return that moment of the monotonic clock.

        The network goes first, and at once: a machine without power refuses no connection and resets none, whereas a
        kernel that outlives its processes would do both, and so tell everybody in milliseconds.
        """
        names = [node.name for node in nodes]
        links = [link.name for name in names for link in sorted(Path("/sys/class/net").glob(f"v{name}-[0-9]"))]
        orders = "".join(f"link set {link} down\n" for link in links)
        moment = time.monotonic()
        run(["ip", "-batch", "-"], text=orders)
        for name in names:
            (cgroup(name) / "cgroup.kill").write_text("1")
        return moment

    def bring_back(self) -> None:
        """Start the machines that are down, as the operator of a lab does."""
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory)]
        done = subprocess.run(
            [*command, "playbooks/lab.yml"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode != 0:
            raise LabError(f"playbooks/lab.yml failed:\n{done.stdout}{done.stderr}")

    def wait_until_whole(self, *, timeout_seconds: float) -> None:
        """Wait until every OSD is up, every group of placement is active and clean, and the cluster says so."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                lacks = _lacks(self.ceph("status"), monitors=len(self.members("mons")))
            except LabError as error:
                lacks = str(error)
            if not lacks:
                return
            if time.monotonic() > deadline:
                raise LabError(f"after {timeout_seconds:g} s the cluster is not whole: {lacks}")
            time.sleep(1)


def _lacks(status: Any, *, monitors: int) -> str:  # noqa: ANN401 -- JSON
    """Say what the cluster lacks by its own status (`ceph status`, Ceph 20); nothing if it is whole."""
    osds, groups = status["osdmap"], status["pgmap"]
    clean = sum(state["count"] for state in groups["pgs_by_state"] if state["state_name"].startswith("active+clean"))
    lacks = [
        f"{osds['num_up_osds']} of {osds['num_osds']} OSDs up" if osds["num_up_osds"] < osds["num_osds"] else "",
        f"{clean} of {groups['num_pgs']} PGs clean" if clean < groups["num_pgs"] else "",
        f"{len(status['quorum'])} of {monitors} monitors" if len(status["quorum"]) < monitors else "",
        ", ".join(sorted(status["health"]["checks"])),
    ]
    return ", ".join(filter(None, lacks))


def _alive(machine: str) -> bool:
    events = cgroup(machine) / "cgroup.events"
    return events.exists() and "populated 1" in events.read_text()


def _secret_line(identity: str) -> str:
    return next(line for line in identity.splitlines() if line.startswith("AGE-SECRET-KEY-"))
