"""The drives of this node: those of the register that are there, those that are not, and how each one is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from legalcloud.errors import LegalcloudError
from legalcloud.node import serials, smart
from legalcloud.node.drive_facts import BELOW_THRESHOLD, DriveFacts, SelfTest
from legalcloud.node.serials import Fleet
from legalcloud.node.subject import Kind, Level, Line, Metric, Sample, Subject, World, gauge

WORN_PERCENT = 90
"""Of the promised endurance: time to order, since a new drive takes weeks to come."""
_LIMIT_SECONDS = 10
_AT_ONCE = 8
"""Drives that are asked side by side: 24 of them that all hang cost three times one deed's limit."""
ALL_SECONDS = 110.0
"""For all drives; what has answered by then is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drives:
    """All of them."""

    fleet: Fleet
    facts: Mapping[str, DriveFacts | None]
    """By serial, of each that is present; None if smartctl gave no answer that can be read."""
    problems: Mapping[str, str]
    """Why, by serial."""


def look(world: World) -> Fleet:
    """Compare the register's drives with what is there."""
    seen = serials.disks(world.run(serials.LSBLK, seconds=_LIMIT_SECONDS).good("lsblk"))
    try:
        lab = serials.lab_drives((world.root / serials.LAB_FILE).read_bytes())
    except FileNotFoundError:
        lab = {}
    expected = [drive.serial for drive in world.settings.drives]
    alive = partial(serials.alive, root=world.root)
    return serials.reconcile(expected, seen, lab, serials.links(world.root), alive=alive)


def read(world: World) -> Drives:
    fleet = look(world)
    told: dict[str, DriveFacts | str] = {}
    waiting, until = iter(tuple(fleet.present.items())), time.monotonic() + ALL_SECONDS

    def ask() -> None:
        for serial, device in waiting:  # the next that no other thread has taken
            if time.monotonic() > until:
                return
            try:
                told[serial] = smart.parse(world.ask("smart", device).output)
            except LegalcloudError as error:
                told[serial] = str(error)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(min(_AT_ONCE, len(fleet.present)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    answers = {serial: told.get(serial, f"no answer in {ALL_SECONDS:g} s") for serial in fleet.present}
    return Drives(
        fleet=fleet,
        facts={serial: None if isinstance(one, str) else one for serial, one in answers.items()},
        problems={serial: one for serial, one in answers.items() if isinstance(one, str)},
    )


def _each(value: Callable[[DriveFacts], float | None]) -> Callable[[Drives], Iterator[Sample]]:
    return lambda drives: (((serial,), value(facts)) for serial, facts in drives.facts.items() if facts)


def _ratio(percent: int | None) -> float | None:
    return None if percent is None else percent / 100


def _bad_blocks(facts: DriveFacts) -> int | None:
    told = facts.condition
    counts = (told.reallocated_sectors, told.pending_sectors, told.uncorrectable_sectors, told.grown_defects)
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _hottest_celsius(drives: Drives) -> int | None:
    told = (facts.temperature_celsius for facts in drives.facts.values() if facts)
    return max((celsius for celsius in told if celsius is not None), default=None)


def _present(drives: Drives) -> Iterator[Sample]:
    fleet = drives.fleet
    yield from (((serial,), 1) for serial in fleet.present)
    yield from (((serial,), 0) for serial in (*fleet.absent, *fleet.ambiguous))


_LABELS = ("serial",)
METRICS: tuple[Metric[Drives], ...] = (
    Metric(
        name="legalcloud_drive_present",
        help="Whether exactly one device carries the serial of a drive of the register.",
        labels=_LABELS,
        samples=_present,
    ),
    gauge(
        "legalcloud_drives_unexpected",
        "Disks that the register does not know and that nothing is mounted from.",
        lambda drives: len(drives.fleet.unexpected),
    ),
    gauge(
        "legalcloud_drives_unreadable",
        "Drives that are present and of which smartctl gave no answer that can be read.",
        lambda drives: sum(facts is None for facts in drives.facts.values()),
    ),
    gauge(
        "legalcloud_drives_silent",
        "Drives that are present and tell no health: they cannot be asked or opened, or are virtual.",
        lambda drives: sum(facts is None or not facts.telling for facts in drives.facts.values()),
    ),
    Metric(
        name="legalcloud_drive_passed",
        help="The drive's own verdict (SMART status); no series if it gives none, or could not be asked.",
        labels=_LABELS,
        samples=_each(lambda facts: facts.passed),
    ),
    Metric(
        name="legalcloud_drive_wear_ratio",
        unit="ratio",
        help="Share of the promised endurance that is used; may exceed 1. No series for a drive that does not say.",
        labels=_LABELS,
        samples=_each(lambda facts: _ratio(facts.condition.wear_percent)),
    ),
    Metric(
        name="legalcloud_drive_bad_blocks",
        help="Blocks that failed: reallocated, waiting to be, uncorrectable (ATA), grown defects (SCSI), together.",
        labels=_LABELS,
        samples=_each(_bad_blocks),
    ),
    Metric(
        name="legalcloud_drive_media_errors_total",
        kind=Kind.COUNTER,
        help="Reads and writes that the drive could not correct, over its life.",
        labels=_LABELS,
        samples=_each(lambda facts: facts.condition.media_errors),
    ),
    gauge(
        "legalcloud_drives_hottest_celsius",
        "Temperature of the hottest drive; no series if none tells.",
        _hottest_celsius,
        unit="celsius",
    ),
)


def faults(facts: DriveFacts) -> Iterator[str]:
    """Say what is wrong with a drive; nothing if all that it tells is good."""
    told = facts.condition
    if facts.passed is False:
        yield "it says that it is failing"
    if facts.exit_status & BELOW_THRESHOLD:
        yield "an attribute is below its threshold"
    if told.critical_warnings:
        yield f"it warns: {', '.join(told.critical_warnings)}"
    if told.self_test is SelfTest.FAILED:
        yield "its last self-test failed"
    if told.pending_sectors:
        yield f"{told.pending_sectors} sectors cannot be read"
    if told.uncorrectable_sectors:
        yield f"{told.uncorrectable_sectors} sectors are uncorrectable"
    for count, what in (
        (told.media_errors, "reads or writes that it could not correct"),
        (told.grown_defects, "blocks that failed since it was made"),
        (told.reallocated_sectors, "sectors that were reallocated"),
    ):
        if count:
            yield f"{count} {what}"
    if told.wear_percent is not None and told.wear_percent >= WORN_PERCENT:
        yield f"{told.wear_percent} % of its endurance is used"
    if told.spare_percent is not None and told.spare_percent < (told.spare_threshold_percent or 0):
        yield f"only {told.spare_percent} % of its spare blocks are left"


def lines(drives: Drives) -> Iterator[Line]:
    fleet = drives.fleet
    for serial in fleet.absent:
        words = f"drive {serial} of the register is not there"
        yield Line(level=Level.FINDING, words=words, remedy="Look at its bay, its cable and `dmesg`.")
    for serial, devices in fleet.ambiguous.items():
        words = f"{' and '.join(devices)} both carry the serial {serial}"
        yield Line(level=Level.FINDING, words=words, remedy="`lsblk -o PATH,SERIAL`; unplug the one that is not ours.")
    for disk in fleet.unexpected:
        words = f"{disk.path} (serial {disk.serial or 'unknown'}) is not in the register"
        yield Line(level=Level.FINDING, words=words, remedy="Add it to legalcloud_drives in hosts.yml, or unplug it.")
    well = 0
    for serial, facts in drives.facts.items():
        name = f"drive {serial} ({fleet.present[serial]})"
        if facts is None:
            words = f"{name} could not be asked: {drives.problems[serial]}"
            yield Line(level=Level.UNKNOWN, words=words, remedy=f"`smartctl -x {fleet.present[serial]}` there.")
        elif found := "; ".join(faults(facts)):
            yield Line(
                level=Level.FINDING,
                words=f"{name}: {found}",
                remedy="Plan its replacement; at once if it says that it is failing, or if the count grows.",
            )
        elif not facts.telling:
            said = "; ".join(facts.messages) or f"no {', '.join(facts.absent)}"
            kind = "" if facts.protocol else ", as no virtual drive does"
            remedy = f"Nothing to do in a lab; of a real drive `smartctl -x {fleet.present[serial]}` says why."
            yield Line(level=Level.UNKNOWN, words=f"{name} tells no health{kind}: {said}", remedy=remedy)
        else:
            well += 1
    if well:
        yield Line(level=Level.GOOD, words=f"{well} of {len(drives.facts) + len(fleet.absent)} drives are well")


SUBJECT = Subject(name="drives", every_seconds=300, deadline_seconds=120, read=read, metrics=METRICS, lines=lines)
