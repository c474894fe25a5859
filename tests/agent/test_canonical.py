"""There is one way to write a value, and no other is read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legalcloud.canonical import LARGEST, canonical, read
from legalcloud.errors import InputError, ParseError

GOLDEN = Path(__file__).parent / "data/records/canonical"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_the_bytes_are_those_that_every_earlier_version_wrote() -> None:
    """Keys by UTF-16: U+1F600 (D83D DE00) stands before U+FB33, though its code point is greater."""
    value = json.loads((GOLDEN / "value.json").read_bytes())

    assert canonical(value) == (GOLDEN / "value.canonical").read_bytes()


@given(VALUES)
def test_what_was_written_is_read_back_the_same(value: object) -> None:
    raw = canonical(value)

    assert read(raw, what="it") == value
    assert canonical(json.loads(raw)) == raw


@given(st.binary())
def test_any_bytes_are_read_or_refused_and_never_break_the_reader(raw: bytes) -> None:
    try:
        value = read(raw, what="it")
    except ParseError:
        return
    assert canonical(value) == raw


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"a":1,"a":1}', "a key stands twice"),
        (b"1.0", "1.0 is not a whole number"),
        (b"1e3", "1e3 is not a whole number"),
        (b"NaN", "NaN is not a number"),
        (b"-0", "not in its canonical form"),
        (b'{"b":1,"a":2}', "not in its canonical form"),
        (b'"\\u0041"', "not in its canonical form"),
        (b" 1", "not in its canonical form"),
        (b'"\\ud800"', "surrogate"),
        (b"9007199254740993", "beyond 2^53"),
        (b"[" * 100000, "not canonical JSON"),
        (b"\xff", "not canonical JSON"),
    ],
)
def test_json_that_has_another_form_is_refused_and_says_why(raw: bytes, says: str) -> None:
    with pytest.raises(ParseError, match=re.escape(says)):
        read(raw, what="it")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"a": [1, 2.5]}, r"\$\.a\[1\] 2.5 is not a whole number"),
        ({1: "a"}, r"\$ has the key 1"),
        ({"a": 2**60}, r"\$\.a 1152921504606846976 is beyond"),
        ({"a": b"bytes"}, r"\$\.a is a bytes"),
        ("\ud800", "half of a surrogate pair"),
    ],
)
def test_a_value_without_a_canonical_form_is_refused_by_its_place(value: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        canonical(value)
