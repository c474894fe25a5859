"""The one guest and the one OpenBao of these tests. Both end with the run; what a killed run left goes first."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from tests.vm.guest import Guest
from tests.vm.keeper import Keeper

HERE = Path(__file__).parent
HOSTS = HERE / "inventory/hosts.yml"
VARIABLES = yaml.safe_load(HOSTS.read_text())["all"]
STATE = Path(VARIABLES["vars"]["vm_folder"]).parent
SERIALS = tuple(drive["serial"] for drive in VARIABLES["hosts"]["vm-1"]["legalcloud_drives"])
PLAYBOOK_SECONDS = 3600


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests alone, imports and all, where nobody asks for them."""
    unwanted = "not long" in str(config.option.markexpr)
    return True if unwanted and collection_path.name.startswith("test_") else None


def playbook(path: Path, *words: str, inventory: Path | None = None) -> str:
    """Run a playbook and return what it printed."""
    argv = ["ansible-playbook", str(path), *(("-i", str(inventory)) if inventory else ()), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PLAYBOOK_SECONDS, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@dataclass(kw_only=True)
class Machine:
    """The guest, the OpenBao that it asks, and how long things took."""

    guest: Guest
    keeper: Keeper
    seconds: dict[str, float] = field(default_factory=dict)

    def converge(self, drives: int, *words: str) -> int:
        """Run production's roles with so many of the drives; return the number of tasks that changed something."""
        said = playbook(HERE / "converge.yml", "-e", f"vm_drives={drives}", *words, inventory=HOSTS)
        counted = re.search(r"^vm-1 .*\bchanged=(\d+)", said, re.MULTILINE)
        assert counted, said
        return int(counted.group(1))

    def restart(self, what: str) -> None:
        """Cut the power and wait until it answers again."""
        self.guest.run("sync")
        self.guest.cut_power()
        self.guest.start()
        self.seconds[f"{what}: power cut to SSH"] = self.guest.wait()

    def answers(self, osd: int) -> bool:
        """Whether an OSD itself answers: after a power cut the map says "up" until somebody has noticed."""
        script = f"timeout 60 ceph --connect-timeout 30 tell osd.{osd} version >/dev/null 2>&1 && echo yes || echo no"
        return self.guest.run(script).strip() == "yes"

    def wait_for_osds(self, osds: Sequence[int], what: str, seconds: float = 600) -> None:
        began = time.monotonic()
        while not all(self.answers(osd) for osd in osds):
            assert time.monotonic() - began < seconds, self.guest.run(
                "systemctl --no-pager --full status 'ceph-osd*' || true; lsblk; "
                "journalctl --no-pager -b -u ceph-osd-activate -n 30"
            )
            time.sleep(3)
        self.seconds[f"{what}: until {len(osds)} OSDs answer"] = time.monotonic() - began


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """Give a guest that production's roles have made a node with two encrypted OSDs."""
    playbook(HERE / "image.yml")
    guest = Guest(
        folder=Path(VARIABLES["vars"]["vm_folder"]),
        image=Path((STATE / "images/guest").read_text().strip()),
        serials=SERIALS,
        port=VARIABLES["vars"]["ansible_port"],
    )
    program = next(iter(sorted((STATE / "controller/openbao").glob("bao-*"))), None)
    assert program, "no OpenBao on the controller: type `make lab` first"
    guest.make()
    keeper = Keeper(folder=guest.folder / "keeper", log=guest.logs / "openbao", program=program)
    made = Machine(guest=guest, keeper=keeper)
    try:
        keeper.make()
        guest.start()
        made.seconds["first boot to SSH"] = guest.wait()
        guest.run("systemctl is-system-running --wait || true", timeout_seconds=600)
        began = time.monotonic()
        made.converge(2)
        made.seconds["production's roles, two drives prepared"] = time.monotonic() - began
        yield made
    finally:
        print(f"\nWhat console, QEMU and OpenBao said: {guest.logs}", end="")  # noqa: T201 -- for whoever reads a failure
        for what, seconds in made.seconds.items():
            print(f"\n{what}: {seconds:.0f} s", end="")  # noqa: T201 -- the numbers that this is run for
        keeper.stop()
        if "VM_KEEP" in os.environ:
            guest.cut_power()
        else:
            guest.remove()
