"""What the agent is told about its node: one YAML file, which the role `agent` writes, checked against a schema."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from legalcloud import document
from legalcloud.document import Problem, RefusedError
from legalcloud.errors import InputError
from legalcloud.fleet import RACK, read_drive
from legalcloud.register import Drive
from legalcloud.schema import Cell, every, refuse_repeats, shown

FILE = Path("/etc/legalcloud/agent.yml")
PORT = 9640
_EXAMPLE = "the variables of the role agent in docs/reference/roles.md say what it means"
_HINT = "Correct the keys named above, best in the inventory, and run `legalcloud node check FILE` again."
_UNIT = re.compile(r"[A-Za-z0-9@:_.\\-]+\.(service|socket|target|timer|mount)")
_CLIENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_FILES = ("certificate", "key", "ca")
_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where scrapes come in."""

    address: IPv4Address | IPv6Address
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files of a key and its certificate, and of the CA that signs."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving(Tls):
    """The same of the port, and who may ask there."""

    clients: tuple[str, ...]
    """Common or DNS names, one of which the client's certificate must bear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shards:
    """How the plan cuts each object."""

    k: int
    m: int
    shards_per_site: int
    """Divides k + m."""

    @property
    def data_share(self) -> float:
        """Part of raw bytes that is not parity."""
        return self.k / (self.k + self.m)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a probe runs and how long it may take; None leaves what the probe itself says."""

    every_seconds: float | None
    deadline_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Files and sockets."""

    history: Path = Path("/var/lib/legalcloud-agent/history")
    """Hourly samples of how full the node is."""
    cluster_history: Path = Path("/var/lib/legalcloud-agent/cluster-history")
    """The same of the cluster, on a node that watches it."""
    status: Path = Path("/run/legalcloud-agent/status.sock")
    """Where the daemon answers `legalcloud node status`."""
    helper: Path = Path("/run/legalcloud-agent-helper.sock")
    """Where systemd starts the privileged helper."""
    counter: Path = Path("/var/lib/legalcloud-statement/counter")
    """Number of the last statement; only root writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the agent is told."""

    node: str
    site: str
    rack: str
    listen: Listen
    tls: Serving
    statement: Tls
    """Key and certificate that sign statements, which only root reads, and the CA that signed the certificate."""
    drives: tuple[Drive, ...] = ()
    services: tuple[str, ...] = ()
    """Units that shall be active."""
    certificates: tuple[Path, ...] = ()
    """Files of certificates that the node ought to have, beside those above."""
    filesystems: tuple[Path, ...] = (Path("/"),)
    """Mount points whose room is watched."""
    plan: Shards | None = None
    """None on a node without OSDs."""
    watches_cluster: bool = False
    """Whether it asks Ceph how full the cluster is; needs a plan, and a keyring that only monitors' nodes have."""
    openbao: str | None = None
    """Address of the node's own OpenBao; None if it has none."""
    probes: Mapping[str, Pace] = field(default_factory=dict)
    """By name of the probe."""
    paths: Paths = field(default_factory=Paths)


def load(path: Path = FILE, *, probes: Collection[str]) -> Settings:
    """Read the file; `probes` are the names that may stand under `probes`.

    Raises: InputError that lists every problem as `file:line: key: what is wrong. remedy.`
    """
    problems: list[Problem] = []
    try:
        node = document.read(path, file=str(path), problems=problems, example=_EXAMPLE)
        found = _settings(Cell(node=node, key="", file=str(path), problems=problems, example=_EXAMPLE), probes)
    except RefusedError:
        found = None
    if problems or found is None:
        raise InputError("\n".join(map(str, problems)), hint=_HINT)
    return found


def _settings(cell: Cell, probes: Collection[str]) -> Settings:
    fields = cell.fields(
        ("node", "site", "rack", "listen", "tls", "statement"),
        ("drives", "services", "certificates", "filesystems", "plan", "watches_cluster", "openbao", "probes", "paths"),
    )
    if "watches_cluster" in fields.cells and "plan" not in fields.cells:
        fields.cells["watches_cluster"].note("needs the plan", "Add the key plan, or nobody can say what still fits")
    return fields.whole(
        Settings(
            node=fields.take("node", Cell.identifier),
            site=fields.take("site", Cell.identifier),
            rack=fields.take("rack", lambda value: value.matching(RACK, "Use a-z, 0-9, . _ and -")),
            listen=fields.take("listen", _listen),
            tls=fields.take("tls", _serving),
            statement=fields.take("statement", _tls),
            drives=fields.maybe("drives", _drives) or (),
            services=fields.maybe("services", lambda value: every(value, _unit)) or (),
            certificates=fields.maybe("certificates", lambda value: every(value, _path)) or (),
            filesystems=fields.maybe("filesystems", lambda value: every(value, _path)) or (Path("/"),),
            plan=fields.maybe("plan", _shards),
            watches_cluster=fields.maybe("watches_cluster", Cell.boolean) or False,
            openbao=fields.maybe("openbao", lambda value: value.matching(_URL, "Write https://HOST:PORT")),
            probes=fields.maybe("probes", lambda value: _probes(value, probes)) or {},
            paths=fields.maybe("paths", _paths) or Paths(),
        )
    )


def _listen(cell: Cell) -> Listen:
    fields = cell.fields(("address",), ("port",))
    port = fields.maybe("port", lambda value: value.number(1, 65535, "a port"))
    return fields.whole(Listen(address=fields.take("address", _address), port=int(port or PORT)))


def _address(cell: Cell) -> IPv4Address | IPv6Address:
    try:
        return ip_address(cell.text())
    except ValueError:
        return cell.refuse(f"is {shown(cell.plain)}, not an IP address", "Write the address itself, not a name")


def _tls(cell: Cell) -> Tls:
    fields = cell.fields(_FILES)
    certificate, key, ca = (fields.take(name, _path) for name in _FILES)
    return fields.whole(Tls(certificate=certificate, key=key, ca=ca))


def _serving(cell: Cell) -> Serving:
    fields = cell.fields((*_FILES, "clients"))
    certificate, key, ca = (fields.take(name, _path) for name in _FILES)
    clients = fields.take("clients", lambda value: every(value, _client))
    return fields.whole(Serving(certificate=certificate, key=key, ca=ca, clients=clients))


def _client(cell: Cell) -> str:
    return cell.matching(_CLIENT, "Write a name as it stands in the client's certificate, such as tko-1")


def _path(cell: Cell) -> Path:
    text = cell.text()
    if not text.startswith("/") or ".." in Path(text).parts:
        cell.refuse(f"is {shown(text)}, not an absolute path", "Begin it with / and leave out ..")
    return Path(text)


def _drives(cell: Cell) -> tuple[Drive, ...]:
    drives = every(cell, read_drive)
    refuse_repeats(((drive.serial, cell.at(index, "serial")) for index, drive in enumerate(drives)), "serial")
    return drives


def _unit(cell: Cell) -> str:
    return cell.matching(_UNIT, "Write the unit's whole name, such as chrony.service")


def _shards(cell: Cell) -> Shards:
    names = ("k", "m", "shards_per_site")
    fields = cell.fields(names)
    found = fields.whole(Shards(**{name: fields.take(name, Cell.count) for name in names}))
    if (found.k + found.m) % found.shards_per_site:
        cell.refuse(f"spreads {found.k}+{found.m} shards by {found.shards_per_site}", "Copy it from plan.yml")
    return found


def _probes(cell: Cell, known: Collection[str]) -> Mapping[str, Pace]:
    fields = cell.fields((), sorted(known))
    return fields.whole({name: fields.take(name, _pace) for name in fields.cells})


def _pace(cell: Cell) -> Pace:
    fields = cell.fields((), ("every_seconds", "deadline_seconds"))
    every_seconds, deadline_seconds = (
        fields.maybe(name, lambda value: value.number(1, 86400, "seconds"))
        for name in ("every_seconds", "deadline_seconds")
    )
    return fields.whole(Pace(every_seconds=every_seconds, deadline_seconds=deadline_seconds))


def _paths(cell: Cell) -> Paths:
    names = ("history", "cluster_history", "status", "helper", "counter")
    fields = cell.fields((), names)
    given = {name: fields.take(name, _path) for name in fields.cells}
    return fields.whole(Paths(**given))
