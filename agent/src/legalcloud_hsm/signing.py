"""Certificates and requests by an EC P-384 key in a token.

The structure to be signed is made by python3-cryptography under a throw-away key of the same kind; the token signs its
digest (SoftHSM hashes no EC signature itself), and the result is checked before anybody gets it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from legalcloud_hsm.errors import RequestError

Sign = Callable[[bytes], bytes]
"""From a message to its ECDSA signature over SHA-384, in DER; in the token."""
ECDSA_SHA384 = bytes.fromhex("300a06082a8648ce3d040303")
"""AlgorithmIdentifier of ecdsa-with-SHA384, RFC 5758."""
SKEW = timedelta(minutes=5)
"""How far a certificate begins in the past, for nodes whose clock is behind."""
SHORT_LENGTH, SEQUENCE, BIT_STRING = 0x80, 0x30, 0x03


def authority(public: ec.EllipticCurvePublicKey, sign: Sign, *, name: str, days: int, now: datetime) -> bytes:
    """Return a self-signed CA certificate that may sign leaves and nothing else."""
    subject = _name(name)
    builder = _builder(subject, public, subject, public).not_valid_before(now - SKEW)
    builder = builder.not_valid_after(now + timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(certificates=True), critical=True)
    return _certified(builder, public, sign)


def client_certificate(
    asked: x509.CertificateSigningRequest, issuer: x509.Certificate, sign: Sign, *, life: timedelta, now: datetime
) -> bytes:
    """Return a client's certificate for a request that was looked at; it never outlives the CA's."""
    public, issuer_key = _ec_key(asked, "the request's"), _ec_key(issuer, "the CA's")
    end = min(now + life, issuer.not_valid_after_utc)
    if end <= now:
        raise RequestError(f"the CA {issuer.subject.rfc4514_string()} ended at {issuer.not_valid_after_utc:%Y-%m-%d}")
    builder = _builder(asked.subject, public, issuer.subject, issuer_key).not_valid_before(now - SKEW)
    builder = builder.not_valid_after(end)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    if (names := _names(asked)) is not None:
        builder = builder.add_extension(names, critical=False)
    return _certified(builder, issuer_key, sign)


def signing_request(public: ec.EllipticCurvePublicKey, sign: Sign, *, name: str) -> bytes:
    """Return a signing request for the token's own key."""
    throw_away = ec.generate_private_key(ec.SECP384R1())
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_name(name))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .sign(throw_away, hashes.SHA384())
    )
    body = made.tbs_certrequest_bytes.replace(_spki(throw_away.public_key()), _spki(public))
    request = x509.load_der_x509_csr(_signed(body, sign(body)))
    if not request.is_signature_valid or request.public_key() != public:
        raise RequestError("the request that was put together does not verify")
    return request.public_bytes(Encoding.PEM)


def load_request(pem: bytes, name: str) -> x509.CertificateSigningRequest:
    """Read a request that was signed by its own key and has this common name and no other subject."""
    try:
        request = x509.load_pem_x509_csr(pem)
    except ValueError as error:
        raise RequestError(f"standard input is no signing request in PEM: {error}") from None
    try:
        signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RequestError(f"the request's key or signature is of no known kind: {error}") from None
    if not signed:
        raise RequestError("the request is not signed by the key in it")
    if request.subject != _name(name):
        raise RequestError(f"the request is for {request.subject.rfc4514_string()!r}, not for common name {name!r}")
    return request


def load_authority(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise RequestError(f"the CA's file is no certificate in PEM: {error}") from None


def _names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    except ValueError as error:
        raise RequestError(f"the request's extensions cannot be read: {error}") from None


def _ec_key(holder: x509.Certificate | x509.CertificateSigningRequest, whose: str) -> ec.EllipticCurvePublicKey:
    key = holder.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise RequestError(f"{whose} key is not an EC key")
    return key


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name, issuer_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _certified(builder: x509.CertificateBuilder, issuer_key: ec.EllipticCurvePublicKey, sign: Sign) -> bytes:
    body = builder.sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()).tbs_certificate_bytes
    certificate = x509.load_der_x509_certificate(_signed(body, sign(body)))
    try:
        issuer_key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise RequestError("the key in the token is not the CA's; is this the CA's certificate?") from None
    return certificate.public_bytes(Encoding.PEM)


def _signed(body: bytes, signature: bytes) -> bytes:
    """Put body, algorithm and signature together as X.509 and PKCS#10 both do."""
    return _der(SEQUENCE, body + ECDSA_SHA384 + _der(BIT_STRING, b"\0" + signature))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < SHORT_LENGTH:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, SHORT_LENGTH | len(length)]) + length + content


def _spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
