"""What preflight lets go on without a drive is what role ceph_osd is told to leave out."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from plugins.modules.preflight_judge import drives_written_off
from tests.agent.preflight_sample import good_case, with_drive

from legalcloud.preflight.finding import Case
from legalcloud.preflight.judge import judge
from legalcloud.preflight.report import Report

DEAD = "LAB-tko-1-2"
WAIVER = {"check": "drive-present", "subject": f"tko-1/{DEAD}", "reason": "on order", "expires": "2026-12-31"}


def report(case: Case) -> Report:
    return Report(made_at=datetime(2026, 11, 23, tzinfo=UTC), inventory="lab", results=judge(case))


def test_a_missing_drive_with_a_waiver_is_written_off() -> None:
    found = report(with_drive(good_case(waivers=[WAIVER]), device=None, claimed_by=()))

    assert found.refusals == ()
    assert drives_written_off(found) == {"tko-1": [DEAD]}


@pytest.mark.parametrize(
    "waivers", [[], [WAIVER | {"subject": "tko-1/LAB-tko-1-1"}], [WAIVER | {"expires": "2026-11-22"}]]
)
def test_without_a_waiver_in_force_for_it_no_drive_is(waivers: list[dict[str, str]]) -> None:
    found = report(with_drive(good_case(waivers=waivers), device=None, claimed_by=()))

    assert found.refusals
    assert drives_written_off(found) == {}


def test_a_drive_that_is_there_is_not_written_off_whatever_a_waiver_says() -> None:
    assert drives_written_off(report(good_case(waivers=[WAIVER]))) == {}
