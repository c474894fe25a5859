"""The file of hourly samples: bounded, replaced in one step, and never lost as a whole."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.agent.node import fuzz, series

from legalcloud.node.history import HOUR_SECONDS, MOST_SAMPLES, History, Sample, add, parse, read, render, write

NOON_SECONDS = 1_790_000_000 // HOUR_SECONDS * HOUR_SECONDS
WHOLE = tuple(series.samples(series.noise, seed=5)[:MOST_SAMPLES])
FILE = render(WHOLE)


def sample(minutes: int, used_bytes: int = 5) -> Sample:
    return Sample(at_seconds=NOON_SECONDS + minutes * 60, used_bytes=used_bytes, total_bytes=10)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write(tmp_path / "node", History(samples=WHOLE))

    assert read(tmp_path / "node") == History(samples=WHOLE)
    assert [path.name for path in tmp_path.iterdir()] == ["node"]


def test_ninety_days_take_less_than_two_hundred_kilobytes() -> None:
    assert len(FILE) < 200_000


def test_a_file_that_is_not_there_yet_is_an_empty_history(tmp_path: Path) -> None:
    assert read(tmp_path / "node") == History()


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert read(tmp_path) == History(problem=f"{tmp_path} cannot be read: Is a directory", unreadable=True)


def test_a_write_that_dies_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    write(tmp_path / "node", History(samples=WHOLE[:3]))
    (tmp_path / ".node.new").write_bytes(FILE[:1000])

    assert read(tmp_path / "node").samples == WHOLE[:3]
    write(tmp_path / "node", History(samples=WHOLE[:4]))
    assert read(tmp_path / "node").samples == WHOLE[:4]


def test_of_two_samples_in_one_hour_the_later_wins() -> None:
    history = add(add(History(), sample(1, used_bytes=6)), sample(59, used_bytes=7))

    assert [s.used_bytes for s in history.samples] == [7]


def test_the_oldest_goes_after_ninety_days() -> None:
    new = Sample(at_seconds=WHOLE[-1].at_seconds + HOUR_SECONDS, used_bytes=1, total_bytes=2)

    assert add(History(samples=WHOLE), new).samples == (*WHOLE[1:], new)


def test_a_clock_that_went_backwards_is_said_and_loses_nothing() -> None:
    history = History(samples=(sample(-60), sample(0), sample(600)))
    added = add(history, sample(60))

    assert added.samples == (sample(-60), sample(0), sample(60), sample(600))
    assert added.problem == "the clock went backwards: 1 samples are up to 9 h later than now and wait unused"
    assert added.until(sample(60).at_seconds) == (sample(-60), sample(0), sample(60))


def test_a_clock_that_woke_up_in_1970_costs_a_full_history_nothing() -> None:
    added = add(History(samples=WHOLE), Sample(at_seconds=5, used_bytes=1, total_bytes=2))

    assert added.samples == WHOLE
    assert added.problem


@given(st.integers(0, len(FILE)))
def test_a_torn_file_loses_only_what_is_missing(length: int) -> None:
    found = parse(FILE[:length])

    assert found.samples == WHOLE[: FILE[:length].count(b"\n")]
    assert (found.problem is None) == (length == 0 or FILE[length - 1 : length] == b"\n")


@given(st.integers(0, len(FILE) - 1), st.integers(0, 7))
def test_a_flipped_bit_costs_at_most_two_hours_and_is_said(at: int, bit: int) -> None:
    found = parse(FILE[:at] + bytes([FILE[at] ^ 1 << bit]) + FILE[at + 1 :])

    assert set(found.samples) < set(WHOLE)
    assert len(found.samples) >= len(WHOLE) - 2  # a newline that is hit joins two lines
    assert found.problem


@given(st.lists(st.integers(0, 10**9), max_size=50))
def test_samples_in_any_order_give_a_history_in_order_with_one_an_hour(minutes: list[int]) -> None:
    history = History()
    for minute in minutes:
        history = add(history, sample(minute))

    hours = [s.at_seconds // HOUR_SECONDS for s in history.samples]
    assert all(before < after for before, after in pairwise(hours))
    assert set(hours) == {sample(minute).at_seconds // HOUR_SECONDS for minute in minutes}


@fuzz.lengths
def test_no_damage_crashes_the_reader_or_makes_a_sample_up(mutations: int) -> None:
    short = WHOLE[:40]
    for mutant in fuzz.mutants([render(short)], mutations):
        assert set(parse(mutant).samples) <= set(short)
