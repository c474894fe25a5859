"""Fills in what a request for a certificate leaves out, and checks a signing request against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def certificate_wish(request: Mapping[str, Any], host: str, own_names: list[str]) -> dict[str, Any]:
    """Return the request with the node's own name and names where it says nothing."""
    said = {key: value for key, value in request.items() if value is not None}
    return {"common_name": host, "names": own_names, **said}


def certificate_refusals(described: Mapping[str, Any], wish: Mapping[str, Any]) -> list[str]:
    """Say why the CA must not sign a request as `openssl_csr_info` describes it; empty if it may.

    A node that was broken into could ask for another's name, or for a CA.
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
    if described["public_key_type"] != "ECC" or described["public_key_data"].get("curve") != "secp256r1":
        found.append("its key is not EC P-256")
    return found


def _comparable(names: Iterable[str]) -> set[str]:
    return {name.replace("IP Address:", "IP:").lower() for name in names}


def certificate_file(path: str, pem: str) -> dict[str, Any]:
    """Return the entry of `config_files` for a certificate, which openssl must be able to read."""
    return {"path": path, "content": pem, "validate": ["openssl", "x509", "-noout", "-in", "%s"]}


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "certificate_file": certificate_file,
            "certificate_refusals": certificate_refusals,
            "certificate_wish": certificate_wish,
        }
