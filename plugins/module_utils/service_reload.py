"""Whether a unit runs with older files than those on disk: a comparison without side effects."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What `systemctl show` said about one unit."""

    active: bool
    at: float | None
    """Real time of its last change of state, as when it starts or reloads; None if never."""


def parse(raw: str, *, boot_time: float) -> dict[str, Loaded]:
    """Parse blocks of `systemctl show --property=...` for several units, keyed by each of their names.

    `boot_time` is the real time at which the monotonic clock was zero.
    Raises: KeyError if a property is missing, ValueError if a time is not a number.
    """
    units = {}
    for block in raw.strip().split("\n\n"):
        found = dict(line.split("=", 1) for line in block.splitlines())
        microseconds = int(found["StateChangeTimestampMonotonic"])
        loaded = Loaded(
            active=found["ActiveState"] == "active",
            at=boot_time + microseconds / 1e6 if microseconds else None,
        )
        units.update(dict.fromkeys(found["Names"].split(), loaded))
    return units


def is_outdated(loaded: Loaded, *, written_at: float | None) -> bool:
    """Tell whether a running unit last read its files before the newest of them was written."""
    if not loaded.active or loaded.at is None or written_at is None:
        return False
    return loaded.at < written_at
