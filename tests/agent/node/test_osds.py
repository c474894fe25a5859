"""What OSDs say of themselves, from recorded answers; samples in tests/agent/node/samples/osds/."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.agent.node import fuzz

from legalcloud.errors import ParseError
from legalcloud.node.osds import Drives, Fullness, Osd, Ratios, State, osds

SAMPLES = Path(__file__).parent / "samples/osds"
LOOK = (SAMPLES / "look.json").read_bytes()
SERIALS = {"7:0": "LAB-tko-1-1", "7:1": "LAB-tko-1-2"}
ANSWERS = {name: (SAMPLES / f"{name}.json").read_text() for name in ("status", "counters", "blocked")}
ALONE: dict[str, object] = {"data": ["8:0"], "db": None, "wal": None}


def one(**changed: object) -> Osd:
    """Read the recorded OSD with some answers replaced; an answer of None is left out."""
    answers = {"drives": ALONE, **ANSWERS, **changed}
    document = {"3": {name: answer for name, answer in answers.items() if answer is not None}}
    (found,) = osds(json.dumps(document).encode(), {"8:0": "A", "8:16": "B"})
    return found


def test_the_recorded_node_has_two_active_osds_and_the_serials_of_their_drives() -> None:
    first, second = osds(LOOK, SERIALS)

    assert first == Osd(
        number=1,
        state=State.ACTIVE,
        problem=None,
        placement_groups=46,
        used_bytes=185_167_872,
        total_bytes=8 << 30,
        slow_operations=0,
        drives=Drives(data=("LAB-tko-1-1",), db=None, wal=None),
    )
    assert (second.number, second.drives.data) == (8, ("LAB-tko-1-2",))


def test_a_stopped_osd_is_said_to_be_stopped_and_nothing_else_is_made_up() -> None:
    found = one(stopped=True, status=None, counters=None, blocked=None)

    assert (found.state, found.problem) == (State.STOPPED, None)
    assert (found.used_bytes, found.total_bytes, found.slow_operations, found.placement_groups) == (None,) * 4
    assert found.fullness(Ratios()) is None


def test_an_osd_that_did_not_answer_is_unknown_and_not_stopped() -> None:
    found = one(problem="`status` was not answered in time", status=None, counters=None, blocked=None)

    assert (found.state, found.problem) == (None, "`status` was not answered in time")


def test_an_answer_that_cannot_be_read_costs_only_its_own_facts() -> None:
    found = one(counters="ERROR: (22) Invalid argument\nunknown command prefix nonsense")

    assert (found.state, found.used_bytes, found.slow_operations) == (State.ACTIVE, None, 0)
    assert found.problem == "osd.3 counters is not JSON: JSONDecodeError"


def test_a_state_that_ceph_does_not_have_is_unknown() -> None:
    found = one(status=ANSWERS["status"].replace('"active"', '"???"'))

    assert found.state is None
    assert found.problem is not None
    assert "'???'" in found.problem


def test_an_osd_that_has_not_measured_itself_has_no_size() -> None:
    empty = ANSWERS["counters"].replace('"stat_bytes": 8589934592', '"stat_bytes": 0')
    found = one(counters=empty.replace('"stat_bytes_used": 185167872', '"stat_bytes_used": 0'))

    assert (found.used_bytes, found.total_bytes, found.problem) == (None, None, None)


def test_an_osd_that_used_more_than_it_has_is_not_believed() -> None:
    found = one(counters=ANSWERS["counters"].replace('"stat_bytes": 8589934592', '"stat_bytes": 5'))

    assert (found.used_bytes, found.total_bytes) == (None, None)
    assert found.problem == "osd.3 counters: 185167872 of 5 bytes are used"


def test_slow_operations_are_those_that_wait_now() -> None:
    assert one(blocked='{"complaint_time": 30, "num_blocked_ops": 7}').slow_operations == 7


def test_a_drive_that_is_gone_is_not_a_drive_that_was_never_there() -> None:
    found = one(drives={"data": ["8:0", "8:32"], "db": [], "wal": None})

    assert found.drives == Drives(data=("A", "8:32"), db=(), wal=None)


@pytest.mark.parametrize(
    ("used", "said"),
    [(849, Fullness.ROOMY), (850, Fullness.NEAR_FULL), (900, Fullness.BACKFILL_FULL), (950, Fullness.FULL)],
)
def test_an_osd_is_full_from_its_ratio_on(used: int, said: Fullness) -> None:
    assert Ratios().judge(used, 1000) is said


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"one": {}}', b'{"1": {}}', b'{"1": 5}', b"{" * 100_000])
def test_anything_else_is_a_parse_error(raw: bytes) -> None:
    with pytest.raises(ParseError):
        osds(raw, {})


@fuzz.lengths
def test_whatever_the_helper_prints_is_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(lambda raw: osds(raw, SERIALS), [LOOK], mutations)


@fuzz.lengths
@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_whatever_an_osd_answers_the_others_stay(name: str, mutations: int) -> None:
    def parse(raw: bytes) -> tuple[Osd, ...]:
        both = {
            "1": {"drives": ALONE, **ANSWERS, name: raw.decode(errors="replace")},
            "2": {"drives": ALONE, **ANSWERS},
        }
        return osds(json.dumps(both).encode(), SERIALS)

    whole = parse(ANSWERS[name].encode())[1]
    for mutant in fuzz.mutants([ANSWERS[name].encode()], mutations):
        hurt, other = parse(mutant)
        fuzz.assert_facts(hurt)
        assert other == whole
