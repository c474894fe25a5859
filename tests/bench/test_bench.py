from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.bench import encryption
from tests.bench.__main__ import first_lab
from tests.bench.agent import AgentCosts, Cost, FleetCost
from tests.bench.figures import KIB, MIB, Cell, Speed
from tests.bench.host import Setting
from tests.bench.processes import Process, parse_stat, restarted, used
from tests.bench.report import Results, agent_goals, goals, write
from tests.bench.second_run import SecondRun, parse_recap
from tests.bench.throughput import ANYCAST, RADOS, parse_rados
from tests.load.lab import LabError

# rados bench of Ceph 20.2.4 on the lab, and bash's `time` after it; recorded 2026-11-23.
RADOS_SAID = """\
hints = 1
Total time run:         2.02624
Total writes made:      300
Write size:             73728
Object size:            73728
Bandwidth (MB/sec):     10.4103
cpu 0.211 0.104
"""
# /proc/PID/stat of an OSD, Linux 6.18; recorded 2026-11-23.
STAT = (
    "25328 (ceph-osd) S 1 25328 25328 0 -1 4194560 33510 0 24 0 512 214 0 0 20 0 67 0 343210 648716288 31306 "
    "18446744073709551615 1 1 0 0 0 0 0 4096 134234627 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)
OSD = Process(machine="tko-1", pid=1, name="ceph-osd", started_ticks=100, cpu_seconds=5, rss_bytes=300_000_000)


def speed(megabytes: float) -> Speed:
    return Speed(objects_per_second=1, bytes_per_second=megabytes * 1e6, cpu_seconds_per_gb={"ceph-osd": 6.0})


def results(**changed: object) -> Results:
    put = Cell(verb="PUT", size_bytes=4 * MIB, path=ANYCAST)
    rados = replace(put, path=RADOS)
    base = Results(
        setting=Setting(
            measured_at=datetime(2026, 11, 23, tzinfo=UTC), commit="abc", cpu="CPU", cores=2, memory_bytes=24 << 30,
            kernel="6.18", busy_before=0.1, shape="6 nodes", versions=("ceph-osd 20.2.4",),
        ),
        seconds=6, rounds=[{put: speed(60), rados: speed(100)}, {put: speed(90), rados: speed(300)}],
        encryption=[], key_managers=None,
        processes=[OSD], second_run=None, lab_seconds=None, node_kills=[], site_kills=[], patience="ordinary",
        load_minutes=0, wronged=None,
    )  # fmt: skip
    return replace(base, **changed)  # type: ignore[arg-type]  # each test names the fields it changes


def test_rados_bench_is_read_with_the_size_that_it_rounded_up_to() -> None:
    found = parse_rados(RADOS_SAID, used={"ceph-osd": 1.0})

    assert found.bytes_per_second == pytest.approx(300 * 73728 / 2.02624)
    assert found.cpu_seconds_per_gb["ceph-osd"] == pytest.approx(1 / (300 * 73728 / 1e9))
    assert found.cpu_seconds_per_gb["client"] == pytest.approx(0.315 / (300 * 73728 / 1e9))


def test_a_summary_that_lacks_a_line_is_refused() -> None:
    with pytest.raises(LabError, match="no summary that we know"):
        parse_rados(RADOS_SAID.replace("Write size", "Size"), used={})


def test_a_process_is_read_by_the_numbers_of_its_fields_even_if_its_name_has_blanks() -> None:
    found = parse_stat(STAT.replace("ceph-osd", "a (b) c"), machine="tko-1")

    assert (found.pid, found.name, found.started_ticks) == (25328, "a (b) c", 343210)
    assert found.cpu_seconds == pytest.approx(7.26)
    assert found.rss_bytes == 31306 * 4096


def test_cpu_time_counts_from_the_first_look_and_from_the_birth_of_what_was_born_since() -> None:
    after = [replace(OSD, cpu_seconds=7), replace(OSD, pid=2, started_ticks=200, cpu_seconds=3)]

    assert used([OSD], after) == {"ceph-osd": 5}


def test_a_daemon_with_the_same_number_and_another_start_was_restarted() -> None:
    assert restarted([OSD], [OSD]) == []
    assert restarted([OSD], [replace(OSD, started_ticks=200)]) == ["ceph-osd on tko-1"]


def test_the_recap_of_a_play_is_read() -> None:
    recap = "tko-1    : ok=9    changed=2    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0\n"

    assert parse_recap(recap) == {"tko-1": 2}


@pytest.mark.parametrize(
    ("phases", "seconds"),
    [
        ("setup 50 s  good\nlab-machines 90 s  good\nlab-health 3 s  good\nunit 9 s  good\n", 143),
        ("lab-machines 90 s  good\nlab-health 3 s  failed (1)\n", None),
        ("lab-machines 90 s  good\n", None),
        ("lab-health 3 s  good\nlab-health 3 s  good\n", None),
    ],
    ids=["whole", "failed", "unfinished", "twice"],
)
def test_the_first_lab_is_known_only_if_every_step_ran_once_and_well(
    phases: str, seconds: float | None, tmp_path: Path
) -> None:
    (tmp_path / "phases").write_text(phases)

    assert first_lab(tmp_path / "phases") == seconds


def test_a_ratio_is_the_median_of_ratios_that_ran_side_by_side() -> None:
    (put, *_) = goals(results())

    assert put.measured == "0.45 (0.30-0.60)"
    assert put.reached is False


def test_each_kind_of_encryption_has_each_place_once_in_as_many_rounds() -> None:
    rounds = [encryption.order(turn) for turn in range(len(encryption.KINDS))]

    assert rounds[0] == encryption.KINDS
    assert all(set(place) == set(encryption.KINDS) for place in zip(*rounds, strict=True))


def test_the_cost_of_encryption_is_measured_against_none_and_missed_if_one_size_misses() -> None:
    def cells(put: float) -> dict[Cell, Speed]:
        return {
            Cell(verb="PUT", size_bytes=size, path=kind): speed(100 if kind == encryption.NONE else put)
            for size in encryption.SIZES_BYTES
            for kind in encryption.KINDS
        }

    slower = {**cells(96), Cell(verb="PUT", size_bytes=4 * MIB, path=encryption.SSE_S3): speed(90)}
    found = {
        name: next(goal for goal in goals(results(encryption=[one])) if goal.what == "cost of SSE-S3, PUT")
        for name, one in (("cheap", cells(96)), ("dear", slower))
    }

    assert found["cheap"].reached is True
    assert found["dear"].reached is False
    assert "4 MiB -10 % (-10--10)" in found["dear"].measured


def test_what_was_not_measured_is_unknown_and_never_reached() -> None:
    _, *rest = goals(results())

    assert {(goal.measured, goal.reached) for goal in rest} == {("not measured", None)}


def test_a_second_run_that_restarted_something_misses_its_goal() -> None:
    run = SecondRun(seconds=90, hosts=7, changed=0, restarted=("haproxy on tko-1",))
    goal = next(goal for goal in goals(results(second_run=run)) if goal.what.startswith("second run"))

    assert (goal.measured, goal.reached) == ("0 changed, 1 restarts, 90 s", False)


def test_the_agent_is_held_to_its_goals() -> None:
    good = Cost(
        rss_bytes=39_000_000, cpu_seconds_per_scrape=0.001, p99_seconds=0.01, median_seconds=0.005, series=120, bytes=1
    )
    fleet = FleetCost(targets=1000, series=1, cpu_cores=0.1, rss_bytes=1, disk_bytes_per_hour=1)
    found = AgentCosts(
        node="cwn-2", agent=good, exporter=good, hung=replace(good, p99_seconds=0.03), background_cores=0.1, fleet=fleet
    )

    told = {goal.what: (goal.measured, goal.reached) for goal in agent_goals(found)}

    assert told["node agent: resident set after 1000 scrapes"] == ("39.0 MB", True)
    assert told["node agent: p99 of 1000 scrapes while a probe hangs"] == ("30.0 ms", False)
    assert {goal.reached for goal in agent_goals(None)} == {None}


def test_the_page_says_which_goal_is_missed_and_when_others_were_at_work() -> None:
    quiet = write(results(), "## How to read this")
    busy = write(results(setting=replace(results().setting, busy_before=0.6)), "")

    assert "| 0.45 (0.30-0.60) | **no** |" in quiet
    assert "## How to read this" in quiet
    assert "provisional" not in quiet
    assert "provisional" in busy
    assert f"| PUT | {64 * KIB >> 10} KiB | {ANYCAST} | not measured |" in quiet
