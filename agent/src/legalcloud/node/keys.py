"""The key manager of this node as it answers without a token, its last backup, and the gateway's way to one."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from legalcloud.errors import ParseError
from legalcloud.health.keys import RUNBOOK, State
from legalcloud.node import openbao
from legalcloud.node.openbao import Backup, Server
from legalcloud.node.settings import Tls
from legalcloud.node.subject import Level, Line, Metric, Subject, World, gauge

PROXY, PROXY_FILE = "https://127.0.0.1:8191", Path("etc/legalcloud/kms/proxy.cfg")
PROXY_UNIT = "kms-proxy.service"
"""Where the gateway of a node asks for keys (role openbao_agent): the proxy leads to a server that is unsealed."""
OLD_BACKUP_SECONDS = 26 * 3600
"""Snapshots are taken every hour unless openbao_backup_calendar says otherwise; a day without one is too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All of it. A part that this node does not have is None, too."""

    server: Server | None
    """None if the settings name no OpenBao on this node."""
    hsm_away_seconds: float | None
    """How long the HSM has not answered a server that serves; 0 if it does; None if there are no metrics."""
    backup: Backup | None
    """None if no snapshot was ever tried here."""
    gateway_served: bool | None
    """Whether the gateway's proxy leads to a key manager that is unsealed; None on a node without that proxy.

    The age of the gateway's token cannot be known: only the gateway may read its file.
    """


def read(world: World) -> Keys:
    here, tls = world.settings.openbao, world.settings.tls
    trusting = openbao.context(tls)
    found, away, led = None, None, None
    if here is not None:
        health, leader = (openbao.fetch(here, path, tls=trusting) for path in (openbao.HEALTH, openbao.LEADER))
        found = openbao.server(health and health[1], leader and leader[1])
        away = _hsm_away_seconds(here, tls) if found.state is State.SERVING else None
    if PROXY_UNIT in world.settings.services or (world.root / PROXY_FILE).exists():
        answer = openbao.fetch(PROXY, openbao.HEALTH, tls=trusting)
        led = answer is not None and answer[0] == http.client.OK
    return Keys(
        server=found,
        hsm_away_seconds=away,
        backup=_backup(world.root, now=time.time()),
        gateway_served=led,
    )


def _hsm_away_seconds(here: str, tls: Tls) -> float | None:
    """None also if our own key is not there, as when the agent is not running."""
    try:
        shown = openbao.context(tls, shown=True)
        told = openbao.fetch(here, openbao.METRICS_PATH, tls=shown, port=openbao.METRICS_PORT)
        return openbao.hsm_away_seconds(told[1]) if told and told[0] == http.client.OK else None
    except (OSError, ParseError):
        return None


def _backup(root: Path, *, now: float) -> Backup | None:
    try:
        return openbao.backup((root / openbao.BACKUP).read_bytes(), now=now)
    except FileNotFoundError:
        return None
    except ParseError:
        return Backup(good=False, age_seconds=None, count=0)


_STATES = ", ".join((State.SERVING, State.SEALED, State.NOT_INITIALISED, State.SILENT))
METRICS: tuple[Metric[Keys], ...] = (
    Metric(
        name="legalcloud_openbao_state_info",
        help=f"State of this node's OpenBao ({_STATES}); no series on a node without one.",
        labels=("state",),
        samples=lambda keys: () if keys.server is None else (((keys.server.state,), 1),),
    ),
    gauge(
        "legalcloud_openbao_leads",
        "Whether this node's OpenBao is the active one; no series unless it serves.",
        lambda keys: None if keys.server is None else keys.server.leads,
    ),
    Metric(
        name="legalcloud_openbao_info",
        help="Version of this node's OpenBao.",
        labels=("version",),
        samples=lambda keys: () if not (keys.server and keys.server.version) else (((keys.server.version,), 1),),
    ),
    gauge(
        "legalcloud_openbao_hsm_away_seconds",
        "How long the HSM has not answered an OpenBao that serves; 0 if it does.",
        lambda keys: keys.hsm_away_seconds,
        unit="seconds",
    ),
    gauge(
        "legalcloud_openbao_backup_age_seconds",
        "Age of the newest whole snapshot of OpenBao on this node.",
        lambda keys: None if keys.backup is None else keys.backup.age_seconds,
        unit="seconds",
    ),
    gauge(
        "legalcloud_openbao_backup_good",
        "Whether the last try to take a snapshot of OpenBao succeeded; 0 also on its node if there was none.",
        lambda keys: keys.backup.good if keys.backup else None if keys.server is None else False,
    ),
    gauge(
        "legalcloud_gateway_keys_served",
        "Whether the gateway's proxy leads to an OpenBao that is unsealed; no series on a node without a gateway.",
        lambda keys: keys.gateway_served,
    ),
)


def lines(keys: Keys) -> Iterator[Line]:
    if keys.server is not None:
        yield from _server_lines(keys.server, keys.hsm_away_seconds)
    if keys.backup is not None:
        yield _backup_line(keys.backup)
    elif keys.server is not None:
        words = "no snapshot of OpenBao was ever tried here, or nobody knows how it went"
        yield Line(level=Level.UNKNOWN, words=words, remedy="`systemctl status openbao-backup.timer`.")
    if keys.gateway_served is False:
        words = "the gateway here reaches no key manager: it can neither store nor read objects"
        yield Line(level=Level.FINDING, words=words, remedy=f"`systemctl status kms-proxy`; {RUNBOOK}.")
    elif keys.gateway_served:
        yield Line(level=Level.GOOD, words="the gateway here reaches an unsealed key manager")


def _server_lines(found: Server, away_seconds: float | None) -> Iterator[Line]:
    if found.state is not State.SERVING:
        doubt = ", or its certificate is not trusted" if found.state is State.SILENT else ""
        words = f"OpenBao here is {found.state}{doubt}"
        yield Line(level=Level.FINDING, words=words, remedy=f"`journalctl --unit=openbao`; {RUNBOOK}.")
        return
    role = "leads" if found.leads else f"follows {found.leader or 'nobody'}"
    level = Level.GOOD if found.leader else Level.FINDING
    remedy = "" if found.leader else f"It serves nothing without a leader; {RUNBOOK}."
    yield Line(level=level, words=f"OpenBao {found.version or ''} is unsealed and {role}", remedy=remedy)
    if away_seconds is None:
        words = "nobody knows whether the HSM answers OpenBao: it gave no metrics"
        yield Line(level=Level.UNKNOWN, words=words, remedy=f"Look at port {openbao.METRICS_PORT} here.")
    elif away_seconds > 0:
        words = f"the HSM has not answered OpenBao for {away_seconds:.0f} s"
        yield Line(level=Level.FINDING, words=words, remedy=f"Do not restart openbao.service; {RUNBOOK}.")


def _backup_line(found: Backup) -> Line:
    remedy = "`journalctl --unit=openbao-backup`."
    if found.age_seconds is None:
        return Line(level=Level.FINDING, words="OpenBao has no snapshot on this node", remedy=remedy)
    words = f"last snapshot of OpenBao is {found.age_seconds / 3600:.1f} h old, of {found.count}"
    well = found.good and found.age_seconds < OLD_BACKUP_SECONDS
    return Line(
        level=Level.GOOD if well else Level.FINDING,
        words=words + ("" if found.good else ", and the last try failed"),
        remedy="" if well else remedy,
    )


SUBJECT = Subject(name="keys", every_seconds=60, deadline_seconds=25, read=read, metrics=METRICS, lines=lines)
