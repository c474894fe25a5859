"""A unit is reloaded when a file is newer than what it runs with, and only then."""

from __future__ import annotations

import pytest
from plugins.module_utils.service_reload import Loaded, is_outdated, parse

# Recorded (systemd 262, 2026-11-23):
# systemctl show --property=Names,ActiveState,StateChangeTimestampMonotonic haproxy ssh; the third is made up.
SHOWN = """\
Names=haproxy.service
ActiveState=active
StateChangeTimestampMonotonic=1756662644

Names=ssh.service sshd.service
ActiveState=active
StateChangeTimestampMonotonic=1756703411

Names=bird.service
ActiveState=inactive
StateChangeTimestampMonotonic=0
"""


def test_the_moment_of_the_last_change_is_real_time() -> None:
    assert parse(SHOWN, boot_time=1000.0)["haproxy.service"] == Loaded(active=True, at=2756.662644)


def test_a_unit_answers_to_each_of_its_names() -> None:
    units = parse(SHOWN, boot_time=0.0)

    assert units["sshd.service"] == units["ssh.service"]


def test_a_unit_that_never_ran_has_no_moment() -> None:
    assert parse(SHOWN, boot_time=1000.0)["bird.service"] == Loaded(active=False, at=None)


@pytest.mark.parametrize(("written_at", "expected"), [(99.9, False), (100.1, True), (None, False)])
def test_a_file_written_after_the_last_load_is_news(written_at: float | None, expected: bool) -> None:
    assert is_outdated(Loaded(active=True, at=100.0), written_at=written_at) is expected


def test_a_unit_that_does_not_run_is_not_reloaded() -> None:
    assert not is_outdated(Loaded(active=False, at=100.0), written_at=200.0)


def test_a_block_without_a_property_is_refused() -> None:
    with pytest.raises(KeyError):
        parse("Names=a.service\nActiveState=active\n", boot_time=0.0)
