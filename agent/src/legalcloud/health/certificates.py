"""Whether the certificates that nodes log in to OpenBao with go on long enough; what nobody knows does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from legalcloud.health.facts import Problem

LEFT_DAYS = 30
"""Fewer are a problem: whoever runs playbooks/site.yml once a month never comes so far."""
DAY_SECONDS = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A certificate that one node logs in with."""

    node: str
    path: str
    """Empty if not even that is known."""
    tag: str
    """Of playbooks/site.yml, which renews it."""
    left_days: float | None
    """None if nobody knows."""
    said: str
    """Why nobody knows."""


def parse(answers: Mapping[str, Mapping[str, object]], *, now: datetime) -> tuple[Login, ...]:
    """Read what module certificate_expiry returned, by node, and in `wanted` the tag of each path that it has."""
    return tuple(login for node, answer in answers.items() for login in _logins(node, answer, now))


def _logins(node: str, answer: Mapping[str, object], now: datetime) -> Iterator[Login]:
    wanted, found = answer.get("wanted"), answer.get("certificates")
    said = str(answer.get("msg") or "it gave no answer").strip()
    if not isinstance(wanted, Mapping):
        yield Login(node=node, path="", tag="", left_days=None, said=said)
        return
    for path, tag in wanted.items():
        one = found.get(path) if isinstance(found, Mapping) else None
        left = _left(one.get("not_after"), now) if isinstance(one, Mapping) else None
        why = str(one.get("problem") or "it does not say when it ends") if isinstance(one, Mapping) else said
        yield Login(node=node, path=str(path), tag=str(tag), left_days=left, said="" if left is not None else why)


def _left(end: object, now: datetime) -> float | None:
    try:
        return (datetime.fromisoformat(str(end)) - now).total_seconds() / DAY_SECONDS
    except (ValueError, TypeError):  # the latter: it has no time zone
        return None


def judge(logins: Sequence[Login]) -> Iterator[Problem]:
    """Name each certificate that ends soon, or of which nobody knows when it does."""
    for login in logins:
        renew = f"Run playbooks/site.yml --tags {login.tag}; it renews the certificate."
        if login.left_days is None:
            where = f" ({login.path})" if login.path else ""
            yield Problem(
                subject=login.node,
                what=f"unknown when the certificate that it logs in to OpenBao with{where} ends: {login.said}",
                remedy=renew if login.tag else "Make the node reachable, and run this again.",
            )
        elif login.left_days < LEFT_DAYS:
            when = f"has {int(login.left_days)} days left" if login.left_days > 0 else "has ended"
            yield Problem(
                subject=login.node,
                what=f"the certificate that it logs in to OpenBao with ({login.path}) {when}",
                remedy=renew,
            )


def summary(logins: Sequence[Login]) -> str:
    """Say it in one line, for a table."""
    known = [(login.left_days, login.node) for login in logins if login.left_days is not None]
    unknown = sorted({login.node for login in logins if login.left_days is None})
    parts = [f"the first of {len(known)} ends in {int(min(known)[0])} days ({min(known)[1]})"] if known else []
    return "; ".join([*parts, *(f"{node} unknown" for node in unknown)]) or "none"
