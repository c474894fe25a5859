"""Encrypted drives on a machine with a kernel of its own: prepared, opened at boot, locked without OpenBao."""

from __future__ import annotations

import base64
import mmap
from pathlib import Path

import pytest
from plugins.module_utils.openbao import OpenBaoError
from tests.vm.conftest import SERIALS, Machine

pytestmark = pytest.mark.long

OWNER, STRANGER = "drive-vm-1", "drive-vm-2"
FORBIDDEN = 403


def test_both_osds_answer_from_drives_that_are_encrypted(machine: Machine) -> None:
    machine.wait_for_osds([0, 1], "after the roles")

    blocks = machine.guest.run(
        "readlink -f /var/lib/ceph/osd/ceph-0/block /var/lib/ceph/osd/ceph-1/block; lsblk -nro NAME,TYPE"
    )

    for serial in SERIALS[:2]:
        assert f"osd-{serial} crypt" in blocks
    assert blocks.splitlines()[0].startswith("/dev/dm-")


def test_a_second_run_changes_nothing(machine: Machine) -> None:
    assert machine.converge(2, "--tags", "drives") == 0


def test_each_drive_has_a_key_of_its_own_and_the_monitors_have_none(machine: Machine) -> None:
    names = machine.keeper.names(OWNER)

    assert len({machine.keeper.passphrase(OWNER, name) for name in names}) == len(SERIALS[:2])
    assert "dm-crypt" not in machine.guest.run("ceph config-key ls")


def test_a_node_reads_no_other_node_s_key_and_changes_none_of_its_own(machine: Machine) -> None:
    name = machine.keeper.names(OWNER)[0]
    stranger, owner = machine.keeper.as_node(STRANGER), machine.keeper.as_node(OWNER)
    path = f"drive-keys/data/{OWNER}/{name}"
    other = {"data": {"passphrase": base64.b64encode(b"another").decode()}}

    assert owner.read(path) is not None
    for attempt in (
        lambda: stranger.read(path),
        lambda: stranger.keys(f"drive-keys/metadata/{OWNER}"),
        lambda: owner.write(path, other),
        lambda: owner.write(f"drive-keys/destroy/{OWNER}/{name}", {"versions": [1]}),
        lambda: owner.delete(f"drive-keys/metadata/{OWNER}/{name}"),
    ):
        with pytest.raises(OpenBaoError) as refused:
            attempt()
        assert refused.value.status == FORBIDDEN
    with pytest.raises(OpenBaoError, match="no chain matching"):
        machine.keeper.as_node("drive-vm-3")


def test_after_a_power_cut_the_drives_open_by_themselves_even_one_whose_first_header_is_torn(machine: Machine) -> None:
    torn = f"/dev/disk/by-id/virtio-{SERIALS[0]}"
    machine.guest.run(f"dd if=/dev/zero of={torn} bs=4096 seek=1 count=3 conv=notrunc,fsync status=none")
    machine.restart("with OpenBao")

    machine.wait_for_osds([0, 1], "with OpenBao")

    entered = machine.guest.run(
        "systemctl show --property=ActiveEnterTimestampMonotonic --value systemd-user-sessions ceph-osd-activate"
    )
    logins, drives = map(int, entered.split())
    assert 0 < logins < drives, "nobody but root could log in before the drives were open"


def test_without_openbao_the_node_boots_and_its_drives_stay_locked_until_it_is_back(machine: Machine) -> None:
    machine.keeper.stop()
    machine.restart("without OpenBao")
    machine.guest.run("systemctl is-system-running --wait >/dev/null || true")

    state = machine.guest.run(
        "lsblk -nro TYPE; systemctl is-active multi-user.target; systemctl is-failed ceph-osd@0 ceph-osd@1 || true; "
        "journalctl --no-pager -b -o cat -u ceph-osd-activate"
    )
    assert "crypt" not in state.splitlines()
    assert "active" in state.splitlines()
    assert "failed" not in state.splitlines()
    assert f"no OpenBao server lets {OWNER} in" in state
    assert "Locked drives stay locked until one does" in state

    machine.keeper.start()
    machine.wait_for_osds([0, 1], "after OpenBao is back")


def test_an_osd_that_was_left_half_made_is_made_anew(machine: Machine) -> None:
    serial = SERIALS[2]
    machine.guest.run(
        f"mkdir -p /var/lib/legalcloud/begun-osds; touch /var/lib/legalcloud/begun-osds/{serial}\n"
        "printf abandoned | cryptsetup luksFormat --type luks2 --batch-mode --key-file=- --pbkdf pbkdf2 "
        f"--pbkdf-force-iterations 1000 --subsystem legalcloud-osd /dev/disk/by-id/virtio-{serial}"
    )

    assert machine.converge(3, "--tags", "drives") > 0

    machine.wait_for_osds([0, 1, 2], "a third drive")


def test_no_passphrase_lies_on_any_disk_of_the_node(machine: Machine) -> None:
    fsid = machine.guest.run("cat /etc/ceph/ceph.conf | grep fsid").split()[-1]
    machine.guest.run("journalctl --sync; sync")
    machine.guest.cut_power()
    secrets = [machine.keeper.passphrase(OWNER, name) for name in machine.keeper.names(OWNER)]
    needles = [text.encode() for text in secrets] + [base64.b64decode(text) for text in secrets]
    disks = [machine.guest.root, *(machine.guest.drive(serial) for serial in SERIALS)]

    assert len(needles) >= 2 * len(SERIALS)
    assert [(str(disk), number) for disk in disks for number, needle in enumerate(needles) if holds(disk, needle)] == []
    for disk in disks:
        assert holds(disk, fsid.encode()), f"{disk}: the search finds nothing that is there"


def holds(disk: Path, needle: bytes) -> bool:
    with disk.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(needle) >= 0
