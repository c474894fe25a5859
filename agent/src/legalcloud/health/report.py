"""The report of playbooks/verify.yml: written there, shown by `legalcloud health`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from legalcloud.errors import ParseError
from legalcloud.health.certificates import Login
from legalcloud.health.facts import Cluster, Problem, RoundTrip, Site
from legalcloud.health.keys import KeyManager, State
from legalcloud.health.locks import Gateway, Locks
from legalcloud.health.snapshots import Snapshots


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Facts of one look at the store, and the problems found."""

    looked_at: datetime
    """UTC."""
    inventory: str
    endpoint: str
    tenants: tuple[str, ...]
    cluster: Cluster
    round_trip: RoundTrip | None
    """None if nobody tried."""
    locks: Locks
    key_managers: tuple[KeyManager, ...]
    snapshots: tuple[Snapshots, ...]
    logins: tuple[Login, ...]
    problems: tuple[Problem, ...]


def to_json(report: Report) -> bytes:
    document = dataclasses.asdict(report) | {"looked_at": report.looked_at.isoformat()}
    return json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n"


def from_json(raw: bytes) -> Report:
    """Read a report.

    Raises: ParseError if it is not one of ours, or of another version.
    """
    try:
        document = json.loads(raw)
        trip = document["round_trip"]
        return Report(
            looked_at=datetime.fromisoformat(document["looked_at"]),
            inventory=str(document["inventory"]),
            endpoint=str(document["endpoint"]),
            tenants=tuple(document["tenants"]),
            cluster=_cluster(document["cluster"]),
            round_trip=None if trip is None else RoundTrip(**trip),
            locks=Locks(
                script_current=bool(document["locks"]["script_current"]),
                gateways=tuple(Gateway(**gateway) for gateway in document["locks"]["gateways"]),
            ),
            key_managers=tuple(
                KeyManager(**{**manager, "state": State(manager["state"])}) for manager in document["key_managers"]
            ),
            snapshots=tuple(Snapshots(**kept) for kept in document["snapshots"]),
            logins=tuple(Login(**login) for login in document["logins"]),
            problems=tuple(Problem(**problem) for problem in document["problems"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ParseError(
            f"the health report cannot be read: {type(error).__name__} {error}",
            hint="Run playbooks/verify.yml again.",
        ) from error


def _cluster(document: Mapping[str, object]) -> Cluster:
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in document.items()}
    sites = tuple(Site(**site) for site in document["sites"])  # type: ignore[attr-defined]  # TypeError is caught
    return Cluster(**{**fields, "sites": sites})  # type: ignore[arg-type]  # wrong keys raise TypeError, caught above
