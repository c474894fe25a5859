"""What a drive says of itself, whatever its protocol. None is always: the drive, or smartctl, did not say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Protocol(StrEnum):
    """What the drive speaks; SAS drives speak SCSI."""

    ATA = "ATA"
    SCSI = "SCSI"
    NVME = "NVMe"


class SelfTest(StrEnum):
    """How the drive's last self-test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ABORTED = "aborted"
    """By a person, a reset or a restart: it says nothing about the drive."""
    RUNNING = "running"
    NEVER = "never run"
    """The drive keeps a log of its tests, and there is none in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What each protocol says in its own words."""

    wear_percent: int | None = None
    """Of the endurance that the maker promises, may exceed 100; None also for a drive that does not wear."""
    spare_percent: int | None = None
    """Reserve that is left for blocks that fail."""
    spare_threshold_percent: int | None = None
    """Below it the maker calls the drive unreliable."""
    reallocated_sectors: int | None = None
    """ATA attribute 5."""
    pending_sectors: int | None = None
    """Sectors that could not be read, and wait to be written: ATA attribute 197, SCSI pending defects."""
    uncorrectable_sectors: int | None = None
    """ATA attribute 198."""
    grown_defects: int | None = None
    """SCSI: blocks that failed since the drive was made."""
    media_errors: int | None = None
    """Reads or writes that the drive could not correct: NVMe media errors, ATA attribute 187, SCSI's error counters."""
    critical_warnings: tuple[str, ...] | None = None
    """NVMe; empty if there are none."""
    self_test: SelfTest | None = None
    temperature_celsius: int | None = None
    """Only where the protocol's own page is the only one that says it."""
    powered_hours: int | None = None
    """Likewise."""

    @property
    def counted(self) -> bool:
        """Whether it says how much of the drive is worn or has failed."""
        return any(
            count is not None
            for count in (self.wear_percent, self.reallocated_sectors, self.grown_defects, self.media_errors)
        )


HEALTH_PAGES = frozenset({"ata_smart_attributes", "scsi_error_counter_log", "nvme_smart_health_information_log"})
FAILING, BELOW_THRESHOLD = 1 << 3, 1 << 4
"""Of the exit status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveFacts:
    """One drive as `smartctl --json -x` shows it."""

    protocol: Protocol | None
    """None also where smartctl finds none, as on a virtual drive."""
    model: str | None
    serial: str | None
    capacity_bytes: int | None
    passed: bool | None
    """The drive's own verdict; False also if smartctl's exit status says that it is failing."""
    temperature_celsius: int | None
    powered_hours: int | None
    """Over its whole life."""
    condition: Condition
    exit_status: int
    """Of smartctl: a mask of what went wrong (smartctl(8), "EXIT STATUS")."""
    messages: tuple[str, ...]
    """What smartctl had to say, such as which log page failed."""
    absent: tuple[str, ...]
    """Parts that a drive of this protocol usually has, and that are not there: top-level keys of the JSON."""

    @property
    def telling(self) -> bool:
        """Whether the drive's verdict is there, and the page that it rests on, with a number in it."""
        return self.passed is not None and not HEALTH_PAGES & set(self.absent) and self.condition.counted
