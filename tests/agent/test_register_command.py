"""What `legalcloud register` prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from tests.agent.inventory_sample import HOSTS, REGISTER, SOUND, TODAY, Sample

from legalcloud.cli import main
from legalcloud.commands.register import show
from legalcloud.inventory import load


def test_a_sound_inventory_is_shown_in_both_languages_and_ends_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["register", "--inventory", str(SOUND)])
    out = capsys.readouterr().out

    assert code == 0
    for text in (
        "Sha Tin",
        "沙田",
        "inside",
        "16.5 km to the Mainland",
        "10.1.0.11",
        "S-1 (osd)",
        "甲律師事務所",
    ):
        assert text in out
    assert "is sound. sites: 2, nodes: 3, drives: 3, tenants: 1." in out
    assert "\x1b" not in out


def test_a_terminal_gets_colour(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+") as out:
        show(
            load(SOUND, today=TODAY),
            Console(file=out, force_terminal=True, width=160, color_system="standard"),
        )
        out.seek(0)

        assert "\x1b[32minside" in out.read()


def test_the_json_names_sites_verdicts_nodes_and_drives(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["register", "--inventory", str(SOUND), "--json"])
    out = capsys.readouterr().out
    register = json.loads(out)

    assert code == 0
    assert "沙田" in out
    assert register["sites"][0]["name"] == {"en": "Sha Tin", "zh_hant": "沙田"}
    assert register["sites"][0]["boundary"] == {
        "verdict": "inside",
        "metres_to_hong_kong": 0,
        "metres_to_others": pytest.approx(16540, abs=50),
        "nearest_other": "the Mainland",
    }
    assert register["sites"][1]["subnets"] == ["10.2.0.0/24", "fd00:2::/64"]
    assert register["nodes"][0] == {
        "name": "one-1",
        "address": "10.1.0.11",
        "site": "one",
        "rack": "r1",
        "groups": ["storage"],
        "drives": [{"serial": "S-1", "use": "osd"}, {"serial": "S-2", "use": "osd"}],
    }
    assert register["tenants"] == [{"id": "firm-a", "name": {"en": "Firm A", "zh_hant": "甲律師事務所"}}]


def test_a_waiver_is_shown_with_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = Sample(tmp_path / "fleet")
    sample.change(REGISTER, "latitude: 22.3960\n    longitude: 114.1960", "latitude: 22.5285\n    longitude: 114.1135")
    waiver = "{reason: Plan 1, surveyed_by: Example Surveyors, expires: 2999-12-31}"
    sample.change(REGISTER, "operator:", f"border_waiver: {waiver}\n    operator:")

    assert main(["register", "--inventory", str(sample.folder)]) == 0
    table = capsys.readouterr().out
    assert main(["register", "--inventory", str(sample.folder), "--json"]) == 0
    site = json.loads(capsys.readouterr().out)["sites"][0]

    assert "near the border" in table
    assert "waiver until 2999-12-31" in table
    assert site["boundary"]["verdict"] == "near_border"
    assert site["border_waiver"] == {
        "reason": "Plan 1",
        "surveyed_by": "Example Surveyors",
        "expires": "2999-12-31",
    }


def test_names_with_brackets_are_shown_as_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = Sample(tmp_path / "fleet").change(REGISTER, "operator: Example", "operator: 'A [red] B'")

    assert main(["register", "--inventory", str(sample.folder)]) == 0
    assert "A [red] B" in capsys.readouterr().out


def test_a_wrong_inventory_ends_with_2_and_every_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = Sample(tmp_path / "fleet").change(HOSTS, "serial: S-3", "serial: S-1").change(REGISTER, "沙田", "x")

    code = main(["register", "--inventory", str(sample.folder)])
    captured = capsys.readouterr()

    assert code == 2
    assert captured.out == ""
    assert "has 2 problems" in captured.err
    assert "without a Chinese character" in captured.err
    assert "repeats serial S-1" in captured.err
    assert "remedy: Correct the keys named above and run the same command again." in captured.err


def test_a_folder_that_is_not_there_ends_with_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["register", "--inventory", str(tmp_path / "nowhere")]) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
