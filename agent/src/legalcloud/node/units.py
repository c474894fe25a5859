"""What systemd says: are the services there that shall be, and which units have failed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from legalcloud.errors import ParseError
from legalcloud.node.subject import Kind, Level, Line, Metric, Subject, World, gauge

PROPERTIES = ("Id", "LoadState", "ActiveState", "SubState", "NRestarts")
MOST_LISTED = 10
"""Failed units that get a series of their own; the count is of all."""
_LIMIT_SECONDS = 10
_NAME = re.compile(r"[A-Za-z0-9@:_.\\-]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One expected unit."""

    loaded: str
    """`loaded`, `not-found`, `masked`, ..."""
    active: str
    """`active`, `inactive`, `failed`, `activating`, ..."""
    sub: str
    """Finer, such as `running` or `auto-restart`."""
    restarts: int | None
    """Since it was last started by hand; None for units that systemd does not restart, such as sockets."""

    @property
    def good(self) -> bool:
        return self.active == "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """All that is watched."""

    expected: Mapping[str, Unit]
    """By name; systemd knows also units that are not installed, as `not-found`."""
    failed: tuple[str, ...]
    """Names of all units in the state `failed`, expected or not."""


def show(raw: bytes, names: tuple[str, ...]) -> Mapping[str, Unit]:
    """Parse `systemctl show --property=... UNIT...`: a block of KEY=VALUE for each unit, in the order asked.

    systemd 252 to 262. An alias answers by its real name, hence the order and not `Id` says which is which.
    Raises: ParseError.
    """
    blocks = raw.decode(errors="replace").strip("\n").split("\n\n") if raw.strip() else []
    if len(blocks) != len(names):
        raise ParseError(f"`systemctl show` told of {len(blocks)} units, not {len(names)}")
    return {name: _unit(name, block) for name, block in zip(names, blocks, strict=True)}


def _unit(name: str, block: str) -> Unit:
    values = dict(line.split("=", 1) for line in block.split("\n") if "=" in line)
    restarts = values.get("NRestarts")
    if restarts is not None and not re.fullmatch(r"[0-9]{1,9}", restarts):
        raise ParseError(f"`systemctl show {name}`: {restarts[:20]!r} restarts")
    try:
        return Unit(
            loaded=values["LoadState"],
            active=values["ActiveState"],
            sub=values["SubState"],
            restarts=None if restarts is None else int(restarts),
        )
    except KeyError as error:
        raise ParseError(f"`systemctl show {name}` does not say {error.args[0]}") from error


def failed(raw: bytes) -> tuple[str, ...]:
    """Parse `systemctl list-units --failed --output=json`. Raises: ParseError."""
    try:
        found = [entry["unit"] for entry in json.loads(raw)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ParseError(f"`systemctl list-units` cannot be read: {type(error).__name__}") from error
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in found):
        raise ParseError("`systemctl list-units` names a unit that is none")
    return tuple(sorted(found))


def read(world: World) -> Units:
    names = world.settings.services
    listed = world.run(["systemctl", "list-units", "--failed", "--output=json", "--no-pager"], seconds=_LIMIT_SECONDS)
    asked = ["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--no-pager", "--", *names]
    shown = world.run(asked, seconds=_LIMIT_SECONDS).good("systemctl show") if names else b""
    return Units(expected=show(shown, names), failed=failed(listed.good("systemctl list-units")))


METRICS: tuple[Metric[Units], ...] = (
    Metric(
        name="legalcloud_service_active",
        help="Whether a service that shall be active is; 0 also if it is not installed.",
        labels=("unit",),
        samples=lambda facts: (((name,), unit.good) for name, unit in facts.expected.items()),
    ),
    Metric(
        name="legalcloud_service_restarts_total",
        kind=Kind.COUNTER,
        help="How often systemd has restarted the service by itself since a person last started it.",
        labels=("unit",),
        samples=lambda facts: (((name,), unit.restarts) for name, unit in facts.expected.items()),
    ),
    gauge("legalcloud_units_failed", "Units in the state failed.", lambda facts: len(facts.failed)),
    Metric(
        name="legalcloud_unit_failed_info",
        help=f"Names of failed units, the first {MOST_LISTED} of them.",
        labels=("unit",),
        samples=lambda facts: (((name,), 1) for name in facts.failed[:MOST_LISTED]),
    ),
)


def lines(facts: Units) -> Iterator[Line]:
    missing = {name: unit for name, unit in facts.expected.items() if not unit.good}
    for name, unit in missing.items():
        state = unit.loaded if unit.loaded != "loaded" else f"{unit.active} ({unit.sub})"
        yield Line(
            level=Level.FINDING,
            words=f"{name} is {state}, and shall be active",
            remedy=f"`systemctl status {name}`; then run playbooks/site.yml.",
        )
    for name in facts.failed:
        if name not in missing:
            yield Line(
                level=Level.FINDING,
                words=f"{name} has failed",
                remedy=f"`systemctl status {name}`; when mended, `systemctl reset-failed {name}`.",
            )
    if not missing and not facts.failed:
        yield Line(
            level=Level.GOOD, words=f"all {len(facts.expected)} expected services are active, no unit has failed"
        )


SUBJECT = Subject(name="units", every_seconds=30, deadline_seconds=25, read=read, metrics=METRICS, lines=lines)
