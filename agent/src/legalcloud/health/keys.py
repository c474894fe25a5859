"""Whether the key managers serve: OpenBao's servers, the HSM that unseals each, and what to do when one does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from legalcloud.errors import ParseError
from legalcloud.health.facts import Problem

RUNBOOK = "docs/runbooks/openbao-sealed.md"
OK = 200


class State(StrEnum):
    """What one server is, as far as anybody could tell."""

    SERVING = "unsealed"
    SEALED = "sealed"
    NOT_INITIALISED = "not initialised"
    STOPPED = "not running"
    SILENT = "not answering"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyManager:
    """One server, asked on its own node and without a token."""

    name: str
    state: State
    reason: str
    """Why it does not serve, in one word: of the plugin (`pin-wrong`), or of its start (`plugin-changed`)."""
    said: str
    """The last trouble in its log; for UNKNOWN, why nobody knows."""
    version: str | None
    leader: str | None
    """The server that it follows, or itself; None if it knows none."""
    failure_tolerance: int | None
    """Servers that may be lost, as raft's autopilot says; only the leader knows."""
    hsm_away_seconds: float | None
    """How long the HSM has not answered a serving server; 0 if it does; None if nobody gave metrics."""
    audited: bool | None
    """Whether it can write an audit record, without which it answers nothing; None if it was not asked."""
    certificate: str
    """Why its certificate is not trusted; empty if it is."""


def parse(answers: Mapping[str, Mapping[str, object]]) -> tuple[KeyManager, ...]:
    """Read what module openbao_status returned, by server; an answer without facts says why in `msg`.

    Raises: ParseError if a result has another form.
    """
    try:
        return tuple(_manager(name, answer) for name, answer in answers.items())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ParseError(f"a key manager's answer cannot be read: {type(error).__name__} {error}") from error


def _manager(name: str, answer: Mapping[str, object]) -> KeyManager:
    unit = _mapping(answer.get("unit"))
    if unit is None:
        return _told(name, answer, State.UNKNOWN, said=str(answer.get("msg") or "it gave no answer").strip())
    said, health = str(answer["said"]), _mapping(answer["health"])
    if unit.get("ActiveState") != "active":
        return _told(name, answer, State.STOPPED, said=said, reason=_start_reason(said))
    if health is None:
        return _told(name, answer, State.SILENT, said=said)
    if health["initialized"] is not True:
        return _told(name, answer, State.NOT_INITIALISED, said=said)
    if health["sealed"] is not False:
        return _told(name, answer, State.SEALED, said=said, reason=str(answer["reason"]))
    return _told(name, answer, State.SERVING, said=said)


def _told(name: str, answer: Mapping[str, object], state: State, *, said: str, reason: str = "") -> KeyManager:
    health, leader, metrics = (_mapping(answer.get(part)) or {} for part in ("health", "leader", "metrics"))
    measured = state is State.SERVING and "metrics" in answer and answer["metrics"] is not None
    tolerance = metrics.get("vault_autopilot_failure_tolerance") if leader.get("is_self") is True else None
    audited = answer.get("audited_status")
    return KeyManager(
        name=name,
        state=state,
        reason=reason,
        said=said,
        version=str(health["version"]) if "version" in health else None,
        leader=urlsplit(str(leader.get("leader_address", ""))).hostname,
        failure_tolerance=None if tolerance is None else int(float(str(tolerance))),
        # OpenBao gives this metric only after its first health check of the seal.
        hsm_away_seconds=float(str(metrics.get("vault_seal_unreachable_time", 0))) / 1000 if measured else None,
        audited=None if audited is None else audited == OK,
        certificate=str(answer.get("certificate") or ""),
    )


def _mapping(value: object) -> Mapping[str, object] | None:
    return value if isinstance(value, Mapping) else None


def _start_reason(said: str) -> str:
    """Give the word for a service that does not start."""
    if "checksums did not match" in said:
        return "plugin-changed"
    if "Failed to set up credentials: No such file" in said:
        return "pin-missing"
    return "pin-undecipherable" if "Failed to set up credentials" in said else ""


_PIN = (
    "Run playbooks/hsm_pin.yml with the right PIN (in the lab, where nobody has it: docs/runbooks/pin-lost.md), and "
    "restart openbao.service there."
)
_KEY = "Compare key_label and key_id in openbao_seal with what `legalcloud-hsm describe kms` shows on that node."
_PERSON = "A person must unlock the token with its security officer's PIN; do not try PINs."
_REMEDIES = {
    "token-absent": "Connect the HSM; the server unseals by itself within seconds.",
    "token-ambiguous": "Take the other token out, or name the right one by serial in openbao_seal.",
    "token-failed": "`legalcloud-hsm describe kms` on that node shows the HSM's own error. Is it the right token?",
    "library": "Install the HSM's PKCS#11 library, or correct lib in openbao_seal.",
    "pin-wrong": _PIN,
    "pin-latched": _PIN,
    "pin-unreadable": _PIN,
    "pin-missing": _PIN,
    "pin-undecipherable": "The credential is of another machine. " + _PIN,
    "pin-locked": _PERSON,
    "pin-final-try": _PERSON,
    "key-missing": _KEY,
    "key-ambiguous": _KEY,
    "key-unfit": _KEY,
    "plugin-changed": "Find out who changed the plugin; playbooks/site.yml --tags openbao puts ours back.",
}
"""What helps, by reason. The rest is in the runbook."""


def judge(managers: Sequence[KeyManager]) -> Iterator[Problem]:
    """Name every server that does not serve, or not as it shall; what nobody knows is a problem, too."""
    if managers and all(manager.state is State.NOT_INITIALISED for manager in managers):
        yield Problem(
            subject="key managers", what="none is initialised", remedy="Hold the ceremony: playbooks/key_ceremony.yml."
        )
        return
    for manager in managers:
        yield from _serving(manager) if manager.state is State.SERVING else _away(manager)
    serving = [manager for manager in managers if manager.state is State.SERVING]
    leaders = {manager.leader for manager in serving if manager.leader}
    if len(serving) < len(managers) // 2 + 1:
        yield Problem(
            subject="key managers",
            what=f"{len(serving)} of {len(managers)} are known to serve, which is no quorum: no new key, no new login",
            remedy=f"Bring back those named above; {RUNBOOK}.",
        )
    if len(leaders) > 1:
        yield Problem(
            subject="key managers",
            what=f"they follow different leaders: {', '.join(sorted(leaders))}",
            remedy="Look at the network between the sites; run this again in a minute.",
        )
    known, expected = (
        [m.failure_tolerance for m in serving if m.failure_tolerance is not None],
        (len(managers) - 1) // 2,
    )
    if len(serving) == len(managers) and known and min(known) < expected:
        yield Problem(
            subject="key managers",
            what=f"all serve, and raft tolerates the loss of {min(known)} instead of {expected}",
            remedy="One of them is new or behind; if it lasts, look at `bao operator raft autopilot state`.",
        )


def _away(manager: KeyManager) -> Iterator[Problem]:
    what = "it is unknown whether its key manager is unsealed" if manager.state is State.UNKNOWN else ""
    why = f" ({manager.reason})" if manager.reason else ""
    said = f": {manager.said}" if manager.said else ""
    by_state = {
        State.UNKNOWN: "Make the node reachable, and run this again.",
        State.NOT_INITIALISED: "It has not joined the others: can it reach their ports 8200 and 8201?",
    }
    remedy = _REMEDIES.get(manager.reason) or by_state.get(manager.state) or "`journalctl --unit=openbao` there."
    yield Problem(
        subject=manager.name,
        what=(what or f"its key manager is {manager.state}{why}") + said,
        remedy=f"{remedy} {RUNBOOK}.",
    )


def _serving(manager: KeyManager) -> Iterator[Problem]:
    if manager.audited is not True:
        what = "refuses every request: no audit device could be written" if manager.audited is False else ""
        # An edited device shows as this, too: the log says so.
        yield Problem(
            subject=manager.name,
            what=f"its key manager {what or 'was not asked whether it can write its audit files'}: {manager.said}",
            remedy="`df` on the folders of openbao_audit there; make room, and it serves again by itself.",
        )
    if manager.leader is None:
        yield Problem(
            subject=manager.name,
            what=f"its key manager is unsealed and knows no leader: {manager.said}",
            remedy=f"`journalctl --unit=openbao` there; {RUNBOOK}.",
        )
    if manager.hsm_away_seconds is None or manager.hsm_away_seconds > 0:
        away = "unknown whether its HSM answers: there are no metrics"
        if manager.hsm_away_seconds is not None:
            away = f"its HSM has not answered for {manager.hsm_away_seconds:.0f} s: {manager.said}"
        yield Problem(
            subject=manager.name,
            what=away,
            remedy=f"It serves until it is restarted: do not restart it. Bring the HSM back first; {RUNBOOK}.",
        )
    if manager.certificate:
        yield Problem(
            subject=manager.name,
            what=f"its key manager's certificate is not trusted: {manager.certificate}",
            remedy="Run playbooks/site.yml --tags certificate,openbao.",
        )


def summary(managers: Sequence[KeyManager]) -> str:
    """Say it in one line, for a table."""
    states = ", ".join(f"{m.name} {m.state}" for m in managers if m.state is not State.SERVING)
    serving = [manager for manager in managers if manager.state is State.SERVING]
    leader = next((manager.leader for manager in serving if manager.leader), None)
    tolerance = next((m.failure_tolerance for m in serving if m.failure_tolerance is not None), None)
    told = "an unknown number" if tolerance is None else str(tolerance)
    parts = [f"{len(serving)} of {len(managers)} unsealed", f"{leader or 'nobody'} leads", f"{told} may be lost"]
    return "; ".join([*parts, states] if states else parts)
