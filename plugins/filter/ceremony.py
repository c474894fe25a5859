"""What the record of a key ceremony says of custodians and servers, and what the operator reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any


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


class FilterModule:
    """Ansible asks a class of this name for the filters of a file."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"share_holders": share_holders, "ceremony_servers": ceremony_servers, "handover": handover}
