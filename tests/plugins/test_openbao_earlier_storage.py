"""What a restore may delete: never a storage of which nobody knows that it is worthless."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from plugins.modules import openbao_earlier_storage
from tests.plugins.node_module import run
from tests.plugins.role_text import variable

ROOT = Path(__file__).parents[2]
STORAGE, ASIDE, MARKER = "raft", "raft.before-restore", "restore-begun"


Look = Callable[..., dict[str, Any]]


@pytest.fixture
def look(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Look:
    def look(there: Sequence[str], *, serves: bool) -> dict[str, Any]:
        for name in there:
            (tmp_path / name).mkdir()
        monkeypatch.setattr(openbao_earlier_storage, "serves", lambda: serves)
        names = {"storage": STORAGE, "aside": ASIDE, "marker": MARKER}
        return run(capsys, "openbao_earlier_storage", {option: str(tmp_path / name) for option, name in names.items()})

    return look


@pytest.mark.parametrize(
    ("there", "serves", "why"),
    [
        ([STORAGE, ASIDE], True, "no restore is under way"),
        ([STORAGE, ASIDE], False, "no restore is under way"),  # sealed, or its HSM is away: it may be the good one
        ([STORAGE, ASIDE, MARKER], True, "OpenBao serves"),
    ],
)
def test_a_storage_that_may_be_good_is_not_touched(look: Look, there: list[str], serves: bool, why: str) -> None:
    found = look(there, serves=serves)

    assert found["failed"]
    assert f"{ASIDE} holds an earlier storage of OpenBao beside" in found["msg"]
    assert f"/{STORAGE}, and {why}" in found["msg"]


@pytest.mark.parametrize(
    ("there", "half_made"),
    [
        ([STORAGE], False),
        ([], False),
        ([ASIDE], False),
        ([STORAGE, MARKER], False),  # killed before it was put aside: the storage is the good one
        ([ASIDE, MARKER], True),
        ([STORAGE, ASIDE, MARKER], True),
    ],
)
def test_a_killed_run_is_repeated_and_only_what_it_made_may_be_deleted(
    look: Look, there: list[str], half_made: bool
) -> None:
    found = look(there, serves=False)

    assert (found.get("failed", False), found["half_made"]) == (False, half_made)


def tasks_of(name: str) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = yaml.safe_load((ROOT / f"roles/openbao_restore/tasks/{name}.yml").read_text())
    return tasks


def deleting() -> list[tuple[str, str, object]]:
    """Return file, what is deleted and on what condition."""
    return [
        (name, task["ansible.builtin.file"]["path"].strip("{} "), task.get("when"))
        for name in ("preflight", "choose", "aside", "rebuild", "finish")
        for task in tasks_of(name)
        if task.get("ansible.builtin.file", {}).get("state") == "absent"
    ]


def test_what_was_put_aside_is_deleted_only_in_the_last_play_and_only_with_a_witness() -> None:
    plays = yaml.safe_load((ROOT / "playbooks/openbao_restore_drill.yml").read_text())

    assert deleting() == [
        ("aside", "__openbao_restore_storage", "__openbao_restore_earlier.half_made"),
        ("finish", "__openbao_restore_aside", "__openbao_restore_is_witnessed"),
    ]
    imported = {"name": "openbao_restore", "tasks_from": "finish"}
    assert [play["tasks"][0].get("ansible.builtin.import_role") for play in plays if "tasks" in play][-1] == imported
    assert plays[-1]["tasks"][0]["ansible.builtin.import_role"] == imported


@pytest.mark.parametrize(("facts", "witnessed"), [({}, False), ({"__openbao_restore_witnessed": True}, True)])
def test_without_a_word_about_a_witness_there_was_none(facts: dict[str, bool], witnessed: bool) -> None:
    servers = {"openbao_restore_servers": ["a", "b"], "hostvars": {"a": facts, "b": {}}}

    assert variable("openbao_restore", "__openbao_restore_is_witnessed", **servers) is witnessed


def chosen_from(*, for_real: bool) -> list[str]:
    old, new, other = ({"name": name, "taken_at": name} for name in ("1", "2", "3"))
    hostvars = {
        "a": {
            "__openbao_restore_before": {"snapshots": [old]},
            "__openbao_restore_found": {"snapshots": [old, new]},
        },
        "b": {"__openbao_restore_found": {"snapshots": [other]}},
    }
    words = {"openbao_restore_servers": ["a", "b"], "openbao_restore_for_real": for_real, "ansible_check_mode": False}
    return [one["name"] for one in variable("openbao_restore", "__openbao_restore_all", hostvars=hostvars, **words)]


def test_a_drill_restores_nothing_but_the_snapshot_that_it_took() -> None:
    assert chosen_from(for_real=False) == ["2"]
    assert chosen_from(for_real=True) == ["1", "2", "3"]
