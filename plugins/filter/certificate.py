"""Fills in what a request for a certificate leaves out, and checks a signing request, or a given certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

PURPOSES = {
    "tls": {"TLS Web Server Authentication", "TLS Web Client Authentication"},
    "signing": {"1.3.6.1.5.5.7.3.36"},
}
"""Extended key usages as `openssl_csr_info` names them; it has no name for signing documents (RFC 9336)."""


def certificate_wish(request: Mapping[str, Any], host: str, own_names: list[str]) -> dict[str, Any]:
    """Return the request with the node's own name and names where it says nothing; one for signing has no names."""
    said = {key: value for key, value in request.items() if value is not None}
    names = [] if said.get("purpose") == "signing" else own_names
    return {"common_name": host, "names": names, "purpose": "tls", **said}


def certificate_refusals(described: Mapping[str, Any], wish: Mapping[str, Any]) -> list[str]:
    """Say why the CA must not sign a request as `openssl_csr_info` describes it; empty if it may.

    A node that was broken into could ask for another's name, for a CA, or for a certificate that signs statements.
    """
    found = []
    if not described["signature_valid"]:
        found.append("its signature is not by the key in it")
    if described["subject"] != {"commonName": wish["common_name"]}:
        found.append(f"its subject is {described['subject']}, not common name {wish['common_name']}")
    names, wanted = _comparable(described["subject_alt_name"] or []), _comparable(wish["names"])
    if names != wanted:
        found.append(f"its names are {', '.join(sorted(names))}, not {', '.join(sorted(wanted))}")
    if described["basic_constraints"] != ["CA:FALSE"]:
        found.append("it does not say CA:FALSE")
    if described["key_usage"] != ["Digital Signature"]:
        found.append(f"its key usage is {described['key_usage']}, not Digital Signature")
    purposes = described["extended_key_usage"] or ["any"]
    if set(purposes) != PURPOSES[wish["purpose"]]:
        found.append(f"it is for {', '.join(sorted(purposes))}, not for {wish['purpose']}")
    if described["public_key_type"] != "ECC" or described["public_key_data"].get("curve") != "secp256r1":
        found.append("its key is not EC P-256")
    return found


def _comparable(names: Iterable[str]) -> set[str]:
    return {name.replace("IP Address:", "IP:").lower() for name in names}


def certificate_file(path: str, pem: str) -> dict[str, Any]:
    """Return the entry of `config_files` for a certificate, which openssl must be able to read."""
    return {"path": path, "content": pem, "validate": ["openssl", "x509", "-noout", "-in", "%s"]}


def certificate_given_faults(given: Mapping[str, Any]) -> list[str]:
    """Say why a certificate from files cannot serve as its request says; empty if it can."""
    source, place = given["source"], f"certificate_requests, {given['name']}"
    try:
        leaf = x509.load_pem_x509_certificates(given["certificate"].encode())[0]
    except ValueError:
        return [f"{place}: {source['certificate']} holds no certificate as PEM."]
    try:
        key = load_pem_private_key(given["key"].encode(), password=None)
    except TypeError:
        return [f"{place}: {source['key']} has a passphrase. Encrypt the file with Ansible Vault instead."]
    except ValueError:
        return [f"{place}: {source['key']} holds no private key as PEM."]
    found, now = [], datetime.now(UTC)
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        found.append(
            f"{place}: the key in {source['key']} does not belong to the first certificate in {source['certificate']}. "
            "The certificate itself comes first, its chain after it."
        )
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if end <= now:
        found.append(f"{place}: {source['certificate']} ended at {end:%Y-%m-%d %H:%M} UTC. Put its successor there.")
    if begin > now:
        found.append(
            f"{place}: {source['certificate']} begins at {begin:%Y-%m-%d %H:%M} UTC. Keep the former one until then."
        )
    missing = _comparable(given["names"]) - _names(leaf)
    if missing:
        found.append(
            f"{place}: {source['certificate']} is not for {', '.join(sorted(missing))}. "
            "Have one made with all the names, or correct names."
        )
    return found


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    names = [f"DNS:{name}" for name in found.get_values_for_type(x509.DNSName)]
    return _comparable(names + [f"IP:{address}" for address in found.get_values_for_type(x509.IPAddress)])


def certificate_given_files(given: Mapping[str, Any], folder: str) -> list[dict[str, Any]]:
    """Return the entries of `config_files` for a certificate from files, with the modes of those by our CA."""
    stem, certificate, key = (
        f"{folder}/{given['name']}",
        *(given[part].strip() + "\n" for part in ("certificate", "key")),
    )
    owned = {"owner": given.get("owner", "root"), "group": given.get("group", "root")}
    secret = {**owned, "mode": given.get("key_mode", "0600"), "secret": True}
    files = [
        {"path": f"{stem}.key", "content": key, **secret},
        certificate_file(f"{stem}.crt", certificate),
    ]
    if given.get("combined", False):
        files.append({"path": f"{stem}.pem", "content": certificate + key, **secret})
    return files


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "certificate_file": certificate_file,
            "certificate_given_faults": certificate_given_faults,
            "certificate_given_files": certificate_given_files,
            "certificate_refusals": certificate_refusals,
            "certificate_wish": certificate_wish,
        }
