"""Each rule lets a good tree pass and sees each planted fault: a gate that cannot fail is decoration."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pytest
from docs.generate import PAGES
from tests.house.rules import RULES
from tests.house.text_rules import REGISTRIES
from tests.house.tree import Rule, files, load

HERE = Path(__file__).parent
STAND_INS = {
    "@REGISTRY@": REGISTRIES[0],
    "@CHECKOUT@": "/" + "work/main",
    "@PRIVATE@": "PRIVATE",
    "# @LONG@\n": "X = 1\n" * 251,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One planted fault of faults.yml."""

    rule: str
    title: str
    says: str
    files: Mapping[str, str]


FAULTS = tuple(Fault(**entry) for entry in load(HERE / "faults.yml"))


def plant(root: Path, tree: Mapping[str, str]) -> Path:
    for name, text in tree.items():
        meant = reduce(lambda so_far, stand_in: so_far.replace(*stand_in), STAND_INS.items(), text)
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(meant, encoding="utf-8")
    return root


@pytest.fixture
def good(tmp_path: Path) -> Path:
    plant(tmp_path, load(HERE / "good.yml"))
    return plant(tmp_path, {name: page(tmp_path) for name, page in PAGES.items()})


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_accepts_the_good_tree(rule: Rule, good: Path) -> None:
    assert rule(good) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.rule}: {fault.title}")
def test_a_rule_sees_the_fault_and_says_where(fault: Fault, good: Path) -> None:
    plant(good, fault.files)

    found = RULES[fault.rule](good)

    assert any(fault.says in message for message in found), found


def test_every_rule_has_a_planted_fault() -> None:
    assert {fault.rule for fault in FAULTS} == RULES.keys()


def test_files_that_git_ignores_are_not_looked_at(tmp_path: Path) -> None:
    plant(tmp_path, {".gitignore": "/.venv/\n", ".venv/a": "x", "new.txt": "x"})
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, timeout=30)  # noqa: S607 -- git of the PATH

    assert [path.name for path in files(tmp_path)] == [".gitignore", "new.txt"]
