"""A JSON document read with types: what has another type names its place, and nothing odd gets in."""

from __future__ import annotations

import pytest

from legalcloud.errors import ParseError
from legalcloud.tree import Tree, parse


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_what_is_no_json_or_nests_without_end_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError, match="`x` is not JSON"):
        parse(raw, "`x`")


def test_a_wrong_value_names_its_place() -> None:
    with pytest.raises(ParseError, match=r"x\.drives\[1\]\.size is 'big', not a whole number"):
        list(parse(b'{"drives": [{}, {"size": "big"}]}', "x")["drives"].elements())[1]["size"].count()


@pytest.mark.parametrize("text", ["", " ", "a\nb", "\0", "\ud800", "x" * 201, None, 5])
def test_a_word_is_one_printable_line(text: object) -> None:
    with pytest.raises(ParseError):
        Tree(text, "x").word()


def test_a_word_loses_the_blanks_around_it() -> None:
    assert Tree(" S3RV 0001 ", "x").word() == "S3RV 0001"


@pytest.mark.parametrize("number", [-1, 2**64, 10**400, True, 1.0, "1", None])
def test_a_count_is_a_whole_number_that_64_bits_hold(number: object) -> None:
    with pytest.raises(ParseError):
        Tree(number, "x").count()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e308, 10**400, True, "1"])
def test_a_number_is_finite_and_of_this_world(number: object) -> None:
    with pytest.raises(ParseError):
        Tree(number, "x").number()


@pytest.mark.parametrize("raw", [b"{}", b'{"a": null}', b'{"a": {"b": null}}', b'{"a": {"b": "1"}}', b'{"a": []}'])
def test_what_may_be_missing_is_none_whatever_stands_in_its_place(raw: bytes) -> None:
    assert parse(raw, "x").maybe("a", "b", read=Tree.count) is None


def test_what_may_be_missing_and_is_there_is_read() -> None:
    assert parse(b'{"a": {"b": 0}}', "x").maybe("a", "b", read=Tree.count) == 0
