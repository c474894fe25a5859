"""Decides what is to be done with the tokens of several nodes, and with the certificates of their keys."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible.errors import AnsibleFilterError
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

State = Mapping[str, Any]
"""What `hsm_state` says of one token: reason, message, remedy, token, keys, checks, traces."""

RUNBOOK = "docs/runbooks/hsm-lost.md"


def hsm_plan(states: Mapping[str, State], wanted: Mapping[str, str], *, softhsm: bool) -> dict[str, Any]:
    """Compare one token on all its nodes, in order; say what makes them hold the same keys, or why nothing may be done.

    Only the lab's SoftHSM is ever made, extended or cloned; of an HSM the plan finds faults and no work.
    """
    plan = _plan(states, wanted, softhsm=softhsm)
    return plan | {"work": bool(plan["make"] or plan["add"] or plan["clones"])}


def _plan(states: Mapping[str, State], wanted: Mapping[str, str], *, softhsm: bool) -> dict[str, Any]:
    good = {host: state for host, state in states.items() if state["reason"] == "good"}
    plan: dict[str, Any] = {"make": "", "add": {}, "clones": {}, "faults": []}
    reparable = {"token-absent", "pin-unreadable"} if softhsm and good else set()
    broken = {host: state for host, state in states.items() if host not in good and state["reason"] not in reparable}
    if softhsm and all(state["reason"] == "token-absent" for state in states.values()):
        return plan | _first(states, next(iter(states)))
    plan["faults"] = [
        *(f"{host}: {state['message']} {state.get('remedy', '')}".strip() for host, state in broken.items()),
        *(fault for host, state in good.items() for fault in _unfit(host, state["keys"])),
        *_differing(good),
    ]
    if not good:
        return plan
    source = max(good, key=lambda host: len(_labels(good[host]) & wanted.keys()))
    missing = [label for label in wanted if label not in _labels(good[source])]
    lacking = [
        host
        for host, state in states.items()
        if host != source and (host not in good or wanted.keys() - _labels(state))
    ]
    if softhsm:
        plan["add"] = {source: missing} if missing else {}
        plan["clones"] = {host: source for host in lacking if host not in broken}
    else:
        for host, state in good.items():
            if absent := [label for label in wanted if label not in _labels(state)]:
                plan["faults"].append(
                    f"{host}: token {state['token']['label']} has no key {', '.join(absent)}. On the first HSM make it "
                    f"with `legalcloud-hsm make-key`, then clone it to the others by the vendor's means ({RUNBOOK})."
                )
    return plan


def _first(states: Mapping[str, State], host: str) -> dict[str, Any]:
    """Plan the first token of a fleet, unless something says that there was one before."""
    traces = [f"{name}: {path}" for name, state in states.items() for path in state["traces"]]
    if traces:
        return {
            "faults": [
                f"No node has the token, but there was one ({', '.join(traces)}): a new key opens nothing that the "
                f"old one sealed. Put a token back; only if nothing is worth opening, remove these files: {RUNBOOK}."
            ]
        }
    return {"make": host, "clones": {other: host for other in states if other != host}}


def _labels(state: State) -> set[str]:
    return {key["label"] for key in state["keys"]}


def _unfit(host: str, keys: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for label, count in Counter(key["label"] for key in keys).items():
        if count > 1:
            yield f"{host}: {count} keys {label} on one token. Destroy those that are not meant, by id."
    for key in keys:
        if key["extractable"] is not False or key["sensitive"] is not True:
            yield (
                f"{host}: key {key['label']} may leave its token (extractable {key['extractable']}, sensitive "
                f"{key['sensitive']}). Make another one with `legalcloud-hsm make-key`; this one protects nothing."
            )


def _differing(good: Mapping[str, State]) -> Iterator[str]:
    if len(good) == 1:
        return
    seen: dict[str, dict[str | None, list[str]]] = {}
    for host, state in good.items():
        for key in state["keys"]:
            seen.setdefault(key["label"], {}).setdefault(key["fingerprint"], []).append(host)
    for label, hosts in sorted(seen.items()):
        if None in hosts:
            yield f"{', '.join(hosts[None])}: the token does not show which key {label} is; clones cannot be compared."
        elif len(hosts) > 1:
            told = "; ".join(f"{', '.join(names)} have {str(print_)[:16]}" for print_, names in hosts.items())
            yield (
                f"Key {label} is not the same everywhere ({told}). What one node seals another cannot open. Nothing "
                f"was changed; find out which one sealed OpenBao, and clone that one to the others: {RUNBOOK}."
            )


def hsm_sources(states: Mapping[str, State], wanted: Mapping[str, str], without: str) -> list[str]:
    """Name the nodes beside one whose token holds every key, and whose keys were tried and work."""
    return [
        host
        for host, state in states.items()
        if host != without and state["reason"] == "good" and not wanted.keys() - _labels(state)
        if not hsm_check_faults({host: state})
    ]


def hsm_fingerprint(state: State, label: str) -> str:
    """Return the fingerprint of a key; empty if the token has none of that label yet."""
    return next((str(key["fingerprint"]) for key in state.get("keys", ()) if key["label"] == label), "")


def hsm_check_faults(states: Mapping[str, State]) -> list[str]:
    """Say for which keys the trial of encrypting and decrypting, or signing and verifying, failed."""
    return [
        f"{host}: {check['message']} {check.get('remedy', '')}".strip()
        for host, state in states.items()
        for check in state.get("checks", {}).values()
        if check["reason"] != "good"
    ]


def hsm_login_ca(found: Sequence[str], fingerprint: str, days: int) -> str:
    """Return the CA certificate in force among those found on the nodes: by that key, with so many days left."""
    fit = [pem for pem in found if pem and not _reasons(pem, fingerprint, days)]
    return max(fit, key=_begin, default="")


def hsm_certificate_reasons(pem: str, fingerprint: str, ca_pem: str, days: int) -> list[str]:
    """Say why the certificate of a token's key must be made anew; empty if it serves."""
    if not pem:
        return ["there is none"]
    reasons = _reasons(pem, fingerprint, days)
    if not reasons:
        certificate, issuer = (x509.load_pem_x509_certificate(text.encode()) for text in (pem, ca_pem))
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            reasons.append("it is not by this CA")
    return reasons


def hsm_request_faults(pem: str, common_name: str, fingerprint: str) -> list[str]:
    """Say why the CA must not sign a request; empty if it may: by the key in the token, for one name, and no CA."""
    try:
        request = x509.load_pem_x509_csr(pem.encode())
    except ValueError as error:
        raise AnsibleFilterError(f"legalcloud-hsm gave no signing request: {error}") from None
    faults = []
    if not request.is_signature_valid or _fingerprint(request) != fingerprint:
        faults.append("it is not by the key in the token")
    if request.subject != x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]):
        faults.append(f"its subject is {request.subject.rfc4514_string()}, not {common_name}")
    if request.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
        faults.append("it asks for a CA")
    return faults


def _reasons(pem: str, fingerprint: str, days: int) -> list[str]:
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        return ["it is no certificate"]
    reasons = []
    if fingerprint and _fingerprint(certificate) != fingerprint:
        reasons.append("it is of another key")
    if certificate.not_valid_after_utc - datetime.now(UTC) < timedelta(days=days):
        reasons.append(f"it ends at {certificate.not_valid_after_utc:%Y-%m-%d}")
    return reasons


def _begin(pem: str) -> datetime:
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_before_utc


def _fingerprint(holder: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return hashlib.sha256(holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class FilterModule:
    """Names them for Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "hsm_certificate_reasons": hsm_certificate_reasons,
            "hsm_check_faults": hsm_check_faults,
            "hsm_fingerprint": hsm_fingerprint,
            "hsm_login_ca": hsm_login_ca,
            "hsm_plan": hsm_plan,
            "hsm_request_faults": hsm_request_faults,
            "hsm_sources": hsm_sources,
        }
