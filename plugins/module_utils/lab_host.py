"""What the lab's modules share: run a command of the host, and know the lab's control groups."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
LAB_CGROUP = "legalcloud-lab"


class LabError(Exception):
    """The host did not do what the lab asked of it."""


def run(argv: Sequence[str], *, text: str | None = None, timeout_seconds: float = 60) -> str:
    """Run one command, with a text on its standard input if given, and return what it printed.

    Raises: LabError with the command and its own words if it fails.
    """
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LabError(f"{argv[0]}: {error}") from error
    if done.returncode != 0:
        raise LabError(f"`{' '.join(argv)}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def cgroup(machine: str) -> Path:
    """Return the control group (version 2) of one machine, whether it exists or not."""
    unified = CGROUP_ROOT / "unified"
    return (unified if unified.is_dir() else CGROUP_ROOT) / LAB_CGROUP / machine


def remove_cgroup(group: Path) -> None:
    """Remove a machine's control group, in which nothing runs any more, and the lab's own with the last of them."""
    if group.exists():
        for folder, _, _ in os.walk(group, topdown=False):
            Path(folder).rmdir()
    with contextlib.suppress(OSError):  # other machines still run, or it is gone
        group.parent.rmdir()


def mount_points(below: Path) -> list[Path]:
    """Return what is mounted at or below a folder, the deepest first."""
    prefix = str(below)
    points = [line.split()[4].replace("\\040", " ") for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [Path(p) for p in sorted(points, key=len, reverse=True) if p == prefix or p.startswith(prefix + "/")]
