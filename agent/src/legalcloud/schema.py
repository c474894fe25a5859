"""Check values against a schema: each knows its file, line and key; one reading finds all faults."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import NoReturn, TypeVar, cast

import yaml

from legalcloud.document import EXAMPLE, Problem, RefusedError, Vaulted, construct
from legalcloud.register import Text

T = TypeVar("T")

HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
IDENTIFIER = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
WIDE_SPACE = "\u3000"
SHOWN_LENGTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One value of a file, with the place where it stands."""

    node: yaml.Node
    key: str
    """Path from the top of the file, such as `legalcloud_sites[0].latitude`."""
    file: str
    problems: list[Problem]
    example: str = EXAMPLE
    """Where a person finds what a missing key looks like."""

    @property
    def plain(self) -> object:
        return construct(self.node)

    @property
    def place(self) -> str:
        return f"{self.file}:{self.node.start_mark.line + 1}"

    def note(self, what: str, remedy: str) -> None:
        line = self.node.start_mark.line + 1
        self.problems.append(Problem(file=self.file, line=line, key=self.key, what=what, remedy=remedy))

    def refuse(self, what: str, remedy: str) -> NoReturn:
        self.note(what, remedy)
        raise RefusedError

    def _child(self, step: str | int, node: yaml.Node) -> Cell:
        if isinstance(step, str):
            name = step if step.isprintable() else repr(step)
            key = f"{self.key}.{name}" if self.key else name
        else:
            key = f"{self.key}[{step}]"
        return replace(self, node=node, key=key)

    def entries(self) -> dict[str, Cell]:
        """Give the values of a mapping whose keys are texts."""
        if not isinstance(self.node, yaml.MappingNode):
            self.refuse(f"is {shown(self.plain)}, not a mapping", "Write keys and values under it")
        found: dict[str, Cell] = {}
        for key_node, node in self.node.value:
            key = construct(key_node)
            if not isinstance(key, str):
                self.refuse(f"has the key {shown(key)}, which is not a text", "Put the key in quotes")
            found[key] = self._child(key, node)
        return found

    def items(self) -> list[Cell]:
        if not isinstance(self.node, yaml.SequenceNode):
            self.refuse(f"is {shown(self.plain)}, not a list", "Write one entry a line, each after a dash")
        return [self._child(index, node) for index, node in enumerate(self.node.value)]

    def at(self, *steps: str | int) -> Cell:
        """Find a value below this one that is known to be there."""
        cell = self
        for step in steps:
            cell = cell.items()[step] if isinstance(step, int) else cell.entries()[step]
        return cell

    def fields(self, required: Sequence[str], optional: Sequence[str] = (), *, strict: str = "") -> Fields:
        """Open a mapping with known keys; only unknown keys that begin with `strict` are refused."""
        cells = self.entries()
        known = (*required, *optional)
        unknown = [key for key in cells if key not in known and key.startswith(strict)]
        missing = [key for key in required if key not in cells]
        for key in unknown:
            cells[key].note("is not a key that belongs here", f"Known keys: {', '.join(known)}")
        for key in missing:
            self.note(f"lacks the key {key}", f"Add it; {self.example}")
        return Fields(cells={key: cells[key] for key in known if key in cells}, refused=bool(unknown or missing))

    def text(self) -> str:
        value = self.plain
        if isinstance(value, str) and value.strip() == value != "" and value.replace(WIDE_SPACE, "").isprintable():
            return value
        remedy = "Write a text in one line, in quotes if it looks like a number, a date, yes or no"
        return self.refuse(f"is {shown(value)}, not a text", remedy)

    def identifier(self) -> str:
        return self.matching(IDENTIFIER, "Use a-z, 0-9 and inner hyphens, at most 63 characters")

    def matching(self, pattern: re.Pattern[str], remedy: str) -> str:
        text = self.text()
        return text if pattern.fullmatch(text) else self.refuse(f"is {shown(text)}", remedy)

    def bilingual(self) -> Text:
        fields = self.fields(("en", "zh_hant"))
        return fields.whole(Text(en=fields.take("en", Cell.text), zh_hant=fields.take("zh_hant", Cell.chinese)))

    def chinese(self) -> str:
        text = self.text()
        if not HAN.search(text):
            self.refuse(f"is {shown(text)}, without a Chinese character", "Write it in Traditional Chinese")
        simplified = "".join(character for character in text if _is_simplified(character))
        if simplified:
            remedy = "Write the Traditional characters used in Hong Kong"
            self.refuse(f"is {shown(text)}, with Simplified {simplified}", remedy)
        return text

    def number(self, low: float, high: float, unit: str) -> float:
        value = self.plain
        if isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        return self.refuse(f"is {shown(value)}", f"Write {unit} between {low:g} and {high:g}")

    def count(self) -> int:
        value = self.plain
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        return self.refuse(f"is {shown(value)}", "Write a whole number of at least 1")

    def boolean(self) -> bool:
        value = self.plain
        return value if isinstance(value, bool) else self.refuse(f"is {shown(value)}", "Write true or false")

    def day(self) -> date:
        value = self.plain
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        return self.refuse(f"is {shown(value)}, not a date", "Write it as YYYY-MM-DD, without quotes")

    def choice(self, choices: Iterable[str]) -> str:
        known, value = tuple(choices), self.plain
        if isinstance(value, str) and value in known:
            return value
        return self.refuse(f"is {shown(value)}", f"Choose from: {', '.join(known)}")


@dataclass(slots=True)
class Fields:
    """The known keys of one mapping. A refused one stands as None until `whole` stops the reading."""

    cells: dict[str, Cell]
    refused: bool

    def take(self, key: str, read: Callable[[Cell], T]) -> T:
        try:
            if key in self.cells:
                return read(self.cells[key])
        except RefusedError:
            self.refused = True
        return cast("T", None)

    def maybe(self, key: str, read: Callable[[Cell], T]) -> T | None:
        """Read a key that may be absent or null."""
        absent = key not in self.cells or self.cells[key].plain is None
        return None if absent else self.take(key, read)

    def whole(self, value: T) -> T:
        if self.refused:
            raise RefusedError
        return value


def read_all(cells: Iterable[Cell], read: Callable[[Cell], T]) -> Iterator[tuple[Cell, T]]:
    """Read every cell, and give those that could be read; the others have recorded why not."""
    for cell in cells:
        try:
            value = read(cell)
        except RefusedError:
            continue
        yield cell, value


def every(cell: Cell, read: Callable[[Cell], T]) -> tuple[T, ...]:
    """Read every item of a list, at least one, or refuse the list."""
    cells = cell.items()
    if not cells:
        cell.refuse("is empty", "List at least one")
    values = tuple(value for _, value in read_all(cells, read))
    if len(values) < len(cells):
        raise RefusedError
    return values


def refuse_repeats(named: Iterable[tuple[str, Cell]], what: str) -> None:
    """Note every value that an earlier cell already has."""
    first: dict[str, Cell] = {}
    for value, cell in named:
        if value in first:
            cell.note(f"repeats {what} {value} of {first[value].place}", f"Give each its own {what}")
        else:
            first[value] = cell


def shown(value: object) -> str:
    """Show a value in a message, shortened."""
    if value is None:
        return "empty"
    text = str(value) if isinstance(value, (date, Vaulted)) else repr(value)
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 3] + "..."


def _is_simplified(character: str) -> bool:
    """Tell whether the Mainland's basic set has it and Hong Kong's does not."""

    def within(codec: str) -> bool:
        try:
            return bool(character.encode(codec))
        except UnicodeEncodeError:
            return False

    return bool(HAN.match(character)) and within("gb2312") and not within("big5hkscs")
