"""What the record of a key ceremony says of custodians and servers, and what proves that a new unseal key is in use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from legalcloud.errors import LegalcloudError
from legalcloud.records import record as records

STARTED = "%a %Y-%m-%d %H:%M:%S.%f UTC"
"""As `systemctl show --timestamp=us+utc` prints it."""


def share_holders(custodians: Sequence[Mapping[str, str]], shares: Mapping[str, str]) -> list[dict[str, str]]:
    """Name each custodian with key and the hash of the file that he gets."""
    return [
        {
            "name": custodian["name"],
            "pgp_fingerprint": custodian["fingerprint"],
            "share_sha256": hashlib.sha256(shares[custodian["fingerprint"]].encode()).hexdigest(),
        }
        for custodian in custodians
    ]


def ceremony_servers(servers: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Say which HSM and which programs each server has, from what its tasks registered."""
    found = []
    for server in servers:
        seen = hostvars[server]
        bao, plugin = (result["stat"]["checksum"] for result in seen["__key_ceremony_programs"]["results"])
        token = json.loads(seen["__key_ceremony_hsm"]["stdout"])["token"]
        found.append({"name": server, "hsm": token, "bao_sha256": bao, "plugin_sha256": plugin})
    return found


def handover(custodians: Sequence[Mapping[str, str]], folder: str) -> list[str]:
    """Say which file each custodian gets."""
    return [f"{custodian['name']} gets {folder}/{custodian['fingerprint']}.asc" for custodian in custodians]


def told_at(servers: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Say when each server's configuration was written, by the node's clock; 0 if nobody could look."""
    return {server: int(_mtime(hostvars[server])) for server in servers}


def _mtime(seen: Mapping[str, Any]) -> float:
    return float(seen.get("__key_ceremony_told", {}).get("stat", {}).get("mtime", 0))


def unwrapped_doubts(servers: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say why it is not proved that the root key is wrapped with the key that the configuration names; none: it is.

    A server that becomes active wraps the root key anew if another key wraps it. If that fails it only warns, and
    serves on. So the present active one must have done this without a warning; and no server may run that read an
    older configuration, since that one would wrap the root key with the old key again.
    """
    doubts = [doubt for server in servers for doubt in _old_process(server, hostvars[server])]
    active = [server for server in servers if hostvars[server].get("__key_ceremony_leads", {}).get("active") is True]
    if len(active) != 1:
        return [*doubts, f"one server must be active, and {' and '.join(active) or 'none'} said so"]
    fault = upgrade_fault(hostvars[active[0]].get("__key_ceremony_log", {}).get("stdout", ""))
    return [*doubts, f"the active server {active[0]} {fault}"] if fault else doubts


def upgrade_fault(journal: str) -> str:
    """Judge what a process said each time that it became active; only the last time counts. Empty: it is good."""
    last = journal.rpartition("post-unseal setup starting")
    if not last[1]:
        return "does not say in its log that it became active"
    if "post-unseal upgrade seal keys failed" in last[2]:
        return "says `post-unseal upgrade seal keys failed` in its log"
    if "post-unseal setup complete" not in last[2]:
        return "does not say in its log that it finished becoming active"
    return ""


def _old_process(server: str, seen: Mapping[str, Any]) -> Iterator[str]:
    try:
        shown = dict(line.split("=", 1) for line in seen["__key_ceremony_process"]["stdout"].splitlines())
        started = datetime.strptime(shown["ExecMainStartTimestamp"], STARTED).replace(tzinfo=UTC).timestamp()
        written = _mtime(seen)
    except (KeyError, ValueError):
        yield f"nothing is known of the process on {server}"
        return
    if not written:
        yield f"nothing is known of the configuration on {server}"
    if started <= written:
        yield f"the server on {server} is older than its configuration"


def unseal_proofs(files: Sequence[str], label: str, told: Mapping[str, int], ca_file: str) -> list[str]:
    """Return the authentic records that OpenBao is wrapped with this key, since its configuration was written."""
    ca, now = Path(ca_file).read_bytes(), datetime.now(UTC)
    found = []
    for file in sorted(files):
        try:
            record, _ = records.verify(Path(file).read_bytes(), ca_pem=ca, now=now)
        except LegalcloudError:
            continue  # it proves nothing
        is_this = (record.kind, record.subject) == ("unseal-key-rotation", label)
        if is_this and all(told.values()) and record.body.get("configured_at") == dict(told):
            found.append(file)
    return found


class FilterModule:
    """Ansible asks a class of this name for the filters of a file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {
            "share_holders": share_holders,
            "ceremony_servers": ceremony_servers,
            "handover": handover,
            "told_at": told_at,
            "unwrapped_doubts": unwrapped_doubts,
            "unseal_proofs": unseal_proofs,
        }
