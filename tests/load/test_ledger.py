from __future__ import annotations

from pathlib import Path

import pytest
from tests.load.ledger import ABSENT, Content, Ledger, replay
from tests.load.reader import judge
from tests.load.request import Request, summarise


def allowed(path: Path) -> dict[str, set[Content]]:
    with path.open("rb") as lines:
        return {key: expected.allowed for key, expected in replay(lines).items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


def test_what_was_acknowledged_is_all_that_a_key_may_hold(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.acknowledge(ledger.intend("brief", "aa"))
        ledger.acknowledge(ledger.intend("brief", "bb"))
        ledger.acknowledge(ledger.intend("writ", "cc"))
        ledger.acknowledge(ledger.intend("writ", ABSENT))

    assert allowed(path) == {"brief": {"bb"}, "writ": {ABSENT}}


def test_a_request_that_failed_may_have_been_carried_out_or_not(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.acknowledge(ledger.intend("brief", "aa"))
        ledger.fail(ledger.intend("brief", "bb"), "ReadTimeoutError")
        ledger.fail(ledger.intend("writ", "cc"), "ReadTimeoutError")

    assert allowed(path) == {"brief": {"aa", "bb"}, "writ": {ABSENT, "cc"}}


def test_a_harness_that_was_killed_leaves_an_outcome_unknown(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.acknowledge(ledger.intend("brief", "aa"))
        ledger.acknowledge(ledger.intend("brief", "bb"))
    path.write_bytes(path.read_bytes()[:-5])  # the last line is torn: that "bb" was acknowledged is not known

    assert allowed(path) == {"brief": {"aa", "bb"}}


def test_a_line_that_no_harness_wrote_is_refused() -> None:
    with pytest.raises(ValueError, match="not written by this harness"):
        replay([b'{"event": "guess", "op": 1}\n'])


def test_the_reader_tells_lost_from_corrupt_from_unreadable(path: Path) -> None:
    with Ledger(path) as ledger:
        for key in ("whole", "lost", "former", "stray", "back", "mute", "skipped"):
            ledger.acknowledge(ledger.intend(key, "aa"))
        ledger.acknowledge(ledger.intend("former", "bb"))
        ledger.acknowledge(ledger.intend("back", ABSENT))
    with path.open("rb") as lines:
        expected = replay(lines)
    found: dict[str, Content | Exception] = {
        "whole": "aa", "lost": ABSENT, "former": "aa", "stray": "zz", "back": "aa", "mute": TimeoutError("no answer"),
    }  # fmt: skip

    findings = judge(expected, found)

    assert findings.lost == ("lost",)
    assert findings.corrupt == (
        "back: deleted, and back again",
        "former: former content",
        "stray: never written",
    )
    assert findings.unreadable == ("mute: TimeoutError: no answer", "skipped: LookupError: not read")
    assert findings.checked == 7


def request(sent: float, ended: float, failure: str = "") -> Request:
    return Request(kind="put", key="brief", size_bytes=4096, sent_at=sent, ended_at=ended, failure=failure)


def test_a_stall_counts_from_the_first_attempt_of_one_request_even_if_others_are_answered() -> None:
    requests = [request(10, 19), *(request(10 + n, 10.5 + n) for n in range(12)), request(2, 30, "gave up")]

    summary = summarise(requests, since=10, until=40)

    assert summary.longest_stall_seconds == 28  # a request that failed was waited for, too
    assert summary.longest_silence_seconds == 1
    assert summary.failed == (requests[-1],)
    assert summary.requests == 14


def test_a_silence_counts_from_the_last_acknowledgement_before_the_span() -> None:
    assert summarise([request(0, 9), request(9, 16)], since=10, until=20).longest_silence_seconds == 7


def test_a_request_outside_the_span_is_not_counted() -> None:
    assert summarise([request(0, 9.9), request(20.1, 30)], since=10, until=20).requests == 0
