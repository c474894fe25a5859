"""Every certificate of ours on this node, and the days that each has left."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from legalcloud.errors import ParseError
from legalcloud.node.subject import Level, Line, Metric, Subject, World, gauge
from legalcloud.tree import Tree
from legalcloud.tree import parse as parse_json

FEW_DAYS = 21
"""playbooks/site.yml renews what has fewer than 30 days left; after more than a week without it, say so."""
_DAY_SECONDS = 86400
_FIELD = re.compile(r"^(subject|issuer|serial|notAfter)=(.*)$", re.MULTILINE)
_NAMES = re.compile(r"(?:DNS|IP Address):([^\s,]+)")
_NOT_AFTER = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ")
_SERIAL = re.compile(r"[0-9A-F]{1,80}")
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate."""

    subject: str
    """Distinguished name by RFC 2253: the common name comes first."""
    issuer: str
    serial: str
    """Hex digits."""
    names: tuple[str, ...]
    """Host names and addresses of its subjectAltName."""
    not_after: datetime
    """UTC."""
    left_seconds: float
    """Until then; negative once it has expired."""

    @property
    def left_days(self) -> float:
        return self.left_seconds / _DAY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """All of them."""

    by_path: dict[str, Certificate | None]
    """By file; None if openssl cannot read it, or says what we cannot."""
    missing: tuple[str, ...] = ()
    """Files that ought to be there, and are not."""


def parse(raw: bytes, *, now: float) -> Certificates:
    """Parse the answer of the helper's deed `certificates`: what `openssl x509` said of each file, null if nothing.

    openssl 3.0 to 3.5; `now` is in seconds since 1970. Raises: ParseError if the whole cannot be read.
    """
    told = parse_json(raw, "the helper's answer")
    by_path = {Tree(path, "a certificate's path").word(): one.text_or_none() for path, one in told.items()}
    return Certificates(by_path={path: _certificate(text, now=now) for path, text in sorted(by_path.items())})


def _certificate(text: str | None, *, now: float) -> Certificate | None:
    if text is None:
        return None
    found = {key: Tree(value, key) for key, value in _FIELD.findall(text)}
    try:
        subject, issuer, serial = (found[key].word() for key in ("subject", "issuer", "serial"))
        not_after = found["notAfter"].word()
        if not _NOT_AFTER.fullmatch(not_after) or not _SERIAL.fullmatch(serial):
            return None
        ends = datetime.strptime(not_after, "%Y-%m-%d %H:%M:%SZ").replace(tzinfo=UTC)
    except (KeyError, ParseError, ValueError):
        return None
    return Certificate(
        subject=subject,
        issuer=issuer,
        serial=serial,
        names=tuple(name for name in _NAMES.findall(text) if name.isprintable() and len(name) <= _LONGEST),
        not_after=ends,
        left_seconds=ends.timestamp() - now,
    )


def read(world: World) -> Certificates:
    found = parse(world.ask("certificates").good("the helper's certificates"), now=time.time())
    told = world.settings
    expected = {str(path) for path in (*told.certificates, told.tls.certificate, told.statement.certificate)}
    return replace(found, missing=tuple(sorted(expected - set(found.by_path))))


METRICS: tuple[Metric[Certificates], ...] = (
    gauge(
        "legalcloud_certificates_missing",
        "Certificates that this node ought to have, and has not.",
        lambda facts: len(facts.missing),
    ),
    gauge(
        "legalcloud_certificates_unreadable",
        "Files that ought to be certificates of ours and cannot be read.",
        lambda facts: sum(one is None for one in facts.by_path.values()),
    ),
    Metric(
        name="legalcloud_certificate_expiry_timestamp_seconds",
        unit="seconds",
        help="When the certificate expires, in seconds since 1970; no series if it cannot be read.",
        labels=("path",),
        samples=lambda facts: (((path,), one.not_after.timestamp()) for path, one in facts.by_path.items() if one),
    ),
)


def lines(facts: Certificates) -> Iterator[Line]:
    for path in facts.missing:
        yield Line(level=Level.FINDING, words=f"{path} is not there", remedy="Run playbooks/site.yml.")
    for path, one in facts.by_path.items():
        if one is None:
            yield Line(
                level=Level.UNKNOWN,
                words=f"{path} is not a certificate that can be read",
                remedy=f"`openssl x509 -in {path} -noout -text`; playbooks/site.yml puts ours back.",
            )
        elif one.left_days < FEW_DAYS:
            when = f"expires in {one.left_days:.0f} days" if one.left_seconds > 0 else "has expired"
            yield Line(
                level=Level.FINDING,
                words=f"{path} ({one.subject}) {when}, on {one.not_after:%Y-%m-%d}",
                remedy="Run playbooks/site.yml, which renews what has few days left.",
            )
    good = [one.left_days for one in facts.by_path.values() if one and one.left_days >= FEW_DAYS]
    if not facts.by_path:
        yield Line(level=Level.UNKNOWN, words="no certificate was found", remedy="Run playbooks/site.yml.")
    elif len(good) == len(facts.by_path) and not facts.missing:
        yield Line(level=Level.GOOD, words=f"all {len(good)} certificates last {min(good):.0f} days or more")


SUBJECT = Subject(name="certificates", every_seconds=3600, deadline_seconds=30, read=read, metrics=METRICS, lines=lines)
