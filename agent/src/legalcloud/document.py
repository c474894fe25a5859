"""Read one YAML file of an inventory: plain, without the shorthand that hides what a value is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml


class RefusedError(Exception):
    """A value was refused and the fault recorded: reading goes on elsewhere. It never leaves the package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault: where it stands, what it is, and what a person can do."""

    file: str
    line: int | None
    key: str
    what: str
    remedy: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, f"{self.what}. {self.remedy}.") if part)


class Vaulted:
    """A value that Ansible Vault keeps; we neither open nor show it."""

    def __repr__(self) -> str:
        return "a value kept by Ansible Vault"


class _Loader(yaml.SafeLoader):
    """YAML's plain types, and the two tags that Ansible adds."""


_Loader.add_constructor("!vault", lambda _loader, _node: Vaulted())
_Loader.add_constructor("!unsafe", lambda _loader, node: str(node.value))
DEEPEST = 50
_TAGS = {("!", "vault"), ("!", "unsafe")}
_NOT_YAML = (yaml.YAMLError, ValueError, OverflowError, RecursionError)
"""What PyYAML raises for text that is not YAML: bad escapes and endless nesting are not YAMLError."""


def construct(node: yaml.Node) -> object:
    """Make the plain value of a node that `read` has given out."""
    return _Loader("").construct_object(node, deep=True)


EXAMPLE = "inventories/example shows its form"


def read(path: Path, *, file: str, problems: list[Problem], example: str = EXAMPLE) -> yaml.Node:
    """Parse a file, or note in `problems` what is wrong with it under the name `file`.

    `example` says where a person finds one. The text of the file is never quoted: it may hold secrets.
    Raises: RefusedError if the file cannot be read, is not one YAML document, or has a fault of form.
    """

    def note(what: str, remedy: str, line: int | None = None) -> None:
        problems.append(Problem(file=file, line=line, key="", what=what, remedy=remedy))

    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        note("is missing", f"Write it; {example}")
        raise RefusedError from None
    except OSError as error:
        note(f"cannot be read: {error.strerror}", "Make it a readable file")
        raise RefusedError from None
    except UnicodeDecodeError as error:
        note(f"is not UTF-8 at byte {error.start}", "Save it as UTF-8")
        raise RefusedError from None
    try:
        faults = list(_shorthand(text))
        node = None if faults else _Loader(text).get_single_node()
        faults += [] if node is None else list(_faults(node))
    except _NOT_YAML as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", "a wrong escape or endless nesting")
        note(
            f"is not one YAML document: {reason}",
            "Correct the syntax",
            None if mark is None else mark.line + 1,
        )
        raise RefusedError from None
    for line, what, remedy in faults:
        note(what, remedy, line)
    if faults:
        raise RefusedError
    if node is None:
        note("is empty", f"Write it; {example}")
        raise RefusedError
    return node


_Fault = tuple[int, str, str]


def _shorthand(text: str) -> Iterator[_Fault]:
    """Find aliases (they can nest without end) and tags (a value is then not what it looks like)."""
    for token in yaml.scan(text, Loader=_Loader):
        line = token.start_mark.line + 1
        if isinstance(token, yaml.AliasToken):
            yield line, "uses a YAML alias", "Write the value out"
        if isinstance(token, yaml.TagToken) and token.value not in _TAGS:
            yield line, "uses a YAML tag", "Remove it; only !vault and !unsafe may stand"


def _faults(node: yaml.Node, depth: int = 0) -> Iterator[_Fault]:
    line = node.start_mark.line + 1
    if depth > DEEPEST:
        yield line, f"nests deeper than {DEEPEST} levels", "Flatten it"
        return
    if node.tag.startswith("!") and not isinstance(node, yaml.ScalarNode):
        yield line, f"has the tag {node.tag} on more than one value", "Tag each text by itself"
    if isinstance(node, yaml.ScalarNode):
        try:
            str(construct(node)).encode()
        except _NOT_YAML:
            yield (
                line,
                f"has a value that YAML cannot turn into {node.tag.rsplit(':')[-1]}",
                "Correct or quote it",
            )
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _faults(item, depth + 1)
    elif isinstance(node, yaml.MappingNode):
        yield from _mapping_faults(node, depth + 1)


def _mapping_faults(node: yaml.MappingNode, depth: int) -> Iterator[_Fault]:
    seen: dict[object, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.endswith((":merge", ":value")):
            yield line, "has a key that is not one plain word", "Write the keys and values out"
            continue
        faults = list(_faults(key_node, depth))
        yield from faults
        if not faults:
            key = construct(key_node)
            if key in seen:
                yield line, f"has the key {key!r} twice (first on line {seen[key]})", "Keep one"
            seen.setdefault(key, line)
        yield from _faults(value_node, depth)
