"""The little of Protocol Buffers, and the messages built from it: no bytes may do more than raise WireError."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legalcloud_kms import messages, wire
from legalcloud_kms.errors import WireError
from legalcloud_kms.messages import Blob

NUMBERS = st.integers(1, wire.FIELD_MAX)
READERS: list[Callable[[bytes], object]] = [
    messages.configuration,
    messages.wrapper_id,
    messages.plaintext,
    messages.blob,
]


@given(st.integers(0, wire.VARINT_MAX))
def test_every_64_bit_number_survives_a_varint(number: int) -> None:
    assert wire.parse(b"\x08" + wire.varint(number)) == {1: [number]}


@given(NUMBERS, st.binary(min_size=1))
def test_every_field_survives(number: int, value: bytes) -> None:
    assert wire.parse(wire.field(number, value)) == {number: [value]}


@given(NUMBERS, st.dictionaries(st.text(), st.text()))
def test_every_map_survives(number: int, values: dict[str, str]) -> None:
    assert wire.text_map(wire.parse(wire.mapping(number, values)), number) == values


@pytest.mark.parametrize("read", READERS)
@given(message=st.binary(max_size=200))
def test_no_bytes_do_more_than_raise_an_error_of_the_protocol(read: Callable[[bytes], object], message: bytes) -> None:
    with contextlib.suppress(WireError):
        read(message)


@pytest.mark.parametrize("read", READERS)
@given(inner=st.binary(max_size=60), numbers=st.tuples(NUMBERS, st.sampled_from([1, 5, 10, 20, 30, 90])))
def test_no_nested_bytes_do_more_either(
    read: Callable[[bytes], object], inner: bytes, numbers: tuple[int, int]
) -> None:
    with contextlib.suppress(WireError):
        read(wire.field(20, wire.field(numbers[1], inner)) + wire.field(10, inner) + wire.field(numbers[0], inner))


@given(st.binary(min_size=1, max_size=50), st.data())
def test_a_message_cut_anywhere_is_an_error_or_a_shorter_message(value: bytes, data: st.DataObject) -> None:
    whole = wire.field(1, "first") + wire.field(10, value)
    cut = data.draw(st.integers(0, len(whole) - 1))

    with contextlib.suppress(WireError):
        assert wire.parse(whole[:cut]) in ({}, {1: [b"first"]})


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"\x0a\x05abc", "runs past the end"),
        (b"\x08\xff", "cut off or longer"),
        (b"\x08" + b"\xff" * 9 + b"\x02", "cut off or longer"),
        (b"\x08" + b"\x80" * 10 + b"\x01", "cut off or longer"),
        (b"\x0b", "wire type 3"),
        (b"\x02\x00", "field number 0"),
        (b"\x0d\x01\x02", "runs past the end"),
    ],
)
def test_what_is_wrong_with_a_message_is_named(message: bytes, words: str) -> None:
    with pytest.raises(WireError, match=words):
        wire.parse(message)


def test_fixed_width_fields_of_a_newer_protocol_are_passed_over() -> None:
    fields = wire.parse(b"\x0d\x01\x02\x03\x04" + b"\x11" + bytes(8) + wire.field(10, b"x"))

    assert wire.raw(fields, 10) == b"x"


def test_the_last_value_of_a_field_wins_and_a_missing_one_is_empty() -> None:
    fields = wire.parse(wire.field(1, "a") + wire.field(1, "b"))

    assert (wire.text(fields, 1), wire.text(fields, 2), wire.truth(fields, 3)) == ("b", "", False)


def test_a_field_of_the_wrong_type_is_named() -> None:
    with pytest.raises(WireError, match="field 1 is a number"):
        wire.raw(wire.parse(b"\x08\x01"), 1)
    with pytest.raises(WireError, match="field 90 is bytes"):
        wire.truth(wire.parse(wire.field(90, "x")), 90)
    with pytest.raises(WireError, match="not UTF-8"):
        wire.text(wire.parse(wire.field(1, b"\xff")), 1)


def test_a_configuration_says_whether_the_environment_counts() -> None:
    stanza = wire.mapping(30, {"lib": "/x.so"})

    open_, closed = (
        messages.configuration(wire.field(20, stanza + wire.flag(90, value=value))) for value in (False, True)
    )

    assert open_.environment_allowed
    assert not closed.environment_allowed
    assert open_.values == {"lib": "/x.so"}


@given(st.binary(min_size=1), st.text(min_size=1))
def test_what_is_answered_to_encrypt_is_read_back_by_decrypt(data: bytes, key_id: str) -> None:
    made = Blob(data=data, key_id=key_id)

    assert messages.blob(messages.sealed(made)) == made


def test_the_nonce_of_an_older_seal_comes_before_its_ciphertext() -> None:
    old = wire.field(10, wire.field(1, b"ciphertext") + wire.field(2, b"nonce"))

    assert messages.blob(old) == Blob(data=b"nonceciphertext", key_id="")


def test_associated_data_is_refused_rather_than_dropped() -> None:
    message = wire.field(10, b"x") + wire.field(20, wire.field(20, b"aad"))

    for read in (messages.plaintext, messages.blob):
        with pytest.raises(WireError, match="associated data"):
            read(message)


def test_no_message_shows_its_secret_when_it_is_printed() -> None:
    asked = messages.configuration(wire.field(20, wire.mapping(30, {"pin": "hush"})))

    assert "hush" not in repr(asked)
