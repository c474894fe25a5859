from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.agent.node.node_sample import settings
from tests.agent.node.test_metrics import GOOD, SUBJECTS

from legalcloud import answer
from legalcloud.cli import main
from legalcloud.commands import node
from legalcloud.commands.node import ask_daemon, rows
from legalcloud.errors import InputError, ParseError, SourceError
from legalcloud.node.probe import Board, Probe, Seen
from legalcloud.node.status import Status, from_json, plain, status, to_json
from legalcloud.node.subject import Level

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
WELL = (replace(GOOD[0], facts=replace(GOOD[0].facts, expected={}, failed=())), GOOD[1])  # type: ignore[type-var]  # a dataclass
ALMOST = (WELL[0], replace(WELL[1], facts=replace(WELL[1].facts, rooms={}, stalls={})))  # type: ignore[type-var]  # as above


def told(*looks: Seen[object], running: bool = True) -> Status:
    return status(settings(), SUBJECTS, looks, now=NOW, running=running)


def text(found: Status) -> str:
    return "\n".join(rows(found, colour=False))


def test_a_node_with_nothing_wrong_is_good() -> None:
    assert told(*ALMOST).level is Level.GOOD
    assert text(told(*ALMOST)).endswith("All is good.")


def test_a_finding_is_worse_than_what_is_unknown() -> None:
    assert told(*WELL).level is Level.UNKNOWN
    assert told(*GOOD).level is Level.FINDING
    assert told().level is Level.UNKNOWN


def test_a_finding_comes_before_the_rest_of_its_subject_and_with_what_to_do() -> None:
    lines = text(told(*GOOD)).splitlines()

    assert lines[0] == "tko-1 (site tko, rack r1), 2026-12-01 09:00:00 UTC"
    assert lines[1].split(maxsplit=2) == [
        "units",
        "finding",
        "ceph-osd@1.service is failed (failed), and shall be active",
    ]
    assert "systemctl status ceph-osd@1.service" in lines[2]
    assert [line.split()[1] for line in lines if line.startswith("  pressure")] == [*["unknown"] * 2, *["good"] * 4]


def test_facts_that_are_old_are_no_longer_good_but_a_finding_stays_one() -> None:
    old: dict[str, Any] = {"age_seconds": 7200.0, "stale": True, "success": False, "problem": "no answer in 5 s"}

    levels = {line.words: line.level for line in told(*(replace(one, **old) for one in ALMOST)).lines}

    assert Level.GOOD not in levels.values()
    assert levels["no answer in 5 s; what follows is 2.0 h old"] is Level.UNKNOWN
    assert told(replace(GOOD[0], **old)).level is Level.FINDING


def test_a_failure_with_fresh_facts_is_unknown() -> None:
    assert told(ALMOST[0], replace(ALMOST[1], problem="it failed", success=False)).level is Level.UNKNOWN


def test_a_probe_that_has_not_ended_is_unknown() -> None:
    waiting = replace(GOOD[0], facts=None, age_seconds=None, success=None, stale=True)

    assert [line.words for line in told(waiting).lines] == ["its first look has not ended yet"]


def test_a_daemon_that_is_away_is_a_finding_though_all_else_is_good() -> None:
    found = told(*ALMOST, running=False)

    assert found.level is Level.FINDING
    assert "the agent is not running; its probes were run once" in text(found)


def test_colour_is_only_where_it_is_asked_for() -> None:
    assert "\x1b" not in text(told(*GOOD))
    assert any("\x1b[1;31mfinding" in row for row in rows(told(*GOOD), colour=True))


def test_what_goes_out_as_json_comes_in_as_the_same() -> None:
    found = told(*GOOD, running=False)

    assert from_json(to_json(found)) == found


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"null", b'{"format": 2}', b'{"format": 1, "parts": 1}', b"\xff"])
def test_what_is_no_status_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        from_json(raw)


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Inner:
    colour: Colour
    when: datetime


def test_facts_become_plain_values() -> None:
    facts = {"a": (Inner(Colour.RED, NOW),), "b": frozenset({"y", "x"}), "c": None, "d": 1.5, "e": True}

    assert plain(facts) == {
        "a": [{"colour": "red", "when": "2026-12-01T09:00:00+00:00"}],
        "b": ["x", "y"],
        "c": None,
        "d": 1.5,
        "e": True,
    }
    assert plain([date(2026, 12, 1), Path("/x"), ip_address("10.77.1.11")]) == ["2026-12-01", "/x", "10.77.1.11"]
    with pytest.raises(TypeError, match="bytes"):
        plain(b"raw")


@contextmanager
def saying(path: Path, raw: bytes) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def one() -> None:
            connection, _ = listener.accept()
            with connection, suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(raw)

        thread = threading.Thread(target=one, daemon=True)
        thread.start()
        yield
        thread.join(5)


def test_the_running_daemon_is_asked_over_its_socket(tmp_path: Path) -> None:
    raw = to_json(told(*GOOD))
    with saying(tmp_path / "s", raw):
        assert ask_daemon(tmp_path / "s") == raw


def test_a_daemon_that_never_ends_its_answer_is_cut_off(tmp_path: Path) -> None:
    with (
        saying(tmp_path / "s", b"x" * (answer.MOST_BYTES + 2**17)),
        pytest.raises(SourceError, match="more than 4194304"),
    ):
        ask_daemon(tmp_path / "s")


def test_a_daemon_that_says_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "_ANSWER_SECONDS", 0.2)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with pytest.raises(SourceError, match="timed out"):
            ask_daemon(tmp_path / "s")


def test_what_has_not_ended_when_the_answer_is_due_is_unknown_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    let_go = threading.Event()
    hangs: Probe[object] = Probe(name="units", every_seconds=30, deadline_seconds=120, read=lambda: let_go.wait(20))
    monkeypatch.setattr(node, "board_of", lambda _settings: Board((hangs,)))
    monkeypatch.setattr(node, "_settings", lambda _args: settings(tmp_path))

    began = time.monotonic()
    code = main(["node", "status", "--json", "--seconds", "0.2"])
    let_go.set()

    assert (code, time.monotonic() - began < 5) == (1, True)
    (part,) = from_json(capsysbinary.readouterr().out).parts
    assert (part.success, [line.words for line in part.lines]) == (None, ["its first look has not ended yet"])


def test_a_daemon_that_is_not_there_or_left_its_socket_behind_gives_no_status(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))

    assert ask_daemon(tmp_path / "absent") is None
    assert ask_daemon(tmp_path / "left") is None


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")
def test_who_may_not_ask_is_told_to_use_sudo() -> None:
    path = Path(f"/tmp/legalcloud-test-{os.getpid()}.sock")  # noqa: S108 -- where another user can reach it
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        path.chmod(0o600)
        os.seteuid(65534)
        try:
            with pytest.raises(InputError) as caught:
                ask_daemon(path)
        finally:
            os.seteuid(0)
            path.unlink()
    assert "sudo" in caught.value.hint
