"""Which tokens this node has, as /etc/legalcloud/hsm.json says. There is no secret in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from legalcloud_hsm.errors import PlaceError
from legalcloud_kms.options import TokenSelector

CONFIGURATION = Path("/etc/legalcloud/hsm.json")
REQUIRED = {"lib", "pin"}
OPTIONAL = {"token_label", "serial", "slot", "rsa_oaep_hash", "environment", "user", "softhsm_folder"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPlace:
    """Where one token is and what opens it."""

    name: str
    library: str
    selector: TokenSelector
    credential: Path
    """The encrypted credential that holds the PIN; its file name is the credential's name."""
    oaep_hash: str
    environment: Mapping[str, str]
    """What the library reads, such as SOFTHSM2_CONF."""
    user: str
    """Who loads the library: the one who owns the token's files, never needlessly root."""
    softhsm_folder: Path | None
    """The token's folder if it is the lab's; None for an HSM, which is never made or cloned from here."""


def read(name: str, path: Path = CONFIGURATION) -> TokenPlace:
    """Read one token's entry; raises PlaceError, which names the file and the field."""
    try:
        tokens = json.loads(path.read_bytes())["tokens"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlaceError(f"{path}, which role hsm writes, cannot be read: {type(error).__name__}: {error}") from None
    if name not in tokens:
        known = ", ".join(sorted(tokens)) or "none"
        raise PlaceError(f"{path} has no token {name!r} on this node; it has: {known}")
    return parse(name, tokens[name], where=f"{path}, token {name}")


def parse(name: str, entry: Mapping[str, Any], *, where: str) -> TokenPlace:
    missing, unknown = REQUIRED - entry.keys(), entry.keys() - REQUIRED - OPTIONAL
    if missing or unknown:
        raise PlaceError(
            f"{where}: missing {sorted(missing)}, unknown {sorted(unknown)}. Run role hsm, which writes it"
        )
    selector = TokenSelector(slot=entry.get("slot"), serial=entry.get("serial", ""), label=entry.get("token_label", ""))
    if not str(selector):
        raise PlaceError(f"{where}: none of token_label, serial and slot is set; without one any token would do")
    folder = entry.get("softhsm_folder")
    return TokenPlace(
        name=name,
        library=entry["lib"],
        selector=selector,
        credential=Path(entry["pin"]),
        oaep_hash=entry.get("rsa_oaep_hash", "sha256"),
        environment=entry.get("environment", {}),
        user=entry.get("user", "root"),
        softhsm_folder=Path(folder) if folder else None,
    )
