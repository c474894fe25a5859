"""What must be done so that systemd's units are as wanted: a comparison without side effects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """A verb of systemctl."""

    UNMASK = "unmask"
    MASK = "mask"
    ENABLE = "enable"
    DISABLE = "disable"
    RESET_FAILED = "reset-failed"
    START = "start"
    STOP = "stop"
    RESTART = "restart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one unit should be; None means that we do not mind."""

    name: str
    enabled: bool | None
    started: bool | None
    masked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What `systemctl show` said about one unit."""

    known: bool
    """LoadState is not `not-found`."""
    file_state: str
    """UnitFileState; empty for a unit without a file."""
    active_state: str
    started_at: float | None
    """Seconds on the real-time clock when it began to start; None if it never did."""
    needs_reload: bool
    """Its file is newer than what systemd has loaded."""


def parse(raw: str, *, boot_time: float) -> dict[str, Observed]:
    """Parse blocks of `systemctl show --property=...` for several units, keyed by Id as asked for (`Names`).

    `boot_time` is the real time at which the monotonic clock was zero.
    Raises: KeyError if a property is missing, ValueError if a time is not a number.
    """
    units = {}
    for block in raw.strip().split("\n\n"):
        found = dict(line.split("=", 1) for line in block.splitlines())
        microseconds = int(found["InactiveExitTimestampMonotonic"])
        observed = Observed(
            known=found["LoadState"] != "not-found",
            file_state=found["UnitFileState"],
            active_state=found["ActiveState"],
            started_at=boot_time + microseconds / 1e6 if microseconds else None,
            needs_reload=found["NeedDaemonReload"] == "yes",
        )
        for name in found["Names"].split():
            units[name] = observed
    return units


def plan(wanted: Wanted, observed: Observed, *, configured_at: float | None) -> tuple[Step, ...]:
    """Name the steps to the wanted state.

    A unit that started before its configuration was written restarts.
    """
    if wanted.masked:
        steps = [] if observed.file_state == "masked" else [Step.MASK]
        return (*([Step.STOP] if _is_up(observed) else []), *steps)
    steps = [Step.UNMASK] if observed.file_state == "masked" else []
    if wanted.enabled is True and observed.file_state in {"disabled", "masked"}:
        steps.append(Step.ENABLE)
    if wanted.enabled is False and observed.file_state in {"enabled", "enabled-runtime"}:
        steps.append(Step.DISABLE)
    if wanted.started is True and not _is_up(observed):
        # A unit that failed too often does not start before its count is forgotten.
        steps += [Step.RESET_FAILED, Step.START] if observed.active_state == "failed" else [Step.START]
    elif wanted.started is True and _is_outdated(observed, configured_at):
        steps.append(Step.RESTART)
    if wanted.started is False and _is_up(observed):
        steps.append(Step.STOP)
    return tuple(steps)


def _is_up(observed: Observed) -> bool:
    return observed.active_state in {"active", "activating", "reloading", "refreshing"}


def _is_outdated(observed: Observed, configured_at: float | None) -> bool:
    return configured_at is not None and observed.started_at is not None and observed.started_at < configured_at
