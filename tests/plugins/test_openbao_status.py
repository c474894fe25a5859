"""What a key manager's node says of its snapshots: the status as it was written, and how often one is due."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from plugins.modules import openbao_status

SHOWN = "TimersCalendar={ OnCalendar=*-*-* *:00:00 ; next_elapse=Mon 2026-11-23 20:00:00 UTC }\n"
HOURLY = """Normalized form: *-*-* *:00:00
    Next elapse: Mon 2026-11-23 20:00:00 UTC
       From now: 28min left
   Iteration #2: Mon 2026-11-23 21:00:00 UTC
       From now: 1h 28min left
   Iteration #3: Mon 2026-11-23 22:00:00 UTC
       From now: 2h 28min left
"""
"""Of systemd 262."""
WORKDAYS = HOURLY.replace("21:00:00", "21:30:00").replace("Mon 2026-11-23 22", "Thu 2026-11-26 22")


class Systemd:
    """Stands for AnsibleModule, and answers commands."""

    def __init__(self, folder: Path, shown: str = SHOWN, listed: str = HOURLY) -> None:
        self.params = {"snapshot_status": str(folder / "status.json"), "snapshot_timer": "openbao-backup.timer"}
        self.shown, self.listed = shown, listed
        self.ran: list[list[str]] = []

    def command(self, argv: list[str], environment: dict[str, str]) -> tuple[int, str, str]:
        assert environment == {"TZ": "UTC"}
        self.ran.append(argv)
        return 0, self.shown if argv[0] == "systemctl" else self.listed, ""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def make(folder: Path, *answers: str) -> Systemd:
        systemd = Systemd(folder, *answers)
        monkeypatch.setattr(openbao_status, "run", systemd.command)
        return systemd

    return make


def test_the_status_comes_as_it_was_written_beside_the_node_s_clock(tmp_path: Path, module: Callable[..., Any]) -> None:
    status = {"state": "good", "last_good_at": "2026-11-23T19:15:03Z"}
    (tmp_path / "status.json").write_text(json.dumps(status))
    node = module(tmp_path)

    found = openbao_status.snapshot(node)

    assert (found["status"], found["problem"], found["interval_seconds"]) == (status, "", 3600)
    assert datetime.fromisoformat(found["now"]).tzinfo is not None
    assert node.ran[1] == ["systemd-analyze", "calendar", "--iterations=200", "*-*-* *:00:00"]


@pytest.mark.parametrize(("text", "why"), [(None, "none was ever taken"), ("{", "cannot be read")])
def test_a_status_that_is_not_there_or_no_json_says_so(
    tmp_path: Path, text: str | None, why: str, module: Callable[..., Any]
) -> None:
    if text is not None:
        (tmp_path / "status.json").write_text(text)

    found = openbao_status.snapshot(module(tmp_path))

    assert found["status"] is None
    assert "status.json" in found["problem"]
    assert why in found["problem"]


def test_the_longest_pause_of_the_timer_is_its_interval(tmp_path: Path, module: Callable[..., Any]) -> None:
    assert openbao_status.interval_seconds(module(tmp_path, SHOWN, WORKDAYS)) == 3 * 86400 + 1800


@pytest.mark.parametrize(("shown", "listed"), [("TimersCalendar=\n", HOURLY), ("", HOURLY), (SHOWN, "")])
def test_a_timer_that_is_not_there_or_runs_once_has_no_interval(
    tmp_path: Path, shown: str, listed: str, module: Callable[..., Any]
) -> None:
    assert openbao_status.interval_seconds(module(tmp_path, shown, listed)) is None
