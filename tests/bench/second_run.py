"""A second run of site.yml: what it changed, what it restarted, how long it took."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench import processes
from tests.load.lab import ROOT, Lab, LabError

RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondRun:
    """What one run over a finished fleet did."""

    seconds: float
    hosts: int
    changed: int
    restarted: tuple[str, ...]
    """Daemons whose process is another one than before."""


def run_again(lab: Lab) -> SecondRun:
    """Run site.yml. Raises: LabError if it fails."""
    machines = [node.name for node in lab.nodes]
    before, start = processes.look(machines), time.monotonic()
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(lab.inventory), "playbooks/site.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    seconds = time.monotonic() - start
    hosts = parse_recap(done.stdout)
    if done.returncode != 0 or not hosts:
        raise LabError(f"playbooks/site.yml ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr}")
    return SecondRun(
        seconds=seconds,
        hosts=len(hosts),
        changed=sum(hosts.values()),
        restarted=tuple(processes.restarted(before, processes.look(machines))),
    )


def parse_recap(text: str) -> dict[str, int]:
    """Map each host of a play recap to what was changed on it."""
    return {host: int(changed) for host, changed, _, _ in RECAP.findall(text)}
