"""Canonical JSON (RFC 8785) of the few types that cannot be written in two ways: no numbers but whole ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NoReturn

from legalcloud.errors import InputError, ParseError

KNOWN = "null, true, false, text, whole numbers, lists and objects"
LARGEST = 2**53 - 1
"""RFC 8785 numbers are IEEE doubles; beyond this two whole numbers would share one."""
DEEPEST = 64

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical(value: object) -> bytes:
    """Return the one way to write a value: UTF-8, keys by their UTF-16 code units, no white space.

    Raises: InputError naming the place of a value that has no canonical form here (a float, say).
    """
    text = json.dumps(_ordered(value, "$"), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode()


def _ordered(value: object, place: str, depth: int = 0) -> Json:  # noqa: PLR0911 -- one for each type
    if depth > DEEPEST:
        _refuse(place, f"nests deeper than {DEEPEST} levels")
    match value:
        case None | bool():
            return value
        case int():
            if abs(value) > LARGEST:
                _refuse(place, f"{value} is beyond 2^53; write it as text")
            return int(value)
        case float():
            return _refuse(place, f"{value} is not a whole number; write it as text, or in a smaller unit")
        case str():
            return _text(value, place)
        case Mapping():
            keys = [_text(key, place) for key in value]
            keys.sort(key=lambda key: key.encode("utf-16-be"))
            return {key: _ordered(value[key], f"{place}.{key}", depth + 1) for key in keys}
        case list() | tuple():
            return [_ordered(item, f"{place}[{number}]", depth + 1) for number, item in enumerate(value)]
    return _refuse(place, f"is a {type(value).__name__}; only {KNOWN} can stand here")


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        _refuse(place, f"has the key {value!r}, which is not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        _refuse(place, "has half of a surrogate pair, which is no character")
    return str(value)  # a plain one: callers pass subclasses


def _refuse(place: str, what: str) -> NoReturn:
    raise InputError(f"{place} {what}", hint="Correct the value at that place; $ is the whole.")


def read(raw: bytes, *, what: str) -> Json:
    """Read JSON that is already canonical; `what` names it in the error.

    So each value has one file: a duplicate key, a float, white space or another order is refused.
    Raises: ParseError.
    """

    def no(kind: str) -> NoReturn:
        raise ValueError(kind)

    def unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) != len(pairs):
            no("a key stands twice")
        return found

    try:
        value: Json = json.loads(
            raw.decode(),
            parse_float=lambda word: no(f"{word} is not a whole number"),
            parse_constant=lambda word: no(f"{word} is not a number"),
            object_pairs_hook=unique,
        )
        again = canonical(value)
    except (ValueError, RecursionError, InputError) as error:
        raise ParseError(f"{what} is not canonical JSON: {error}", hint=_HINT) from error
    if again != raw:
        raise ParseError(f"{what} is JSON, but not in its canonical form", hint=_HINT)
    return value


_HINT = "Use the file exactly as it was given out; an editor or a formatter has changed it, or it is of another kind."
