from __future__ import annotations

import pytest
from plugins.module_utils.service_state import Observed, Step, Wanted, parse, plan

# systemctl show of systemd 262 on Debian 14, properties as the module asks for them; recorded 2026-11-23.
SHOWN = """\
Names=ssh.service sshd.service
LoadState=loaded
ActiveState=active
UnitFileState=enabled
InactiveExitTimestampMonotonic=2298775072
NeedDaemonReload=no

Names=absent.service
LoadState=not-found
ActiveState=inactive
UnitFileState=
InactiveExitTimestampMonotonic=0
NeedDaemonReload=no
"""


def observed(*, active: str = "active", file: str = "enabled", started_at: float | None = 100) -> Observed:
    return Observed(known=True, file_state=file, active_state=active, started_at=started_at, needs_reload=False)


def wanted(*, enabled: bool | None = True, started: bool | None = True, masked: bool = False) -> Wanted:
    return Wanted(name="a.service", enabled=enabled, started=started, masked=masked)


def test_units_are_found_by_each_of_their_names_with_real_start_times() -> None:
    units = parse(SHOWN, boot_time=1000)

    assert units["sshd.service"] == units["ssh.service"]
    assert units["ssh.service"].started_at == pytest.approx(3298.775072)
    assert units["absent.service"].known is False
    assert units["absent.service"].started_at is None


def test_a_unit_as_wanted_needs_nothing() -> None:
    assert plan(wanted(), observed(), configured_at=99) == ()


def test_a_unit_older_than_its_configuration_restarts() -> None:
    assert plan(wanted(), observed(started_at=100), configured_at=100.5) == (Step.RESTART,)


def test_a_unit_that_does_not_run_starts_and_is_not_restarted_too() -> None:
    assert plan(wanted(), observed(active="inactive"), configured_at=200) == (Step.START,)


def test_a_unit_that_failed_too_often_has_its_count_forgotten_first() -> None:
    assert plan(wanted(), observed(active="failed"), configured_at=200) == (Step.RESET_FAILED, Step.START)


def test_a_unit_that_is_starting_is_left_to_it() -> None:
    assert plan(wanted(), observed(active="activating"), configured_at=None) == ()


def test_what_we_do_not_mind_is_not_touched() -> None:
    unit = observed(active="inactive", file="disabled")

    assert plan(wanted(enabled=None, started=None), unit, configured_at=None) == ()


def test_enabling_comes_before_starting_and_unmasking_before_both() -> None:
    unit = observed(active="inactive", file="masked", started_at=None)

    assert plan(wanted(), unit, configured_at=None) == (Step.UNMASK, Step.ENABLE, Step.START)


def test_a_static_unit_is_not_enabled_again_at_every_run() -> None:
    assert plan(wanted(), observed(file="static"), configured_at=None) == ()


def test_an_unwanted_unit_is_disabled_and_stopped() -> None:
    steps = plan(wanted(enabled=False, started=False), observed(), configured_at=200)

    assert steps == (Step.DISABLE, Step.STOP)


@pytest.mark.parametrize(
    ("unit", "steps"),
    [
        (observed(), (Step.STOP, Step.MASK)),
        (observed(active="inactive", file="masked"), ()),
    ],
)
def test_a_masked_unit_neither_runs_nor_can(unit: Observed, steps: tuple[Step, ...]) -> None:
    assert plan(wanted(masked=True), unit, configured_at=None) == steps
