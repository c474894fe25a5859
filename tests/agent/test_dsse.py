"""A record is signed bytes: whoever changes one, or signs with another key, is found out."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agent.signing_sample import DAY, NOW, Holder, authority, holder

from legalcloud import dsse
from legalcloud.errors import InputError, LegalcloudError, NotAuthenticError, ParseError

KIND, PAYLOAD = "application/x-test", b'{"when":"then"}'
CA = authority()
SIGNER = holder(CA)


def sealed(signer: Holder = SIGNER, payload: bytes = PAYLOAD) -> bytes:
    return dsse.seal(payload, KIND, certificate_pem=signer.pem, sign=signer.sign)


def verified(raw: bytes, ca: Holder = CA, *, at: datetime = NOW) -> dsse.Signer:
    return dsse.verify(dsse.from_file(raw), ca_pem=ca.pem, signer="Legal Cloud evidence", signed_at=lambda _: at)


def test_the_bytes_that_are_signed_are_those_of_the_standard() -> None:
    """Counted in bytes, not in characters."""
    assert dsse.pae("kind/ä", "案".encode()) == b"DSSEv1 7 kind/\xc3\xa4 3 \xe6\xa1\x88"
    assert dsse.pae("", b"") == b"DSSEv1 0  0 "


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256R1()], ids=lambda curve: curve.name)
def test_what_an_allowed_signer_sealed_holds_and_names_him(curve: ec.EllipticCurve) -> None:
    signer = holder(CA, curve=curve)

    found = verified(sealed(signer))

    assert (found.name, found.curve) == ("Legal Cloud evidence", curve.name)
    assert found.key_id == dsse.key_id(signer.certificate)
    assert found.not_after == NOW + 30 * DAY


def test_another_program_can_check_it_by_the_standard() -> None:
    """Not with our reader: base64, the standard's bytes, and the key of the certificate."""
    document = json.loads(sealed())
    payload = base64.b64decode(document["payload"])
    signed = b"DSSEv1 %d %s %d %s" % (len(KIND), KIND.encode(), len(payload), payload)

    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 -- only this test goes around ours

    SIGNER.key.public_key().verify(
        base64.b64decode(document["signatures"][0]["sig"]), signed, ec.ECDSA(hashes.SHA384())
    )
    assert payload == PAYLOAD


@pytest.mark.filterwarnings("default")
def test_a_certificate_that_cryptography_reads_with_a_warning_alone_is_refused() -> None:
    """A serial number below zero, which RFC 5280 forbids."""
    envelope = dsse.from_file(sealed())
    number = SIGNER.certificate.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1)  # as DER writes it
    broken = envelope.certificate.replace(serial, bytes([serial[0] | 0x80]) + serial[1:], 1)
    assert broken != envelope.certificate

    with pytest.raises(NotAuthenticError, match="cannot be read: Parsed a serial number"):
        verified(dsse.to_file(replace(envelope, certificate=broken)))


@settings(max_examples=300)
@given(st.data())
def test_no_changed_byte_goes_unnoticed(data: st.DataObject) -> None:
    raw = bytearray(SEALED)
    place = data.draw(st.integers(0, len(raw) - 2))  # the last is the newline
    raw[place] ^= data.draw(st.integers(1, 255))

    with pytest.raises((NotAuthenticError, ParseError)):
        verified(bytes(raw))


SEALED = sealed()


@given(st.binary())
def test_any_bytes_are_refused_in_an_orderly_way(raw: bytes) -> None:
    with pytest.raises(ParseError):
        dsse.from_file(raw)


def test_a_signature_for_another_type_of_payload_does_not_hold() -> None:
    other = SEALED.replace(KIND.encode(), b"application/x-fest")

    with pytest.raises(NotAuthenticError, match="it was changed"):
        verified(other)


@pytest.mark.parametrize(
    ("signer", "ca", "says"),
    [
        (lambda: SIGNER, authority, "not from the CA that you trust"),
        (lambda: SIGNER, lambda: authority("another CA"), "not from the CA that you trust"),
        (lambda: holder(CA, "tko-1"), lambda: CA, "signed by 'tko-1'; only 'Legal Cloud evidence' may sign"),
        (lambda: holder(CA, tls=True), lambda: CA, "is for TLS, not for signing records"),
        (lambda: holder(CA, curve=ec.SECP521R1()), lambda: CA, "not on the curve P-384 or P-256"),
    ],
)
def test_a_signer_whom_the_ca_does_not_vouch_for_is_refused(
    signer: Callable[[], Holder], ca: Callable[[], Holder], says: str
) -> None:
    one = signer()
    envelope = dsse.Envelope(
        payload_type=KIND,
        payload=PAYLOAD,
        key_id=dsse.key_id(one.certificate),
        signature=one.sign(dsse.pae(KIND, PAYLOAD)),
        certificate=dsse.from_file(SEALED).certificate if one is SIGNER else _der(one),
    )

    with pytest.raises(NotAuthenticError, match=says):
        verified(dsse.to_file(envelope), ca())


def _der(one: Holder) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 -- once

    return one.certificate.public_bytes(Encoding.DER)


def test_a_certificate_counts_at_the_time_of_signing_not_at_that_of_reading() -> None:
    raw = sealed(holder(CA, start=NOW - 100 * DAY, end=NOW - 50 * DAY))

    assert verified(raw, at=NOW - 60 * DAY).name == "Legal Cloud evidence"
    for moment in (NOW, NOW - 101 * DAY):
        with pytest.raises(NotAuthenticError, match="the signer's certificate is valid"):
            verified(raw, at=moment)


def test_the_time_is_read_only_from_a_payload_whose_signature_was_checked() -> None:
    changed = dsse.to_file(
        dsse.Envelope(
            payload_type=KIND,
            payload=b"another",
            key_id=dsse.key_id(SIGNER.certificate),
            signature=dsse.from_file(SEALED).signature,
            certificate=dsse.from_file(SEALED).certificate,
        )
    )

    def never(_: bytes) -> datetime:
        pytest.fail("read before it was checked")

    with pytest.raises(NotAuthenticError, match="it was changed"):
        dsse.verify(dsse.from_file(changed), ca_pem=CA.pem, signer="Legal Cloud evidence", signed_at=never)


def test_a_token_with_another_key_than_its_certificate_says_seals_nothing() -> None:
    other = holder(CA)

    with pytest.raises(InputError, match="does not match the signer's certificate"):
        dsse.seal(PAYLOAD, KIND, certificate_pem=SIGNER.pem, sign=other.sign)


@pytest.mark.parametrize("anchor", [b"", b"not PEM", SIGNER.pem, authority(ca=False).pem])
def test_what_is_no_ca_is_no_anchor(anchor: bytes) -> None:
    with pytest.raises(InputError, match="trust anchor") as refusal:
        dsse.verify(dsse.from_file(SEALED), ca_pem=anchor, signer="Legal Cloud evidence", signed_at=lambda _: NOW)

    assert isinstance(refusal.value, LegalcloudError)
    assert refusal.value.exit_code == 2


def test_a_file_with_a_field_or_a_signature_more_is_refused() -> None:
    document = json.loads(SEALED)
    for changed in (
        {**document, "extra": 1},
        {**document, "signatures": document["signatures"] * 2},
        {**document, "signatures": []},
        {**document, "signatures": [{**document["signatures"][0], "extra": ""}]},
    ):
        raw = json.dumps(changed, sort_keys=True, separators=(",", ":")).encode()
        with pytest.raises(ParseError, match="not a DSSE envelope"):
            dsse.from_file(raw)


def test_times_are_utc() -> None:
    assert verified(SEALED).not_before.tzinfo is UTC
