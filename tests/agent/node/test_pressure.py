from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.agent.node import fuzz
from tests.agent.node.node_sample import HERE, settings, world

from legalcloud.errors import ParseError
from legalcloud.node import filesystems, pressure
from legalcloud.node.filesystems import Room
from legalcloud.node.pressure import Memory, Pressure, Stall
from legalcloud.node.subject import Level

DATA = HERE / "data/pressure"
GIB = 2**30


def facts(
    *, available_bytes: int = 8 * GIB, free_bytes: int = 50 * GIB, free_inodes: int = 900, full_ratio: float = 0.0
) -> Pressure:
    return Pressure(
        memory=Memory(total_bytes=16 * GIB, available_bytes=available_bytes),
        stalls={"memory": Stall(some_seconds=1, full_seconds=0, full_ratio=full_ratio)},
        rooms={"/": Room(size_bytes=100 * GIB, free_bytes=free_bytes, inodes=1000, free_inodes=free_inodes)},
        up_seconds=90000.0,
    )


def findings(seen: Pressure) -> list[str]:
    return [line.words for line in pressure.lines(seen) if line.level is Level.FINDING]


def test_memory_of_a_node_is_read_in_bytes() -> None:
    assert pressure.memory((DATA / "meminfo").read_bytes()) == Memory(
        total_bytes=24684092 * 1024, available_bytes=_available()
    )


def _available() -> int:
    (line,) = (line for line in (DATA / "meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("resource", pressure.RESOURCES)
def test_stalls_of_a_node_are_read_in_seconds(resource: str) -> None:
    raw = (DATA / resource).read_bytes()

    seen = pressure.stall(raw)

    assert seen.some_seconds == int(raw.split(b"total=")[1].split()[0]) / 1_000_000
    assert seen.full_ratio is not None


def test_a_kernel_that_does_not_say_when_all_waited_gives_no_number_for_it() -> None:
    raw = b"some avg10=0.00 avg60=0.00 avg300=12.50 total=2500000\n"

    assert pressure.stall(raw) == Stall(some_seconds=2.5, full_seconds=None, full_ratio=None)


def test_time_since_the_start_is_read() -> None:
    assert pressure.up_seconds(b"24184.00 11908.33\n") == 24184.0


def test_a_machine_without_any_of_it_is_unknown_and_not_good(tmp_path: Path) -> None:
    seen = pressure.read(world(settings(), root=tmp_path))

    assert (seen.memory, seen.up_seconds, set(seen.stalls.values())) == (None, None, {None})
    levels = {line.words: line.level for line in pressure.lines(seen)}
    assert levels["memory is unknown"] is Level.UNKNOWN
    assert levels["nobody knows how long tasks wait for cpu, memory, io"] is Level.UNKNOWN
    assert levels["time since the start is unknown"] is Level.UNKNOWN


def test_where_nothing_is_mounted_there_is_no_room_and_it_is_unknown(tmp_path: Path) -> None:
    assert filesystems.room(Path("/")) is not None
    assert filesystems.room(Path("/nowhere/at/all")) is None
    assert filesystems.room(tmp_path) is None, "the room of what it lies on"
    (line,) = [line for line in pressure.lines(_without_room()) if "/absent" in line.words]
    assert line.level is Level.UNKNOWN


def _without_room() -> Pressure:
    return Pressure(memory=None, stalls={}, rooms={"/absent": None}, up_seconds=None)


def test_a_node_at_ease_has_good_lines_only() -> None:
    assert {line.level for line in pressure.lines(facts())} == {Level.GOOD}


def test_a_stall_that_one_file_does_not_tell_is_unknown_by_name() -> None:
    seen = replace(facts(), stalls={**facts().stalls, "io": None})

    (line,) = (line for line in pressure.lines(seen) if line.level is Level.UNKNOWN)
    assert line.words == "nobody knows how long tasks wait for io"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"available_bytes": GIB // 2}, "0.5 GiB of 16.0 GiB memory available"),
        ({"free_bytes": 9 * GIB}, "9.0 GiB of 100.0 GiB free at /"),
        ({"free_inodes": 99}, "50.0 GiB of 100.0 GiB free at /, and only 99 more files"),
        ({"full_ratio": 0.25}, "everything waited for memory 25% of the last five minutes"),
    ],
)
def test_what_runs_short_is_a_finding(change: dict[str, int], said: str) -> None:
    assert findings(facts(**change)) == [said]


@fuzz.lengths
@pytest.mark.parametrize("name", ["meminfo", "memory", "uptime"])
def test_whatever_proc_says_is_facts_or_a_parse_error(name: str, mutations: int) -> None:
    parsers = {"meminfo": pressure.memory, "memory": pressure.stall, "uptime": pressure.up_seconds}

    fuzz.facts_or_parse_error(parsers[name], [(DATA / name).read_bytes()], mutations)


def test_more_memory_available_than_there_is_cannot_be_read() -> None:
    with pytest.raises(ParseError):
        pressure.memory(b"MemTotal: 10 kB\nMemAvailable: 11 kB\n")
