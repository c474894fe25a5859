from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from legalcloud.errors import SourceError
from legalcloud.node.probe import Board, Probe


@dataclass(slots=True)
class Hand:
    """A clock that a test turns."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def board(*reads: Callable[[], object], clock: Hand | None = None) -> Board:
    probes = [
        Probe(name=f"p{number}", every_seconds=10, deadline_seconds=2, read=read) for number, read in enumerate(reads)
    ]
    return Board(tuple(probes), clock or Hand())


def at_fault() -> str:
    raise KeyError("missing")


def eventually(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not true():
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


def test_before_its_first_run_a_probe_is_neither_good_nor_bad_but_its_facts_are_missing() -> None:
    (seen,) = board(lambda: "facts").look()

    assert (seen.success, seen.facts, seen.age_seconds, seen.stale, seen.problem) == (None, None, None, True, None)


def test_good_facts_have_an_age_from_when_their_reading_began() -> None:
    clock = Hand()

    def read() -> str:
        clock.now += 1.5
        return "facts"

    run = board(read, clock=clock)
    run.once(run.probes[0])
    clock.now += 3

    (seen,) = run.look()
    assert (seen.success, seen.facts, seen.duration_seconds, seen.age_seconds) == (True, "facts", 1.5, 4.5)


def test_a_failure_keeps_the_last_good_facts_and_says_why() -> None:
    answers = iter(["facts"])

    def read() -> str:
        try:
            return next(answers)
        except StopIteration:
            raise SourceError("smartctl is gone") from None

    clock = Hand()
    run = board(read, clock=clock)
    run.once(run.probes[0])
    clock.now += 10
    run.once(run.probes[0])

    (seen,) = run.look()
    assert (seen.success, seen.facts, seen.problem, seen.age_seconds) == (False, "facts", "smartctl is gone", 10)


@pytest.mark.parametrize(("age_seconds", "stale"), [(32, False), (32.1, True)])
def test_facts_are_stale_after_three_intervals_and_a_deadline(age_seconds: float, stale: bool) -> None:
    clock = Hand()
    run = board(lambda: "facts", clock=clock)
    run.once(run.probes[0])
    clock.now += age_seconds

    assert run.look()[0].stale is stale


def test_a_fault_of_our_own_costs_its_probe_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    run = board(at_fault, lambda: "facts")
    for probe in run.probes:
        run.once(probe)

    broken, good = run.look()
    assert broken.problem == "a fault of this program: KeyError: 'missing'"
    assert good.success
    assert "Traceback" in caplog.text


def test_a_hung_probe_fails_at_its_deadline_while_others_go_on_and_gets_no_second_thread() -> None:
    clock, let_go, started = Hand(), threading.Event(), []

    def hang() -> str:
        started.append(threading.current_thread().name)
        let_go.wait(10)
        return "late facts"

    run = board(hang, lambda: "facts", clock=clock)
    run.start()
    eventually(lambda: run.look()[1].success is True and started == ["p0"])
    clock.now += 1.9
    assert run.look()[0].success is None
    clock.now += 100

    hung = run.look()[0]
    assert (hung.success, hung.problem) == (False, "no answer in 2 s")
    assert hung.duration_seconds == pytest.approx(101.9)
    assert started == ["p0"]
    let_go.set()
    eventually(lambda: run.look()[0].facts == "late facts")
    run.stop()


def test_a_probe_that_hangs_from_its_start_has_failed_once_its_deadline_is_over() -> None:
    clock, let_go, started = Hand(), threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        let_go.wait(10)

    run = board(hang, clock=clock)
    run.start()
    assert started.wait(5)

    successes = []
    for seconds in (0, 2, 0.1, 3600):
        clock.now += seconds
        successes.append(run.look()[0].success)
    let_go.set()
    run.stop()

    assert successes == [None, None, False, False], "so /readyz does not wait for it for ever"


def test_looking_does_not_wait_for_a_probe_that_hangs() -> None:
    let_go = threading.Event()
    run = board(lambda: let_go.wait(10))
    run.start()

    began = time.perf_counter()
    for _ in range(1000):
        run.look()

    assert time.perf_counter() - began < 1
    let_go.set()
    run.stop()


def test_running_once_waits_no_longer_than_it_is_told() -> None:
    let_go = threading.Event()
    run = board(lambda: let_go.wait(10), lambda: "facts")

    began = time.monotonic()
    run.run_once(0.3)

    assert time.monotonic() - began < 2
    assert [seen.success for seen in run.look()] == [None, True]
    let_go.set()
