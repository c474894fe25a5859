"""What `chronyc -n -c` prints, to facts; chrony 4.3 to 4.9, chronyc(1) at "-c" and at each command."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from math import isfinite

from legalcloud.errors import ParseError

_TRACKING_FIELDS, _SOURCES_FIELDS = 14, 10
_NEVER = 2**32 - 1
_LARGEST_SECONDS = 1e12
"""Some 30,000 years: what is beyond is no time."""
NOT_SYNCHRONISED = "Not synchronised"
LEAP_WORDS = frozenset({"Normal", "Insert second", "Delete second", NOT_SYNCHRONISED})
OWN_CLOCK_ID = "7F7F0101"
"""Reference id of `local stratum`: the node follows nothing but itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """`chronyc -n -c tracking`."""

    reference_id: str
    """Eight hex digits: an IPv4 address, a hash of an IPv6 one, or the name of a reference clock."""
    reference: str | None
    """Address or name of what is followed; None if nothing is."""
    stratum: int
    """Steps from a reference clock; 0 while not synchronised."""
    updated_at: float
    """When the clock was last compared with its source, in seconds since 1970; 0 if never."""
    behind_seconds: float
    """`System time`: how far the clock is behind what chrony holds for true; negative if it is ahead."""
    root_delay_seconds: float
    root_dispersion_seconds: float
    update_interval_seconds: float
    leap: str
    """One of LEAP_WORDS."""

    @property
    def synchronised(self) -> bool:
        return self.leap != NOT_SYNCHRONISED

    @property
    def error_seconds(self) -> float:
        """How wrong the clock may be at most, as chronyc(1) computes it at `Root dispersion`."""
        return abs(self.behind_seconds) + self.root_dispersion_seconds + self.root_delay_seconds / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One line of `chronyc -n -c sources`."""

    address: str
    reference_clock: bool
    """Whether it is a device and not a host."""
    state: str
    """`*` followed, `+` combined with it, `-` good and not used, `?` unreachable, `x` false, `~` too variable."""
    stratum: int
    reach: int
    """Last eight polls as bits, newest lowest: 255 if all were answered."""
    heard_seconds: int | None
    """Since the last answer; None if there never was one."""
    ahead_seconds: float
    """How far the source was ahead of us when last asked."""


def tracking(text: str) -> Tracking:
    """Parse `chronyc -n -c tracking`. Raises: ParseError."""
    fields = text.strip().split(",")
    if len(fields) != _TRACKING_FIELDS:
        raise ParseError(f"`chronyc -c tracking` gave {len(fields)} fields, not {_TRACKING_FIELDS}")
    if fields[13] not in LEAP_WORDS:
        raise ParseError(f"`chronyc -c tracking`: {fields[13][:40]!r} is no leap status")
    return Tracking(
        reference_id=_reference_id(fields[0]),
        reference=_word(fields[1]) if fields[1] else None,
        stratum=_whole(fields[2]),
        updated_at=_positive(fields[3]),
        behind_seconds=_seconds(fields[4]),
        root_delay_seconds=_positive(fields[10]),
        root_dispersion_seconds=_positive(fields[11]),
        update_interval_seconds=_positive(fields[12]),
        leap=fields[13],
    )


def sources(text: str) -> tuple[Source, ...]:
    """Parse `chronyc -n -c sources`. Raises: ParseError."""
    return tuple(_source(line) for line in text.splitlines())


def _source(line: str) -> Source:
    fields = line.split(",")
    if len(fields) != _SOURCES_FIELDS:
        raise ParseError(f"`chronyc -c sources` gave {len(fields)} fields, not {_SOURCES_FIELDS}")
    if fields[0] not in set("^=#") or fields[1] not in set("*+-?x~"):
        raise ParseError(f"`chronyc -c sources`: {fields[0][:10]!r}, {fields[1][:10]!r} are no mode and state")
    heard = _whole(fields[6])
    return Source(
        address=_word(fields[2]),
        reference_clock=fields[0] == "#",
        state=fields[1],
        stratum=_whole(fields[3]),
        reach=_whole(fields[5], base=8),
        heard_seconds=None if heard >= _NEVER else heard,
        ahead_seconds=_seconds(fields[7]),
    )


def _reference_id(text: str) -> str:
    if len(text) != len(OWN_CLOCK_ID) or not set(text) <= set("0123456789ABCDEF"):
        raise ParseError(f"`chronyc -c tracking`: {text[:40]!r} is no reference id")
    return text


def _word(text: str) -> str:
    """Take an address, or the name of a reference clock such as PPS0."""
    if text.isascii() and text.isalnum():
        return text
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise ParseError(f"chronyc: {text[:40]!r} is neither an address nor a clock") from error


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError as error:
        raise ParseError(f"chronyc: {text[:40]!r} is not an offset in seconds") from error
    if not isfinite(found) or abs(found) > _LARGEST_SECONDS:
        raise ParseError(f"chronyc: {text[:40]!r} are no seconds")
    return found


def _positive(text: str) -> float:
    """Read seconds that cannot be negative; chrony rounds a tiny one to -0."""
    found = _seconds(text)
    if found < 0:
        raise ParseError(f"chronyc: {text[:40]!r} seconds are negative")
    return abs(found)


def _whole(text: str, base: int = 10) -> int:
    try:
        found = int(text, base) if text.isascii() and text.isdigit() else -1
    except ValueError:
        found = -1
    if not 0 <= found <= _NEVER:
        raise ParseError(f"chronyc: {text[:40]!r} is not a count")
    return found
