"""Hourly samples of how full something is: 90 days in one text file that damage cannot take as a whole.

A line is `SECONDS USED TOTAL CHECKSUM`: a damaged line costs its own hour, and the readers say how many were lost.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from legalcloud import durable

HOUR_SECONDS = 3600
MOST_SAMPLES = 90 * 24
MOST_BYTES = 1 << 20
"""No file of ours is so long; more is not read."""
_LINE = re.compile(rb"(\d{1,12} \d{1,20} \d{1,20}) ([0-9a-f]{8})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at one thing that can fill."""

    at_seconds: int
    """Unix time by this node's clock."""
    used_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is known of the past, oldest first and at most one sample an hour."""

    samples: tuple[Sample, ...] = ()
    problem: str | None = None
    """What was lost or is odd, for a person; None if nothing is."""
    unreadable: bool = False
    """Whether there is a file that could not be read: it must not be replaced."""

    def until(self, now_seconds: int) -> tuple[Sample, ...]:
        """Leave out what a clock that ran ahead has dated into the future."""
        return tuple(sample for sample in self.samples if sample.at_seconds <= now_seconds)


def add(history: History, sample: Sample) -> History:
    """Add one sample; of two in one hour the new one stays, and beyond 90 days' worth the oldest goes.

    Nobody can tell which of two clocks was right, so a clock that went backwards loses nothing: the samples
    after it stay, `until` hides them, and `problem` says so.
    """
    late = [old for old in history.samples if old.at_seconds // HOUR_SECONDS > sample.at_seconds // HOUR_SECONDS]
    problem = None
    if late:
        hours = (late[-1].at_seconds - sample.at_seconds) / HOUR_SECONDS
        problem = (
            f"the clock went backwards: {len(late)} samples are up to {hours:.0f} h later than now and wait unused"
        )
    return History(samples=_bounded((*history.samples, sample)), problem=problem)


def _bounded(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    by_hour = {sample.at_seconds // HOUR_SECONDS: sample for sample in samples}
    return tuple(sample for _hour, sample in sorted(by_hour.items()))[-MOST_SAMPLES:]


def parse(raw: bytes) -> History:
    """Read all that is whole. Raises nothing: damage costs its own lines and is counted in `problem`."""
    lines = raw.split(b"\n")
    torn = lines.pop()  # what follows the last newline: nothing, unless a write ended half way
    found = [_sample(line) for line in lines]
    lost = found.count(None) + bool(torn)
    return History(
        samples=_bounded(sample for sample in found if sample),
        problem=f"{lost} of {len(lines) + bool(torn)} lines are damaged and left out" if lost else None,
    )


def _sample(line: bytes) -> Sample | None:
    whole = _LINE.fullmatch(line)
    if whole is None or int(whole[2], 16) != zlib.crc32(whole[1]):
        return None
    at_seconds, used_bytes, total_bytes = (int(number) for number in whole[1].split())
    return Sample(at_seconds=at_seconds, used_bytes=used_bytes, total_bytes=total_bytes)


def render(samples: Iterable[Sample]) -> bytes:
    texts = (f"{s.at_seconds} {s.used_bytes} {s.total_bytes}".encode() for s in samples)
    return b"".join(b"%s %08x\n" % (text, zlib.crc32(text)) for text in texts)


def read(path: Path) -> History:
    """Read the file; one that is not there yet is an empty history, one that cannot be read says why."""
    try:
        with path.open("rb") as file:
            return parse(file.read(MOST_BYTES))
    except FileNotFoundError:
        return History()
    except OSError as error:
        return History(problem=f"{path} cannot be read: {error.strerror}", unreadable=True)


def write(path: Path, history: History) -> None:
    """Replace the file. Raises: OSError if the folder cannot be written."""
    durable.replace(path, render(history.samples))
