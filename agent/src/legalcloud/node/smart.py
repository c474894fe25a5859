"""What `smartctl --json -x` prints, to facts: what all drives have in common, and the pages of ATA and SCSI drives.

smartmontools 7.2 to 7.5. A part that is missing or damaged costs its own facts and no others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from legalcloud.errors import ParseError
from legalcloud.node import nvme
from legalcloud.node.drive_facts import FAILING, Condition, DriveFacts, Protocol, SelfTest
from legalcloud.tree import Tree
from legalcloud.tree import parse as parse_json

T = TypeVar("T")
MOST_MESSAGES = 10
COLDEST_CELSIUS, HOTTEST_CELSIUS = -60, 150
"""Beyond, a sensor is broken: no such drive answers."""
_MOST_HOURS = 1_000_000
"""More than a hundred years: some firmware counts in minutes or seconds there."""
_EVERY = ("smart_status", "temperature", "power_on_time")
_PARTS: Mapping[Protocol | None, tuple[str, ...]] = {
    None: ("device", *_EVERY),
    Protocol.ATA: (*_EVERY, "ata_smart_attributes", "ata_smart_self_test_log"),
    Protocol.SCSI: (*_EVERY, "scsi_error_counter_log", "scsi_grown_defect_list", "scsi_self_test_0"),
    Protocol.NVME: (*_EVERY, *nvme.PARTS),
}


def parse(raw: bytes) -> DriveFacts:
    """Parse what smartctl printed, whatever its exit status.

    Raises: ParseError if it is not JSON, or does not tell smartctl's own exit status.
    """
    tree = parse_json(raw, "`smartctl --json`")
    exit_status = tree["smartctl"]["exit_status"].count()
    if exit_status >> 8:
        raise ParseError(f"`smartctl --json` ended with {exit_status}, which is no exit status")
    protocol = next((one for one in Protocol if one == tree.maybe("device", "protocol", read=Tree.text)), None)
    condition = _CONDITIONS[protocol](tree) if protocol else Condition()
    temperature = _first(tree.maybe("temperature", "current", read=Tree.integer), condition.temperature_celsius)
    hours = _first(tree.maybe("power_on_time", "hours", read=Tree.count), condition.powered_hours)
    failing = bool(exit_status & FAILING)
    return DriveFacts(
        protocol=protocol,
        model=_first(*(tree.maybe(key, read=Tree.word) for key in ("model_name", "scsi_model_name"))),
        serial=tree.maybe("serial_number", read=Tree.word),
        capacity_bytes=tree.maybe("user_capacity", "bytes", read=Tree.count)
        or tree.maybe("nvme_total_capacity", read=Tree.count)
        or None,
        passed=False if failing else tree.maybe("smart_status", "passed", read=Tree.flag),
        temperature_celsius=temperature
        if temperature is not None and COLDEST_CELSIUS <= temperature <= HOTTEST_CELSIUS
        else None,
        powered_hours=hours if hours is not None and hours <= _MOST_HOURS else None,
        condition=condition,
        exit_status=exit_status,
        messages=_messages(tree),
        absent=tuple(part for part in _PARTS[protocol] if not tree.maybe(part, read=_there)),
    )


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)


def _there(part: Tree) -> bool:
    return (isinstance(part.value, dict) and bool(part.value)) or isinstance(part.value, int)


def _messages(tree: Tree) -> tuple[str, ...]:
    entries = tree.maybe("smartctl", "messages", read=lambda found: tuple(found.elements())) or ()
    words = (entry.maybe("string", read=Tree.word) for entry in entries[:MOST_MESSAGES])
    return tuple(word for word in words if word is not None)


class _Attribute(NamedTuple):
    name: str
    value: int | None
    """Normalised by the drive: usually 100 when new."""
    raw: int | None
    """The number that `raw.string` begins with: smartctl's database knows which bits of `raw.value` count."""


def _attributes(tree: Tree) -> dict[int, _Attribute]:
    rows = tree.maybe("ata_smart_attributes", "table", read=lambda table: tuple(table.elements())) or ()
    found: dict[int, _Attribute] = {}
    for row in rows:
        number, name = row.maybe("id", read=Tree.count), row.maybe("name", read=Tree.word)
        if number is None or name is None or name == "Not_In_Use":
            continue
        digits = re.match(r"[0-9]{1,15}(?![0-9A-Za-z])", row.maybe("raw", "string", read=Tree.text) or "")
        value = row.maybe("value", read=Tree.count)
        found[number] = _Attribute(name=name, value=value, raw=int(digits[0]) if digits else None)
    return found


def _ata(tree: Tree) -> Condition:
    attributes = _attributes(tree)

    def raw(number: int) -> int | None:
        return attributes[number].raw if number in attributes else None

    return Condition(
        wear_percent=_first(
            tree.maybe("endurance_used", "current_percent", read=Tree.count),
            _worn({one.name: one for one in attributes.values()}, tree.maybe("model_name", read=Tree.word) or ""),
        ),
        spare_percent=tree.maybe("spare_available", "current_percent", read=Tree.count),
        spare_threshold_percent=tree.maybe("spare_available", "threshold_percent", read=Tree.count),
        reallocated_sectors=raw(5),
        pending_sectors=raw(197),
        uncorrectable_sectors=raw(198),
        media_errors=raw(187),
        self_test=_ata_self_test(tree),
    )


def _worn(named: Mapping[str, _Attribute], model: str) -> int | None:
    """Read endurance used from the attribute that this maker keeps it in, by its name in smartctl's database.

    The number is what is used (Micron), what is left (Phison, Dell, Silicon Motion), or its normalised value (Intel,
    Samsung; others mean another thing by Wear_Leveling_Count).
    """
    if (used := named.get("Percent_Lifetime_Remain")) and used.raw is not None:
        return used.raw
    left: int | None = None
    for name in ("SSD_Life_Left", "Percent_Life_Remaining", "Remaining_Lifetime_Perc"):
        if left is None and name in named:
            left = named[name].raw
    for name in ("Media_Wearout_Indicator", *(["Wear_Leveling_Count"] if "SAMSUNG" in model.upper() else [])):
        if left is None and name in named:
            left = named[name].value
    return 100 - left if left is not None and left <= 100 else None  # noqa: PLR2004 -- per cent


def _ata_self_test(tree: Tree) -> SelfTest | None:
    now = tree.maybe("ata_smart_data", "self_test", "status", "value", read=Tree.count)
    if now is not None and _OUTCOMES.get(now >> 4) is SelfTest.RUNNING:
        return SelfTest.RUNNING
    for name in ("extended", "standard"):
        log = tree.maybe("ata_smart_self_test_log", name, read=lambda found: found)
        if log is None:
            continue
        tests = log.maybe("table", read=lambda table: tuple(table.elements()))
        if tests:
            code = tests[0].maybe("status", "value", read=Tree.count)
            return None if code is None else _OUTCOMES.get(code >> 4)
        return SelfTest.NEVER if log.maybe("count", read=Tree.count) == 0 else None
    return None


def _scsi(tree: Tree) -> Condition:
    uncorrected = [
        tree.maybe("scsi_error_counter_log", deed, "total_uncorrected_errors", read=Tree.count)
        for deed in ("read", "write", "verify")
    ]
    counted = [number for number in uncorrected if number is not None]
    code = tree.maybe("scsi_self_test_0", "result", "value", read=Tree.count)
    return Condition(
        wear_percent=_first(
            tree.maybe("endurance_used", "current_percent", read=Tree.count),
            tree.maybe("scsi_percentage_used_endurance_indicator", read=Tree.count),
        ),
        pending_sectors=tree.maybe("scsi_pending_defects", "count", read=Tree.count),
        grown_defects=tree.maybe("scsi_grown_defect_list", read=Tree.count),
        media_errors=sum(counted) if counted else None,
        self_test=None if code is None else _OUTCOMES.get(code),
    )


_OUTCOMES = {
    0: SelfTest.PASSED,
    **dict.fromkeys((1, 2), SelfTest.ABORTED),
    **dict.fromkeys((3, 4, 5, 6, 7, 8), SelfTest.FAILED),
    15: SelfTest.RUNNING,
}
"""ATA and SCSI number the ends of a self-test alike (ACS-4, "self-test execution status"; SPC-5, its log page)."""
_CONDITIONS = {Protocol.ATA: _ata, Protocol.SCSI: _scsi, Protocol.NVME: nvme.condition}
