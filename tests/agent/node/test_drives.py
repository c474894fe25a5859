from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugins.module_utils import drive_serials
from tests.agent.node import fuzz
from tests.agent.node.node_sample import HERE, Commands, settings

from legalcloud.errors import SourceTimeoutError
from legalcloud.node import drives, serials
from legalcloud.node.drives import Drives
from legalcloud.node.serials import Disk, Fleet
from legalcloud.node.subject import Level, World
from legalcloud.register import Drive, DriveUse
from legalcloud.run import Done

DATA = HERE / "data/drives"
LSBLK, LAB = (DATA / "lsblk_lab.json").read_bytes(), (DATA / "lab-drives.json").read_bytes()
SERVER = (HERE.parent / "data/preflight/lsblk_server.json").read_bytes()
SMART = HERE / "data/smart"


def disk(path: str, serial: str | None = None, *, size_bytes: int = 10**12, used: bool = False) -> Disk:
    return Disk(path=path, size_bytes=size_bytes, serial=serial, model=None, used=used)


def compared(
    expected: list[str], seen: list[Disk], lab: Mapping[str, str] | None = None, links: Mapping[str, str] | None = None
) -> Fleet:
    return serials.reconcile(expected, seen, lab or {}, links or {})


def test_a_server_s_disks_are_read_with_serial_and_whether_they_are_used() -> None:
    seen = {one.path: one for one in serials.disks(SERVER)}

    assert seen["/dev/sda"].serial == "S3RVSYS0001", "the blank after it is none of it"
    assert (seen["/dev/sda"].used, seen["/dev/sdb"].used) == (True, False)
    assert seen["/dev/nvme0n1"].serial is None


def test_present_absent_and_unexpected_drives_are_each_named() -> None:
    fleet = compared(["ZL2DATA0001", "ZL2GONE0002"], list(serials.disks(SERVER)))

    assert fleet.present == {"ZL2DATA0001": "/dev/sdb"}
    assert fleet.absent == ("ZL2GONE0002",)
    assert [one.path for one in fleet.unexpected] == ["/dev/nvme0n1"], "the system's disk is no stranger"


def test_a_serial_that_two_devices_claim_is_ambiguous_and_neither_is_taken() -> None:
    fleet = compared(["TWIN"], [disk("/dev/sda", "TWIN"), disk("/dev/sdb", "TWIN")])

    assert fleet.ambiguous == {"TWIN": ("/dev/sda", "/dev/sdb")}
    assert (fleet.present, fleet.absent, fleet.unexpected) == ({}, (), ())


def test_a_drive_without_a_serial_in_lsblk_is_found_by_its_link() -> None:
    links = {"nvme-NVME_3.8T_SN0042_1": "/dev/nvme0n1", "nvme-NVME_3.8T_SN0042_1-part1": "/dev/nvme0n1p1"}

    assert compared(["SN0042"], [disk("/dev/nvme0n1")], links=links).present == {"SN0042": "/dev/nvme0n1"}


def test_a_lab_s_node_names_its_drives_in_a_file() -> None:
    fleet = compared(["LAB-tko-1-1", "LAB-tko-1-2"], list(serials.disks(LSBLK)), serials.lab_drives(LAB))

    assert fleet.present == {"LAB-tko-1-1": "/dev/vdb", "LAB-tko-1-2": "/dev/vdc"}
    assert (fleet.absent, fleet.unexpected) == ((), ()), "neither the host's loops and zram nor its system disk"


def test_a_drive_that_the_kernel_has_lost_is_absent_though_its_name_is_still_there() -> None:
    lab = serials.lab_drives(LAB)

    fleet = serials.reconcile(list(lab), [], lab, {}, alive=lambda device: device != "/dev/vdc")

    assert fleet.absent == ("LAB-tko-1-2",)


def test_a_file_that_is_no_block_device_is_not_alive(tmp_path: Path) -> None:
    plain = tmp_path / "sda"
    plain.write_bytes(b"")

    assert not serials.alive(str(plain))
    assert not serials.alive(str(tmp_path / "sdb"))


serial = st.text("AB1_", min_size=1, max_size=4)
device = st.sampled_from(["/dev/sda", "/dev/sdb", "/dev/nvme0n1"])


@given(
    st.lists(st.tuples(device, serial), max_size=3),
    st.dictionaries(serial, device, max_size=2),
    st.dictionaries(st.text("AB1_-", min_size=1, max_size=8), device, max_size=3),
)
def test_ansible_s_resolver_and_the_agent_s_give_the_same_answer(
    listed: list[tuple[str, str]], lab: dict[str, str], links: dict[str, str]
) -> None:
    lsblk = {"blockdevices": [{"path": path, "serial": name, "type": "disk"} for path, name in listed]}

    ours = serials.candidates([disk(path, name) for path, name in listed], lab, links)

    assert ours == drive_serials.candidates(lsblk, lab, links)


def test_both_resolvers_read_the_same_places() -> None:
    assert (f"/{serials.LAB_FILE}", f"/{serials.BY_ID}") == (drive_serials.LAB_FILE, drive_serials.BY_ID)


def node(tmp_path: Path, answers: dict[str, str | Exception]) -> World:
    """Make a node with two drives in the lab's file; smartctl answers with a sample, or raises."""
    (tmp_path / serials.LAB_FILE).parent.mkdir(parents=True)
    (tmp_path / serials.LAB_FILE).write_text(json.dumps({"SN1": "/dev/vdb", "SN2": "/dev/vdc"}))
    told = settings()
    expected = tuple(Drive(serial=name, use=DriveUse.OSD) for name in ("SN1", "SN2", "SN3"))

    def ask(name: str, *arguments: str) -> Done:
        assert name == "smart"
        found = answers[arguments[0]]
        if isinstance(found, Exception):
            raise found
        return Done(exit_code=4, output=(SMART / found).read_bytes(), errors=b"")

    return World(settings=replace(told, drives=expected), run=Commands({("lsblk",): LSBLK}), ask=ask, root=tmp_path)


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serials, "alive", lambda _device, *, root: bool(root))


def said(facts: Drives, level: Level) -> list[str]:
    return [line.words for line in drives.lines(facts) if line.level is level]


@pytest.mark.usefixtures("there")
def test_a_drive_that_hangs_costs_its_own_facts_and_no_others(tmp_path: Path) -> None:
    hung = SourceTimeoutError("`smart /dev/vdb`: did not finish in 30 s")

    facts = drives.read(node(tmp_path, {"/dev/vdb": hung, "/dev/vdc": "sas.json"}))

    assert facts.facts["SN1"] is None
    assert said(facts, Level.UNKNOWN) == [f"drive SN1 (/dev/vdb) could not be asked: {hung}"]
    assert facts.facts["SN2"] is not None
    assert facts.fleet.absent == ("SN3",)
    assert "drive SN3 of the register is not there" in said(facts, Level.FINDING)


@pytest.mark.usefixtures("there")
def test_drives_are_asked_side_by_side_and_what_has_answered_in_time_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drives, "ALL_SECONDS", 0.3)
    place, let_go = node(tmp_path, {"/dev/vdc": "ata_ssd.json"}), threading.Event()

    def ask(name: str, *arguments: str) -> Done:
        if arguments == ("/dev/vdb",):
            let_go.wait(10)
            raise SourceTimeoutError("late")
        return place.ask(name, *arguments)

    facts = drives.read(replace(place, ask=ask))
    let_go.set()

    assert facts.facts["SN2"] is not None
    assert facts.problems == {"SN1": "no answer in 0.3 s"}


@pytest.mark.usefixtures("there")
def test_partial_output_with_a_bad_exit_code_is_kept(tmp_path: Path) -> None:
    facts = drives.read(node(tmp_path, {"/dev/vdb": "nvme_log_failed.json", "/dev/vdc": "ata_ssd.json"}))

    kept = facts.facts["SN1"]
    assert kept is not None
    assert kept.serial == "SYN-NVME-1"
    assert said(facts, Level.GOOD) == ["1 of 3 drives are well"], "a verdict without its page is none"
    assert "tells no health: Read NVMe SMART/Health Information failed" in said(facts, Level.UNKNOWN)[0]


@pytest.mark.usefixtures("there")
def test_a_drive_that_tells_no_health_is_never_called_well(tmp_path: Path) -> None:
    facts = drives.read(node(tmp_path, {"/dev/vdb": "virtual.json", "/dev/vdc": "virtual.json"}))

    assert said(facts, Level.GOOD) == []
    assert [words.partition(")")[2] for words in said(facts, Level.UNKNOWN)] == [
        " tells no health, as no virtual drive does: /dev/vdb: Unable to detect device type"
    ] * 2


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("sample", "faults"),
    [
        ("ata_hdd_failing.json", ("failing", "below its threshold", "self-test failed", "264 sectors cannot be read")),
        ("nvme_worn.json", ("103 % of its endurance",)),
        ("nvme_read_only.json", ("media read-only", "only 4 % of its spare")),
        ("sas.json", ("1 sectors cannot be read",)),
    ],
)
def test_a_drive_s_faults_are_said_in_words(tmp_path: Path, sample: str, faults: tuple[str, ...]) -> None:
    facts = drives.read(node(tmp_path, {"/dev/vdb": sample, "/dev/vdc": "ata_ssd.json"}))

    (line,) = [words for words in said(facts, Level.FINDING) if "SN1" in words]
    assert all(fault in line for fault in faults)


@pytest.mark.usefixtures("there")
def test_what_a_drive_does_not_say_has_no_series(tmp_path: Path) -> None:
    facts = drives.read(node(tmp_path, {"/dev/vdb": "virtual.json", "/dev/vdc": "nvme_worn.json"}))
    series = {
        metric.name: {labels: value for labels, value in metric.samples(facts) if value is not None}
        for metric in drives.METRICS
    }

    assert series["legalcloud_drive_present"] == {("SN1",): 1, ("SN2",): 1, ("SN3",): 0}
    assert series["legalcloud_drive_passed"] == {("SN2",): True}
    assert series["legalcloud_drive_wear_ratio"] == {("SN2",): 1.03}
    assert series["legalcloud_drive_bad_blocks"] == {}
    assert series["legalcloud_drives_unreadable"] == {(): 0}


@fuzz.lengths
def test_whatever_lsblk_prints_is_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(serials.disks, [SERVER, LSBLK], mutations)


@fuzz.lengths
def test_whatever_stands_in_the_lab_s_file_is_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(serials.lab_drives, [LAB], mutations)
