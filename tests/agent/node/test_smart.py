from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.agent.node import fuzz
from tests.agent.node.node_sample import HERE

from legalcloud.errors import ParseError
from legalcloud.node import smart
from legalcloud.node.drive_facts import Condition, DriveFacts, Protocol, SelfTest

DATA = HERE / "data/smart"
SAMPLES = sorted(DATA.glob("*.json"))
REAL = Path(os.environ.get("LEGALCLOUD_SAMPLES", "/nowhere")) / "smartctl"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="LEGALCLOUD_SAMPLES names no folder with smartctl in it")


def told(name: str) -> DriveFacts:
    return smart.parse((DATA / f"{name}.json").read_bytes())


def changed(name: str, **parts: Any) -> DriveFacts:  # noqa: ANN401 -- JSON
    return smart.parse(json.dumps(json.loads((DATA / f"{name}.json").read_bytes()) | parts).encode())


def test_a_failing_hard_disk_shows_each_of_its_faults() -> None:
    disk = told("ata_hdd_failing")

    assert (disk.protocol, disk.model, disk.serial) == (Protocol.ATA, "SYNTHETIC HDD 16T", "SYN-HDD-1")
    assert (disk.capacity_bytes, disk.temperature_celsius, disk.powered_hours) == (16000900661248, 41, 26304)
    assert disk.passed is False
    assert disk.condition == Condition(
        reallocated_sectors=2040,
        pending_sectors=264,
        uncorrectable_sectors=264,
        media_errors=117,
        self_test=SelfTest.FAILED,
    )
    assert disk.exit_status == 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7, "fails, is below a threshold, has logged both"


def test_an_ssd_says_its_wear_and_an_attribute_that_is_not_in_use_says_nothing() -> None:
    disk = told("ata_ssd")

    assert disk.serial == "SYN-SSD-1"
    assert (disk.condition.wear_percent, disk.condition.spare_percent) == (5, 99)
    assert disk.condition.pending_sectors is None
    assert disk.condition.self_test is SelfTest.RUNNING


def test_an_older_smartctl_leaves_the_wear_to_the_maker_s_attribute() -> None:
    assert changed("ata_ssd", endurance_used=None).condition.wear_percent == 4


@pytest.mark.parametrize(
    ("name", "value", "raw", "model", "wear"),
    [
        ("SSD_Life_Left", 100, "74", "KINGSTON", 26),
        ("Percent_Life_Remaining", 100, "99", "DELL", 1),
        ("Media_Wearout_Indicator", 15, "0", "INTEL", 85),
        ("Wear_Leveling_Count", 91, "1661", "SAMSUNG MZ7", 9),
        ("Wear_Leveling_Count", 91, "1661", "TS32G", None),
        ("SSD_Life_Left", 100, "740", "KINGSTON", None),
    ],
)
def test_each_maker_s_word_for_wear_is_read_in_its_own_way(
    name: str, value: int, raw: str, model: str, wear: int | None
) -> None:
    row = {"id": 231, "name": name, "value": value, "raw": {"value": int(raw), "string": raw}}

    disk = changed("ata_ssd", endurance_used=None, model_name=model, ata_smart_attributes={"table": [row]})

    assert disk.condition.wear_percent == wear


def test_a_test_log_without_a_test_is_not_an_absent_log() -> None:
    assert changed("ata_ssd", ata_smart_data=None).condition.self_test is SelfTest.NEVER
    gone = changed("ata_ssd", ata_smart_data=None, ata_smart_self_test_log=None)
    assert (gone.condition.self_test, gone.absent) == (None, ("ata_smart_self_test_log",))


def test_an_nvme_log_without_a_test_says_never_and_one_that_runs_says_so() -> None:
    idle = {"current_self_test_operation": {"value": 0}}

    assert changed("nvme_worn", nvme_self_test_log=idle).condition.self_test is SelfTest.NEVER
    running = changed("nvme_worn", nvme_self_test_log={"current_self_test_operation": {"value": 1}})
    assert running.condition.self_test is SelfTest.RUNNING


def test_a_sas_drive_counts_defects_and_what_it_could_not_correct() -> None:
    disk = told("sas")

    assert (disk.protocol, disk.model) == (Protocol.SCSI, "SYNTH SAS18T")
    assert disk.condition == Condition(grown_defects=3, pending_sectors=1, media_errors=7, self_test=SelfTest.ABORTED)
    assert disk.absent == ()


def test_wear_beyond_what_was_promised_is_shown_as_it_is() -> None:
    disk = told("nvme_worn")

    assert disk.condition.wear_percent == 103
    assert disk.condition.critical_warnings == ()
    assert disk.condition.self_test is SelfTest.PASSED
    assert disk.capacity_bytes == 3840755982336


def test_critical_warnings_are_named_bit_by_bit() -> None:
    disk = told("nvme_read_only")

    assert disk.condition.critical_warnings == ("spare below threshold", "media read-only")
    assert (disk.passed, disk.condition.media_errors, disk.condition.spare_percent) == (False, 31, 4)
    assert disk.condition.self_test is SelfTest.FAILED


def test_a_log_page_that_failed_costs_its_own_facts_and_no_others() -> None:
    disk = told("nvme_log_failed")

    assert (disk.serial, disk.capacity_bytes, disk.passed) == ("SYN-NVME-1", 3840755982336, True)
    assert disk.condition == Condition()
    assert disk.absent == (
        "temperature",
        "power_on_time",
        "nvme_smart_health_information_log",
        "nvme_self_test_log",
    )
    assert disk.messages[0].startswith("Read NVMe SMART/Health Information failed")
    assert disk.exit_status == 1 << 2, "a command to the drive failed"


def test_temperature_and_age_are_taken_from_the_nvme_page_where_only_that_has_them() -> None:
    disk = changed("nvme_worn", temperature=None, power_on_time=None)

    assert (disk.temperature_celsius, disk.powered_hours) == (38, 20000)


def test_a_virtual_drive_tells_nothing_and_that_is_not_good() -> None:
    disk = told("virtual")

    assert (disk.protocol, disk.serial, disk.passed, disk.condition) == (None, None, None, Condition())
    assert disk.absent == ("device", "smart_status", "temperature", "power_on_time")
    assert disk.messages == ("/dev/vdb: Unable to detect device type",)


def test_an_exit_status_that_says_failing_outweighs_a_verdict_that_says_passed() -> None:
    failing = {"exit_status": 8}

    assert changed("sas", smartctl=failing).passed is False


@pytest.mark.parametrize("celsius", [-300, 200, 10**30, "38", None, True])
def test_a_sensor_that_says_nonsense_is_unknown(celsius: object) -> None:
    assert changed("sas", temperature={"current": celsius}).temperature_celsius is None


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"smartctl": {}}', b'{"smartctl": {"exit_status": 256}}', b"\xff"]
)
def test_output_without_smartctl_s_own_word_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        smart.parse(raw)


@needs_real
def test_every_real_drive_parses_and_names_its_protocol_model_and_capacity() -> None:
    drives = {path.name: smart.parse(path.read_bytes()) for path in REAL.glob("*.json")}

    assert len(drives) >= 168
    assert [name for name, one in drives.items() if None in (one.protocol, one.model, one.capacity_bytes)] == []
    assert {one.protocol for one in drives.values()} == set(Protocol)


@needs_real
def test_every_real_drive_tells_health_temperature_and_all_but_one_its_age() -> None:
    drives = [smart.parse(path.read_bytes()) for path in REAL.glob("*.json")]

    assert [one.model for one in drives if one.passed is None or one.temperature_celsius is None] == []
    assert [one.protocol for one in drives if one.powered_hours is None] == [Protocol.SCSI]
    assert [one.condition.critical_warnings for one in drives if one.passed is False] == [
        ("volatile memory backup failed",)
    ]


@needs_real
def test_every_real_nvme_drive_and_every_worn_ssd_tells_its_wear() -> None:
    drives = [smart.parse(path.read_bytes()) for path in REAL.glob("*.json")]
    told_wear = [one for one in drives if one.condition.wear_percent is not None]

    assert sum(one.protocol is Protocol.NVME for one in told_wear) == 55
    assert sum(one.protocol is Protocol.ATA for one in told_wear) == 40
    assert all(0 <= (one.condition.wear_percent or 0) <= 100 for one in told_wear)


@fuzz.lengths
def test_whatever_smartctl_prints_is_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(smart.parse, [path.read_bytes() for path in SAMPLES], mutations)


@needs_real
@fuzz.lengths
def test_whatever_becomes_of_a_real_drive_s_output_is_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(smart.parse, [path.read_bytes() for path in sorted(REAL.glob("*.json"))], mutations)
