"""DSSE v1 envelopes signed with ECDSA, with the signer's certificate inside: made here, and checked against one CA.

What is signed is bytes, and nothing is read before its signature was checked. One file is one envelope in canonical
JSON: `payloadType`, `payload`, and one signature with `keyid`, `sig` and, beyond the standard, `certificate`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from legalcloud import canonical
from legalcloud.errors import InputError, NotAuthenticError, ParseError

HASHES: Mapping[str, hashes.HashAlgorithm] = {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384()}
"""The one hash for each curve that may sign."""
SERVES_TLS = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}

_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension, UserWarning)
"""What cryptography raises for a certificate that is none, or warns of in one that breaks RFC 5280."""

Sign = Callable[[bytes], bytes]
"""Takes the bytes to sign; returns an ECDSA signature in DER, with the hash of the key's curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What a file says, as yet unchecked."""

    payload_type: str
    payload: bytes
    key_id: str
    """SHA-256 of the signer's SubjectPublicKeyInfo, in hex."""
    signature: bytes
    certificate: bytes
    """DER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signed, as the certificate says that the CA vouches for."""

    name: str
    key_id: str
    serial_number: str
    not_before: datetime
    not_after: datetime
    curve: str


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed: the pre-authentication encoding of DSSE v1."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def key_id(certificate: x509.Certificate) -> str:
    public = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(public).hexdigest()


def seal(payload: bytes, payload_type: str, *, certificate_pem: bytes, sign: Sign) -> bytes:
    """Sign a payload and return the file.

    Raises: InputError if the signature is not by the certificate's key.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError as error:
        raise InputError(f"the signer's certificate is not PEM: {error}", hint="Issue it again.") from error
    envelope = Envelope(
        payload_type=payload_type,
        payload=payload,
        key_id=key_id(certificate),
        signature=sign(pae(payload_type, payload)),
        certificate=certificate.public_bytes(serialization.Encoding.DER),
    )
    try:
        _check_signature(envelope, certificate)
    except NotAuthenticError as error:
        raise InputError(
            "what was signed does not match the signer's certificate",
            hint="The token holds another key than its certificate says: issue the certificate again.",
        ) from error
    return to_file(envelope)


def to_file(envelope: Envelope) -> bytes:
    signature = {
        "keyid": envelope.key_id,
        "sig": base64.b64encode(envelope.signature).decode(),
        "certificate": base64.b64encode(envelope.certificate).decode(),
    }
    document = {
        "payloadType": envelope.payload_type,
        "payload": base64.b64encode(envelope.payload).decode(),
        "signatures": [signature],
    }
    return canonical.canonical(document) + b"\n"


def from_file(raw: bytes) -> Envelope:
    """Read an envelope without checking anything but its form. Raises: ParseError."""
    match canonical.read(raw.removesuffix(b"\n"), what="the file"):
        case {
            "payloadType": str(kind),
            "payload": str(payload),
            "signatures": [{"keyid": str(key), "sig": str(signature), "certificate": str(certificate), **beside}],
            **others,
        } if not beside and not others:
            return Envelope(
                payload_type=kind,
                payload=_decoded(payload, "payload"),
                key_id=key,
                signature=_decoded(signature, "signature"),
                certificate=_decoded(certificate, "certificate"),
            )
    raise ParseError(
        "the file is not a DSSE envelope with one signature and its certificate",
        hint="Name a record that this appliance has written.",
    )


def _decoded(text: str, what: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if base64.b64encode(value).decode() != text:
        raise ParseError(f"the {what} is not plain base64", hint="Ask for the file again from its author.")
    return value


def verify(
    envelope: Envelope,
    *,
    ca_pem: bytes,
    signer: str,
    signed_at: Callable[[bytes], datetime],
) -> Signer:
    """Check an envelope against a CA; return who signed it.

    `signer` is the common name that must have signed. `signed_at` reads from the payload, once its signature was
    checked, when it says that it was signed: both certificates must have been valid then.
    Raises: NotAuthenticError saying what does not hold; InputError if the CA's certificate is none.
    """
    ca = _authority(ca_pem)
    try:
        with warnings.catch_warnings(action="error"):
            certificate = x509.load_der_x509_certificate(envelope.certificate)
        _check_issuer(certificate, ca)
        _check_purpose(certificate, signer)
    except _UNREADABLE as error:
        raise NotAuthenticError(f"the signer's certificate cannot be read: {error}") from error
    if envelope.key_id != key_id(certificate):
        raise NotAuthenticError("the key id is not that of the certificate beside it")
    _check_signature(envelope, certificate)
    moment = signed_at(envelope.payload)
    for whose, one in (("signer", certificate), ("CA", ca)):
        if not one.not_valid_before_utc <= moment <= one.not_valid_after_utc:
            raise NotAuthenticError(
                f"it says that it was signed on {moment:%Y-%m-%d %H:%M:%S} UTC, but the {whose}'s certificate is valid "
                f"from {one.not_valid_before_utc:%Y-%m-%d %H:%M:%S} to {one.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC"
            )
    return Signer(
        name=_name(certificate),
        key_id=envelope.key_id,
        serial_number=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        curve=_key(certificate).curve.name,
    )


def _authority(pem: bytes) -> x509.Certificate:
    try:
        ca = x509.load_pem_x509_certificate(pem)
        if ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return ca
    except (ValueError, x509.ExtensionNotFound) as error:
        raise InputError(f"the trust anchor is not a CA certificate in PEM: {error}", hint=_ANCHOR) from error
    raise InputError("the trust anchor is a certificate, but not that of a CA", hint=_ANCHOR)


_ANCHOR = "Name ca.crt of the controller, which you were given on another way than the record."


def _check_issuer(certificate: x509.Certificate, ca: x509.Certificate) -> None:
    try:
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, ValueError, TypeError) as error:
        fingerprint = ca.fingerprint(hashes.SHA256()).hex()
        raise NotAuthenticError(
            f"the signer's certificate is not from the CA that you trust (SHA-256 {fingerprint})"
        ) from error


def _check_purpose(certificate: x509.Certificate, signer: str) -> None:
    """Refuse the certificates that the same CA gives to nodes: their keys lie in files."""
    name = _name(certificate)
    if name != signer:
        raise NotAuthenticError(f"it was signed by {name!r}; only {signer!r} may sign it")
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if SERVES_TLS & set(purposes):
        raise NotAuthenticError(f"the certificate of {name!r} is for TLS, not for signing records")


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def _key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in HASHES:
        raise NotAuthenticError("the signer's key is not on the curve P-384 or P-256")
    return key


def _check_signature(envelope: Envelope, certificate: x509.Certificate) -> None:
    key = _key(certificate)
    try:
        key.verify(
            envelope.signature,
            pae(envelope.payload_type, envelope.payload),
            ec.ECDSA(HASHES[key.curve.name]),
        )
    except InvalidSignature as error:
        raise NotAuthenticError("the signature does not match what the file says: it was changed") from error
