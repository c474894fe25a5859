from __future__ import annotations

import pytest
from tests.agent.node import fuzz
from tests.agent.node.node_sample import HERE, settings, world

from legalcloud.errors import ParseError
from legalcloud.node import clock
from legalcloud.node.clock import Clock, Quality
from legalcloud.node.subject import Level

DATA = HERE / "data/clock"
UPDATED = 1795464145.482427565
"""In the recorded sample."""


def sample(name: str) -> bytes:
    return (DATA / name).read_bytes()


def told(tracking: str = "tracking.csv", sources: str = "sources.csv", *, age: float = 20) -> Clock:
    return clock.parse(sample(tracking), sample(sources), now=UPDATED + age)


def changed(place: int, value: str) -> bytes:
    fields = sample("tracking.csv").decode().strip().split(",")
    fields[place] = value
    return ",".join(fields).encode() + b"\n"


def level(facts: Clock) -> Level:
    (line,) = clock.lines(facts)
    assert line.remedy or line.level is Level.GOOD
    return line.level


def test_a_recorded_clock_is_synchronised_and_its_error_is_bounded() -> None:
    facts = told()

    assert (facts.quality, facts.source, facts.stratum) == (Quality.SYNCHRONISED, "10.77.0.2", 9)
    assert facts.behind_seconds == -0.000005205, "chronyc shows it as fast, so it is ahead"
    assert facts.error_seconds == pytest.approx(0.000005205 + 0.000019372 + 0.000015559 / 2)
    assert facts.update_age_seconds == pytest.approx(20, abs=1e-3)
    assert (facts.sources, facts.sources_answering) == (1, 1)
    assert level(facts) is Level.GOOD


def test_a_clock_without_an_update_for_eight_intervals_is_adrift() -> None:
    interval = 256.5

    assert told(age=8 * interval - 1).quality is Quality.SYNCHRONISED
    assert told(age=8 * interval + 1).quality is Quality.ADRIFT
    assert level(told(age=8 * interval + 1)) is Level.FINDING


@pytest.mark.parametrize(("behind", "quality"), [("-0.049", Quality.SYNCHRONISED), ("0.050", Quality.INEXACT)])
def test_a_clock_that_may_be_off_by_more_than_monitors_accept_is_inexact(behind: str, quality: Quality) -> None:
    facts = clock.parse(changed(4, behind), sample("sources.csv"), now=UPDATED)

    assert facts.quality is quality


def test_a_clock_that_follows_nothing_but_itself_is_not_called_good() -> None:
    facts = told("own.csv", "sources_mixed.csv")

    assert facts.quality is Quality.OWN
    assert facts.source is None
    assert level(facts) is Level.FINDING


def test_an_unsynchronised_clock_has_no_offset_and_no_stratum() -> None:
    facts = told("unsynchronised.csv", "sources_mixed.csv")

    assert facts.quality is Quality.UNSYNCHRONISED
    assert (facts.stratum, facts.behind_seconds, facts.error_seconds, facts.update_age_seconds) == (None,) * 4
    assert level(facts) is Level.FINDING


def test_a_source_that_never_answered_is_not_counted_as_answering() -> None:
    facts = told(sources="sources_mixed.csv")

    assert (facts.sources, facts.sources_answering) == (3, 2)


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, "7F7F01"), (2, "-1"), (3, "-5"), (4, "nan"), (10, "inf"), (13, "Well"), (13, "Normal,"), (1, "a b")],
)
def test_a_field_of_another_kind_is_refused_and_not_guessed(place: int, value: str) -> None:
    with pytest.raises(ParseError):
        clock.parse(changed(place, value), sample("sources.csv"), now=UPDATED)


def test_no_sources_at_all_are_a_fact() -> None:
    assert clock.parse(sample("unsynchronised.csv"), b"", now=0).sources == 0


def test_chrony_is_asked_by_number_and_never_by_name() -> None:
    answers = {
        ("chronyc", "-n", "-c", "tracking"): sample("tracking.csv"),
        ("chronyc", "-n", "-c", "sources"): sample("sources.csv"),
    }

    assert clock.read(world(settings(), answers)).source == "10.77.0.2"


@fuzz.lengths
def test_whatever_chronyc_says_of_the_clock_is_facts_or_a_parse_error(mutations: int) -> None:
    samples = [sample(name) for name in ("tracking.csv", "unsynchronised.csv", "own.csv")]

    fuzz.facts_or_parse_error(lambda raw: clock.parse(raw, b"", now=UPDATED), samples, mutations)


@fuzz.lengths
def test_whatever_chronyc_says_of_its_sources_is_facts_or_a_parse_error(mutations: int) -> None:
    samples = [sample(name) for name in ("sources.csv", "sources_mixed.csv")]

    fuzz.facts_or_parse_error(lambda raw: clock.parse(sample("own.csv"), raw, now=UPDATED), samples, mutations)
