"""Known faults of Ceph versions, from the file that ships with this package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from legalcloud.errors import ParseError

_VERSION = re.compile(r"(?:\d+:)?(\d+)\.(\d+)\.(\d+)")
_DEBIAN_BUILD = "+ds"
"""Debian repacks Ceph's source, and says so in the version."""

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Versions from one (inclusive) to another (exclusive)."""

    start: Version
    before: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """One fault."""

    id: str
    component: str
    summary: str
    published: date | None
    affected: tuple[Range, ...]
    debian_builds_only: bool
    fixed_in: tuple[str, ...]

    def affects(self, version: str) -> bool:
        """Whether a package of this version has the fault. Raises: ParseError if it is no version."""
        if self.debian_builds_only and _DEBIAN_BUILD not in version:
            return False
        number = parse_version(version)
        return any(span.start <= number < span.before for span in self.affected)


def parse_version(text: str) -> Version:
    """Upstream part of a Debian version such as `20.2.4+ds-2` or `1:19.2.3-1~bpo12+1`."""
    found = _VERSION.match(text)
    if found is None:
        raise ParseError(f"{text!r} is not a version of Ceph")
    return int(found[1]), int(found[2]), int(found[3])


def shipped() -> tuple[Advisory, ...]:
    """Read data/advisories.yml."""
    return parse(_file())


def compared_on(raw: bytes | None = None) -> date:
    """Return the day on which a person last compared the file with its sources. Raises: ParseError."""
    try:
        found = yaml.safe_load(_file() if raw is None else raw)["compared_on"]
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ParseError(f"the advisory file does not say when it was compared: {error!r}") from error
    if type(found) is not date:
        raise ParseError(f"the advisory file was compared on {found!r}, which is no day")
    return found


def _file() -> bytes:
    return Path(__file__).with_name("data").joinpath("advisories.yml").read_bytes()


def parse(raw: bytes) -> tuple[Advisory, ...]:
    """Read an advisory file.

    Raises: ParseError if it is not YAML or a field is missing or has another type.
    """
    try:
        return tuple(_advisory(entry) for entry in yaml.safe_load(raw)["ceph"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ParseError(f"the advisory file cannot be read: {error!r}") from error


def _advisory(entry: Mapping[str, Any]) -> Advisory:
    return Advisory(
        id=entry["id"],
        component=entry["component"],
        summary=entry["summary"],
        published=entry["published"],
        affected=tuple(
            Range(start=parse_version(span["from"]), before=parse_version(span["before"])) for span in entry["affected"]
        ),
        debian_builds_only=entry["builds"] == "debian",
        fixed_in=tuple(entry["fixed_in"]),
    )
