"""An OpenBao server of this node, asked without a token: its state, its HSM, and the status of its backup."""

from __future__ import annotations

import http.client
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from legalcloud.errors import ParseError
from legalcloud.health.keys import State
from legalcloud.node.settings import Tls
from legalcloud.tree import Tree
from legalcloud.tree import parse as parse_json

HEALTH, LEADER, METRICS_PATH = "/v1/sys/health?standbyok=true", "/v1/sys/leader", "/v1/sys/metrics?format=prometheus"
METRICS_PORT = 8210
"""Where OpenBao gives metrics, and nothing else, to whoever shows a certificate of our CA (role openbao)."""
BACKUP = Path("var/lib/legalcloud/openbao-backup.json")
_LIMIT_SECONDS = 5.0
_MOST_BYTES = 4 * 2**20
_SAMPLE = re.compile(rb"^(vault_seal_unreachable_time)(?:\{[^\n]*\})? ([0-9.e+]{1,30})$", re.MULTILINE)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One OpenBao server."""

    state: State
    version: str | None
    """None if it does not say."""
    leads: bool | None
    """Whether it is the active one and not a standby; None unless it serves."""
    leader: str | None
    """Host name of the server that it follows, or itself; None if it knows none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What the last try to take a snapshot left."""

    good: bool
    """Whether that try succeeded, or had nothing to save."""
    age_seconds: float | None
    """Of the newest whole snapshot; None if there is none."""
    count: int


def server(health: bytes | None, leader: bytes | None) -> Server:
    """Parse the answers of `sys/health` and `sys/leader`, OpenBao 2.7; None is no answer. Raises: ParseError."""
    if health is None:
        return Server(state=State.SILENT, version=None, leads=None, leader=None)
    told = parse_json(health, "OpenBao's sys/health")
    initialized, sealed = told["initialized"].flag(), told["sealed"].flag()
    serves = initialized and not sealed
    followed = parse_json(leader, "OpenBao's sys/leader") if serves and leader is not None else Tree({}, "nobody")
    return Server(
        state=State.SERVING if serves else State.SEALED if initialized else State.NOT_INITIALISED,
        version=told.maybe("version", read=Tree.word),
        leads=not told["standby"].flag() if serves else None,
        leader=followed.maybe("leader_address", read=_host),
    )


def _host(address: Tree) -> str:
    try:
        host = urlsplit(address.word()).hostname
    except ValueError as error:
        raise ParseError(f"{address.path} is no address") from error
    return Tree(host, address.path).word()


def hsm_away_seconds(metrics: bytes) -> float:
    """Find `vault_seal_unreachable_time` (milliseconds) in OpenBao's metrics. Raises: ParseError.

    OpenBao gives it only after its first health check of the seal; until then the unsealing is the proof.
    """
    if b"\nvault_core_unsealed" not in metrics:
        raise ParseError("OpenBao's metrics do not say whether it is unsealed")
    found = _SAMPLE.search(metrics)
    if found is None:
        if b"\nvault_seal_unreachable_time" in metrics:
            raise ParseError("OpenBao's metrics name a time without the HSM that is none")
        return 0.0
    try:
        return Tree(float(found[2]), "vault_seal_unreachable_time").number() / 1000
    except ValueError as error:
        raise ParseError("vault_seal_unreachable_time is no number") from error


def backup(raw: bytes, *, now: float) -> Backup:
    """Parse the status that openbao_snapshot.py writes. Raises: ParseError."""
    told = parse_json(raw, f"/{BACKUP}")
    at = told["last_good_at"].text_or_none()
    if at is not None and not _TIME.fullmatch(at):
        raise ParseError(f"/{BACKUP}: last_good_at is no time")
    try:
        last = None if at is None else datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise ParseError(f"/{BACKUP}: {error}") from error
    return Backup(
        good=told["state"].text() in {"good", "waiting"},
        age_seconds=None if last is None else max(0.0, now - last.timestamp()),
        count=told["count"].count(),
    )


def fetch(address: str, path: str, *, tls: ssl.SSLContext, port: int | None = None) -> tuple[int, bytes] | None:
    """Send one GET to a server of this node; None without an answer. A certificate that is not trusted is none."""
    where = urlsplit(address)
    connection = http.client.HTTPSConnection(
        where.hostname or "", port or where.port, timeout=_LIMIT_SECONDS, context=tls
    )
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def context(tls: Tls, *, shown: bool = False) -> ssl.SSLContext:
    """Trust our CA; if `shown`, show the agent's own certificate."""
    made = ssl.create_default_context(cafile=str(tls.ca))
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if shown:
        made.load_cert_chain(tls.certificate, tls.key)
    return made
