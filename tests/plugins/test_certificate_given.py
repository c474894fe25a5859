"""Certificates that come from files of the controller: what is refused, and which files a node gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from plugins.filter.certificate import certificate_given_faults, certificate_given_files

NOW = datetime.now(UTC)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any, password: bytes | None = None) -> str:  # noqa: ANN401 -- any kind of key
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    text: bytes = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    return text.decode()


def certificate(key: Any, *, start: int = -1, end: int = 60, names: tuple[str, ...] = ("s3.test", "*.s3.test")) -> str:  # noqa: ANN401
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a public authority's subject")])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW + timedelta(days=start))
    builder = builder.not_valid_after(NOW + timedelta(days=end))
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    signed = builder.add_extension(alternative, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def given(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- any field
    return {
        "name": "s3",
        "names": ["DNS:S3.test", "DNS:*.s3.test"],
        "source": {"certificate": "s3.crt", "key": "s3.key"},
        "certificate": certificate(RSA),
        "key": pem(RSA),
        **changes,
    }


def test_an_rsa_certificate_with_its_chain_and_more_names_than_asked_will_do() -> None:
    chain = certificate(RSA, names=("s3.test", "*.s3.test", "www.test")) + certificate(
        ec.generate_private_key(ec.SECP256R1())
    )

    assert certificate_given_faults(given(certificate=chain)) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"certificate": certificate(RSA, start=-9, end=-1)}, "s3.crt ended at"),
        ({"certificate": certificate(RSA, start=1)}, "s3.crt begins at"),
        ({"key": pem(ec.generate_private_key(ec.SECP256R1()))}, "the key in s3.key does not belong to the first"),
        ({"certificate": certificate(RSA, names=("s3.test",))}, "s3.crt is not for dns:*.s3.test"),
        ({"certificate": "none"}, "s3.crt holds no certificate"),
        ({"key": "none"}, "s3.key holds no private key"),
        ({"key": pem(RSA, b"secret")}, "s3.key has a passphrase"),
    ],
    ids=["ended", "not begun", "another key", "a name short", "no certificate", "no key", "passphrase"],
)
def test_what_cannot_serve_is_refused_with_its_place(changes: dict[str, Any], said: str) -> None:
    (fault,) = certificate_given_faults(given(**changes))

    assert fault.startswith("certificate_requests, s3: ")
    assert said in fault
    assert "PRIVATE" not in fault


def test_files_with_the_key_are_secret_and_have_the_keys_mode_and_owner() -> None:
    files = certificate_given_files(given(combined=True, group="haproxy", key_mode="0640"), "/pki")

    assert [entry["path"] for entry in files] == ["/pki/s3.key", "/pki/s3.crt", "/pki/s3.pem"]
    for entry in (entry for entry in files if "PRIVATE" in entry["content"]):
        assert (entry["mode"], entry["group"], entry["secret"]) == ("0640", "haproxy", True)
    assert "PRIVATE" not in files[1]["content"]
    assert files[2]["content"] == files[1]["content"] + files[0]["content"]
