"""Reads what `gpg --with-colons --show-keys` prints about a file of public keys (doc/DETAILS of GnuPG 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

VALIDITY_FIELD, CAPABILITIES_FIELD, FINGERPRINT_FIELD = 1, 11, 9
FIELDS_MIN = 12
THRESHOLD_MIN = 2
UNUSABLE = {"d": "disabled", "e": "expired", "i": "invalid", "r": "revoked"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """One public key, as far as an encrypted share needs it."""

    fingerprint: str
    """Of the primary key, upper case."""
    faults: tuple[str, ...]
    """Why nothing can be encrypted to it; empty if it will do."""


def parse(listing: str) -> list[PublicKey]:
    """Return each primary key. Raises: ValueError if a line has not the fields that the manual promises."""
    found: list[PublicKey] = []
    pending: tuple[str, ...] | None = None
    for line in listing.splitlines():
        fields = line.split(":")
        kind = fields[0]
        if kind in {"pub", "sec", "fpr"} and len(fields) < FIELDS_MIN - (kind == "fpr"):
            msg = f"gpg printed a line of {len(fields)} fields: {line!r}"
            raise ValueError(msg)
        if kind == "sec":
            found.append(PublicKey(fingerprint="", faults=("it is a secret key, which must stay with its holder",)))
        elif kind == "pub":
            pending = _faults(fields[VALIDITY_FIELD], fields[CAPABILITIES_FIELD])
        elif kind == "fpr" and pending is not None:
            found.append(PublicKey(fingerprint=fields[FINGERPRINT_FIELD], faults=pending))
            pending = None
    return found


def _faults(validity: str, capabilities: str) -> tuple[str, ...]:
    """Upper-case letters of the capabilities are those that the whole key can do now, subkeys and expiry included."""
    if validity in UNUSABLE:
        return (f"it is {UNUSABLE[validity]}",)
    return () if "E" in capabilities else ("it has no valid part for encryption",)


def refusals(named: dict[str, PublicKey], *, threshold: int) -> list[str]:
    """Say why these custodians cannot hold shares; `named` is each one's key."""
    faults = [f"{name}: {fault}" for name, key in named.items() for fault in key.faults]
    holders: dict[str, list[str]] = {}
    for name, key in named.items():
        holders.setdefault(key.fingerprint, []).append(name)
    faults += [
        f"{' and '.join(names)} have one key, {fingerprint}: each custodian needs his own"
        for fingerprint, names in holders.items()
        if len(names) > 1 and fingerprint
    ]
    if not THRESHOLD_MIN <= threshold <= len(named):
        faults.append(
            f"a threshold of {threshold} with {len(named)} custodians: it must be {THRESHOLD_MIN} at least, so that "
            "nobody acts alone, and at most their number"
        )
    return faults
