"""Whether each gateway refuses an Object Lock of the client's own; ADR 0017 says when one would not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from legalcloud.health.facts import Problem

NO_SUCH_BUCKET, REFUSED = 404, 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """How one gateway answered for a bucket that does not exist, asked on its own node and not through HAProxy."""

    name: str
    plain_status: int | None
    """HTTP status of a request without a lock; None if there was none."""
    lock_status: int | None
    """HTTP status of the same request with a lock."""
    problem: str | None
    """Why there is no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """What keeps a client's own Object Lock out."""

    script_current: bool
    """Whether the script in the cluster is the one in this repository."""
    gateways: tuple[Gateway, ...]


def parse(answers: Mapping[str, Mapping[str, object]], *, script_current: bool) -> Locks:
    """Read what module gateway_answers returned, by gateway; an answer without statuses says why in `msg`."""
    return Locks(
        script_current=script_current, gateways=tuple(_gateway(name, answer) for name, answer in answers.items())
    )


def _gateway(name: str, answer: Mapping[str, object]) -> Gateway:
    plain, lock = answer.get("plain_status"), answer.get("lock_status")
    known = isinstance(plain, int) and isinstance(lock, int)
    return Gateway(
        name=name,
        plain_status=plain if isinstance(plain, int) and known else None,
        lock_status=lock if isinstance(lock, int) and known else None,
        problem=None if known else str(answer.get("msg") or "it gave no answer").strip(),
    )


def judge(locks: Locks) -> Iterator[Problem]:
    """Name what does not refuse; a gateway that nobody could ask is a problem, too."""
    if not locks.script_current:
        yield Problem(
            subject="gateways' script",
            what="the cluster holds none, or another than this repository",
            remedy="Run playbooks/site.yml --tags ceph_gateway --diff, and find out who changed it.",
        )
    for gateway in locks.gateways:
        if gateway.problem is not None:
            yield Problem(
                subject=gateway.name,
                what=f"unknown whether its gateway refuses a client's own Object Lock: {gateway.problem}",
                remedy=f"`systemctl status ceph-radosgw@rgw.{gateway.name}` on that node.",
            )
        elif gateway.plain_status != NO_SUCH_BUCKET:
            yield Problem(
                subject=gateway.name,
                what=f"for a bucket that does not exist its gateway answers {gateway.plain_status}, "
                f"not {NO_SUCH_BUCKET}",
                remedy="Look at /var/log/ceph/ceph-client.rgw.*.log on that node.",
            )
        elif gateway.lock_status != REFUSED:
            yield Problem(
                subject=gateway.name,
                what=f"its gateway takes a client's own Object Lock ({gateway.lock_status} instead of {REFUSED}): "
                "its Lua script does not act",
                remedy="HAProxy refuses such requests meanwhile. Restart it there "
                f"(`systemctl restart ceph-radosgw@rgw.{gateway.name}`), then run this again.",
            )
