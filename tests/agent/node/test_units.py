from __future__ import annotations

import pytest
from tests.agent.node import fuzz
from tests.agent.node.node_sample import HERE, settings, world

from legalcloud.errors import CommandError, ParseError
from legalcloud.node import units
from legalcloud.node.subject import Level
from legalcloud.node.units import Unit, Units

DATA = HERE / "data/units"
NAMES = (
    "chrony.service",
    "ceph-osd@1.service",
    "ceph-mon.target",
    "nftables.service",
    "absent.service",
    "ceph-radosgw@rgw.tko-1.service",
)
GOOD = Unit(loaded="loaded", active="active", sub="running", restarts=0)


def sample(name: str) -> bytes:
    return (DATA / name).read_bytes()


def words(facts: Units, level: Level) -> list[str]:
    return [line.words for line in units.lines(facts) if line.level is level]


def test_each_expected_unit_is_told_by_the_name_that_was_asked_for() -> None:
    seen = units.show(sample("show.txt"), NAMES)

    assert seen["chrony.service"] == GOOD
    assert seen["ceph-mon.target"] == Unit(loaded="loaded", active="active", sub="active", restarts=None)
    assert seen["nftables.service"].sub == "exited"
    assert [name for name, unit in seen.items() if not unit.good] == ["absent.service"]


def test_an_answer_about_fewer_units_than_were_asked_cannot_be_read() -> None:
    with pytest.raises(ParseError, match="told of 6 units, not 5"):
        units.show(sample("show.txt"), NAMES[:-1])


def test_failed_units_are_listed_by_name() -> None:
    assert units.failed(sample("failed_none.json")) == ()
    assert units.failed(sample("failed_two.json")) == ("ceph-osd@1.service", "logrotate.service")


def test_both_questions_are_asked_and_no_name_can_pass_for_an_option() -> None:
    told = settings(services=NAMES)
    answers = {("systemctl", "show"): sample("show.txt"), ("systemctl", "list-units"): sample("failed_none.json")}
    place = world(told, answers)

    seen = units.read(place)

    assert set(seen.expected) == set(NAMES)
    asked = place.run.asked[-1]  # type: ignore[attr-defined]  # the sample's runner notes what it was asked
    assert asked[asked.index("--") + 1 :] == NAMES


def test_a_node_where_nothing_is_expected_is_still_asked_for_failed_units() -> None:
    seen = units.read(world(settings(), {("systemctl", "list-units"): sample("failed_two.json")}))

    assert seen == Units(expected={}, failed=("ceph-osd@1.service", "logrotate.service"))


def test_a_node_without_systemd_gives_no_facts() -> None:
    with pytest.raises(CommandError):
        units.read(world(settings()))


def test_a_service_that_is_not_installed_is_a_finding_that_says_so() -> None:
    facts = Units(expected=units.show(sample("show.txt"), NAMES), failed=())

    assert words(facts, Level.FINDING) == ["absent.service is not-found, and shall be active"]
    assert words(facts, Level.GOOD) == []


def test_a_failed_unit_is_said_once_whether_expected_or_not() -> None:
    down = Unit(loaded="loaded", active="failed", sub="failed", restarts=5)
    facts = Units(expected={"ceph-osd@1.service": down}, failed=units.failed(sample("failed_two.json")))

    assert words(facts, Level.FINDING) == [
        "ceph-osd@1.service is failed (failed), and shall be active",
        "logrotate.service has failed",
    ]


def test_all_well_is_one_line() -> None:
    facts = Units(expected={"chrony.service": GOOD}, failed=())

    assert [line.level for line in units.lines(facts)] == [Level.GOOD]


@fuzz.lengths
def test_whatever_systemctl_show_prints_is_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(
        lambda raw: Units(expected=units.show(raw, NAMES), failed=()), [sample("show.txt")], mutations
    )


@fuzz.lengths
def test_whatever_systemctl_lists_is_facts_or_a_parse_error(mutations: int) -> None:
    samples = [sample("failed_none.json"), sample("failed_two.json")]

    fuzz.facts_or_parse_error(lambda raw: Units(expected={}, failed=units.failed(raw)), samples, mutations)
