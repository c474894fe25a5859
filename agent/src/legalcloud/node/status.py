"""How a node is, as one document for machines, and in plain words for a person. Colour is the caller's business."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import cast

from legalcloud import __version__
from legalcloud.errors import ParseError
from legalcloud.node.probe import Seen
from legalcloud.node.settings import Settings
from legalcloud.node.subject import Level, Line, Subject, Subjects

FORMAT = 1
AWAY = Line(
    level=Level.FINDING,
    words="the agent is not running; its probes were run once for this answer",
    remedy="`systemctl status legalcloud-agent`.",
)
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One subject of a status."""

    name: str
    success: bool | None
    """None if its probe has not ended yet."""
    stale: bool
    age_seconds: float | None
    """None if there never were facts."""
    duration_seconds: float | None
    problem: str | None
    lines: tuple[Line, ...]
    facts: Mapping[str, object] | None
    """Plain values, as they go into a statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One node at one moment."""

    node: str
    site: str
    rack: str
    version: str
    """Of the agent."""
    looked_at: datetime
    """UTC, by the node's own clock."""
    running: bool
    """Whether the daemon told it; False if the command itself ran the probes once."""
    parts: tuple[Part, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        """Everything that is said, with what is wrong first of all if the daemon is away."""
        away = () if self.running else (AWAY,)
        return (*away, *(line for part in self.parts for line in part.lines))

    @property
    def level(self) -> Level:
        """A finding is worse than what is unknown; a status without parts is unknown."""
        levels = {line.level for line in self.lines} or {Level.UNKNOWN}
        return next(level for level in (Level.FINDING, Level.UNKNOWN, Level.GOOD) if level in levels)


def status(
    settings: Settings,
    subjects: Subjects,
    looks: Sequence[Seen[object]],
    *,
    now: datetime,
    running: bool,
) -> Status:
    """Put together what all probes have seen; `running` says whether it is the daemon that looks."""
    by_name = {subject.name: subject for subject in subjects}
    return Status(
        node=settings.node,
        site=settings.site,
        rack=settings.rack,
        version=__version__,
        looked_at=now,
        running=running,
        parts=tuple(_part(by_name[seen.name], seen) for seen in looks),
    )


def _part(subject: Subject[object], seen: Seen[object]) -> Part:
    return Part(
        name=seen.name,
        success=seen.success,
        stale=seen.stale,
        age_seconds=None if seen.age_seconds is None else round(seen.age_seconds, 1),
        duration_seconds=None if seen.duration_seconds is None else round(seen.duration_seconds, 4),
        problem=seen.problem,
        lines=tuple(_lines(subject, seen)),
        facts=None if seen.facts is None else cast("Mapping[str, object]", plain(seen.facts)),
    )


def _lines(subject: Subject[object], seen: Seen[object]) -> Iterator[Line]:
    """Say what the facts say; of old ones, nothing good."""
    remedy = "Run the command named here by hand; `journalctl -u legalcloud-agent` has more."
    if seen.facts is None:
        words = seen.problem or "its first look has not ended yet"
        yield Line(level=Level.UNKNOWN, words=words, remedy=remedy if seen.problem else "Ask again in a minute.")
        return
    if seen.problem:
        age = _age(seen.age_seconds or 0)
        yield Line(level=Level.UNKNOWN, words=f"{seen.problem}; what follows is {age} old", remedy=remedy)
    for line in subject.lines(seen.facts):
        if seen.stale and line.level is Level.GOOD:
            yield Line(level=Level.UNKNOWN, words=f"{line.words} {_age(seen.age_seconds or 0)} ago", remedy=remedy)
        else:
            yield line


def _age(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"


def plain(value: object) -> object:  # noqa: PLR0911 -- one for each type
    """Make a value of facts into what JSON has: mappings, lists, texts, numbers, true, false and null."""
    match value:
        case Enum():
            return plain(value.value)
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): plain(item) for key, item in value.items()}
        case set() | frozenset():
            return sorted(map(str, value))
        case list() | tuple():
            return [plain(item) for item in value]
        case datetime() | date():
            return value.isoformat()
        case PurePath() | IPv4Address() | IPv6Address():
            return str(value)
        case _ if is_dataclass(value):
            return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    raise TypeError(f"facts hold a {type(value).__name__}, which JSON has not")


def to_json(found: Status) -> bytes:
    document = cast("dict[str, object]", plain(found))
    return json.dumps({"format": FORMAT, "level": found.level, **document}, ensure_ascii=False).encode() + b"\n"


def from_json(raw: bytes) -> Status:
    """Read what `to_json` wrote, maybe on another node. Raises: ParseError."""
    try:
        document = json.loads(raw)
        if document["format"] != FORMAT:
            raise ParseError(f"the status has format {document['format']!r}; this program reads {FORMAT}")
        return Status(
            **{name: shown(document[name]) for name in ("node", "site", "rack", "version")},
            looked_at=datetime.fromisoformat(document["looked_at"]),
            running=bool(document["running"]),
            parts=tuple(
                Part(**{**part, "lines": tuple(_line(line) for line in part["lines"])}) for part in document["parts"]
            ),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ParseError(f"this is no status of a node: {type(error).__name__}: {error}") from error


def _line(line: Mapping[str, str]) -> Line:
    return Line(level=Level(line["level"]), words=shown(line["words"]), remedy=shown(line["remedy"]))


def shown(text: object) -> str:
    """Keep what a terminal prints: what a command or another node said may steer it otherwise."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in str(text))
