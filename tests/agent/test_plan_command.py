"""`legalcloud plan` on the lab's own inventory, copied."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest

from legalcloud.commands import plan
from legalcloud.errors import InputError

LAB = Path(__file__).parents[2] / "inventories" / "lab"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(LAB, tmp_path / "lab")
    return tmp_path / "lab"


def run(folder: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    plan.add_parser(parser.add_subparsers())
    args = parser.parse_args(["plan", "-i", str(folder), *words])
    return int(args.run(args))


def file_of(folder: Path) -> Path:
    return folder / plan.PLAN_FILE


def test_the_committed_plan_of_the_lab_is_what_the_planner_writes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file_of(folder).stat()

    assert run(folder, "--write") == 0
    assert "is already so; not written" in capsys.readouterr().err
    assert file_of(folder).stat().st_ino == before.st_ino


def test_a_missing_plan_is_a_finding_and_is_written_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = file_of(folder).read_bytes()
    file_of(folder).unlink()

    assert run(folder, "--check") == 1
    assert "there is no plan" in capsys.readouterr().out
    assert run(folder, "--write") == 0
    assert file_of(folder).read_bytes() == wanted
    assert [path.name for path in file_of(folder).parent.glob(".plan*")] == []
    assert run(folder, "--check") == 0


def test_an_unfeasible_wish_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = file_of(folder).read_bytes()

    assert run(folder, "--k", "4", "--m", "2", "--write") == 1

    assert "was not written" in capsys.readouterr().err
    assert file_of(folder).read_bytes() == before


def test_the_goal_of_the_committed_plan_is_kept_unless_another_is_asked_for(folder: Path) -> None:
    assert run(folder, "--lose-nodes", "3", "--write") == 0
    assert run(folder, "--write") == 0
    assert "lose_nodes: 3" in file_of(folder).read_text()


def test_a_changed_code_is_said_to_be_for_a_new_cluster(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--k", "2", "--m", "4", "--write") == 0

    assert "it was 3+3: the code of an existing pool cannot change" in capsys.readouterr().err


def test_json_is_all_of_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file_of(folder).unlink()

    assert run(folder, "--json", "--write", "--drive-size", "16TB") == 0

    found = json.loads(capsys.readouterr().out)
    assert found["capacity"]["raw_bytes"] == 12 * 16 * 10**12
    assert found["crush_rules"]["hk-ec"]["steps"][1] == "choose indep 3 type datacenter"


def test_check_reports_a_difference_for_machines_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file_of(folder).write_text(file_of(folder).read_text().replace("min_size: 4", "min_size: 3"))

    assert run(folder, "--check", "--json") == 1
    assert "min_size" in json.loads(capsys.readouterr().out)["problems"][0]


def test_k_without_m_is_wrong_usage(folder: Path) -> None:
    with pytest.raises(InputError, match="--k and --m go together"):
        run(folder, "--k", "4")


@pytest.mark.parametrize(
    "words",
    [
        ("--m", "1", "--k", "3"),
        ("--lose-sites", "-1"),
        ("--drive-size", "16"),
        ("--drive-size", "0TB"),
        ("--afr", "2"),
        ("--repair-hours", "nan"),
        ("--write", "--check"),
    ],
    ids=" ".join,
)
def test_wrong_words_are_refused_before_anything_is_read(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as refusal:
        run(tmp_path / "absent", *words)

    assert refusal.value.code == 2
