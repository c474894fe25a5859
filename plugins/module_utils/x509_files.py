"""Reads and makes keys, requests and certificates with Debian's python3-cryptography (38 and later)."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime

from ansible.module_utils.certificate_state import PURPOSES, Certificate
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def new_key() -> bytes:
    """Make an EC P-256 key as unencrypted PKCS #8 PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a key. Raises: ValueError if it is not an EC P-256 key."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        msg = "it is encrypted"
        raise ValueError(msg) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        msg = "it is not an EC P-256 key"
        raise ValueError(msg)
    return key


def canonical_names(names: list[str]) -> list[str]:
    """Bring `DNS:` and `IP:` names to the one spelling that a certificate's names have.

    Raises: ValueError naming the entry that is neither.
    """
    return [_canonical(name) for name in names]


def _canonical(name: str) -> str:
    kind, _, value = name.partition(":")
    if kind == "IP":
        return f"IP:{ipaddress.ip_address(value)}"
    if kind == "DNS" and value:
        return f"DNS:{value.lower()}"
    msg = f"{name!r} is neither DNS:name nor IP:address"
    raise ValueError(msg)


def request(key: ec.EllipticCurvePrivateKey, *, common_name: str, names: list[str], purpose: str) -> bytes:
    """Make a signing request for a certificate of a purpose; one without names has no such extension."""
    general: list[x509.GeneralName] = []
    for name in names:
        kind, _, value = name.partition(":")
        general.append(x509.IPAddress(ipaddress.ip_address(value)) if kind == "IP" else x509.DNSName(value))
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    )
    if general:
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    purposes = x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in sorted(PURPOSES[purpose])])
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(purposes, critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


def read(pem: bytes, *, key: ec.EllipticCurvePrivateKey, ca_pem: bytes) -> Certificate:
    """Read a certificate and compare it with its key and its CA. Raises: ValueError if it is none."""
    certificate, ca = x509.load_pem_x509_certificate(pem), x509.load_pem_x509_certificate(ca_pem)
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        not_before=_utc(certificate, "not_valid_before"),
        not_after=_utc(certificate, "not_valid_after"),
        common_name=str(common[0].value) if common else "",
        names=_names(certificate),
        purposes=_purposes(certificate),
        is_for_key=_public(certificate) == _public(key),
        is_from_ca=_is_signed_by(certificate, ca),
    )


def _utc(certificate: x509.Certificate, field: str) -> datetime:
    """Read a time by its aware name (cryptography 42) or its older, naive one."""
    value: datetime = getattr(certificate, f"{field}_utc", None) or getattr(certificate, field).replace(tzinfo=UTC)
    return value


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    names = [f"DNS:{name.lower()}" for name in found.get_values_for_type(x509.DNSName)]
    addresses = [f"IP:{address}" for address in found.get_values_for_type(x509.IPAddress)]
    return frozenset(names + addresses)


def _purposes(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(purpose.dotted_string for purpose in found)


def _public(holder: x509.Certificate | ec.EllipticCurvePrivateKey) -> bytes:
    return holder.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _is_signed_by(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    public, algorithm = ca.public_key(), certificate.signature_hash_algorithm
    if certificate.issuer != ca.subject or not isinstance(public, ec.EllipticCurvePublicKey) or algorithm is None:
        return False
    try:
        public.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True
