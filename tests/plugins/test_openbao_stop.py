"""A server is stopped only while the others carry on without it; check mode says the same and stops nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from plugins.modules import openbao_stop
from tests.plugins.node_module import run

SERVERS = {"tko-1": "10.77.1.11", "cwn-1": "10.77.2.11", "sht-1": "10.77.3.11"}
HERE = "127.0.0.1"
GOOD: dict[str, object] = {"initialized": True, "sealed": False}
SEALED: dict[str, object] = {"initialized": True, "sealed": True}


class Fleet:
    """What each server says of itself, and one systemd."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.says: dict[str, Mapping[str, object] | None] = {
            HERE: GOOD, SERVERS["tko-1"]: GOOD, SERVERS["sht-1"]: GOOD
        }  # fmt: skip
        self.state = "active"
        self.refuses = ""
        self.stopped: list[str] = []
        monkeypatch.setattr(openbao_stop, "context", lambda _ca: None)
        monkeypatch.setattr(openbao_stop, "ask", lambda host, _path, tls: self.says[host])
        monkeypatch.setattr(openbao_stop, "run", self.systemctl)

    def systemctl(self, argv: list[str]) -> tuple[int, str, str]:
        _, verb, unit = argv
        if verb == "is-active":
            return (0 if self.state == "active" else 3), f"{self.state}\n", ""
        assert verb == "stop"
        if self.refuses:
            return 1, "", self.refuses
        self.stopped.append(unit)
        self.state = "inactive"
        return 0, "", ""


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(monkeypatch)


def stop(capsys: pytest.CaptureFixture[str], *, check: bool = False) -> dict[str, Any]:
    arguments = {"server": "cwn-1", "servers": SERVERS, "ca_path": "/ca.crt"}
    return run(capsys, "openbao_stop", arguments, check=check)


def test_a_server_stops_while_the_others_serve_and_a_second_run_changes_nothing(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    first = stop(capsys)
    fleet.says[HERE] = None
    second = stop(capsys)

    assert fleet.stopped == ["openbao.service"]
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["others"] == {"tko-1": "unsealed", "sht-1": "unsealed"}


@pytest.mark.parametrize(("other", "words"), [(None, "no answer"), (SEALED, "sealed")])
@pytest.mark.parametrize("check", [False, True])
def test_a_server_that_the_others_need_is_left_running_and_the_missing_one_is_named(
    fleet: Fleet,
    capsys: pytest.CaptureFixture[str],
    other: dict[str, object] | None,
    words: str,
    *,
    check: bool,
) -> None:
    fleet.says[SERVERS["sht-1"]] = other

    result = stop(capsys, check=check)

    assert result["failed"]
    assert f"openbao.service was left running: without it 1 of 3 servers would serve, and 2 are needed: sht-1 ({words})" in result["msg"]  # fmt: skip  # noqa: E501 -- one sentence
    assert "docs/runbooks/openbao-sealed.md" in result["msg"]
    assert fleet.stopped == []


def test_a_server_that_does_not_serve_stops_whatever_the_others_are(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.says = dict.fromkeys(fleet.says, SEALED)

    assert stop(capsys)["changed"] is True
    assert fleet.stopped == ["openbao.service"]


def test_check_mode_predicts_and_stops_nothing(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert stop(capsys, check=True)["changed"] is True
    assert fleet.stopped == []


@pytest.mark.parametrize(("state", "runs"), [("activating", True), ("reloading", True), ("failed", False)])
def test_whatever_is_not_plainly_down_is_stopped(
    fleet: Fleet, capsys: pytest.CaptureFixture[str], state: str, *, runs: bool
) -> None:
    fleet.state = state

    assert stop(capsys)["changed"] is runs
    assert bool(fleet.stopped) is runs


def test_a_unit_that_does_not_stop_says_so(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.refuses = "Job for openbao.service canceled."

    result = stop(capsys)

    assert result["failed"]
    assert "openbao.service does not stop: Job for openbao.service canceled. Look at journalctl" in result["msg"]
