"""Recorded output, damaged in every way: a parser answers it with facts or a ParseError, and with nothing else.

@fuzz.lengths
def test_whatever_smartctl_prints_is_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(smart, SAMPLES, mutations)
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from legalcloud.errors import ParseError

SEED = 20261123
SHORT, LONG = 300, 30_000

lengths = pytest.mark.parametrize("mutations", [SHORT, pytest.param(LONG, marks=pytest.mark.long)])
"""The short run belongs to the unit tests; `pytest -m long tests/agent/node` is the long one."""

Parser = Callable[[bytes], object]
Json = Any
"""What `json.loads` gives: to be damaged at any place, whatever its type."""

ODD_VALUES: tuple[object, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63) - 1, 2**64, 10**400, 0.5, -0.0, 1e308,
    float("nan"), float("inf"), "", "0", "-1", "unknown", "\0", "\ud800", "數據", "x" * 10_000,
    [], [[]], {}, {"": None}, [{}],
)  # fmt: skip
ODD_BYTES = (
    b"\0",
    b"\xff",
    b"\n",
    b",",
    b'"',
    b"{",
    b"}",
    b"[",
    b"-",
    b"9" * 5000,
    b"1e999",
    b"NaN",
    b" ",
    "數".encode(),
)


def facts_or_parse_error(parse: Parser, samples: Sequence[bytes], mutations: int, *, seed: int = SEED) -> None:
    """Feed `parse` each sample as it is, then `mutations` damaged ones.

    What is damaged is only accepted as facts if it can be printed and compared, as a scrape and a test do.
    """
    for sample in samples:
        assert_facts(parse(sample))
    for number, mutant in enumerate(mutants(samples, mutations, seed=seed)):
        try:
            found = parse(mutant)
        except ParseError:
            continue
        except Exception as error:
            error.add_note(f"mutation {number} of seed {seed}: {mutant[:2000]!r}")
            raise
        assert_facts(found)


def assert_facts(found: object) -> None:
    """Walk the facts: no NaN may hide in them, since it compares as neither good nor bad."""
    repr(found)
    if isinstance(found, float):
        assert found == found, "a fact is NaN"  # noqa: PLR0124 -- that is what NaN means
    elif isinstance(found, dict):
        for key, value in found.items():
            assert_facts(key)
            assert_facts(value)
    elif isinstance(found, tuple | list | frozenset | set):
        for value in found:
            assert_facts(value)
    elif is_dataclass(found):
        for field in fields(found):
            assert_facts(getattr(found, field.name))


def mutants(samples: Sequence[bytes], count: int, *, seed: int = SEED) -> Iterator[bytes]:
    """Yield the same `count` damaged samples every time: of JSON both its text and its tree are damaged."""
    random_ = random.Random(seed)  # noqa: S311 -- repeatable, not secret
    trees = [_tree(sample) for sample in samples]
    for _ in range(count):
        pick = random_.randrange(len(samples))
        wounds = random_.choice((1, 1, 1, 2, 5))
        tree = trees[pick]
        if tree is not None and random_.random() < 0.7:
            damaged = copy.deepcopy(tree)
            for _wound in range(wounds):
                damaged = _hurt_tree(random_, damaged)
            yield json.dumps(damaged).encode()
        else:
            raw = samples[pick]
            for _wound in range(wounds):
                raw = random_.choice(TEXT_WOUNDS)(random_, raw)
            yield raw


def _tree(sample: bytes) -> Json:
    try:
        return json.loads(sample)
    except ValueError:
        return None


def _hurt_tree(random_: random.Random, tree: Json) -> Json:
    """Change, delete or double one value, at any depth."""
    here, key = tree, None
    while isinstance(below := tree if key is None else here[key], dict | list) and below and random_.random() < 0.85:
        here, key = below, random_.choice(list(below)) if isinstance(below, dict) else random_.randrange(len(below))
    if key is None:
        return copy.deepcopy(random_.choice(ODD_VALUES))
    match random_.randrange(4):
        case 0:
            del here[key]
        case 1 if isinstance(here, list):
            here.insert(0, copy.deepcopy(below))
        case 2 if isinstance(below, int | float) and not isinstance(below, bool):
            here[key] = str(below) if random_.random() < 0.5 else below * random_.choice((-1, 0, 10**6, 10**30))
        case _:
            here[key] = copy.deepcopy(random_.choice(ODD_VALUES))
    return tree


def _flip(random_: random.Random, raw: bytes) -> bytes:
    if not raw:
        return raw
    at = random_.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << random_.randrange(8)]) + raw[at + 1 :]


def _cut_end(random_: random.Random, raw: bytes) -> bytes:
    return raw[: random_.randrange(len(raw) + 1)]


def _cut_out(random_: random.Random, raw: bytes) -> bytes:
    at = random_.randrange(len(raw) + 1)
    return raw[:at] + raw[at + random_.choice((1, 10, 200)) :]


def _double(random_: random.Random, raw: bytes) -> bytes:
    at = random_.randrange(len(raw) + 1)
    piece = raw[at : at + random_.choice((1, 30, 2000))]
    return raw[:at] + piece + raw[at:]


def _insert(random_: random.Random, raw: bytes) -> bytes:
    at = random_.randrange(len(raw) + 1)
    return raw[:at] + random_.choice(ODD_BYTES) + raw[at:]


def _lose_line(random_: random.Random, raw: bytes) -> bytes:
    lines = raw.splitlines(keepends=True)
    if lines:
        del lines[random_.randrange(len(lines))]
    return b"".join(lines)


TEXT_WOUNDS = (_flip, _cut_end, _cut_out, _double, _insert, _lose_line)
