"""A JSON document read with types: each wrong value names its place."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from math import isfinite
from typing import TypeVar

from legalcloud.errors import ParseError

T = TypeVar("T")
_LARGEST_COUNT = 2**64 - 1
_LONGEST_WORD = 200


def parse(raw: bytes, what: str) -> Tree:
    """Read a JSON document; `what` names it in errors.

    Raises: ParseError if it is not JSON, or nests without end.
    """
    try:
        return Tree(json.loads(raw), what)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"{what} is not JSON: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class Tree:
    """One value of a JSON document and the path that leads to it."""

    value: object
    path: str

    def __getitem__(self, key: str) -> Tree:
        if not isinstance(self.value, dict) or key not in self.value:
            raise ParseError(f"{self.path}.{key} is missing")
        return Tree(self.value[key], f"{self.path}.{key}")

    def maybe(self, *keys: str, read: Callable[[Tree], T]) -> T | None:
        """Read the value below these keys; None if it is missing, null, or of another type."""
        here = self
        try:
            for key in keys:
                here = here[key]
            return read(here)
        except ParseError:
            return None

    def items(self) -> Iterator[tuple[str, Tree]]:
        if not isinstance(self.value, dict):
            raise self._wrong("an object")
        for key, value in self.value.items():
            if not isinstance(key, str):
                raise self._wrong("an object with text as keys")
            yield key, Tree(value, f"{self.path}.{key}")

    def elements(self) -> Iterator[Tree]:
        if not isinstance(self.value, list):
            raise self._wrong("a list")
        for place, value in enumerate(self.value):
            yield Tree(value, f"{self.path}[{place}]")

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self._wrong("text")
        return self.value

    def word(self) -> str:
        """Text of one printable line, such as a name, without blanks around it."""
        text = self.text().strip()
        if not text or not text.isprintable() or len(text) > _LONGEST_WORD:
            raise self._wrong("one line of text")
        return text

    def text_or_none(self) -> str | None:
        return None if self.value is None else self.text()

    def texts(self) -> tuple[str, ...]:
        return tuple(element.text() for element in self.elements())

    def addresses(self) -> tuple[str, ...]:
        """Texts that are IPv4 or IPv6 addresses."""
        for element in self.elements():
            try:
                ip_address(element.text())
            except ValueError as error:
                raise element._wrong("an address") from error
        return self.texts()

    def integer(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self._wrong("a whole number")
        return self.value

    def count(self) -> int:
        """Read a whole number from 0 to what 64 bits hold."""
        number = self.integer()
        if not 0 <= number <= _LARGEST_COUNT:
            raise self._wrong("a count")
        return number

    def number(self) -> float:
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise self._wrong("a number")
        if abs(self.value) > _LARGEST_COUNT or not isfinite(self.value):
            raise self._wrong("a number of this world")
        return float(self.value)

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            raise self._wrong("true or false")
        return self.value

    def problem(self) -> str | None:
        """Why the node could not learn this, if it could not."""
        if isinstance(self.value, dict) and "problem" in self.value:
            return self["problem"].text()
        return None

    def _wrong(self, wanted: str) -> ParseError:
        return ParseError(f"{self.path} is {reprlib.repr(self.value)}, not {wanted}")
