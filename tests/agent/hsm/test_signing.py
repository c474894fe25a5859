"""Certificates and requests that are put together around a token's signature; a key in memory stands for the token."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store
from hypothesis import given
from hypothesis import strategies as st

from legalcloud_hsm import signing
from legalcloud_hsm.errors import RequestError

NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
SECRET = ec.generate_private_key(ec.SECP384R1())


def sign(message: bytes, key: ec.EllipticCurvePrivateKey = SECRET) -> bytes:
    return key.sign(message, ec.ECDSA(hashes.SHA384()))


def authority(days: int = 3650) -> x509.Certificate:
    made = signing.authority(SECRET.public_key(), sign, name="Login CA", days=days, now=NOW)
    return x509.load_pem_x509_certificate(made)


def asked(
    name: str = "steward", key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None, *names: x509.GeneralName
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM)


def issued(request: bytes, life: timedelta = timedelta(minutes=10), days: int = 3650) -> x509.Certificate:
    wish = signing.load_request(request, "steward")
    return x509.load_pem_x509_certificate(signing.client_certificate(wish, authority(days), sign, life=life, now=NOW))


def test_the_ca_verifies_by_itself_and_may_sign_leaves_only() -> None:
    ca = authority()

    ca.verify_directly_issued_by(ca)
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = ca.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (constraints.value.ca, constraints.value.path_length, constraints.critical) == (True, 0, True)
    assert (usage.key_cert_sign, usage.digital_signature) == (True, False)
    assert ca.public_key() == SECRET.public_key()


def test_a_client_is_good_for_its_minutes_and_for_logging_in_only() -> None:
    leaf = issued(asked("steward", None, x509.DNSName("tko-1")))

    verifier = PolicyBuilder().store(Store([authority()])).time(NOW + timedelta(minutes=9)).build_client_verifier()
    assert len(verifier.verify(leaf, []).chain) == 2
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert names.get_values_for_type(x509.DNSName) == ["tko-1"]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert leaf.not_valid_after_utc == NOW + timedelta(minutes=10)
    assert leaf.not_valid_before_utc == NOW - signing.SKEW


def test_a_client_never_outlives_its_ca() -> None:
    leaf = issued(asked(), timedelta(days=90), days=30)

    assert leaf.not_valid_after_utc == NOW + timedelta(days=30)


def test_a_ca_that_ended_signs_nothing() -> None:
    wish, old = signing.load_request(asked(), "steward"), authority(days=1)

    with pytest.raises(RequestError, match="ended at 2026-12-02"):
        signing.client_certificate(wish, old, sign, life=timedelta(days=1), now=NOW + timedelta(days=2))


def test_a_ca_certificate_of_another_key_than_the_token_s_is_noticed() -> None:
    def of_another(message: bytes) -> bytes:
        return sign(message, ec.generate_private_key(ec.SECP384R1()))

    with pytest.raises(RequestError, match="not the CA's"):
        signing.client_certificate(
            signing.load_request(asked(), "steward"), authority(), of_another, life=timedelta(days=1), now=NOW
        )


def test_a_request_for_another_name_is_refused_with_both() -> None:
    with pytest.raises(RequestError, match="'CN=shredder', not for common name 'steward'"):
        signing.load_request(asked("shredder"), "steward")


def test_a_request_with_more_than_a_common_name_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, "steward"), x509.NameAttribute(NameOID.COUNTRY_NAME, "HK")]
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject)).sign(key, hashes.SHA256())

    with pytest.raises(RequestError, match="C=HK"):
        signing.load_request(request.public_bytes(Encoding.PEM), "steward")


@pytest.mark.parametrize("place", [30, 40, -1], ids=["name", "kind of the key", "signature"])
def test_a_request_that_was_changed_on_its_way_is_refused(place: int) -> None:
    raw = bytearray(x509.load_pem_x509_csr(asked()).public_bytes(Encoding.DER))
    raw[place] ^= 1

    with pytest.raises(RequestError):
        signing.load_request(_pem(bytes(raw)), "steward")


def test_an_rsa_key_gets_no_certificate() -> None:
    with pytest.raises(RequestError, match="not an EC key"):
        issued(asked("steward", rsa.generate_private_key(65537, 2048)))


@given(st.binary(max_size=300))
def test_garbage_is_refused_as_a_request_and_as_a_ca(garbage: bytes) -> None:
    with pytest.raises(RequestError):
        signing.load_request(garbage, "steward")
    with pytest.raises(RequestError):
        signing.load_authority(garbage)


def test_a_request_of_the_token_s_own_key_verifies_and_asks_for_no_ca() -> None:
    request = x509.load_pem_x509_csr(signing.signing_request(SECRET.public_key(), sign, name="evidence"))

    assert request.is_signature_valid
    assert request.public_key() == SECRET.public_key()
    assert request.subject.rfc4514_string() == "CN=evidence"
    assert not request.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_request_signed_by_another_key_is_not_handed_out() -> None:
    other = ec.generate_private_key(ec.SECP384R1())

    with pytest.raises(RequestError, match="does not verify"):
        signing.signing_request(SECRET.public_key(), lambda message: sign(message, other), name="evidence")


def _pem(der: bytes) -> bytes:

    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n".encode()
