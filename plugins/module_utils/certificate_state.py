"""Whether a node's certificate will do, and if not, why: facts and a decision, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

PURPOSES = {
    "tls": frozenset({"1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"}),
    "signing": frozenset({"1.3.6.1.5.5.7.3.36"}),
}
"""Extended key usages: to serve and call over TLS (RFC 5280), or to sign documents (RFC 9336), which TLS refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What we read from one certificate file."""

    not_before: datetime
    """UTC."""
    not_after: datetime
    """UTC."""
    common_name: str
    names: frozenset[str]
    """Subject alternative names as `DNS:...` and `IP:...`."""
    purposes: frozenset[str]
    """Extended key usages as dotted numbers; empty would be good for everything."""
    is_for_key: bool
    """Its public key is that of the key file beside it."""
    is_from_ca: bool
    """Its signature is the CA's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the certificate should be."""

    common_name: str
    names: frozenset[str]
    renew_before: timedelta
    purpose: str = "tls"
    """One of `PURPOSES`."""


def reasons(certificate: Certificate | None, wish: Wish, *, now: datetime) -> tuple[str, ...]:
    """Say why a new certificate is needed; empty if the present one will do."""
    if certificate is None:
        return ("there is no certificate",)
    found = []
    if not certificate.is_for_key:
        found.append("it is not for this node's key")
    if not certificate.is_from_ca:
        found.append("it is not from the present CA")
    if certificate.common_name != wish.common_name:
        found.append(f"its common name is {certificate.common_name}, not {wish.common_name}")
    if certificate.names != wish.names:
        missing, extra = wish.names - certificate.names, certificate.names - wish.names
        found.append(f"its names differ (missing: {_listed(missing)}; extra: {_listed(extra)})")
    if not certificate.purposes or not certificate.purposes <= PURPOSES[wish.purpose]:  # the HSM's CA grants fewer
        found.append(f"it is not for {wish.purpose}")
    if certificate.not_before > now:
        found.append(f"it begins only at {certificate.not_before:%Y-%m-%d %H:%M} UTC")
    if certificate.not_after - now < wish.renew_before:
        found.append(f"it ends at {certificate.not_after:%Y-%m-%d %H:%M} UTC")
    return tuple(found)


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"
