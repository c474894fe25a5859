"""Keys and certificates for tests of records: a CA, and what it gives to a signer or to a node."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, data: bytes) -> bytes:
        algorithm = hashes.SHA384() if self.key.curve.name == "secp384r1" else hashes.SHA256()
        return self.key.sign(data, ec.ECDSA(algorithm))


def authority(name: str = "test CA", *, ca: bool = True, start: datetime = NOW - 300 * DAY) -> Holder:
    key = ec.generate_private_key(ec.SECP384R1())
    builder = _builder(key, name, name, start, NOW + 3000 * DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
    return Holder(key=key, certificate=builder.sign(key, hashes.SHA384()))


def holder(  # noqa: PLR0913 -- each is one thing that a test varies
    ca: Holder,
    name: str = "Legal Cloud evidence",
    *,
    curve: ec.EllipticCurve | None = None,
    start: datetime = NOW - DAY,
    end: datetime = NOW + 30 * DAY,
    tls: bool = False,
) -> Holder:
    key = ec.generate_private_key(curve or ec.SECP384R1())
    builder = _builder(key, name, "test CA", start, end)
    if tls:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return Holder(key=key, certificate=builder.sign(ca.key, hashes.SHA384()))


def _builder(
    key: ec.EllipticCurvePrivateKey, name: str, issuer: str, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
