"""A JSON document read with types: each wrong value names its place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from legalcloud.errors import ParseError


@dataclass(frozen=True, slots=True)
class Tree:
    """One value of a JSON document and the path that leads to it."""

    value: object
    path: str

    def __getitem__(self, key: str) -> Tree:
        if not isinstance(self.value, dict) or key not in self.value:
            raise ParseError(f"{self.path}.{key} is missing")
        return Tree(self.value[key], f"{self.path}.{key}")

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

    def number(self) -> float:
        if not isinstance(self.value, int | float) or isinstance(self.value, bool):
            raise self._wrong("a number")
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
        return ParseError(f"{self.path} is {self.value!r:.80}, not {wanted}")
