"""A snapshot counts while it is known to be young; one that is absent, or cannot be read, never reads as good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legalcloud.health.snapshots import judge, parse, summary

NOW = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
HOUR = 3600
INITIALISED: dict[str, object] = {"initialized": True, "sealed": False}


def answer(age: timedelta | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    last = None if age is None else f"{NOW - age:%Y-%m-%dT%H:%M:%SZ}"
    status = {"state": "good", "message": "openbao-1.cms was taken, 0 files were removed", "last_good_at": last}
    found = {"status": status, "problem": "", "interval_seconds": HOUR, "now": NOW.isoformat()}
    return {"health": INITIALISED, "snapshot": found | more}


def said(one: dict[str, Any]) -> list[str]:
    return [f"{p.subject}: {p.what}. {p.remedy}" for p in judge(parse({"tko-1": one}))]


@pytest.mark.parametrize("minutes", [0, 70, 119, 120])
def test_one_that_is_not_older_than_two_intervals_is_good(minutes: int) -> None:
    assert said(answer(timedelta(minutes=minutes))) == []


@pytest.mark.parametrize(("age", "told"), [(timedelta(minutes=121), "2 h"), (timedelta(days=9), "9 days")])
def test_an_older_one_is_named_with_its_age_what_was_said_last_and_the_remedy(age: timedelta, told: str) -> None:
    (problem,) = said(answer(age))

    assert problem.startswith(f"tko-1: its last good snapshot of OpenBao is {told} old, and one is due every 60 min: ")
    assert "openbao-1.cms was taken" in problem
    assert "`systemctl start openbao-backup.service` takes one now" in problem


def test_the_interval_of_the_timer_decides_what_is_too_old() -> None:
    assert said(answer(timedelta(days=1), interval_seconds=24 * HOUR)) == []
    assert said(answer(timedelta(days=3), interval_seconds=24 * HOUR)) != []


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (answer(None), "openbao-1.cms was taken"),
        (answer(timedelta(0), status=None, problem="there is no /x: none was ever taken"), "there is no /x"),
        (answer(timedelta(0), status=["not", "a", "status"]), "its status says nothing"),
        (answer(timedelta(0), status={"last_good_at": "yesterday"}), "its status says nothing"),
        (answer(timedelta(0), status={"last_good_at": "2026-12-01T08:00:00"}), "its status says nothing"),
        (answer(timedelta(0), now=None), "openbao-1.cms was taken"),
        ({"health": INITIALISED}, "it gave no answer"),
        ({"unreachable": True, "msg": "Failed to connect"}, "Failed to connect"),
        ({}, "it gave no answer"),
    ],
)
def test_one_that_is_absent_or_cannot_be_read_is_a_problem(one: dict[str, Any], why: str) -> None:
    (problem,) = said(one)

    assert problem.startswith("tko-1: no good snapshot of OpenBao is known there: ")
    assert why in problem
    assert "unknown" in summary(parse({"tko-1": one}))


@pytest.mark.parametrize("interval", [None, 0, "hourly"])
def test_a_timer_without_times_is_a_problem_however_young_the_snapshot(interval: object) -> None:
    (problem,) = said(answer(timedelta(0), interval_seconds=interval))

    assert "unknown how often" in problem


def test_one_of_tomorrow_is_a_problem() -> None:
    (problem,) = said(answer(timedelta(days=-2)))

    assert "2 days from now" in problem
    assert "chronyc tracking" in problem


def test_before_the_ceremony_there_is_nothing_to_save() -> None:
    one = answer(None) | {"health": {"initialized": False, "sealed": True}}

    assert said(one) == []
    assert summary(parse({"tko-1": one})) == "none: OpenBao is not initialised"


def test_a_server_that_does_not_answer_still_has_to_have_its_snapshots() -> None:
    assert said(answer(timedelta(days=1)) | {"health": None}) != []


def test_the_table_has_the_age_on_each_server() -> None:
    kept = parse({"tko-1": answer(timedelta(minutes=14)), "cwn-1": answer(timedelta(seconds=3)), "sht-1": {}})

    assert summary(kept) == "tko-1 14 min old, cwn-1 3 s old, sht-1 unknown"


LEAVES = st.none() | st.booleans() | st.floats() | st.text(max_size=5)
JUNK = st.dictionaries(st.sampled_from(["status", "problem", "interval_seconds", "now"]), LEAVES)


@given(JUNK)
def test_whatever_comes_is_good_only_by_an_age_and_an_interval(junk: dict[str, Any]) -> None:
    assert said(answer(timedelta(days=9)) | {"snapshot": junk}) != []
