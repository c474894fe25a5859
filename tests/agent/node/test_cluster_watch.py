"""The subject `cluster`: what a monitor's node tells of the whole, and that all other nodes are silent."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.agent.node import fuzz
from tests.agent.node.node_sample import settings, world
from tests.agent.node.test_capacity_cluster import DF_TREE, OSD_DUMP, cut

from legalcloud.errors import CommandError, ParseError
from legalcloud.node import cluster_watch, history
from legalcloud.node.capacity import ClusterCapacity
from legalcloud.node.cluster import of_cluster
from legalcloud.node.cluster_watch import Cluster, Seen, parse
from legalcloud.node.filling import Filling
from legalcloud.node.forecast import Forecast, Outlook
from legalcloud.node.history import Sample
from legalcloud.node.settings import Shards
from legalcloud.node.subject import Level, World
from legalcloud.node.usage import cluster_usage
from legalcloud.run import Done

GIB = 2**30
CAPACITY = of_cluster(cluster_usage(DF_TREE, OSD_DUMP), cut(3, 3, 2))
FILLING = Filling(
    forecast=Forecast(
        outlook=Outlook.FILLING,
        reason="the trend of five weeks",
        days=200,
        days_lower=100,
        days_upper=None,
        rate_bytes_per_day=GIB,
    ),
    samples=2000,
    problem=None,
)


def seen(**changes: int) -> Cluster:
    return Cluster(seen=Seen(capacity=replace(CAPACITY, **changes), filling=FILLING))  # type: ignore[arg-type]  # whole numbers only


def a_world(folder: Path, capacity: ClusterCapacity = CAPACITY) -> World:
    told = replace(
        settings(folder),
        plan=Shards(k=3, m=3, shards_per_site=2),
        watches_cluster=True,
        paths=replace(settings(folder).paths, cluster_history=folder / "cluster"),
    )

    def ask(name: str, *arguments: str) -> Done:
        assert (name, arguments) == ("cluster", ("3", "3", "2"))
        return Done(exit_code=0, output=json.dumps(asdict(capacity)).encode(), errors=b"")

    return replace(world(told), ask=ask, keeps=True)


def series(found: Cluster) -> dict[str, float]:
    return {
        ",".join((metric.name.removeprefix("legalcloud_cluster_"), *labels)): value
        for metric in cluster_watch.METRICS
        for labels, value in metric.samples(found)
        if value is not None
    }


def words(found: Cluster, level: Level) -> list[str]:
    return [line.words for line in cluster_watch.lines(found) if line.level is level]


def test_what_the_helper_wrote_is_read_back_whole() -> None:
    assert parse(json.dumps(asdict(CAPACITY)).encode()) == CAPACITY


@pytest.mark.parametrize("value", [None, "two\nlines", [], True, 1e400])
@pytest.mark.parametrize("field", asdict(CAPACITY))
def test_a_value_of_another_kind_is_a_parse_error(field: str, value: object) -> None:
    with pytest.raises(ParseError, match=field):
        parse(json.dumps(asdict(CAPACITY) | {field: value}).encode())


@fuzz.lengths
def test_whatever_the_helper_writes_is_a_capacity_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(parse, [json.dumps(asdict(CAPACITY)).encode()], mutations)


def test_a_node_that_does_not_watch_the_cluster_asks_nobody_and_says_nothing(tmp_path: Path) -> None:
    found = cluster_watch.read(world(settings(tmp_path)))

    assert found == Cluster(seen=None)
    assert (series(found), list(cluster_watch.lines(found))) == ({}, [])


def test_each_look_keeps_a_sample_of_its_hour_in_a_file_of_its_own(tmp_path: Path) -> None:
    found = cluster_watch.read(a_world(tmp_path))

    assert found.seen is not None
    assert (found.seen.capacity, found.seen.filling.samples) == (CAPACITY, 1)
    assert found.seen.filling.forecast.outlook is Outlook.UNKNOWN
    (kept,) = history.read(tmp_path / "cluster").samples
    assert (kept.used_bytes, kept.total_bytes) == (CAPACITY.used_bytes, CAPACITY.raw_bytes)


def test_it_is_full_when_its_first_osd_is_and_not_when_all_are(tmp_path: Path) -> None:
    """Of 96 GiB 40 are used, 0.5 more each day; the tenants' last 10 GiB are 20 with parity, so 40 days are left."""
    capacity = replace(CAPACITY, used_bytes=40 * GIB, until_full_bytes=10 * GIB)
    cluster_watch.read(a_world(tmp_path, capacity))
    (now,) = history.read(tmp_path / "cluster").samples
    past = tuple(
        Sample(at_seconds=now.at_seconds - hour * 3600, used_bytes=40 * GIB - hour * GIB // 48, total_bytes=96 * GIB)
        for hour in range(40 * 24, 0, -1)
    )
    history.write(tmp_path / "cluster", history.History(samples=past))

    found = cluster_watch.read(a_world(tmp_path, capacity))

    assert series(found)["until_full_seconds,likely"] == pytest.approx(40 * 86400, rel=0.02)
    assert series(found)["growth_day_bytes"] == pytest.approx(GIB / 2, rel=0.02)
    assert any(said.startswith("full in about 40 days") for said in words(found, Level.FINDING))


def test_a_cluster_that_cannot_be_asked_gives_no_facts_and_no_sample(tmp_path: Path) -> None:
    def silent(name: str, *_arguments: str) -> Done:
        raise CommandError(f"`{name}`: ceph osd df tree: exit code 1")

    with pytest.raises(CommandError):
        cluster_watch.read(replace(a_world(tmp_path), ask=silent))
    assert not (tmp_path / "cluster").exists()


def test_all_that_is_known_has_a_series() -> None:
    assert series(seen(reserve_bytes=7)) == {
        "raw_bytes": CAPACITY.raw_bytes,
        "used_bytes": CAPACITY.used_bytes,
        "until_full_bytes": CAPACITY.until_full_bytes,
        "advised_bytes": CAPACITY.advised_bytes,
        "reserve_bytes": 7,
        "osds_down": 0,
        "fullest_osd_ratio": CAPACITY.fullest_share,
        "until_full_seconds,likely": 200 * 86400,
        "until_full_seconds,soonest": 100 * 86400,
        "outlook_info,filling": 1,
        "growth_day_bytes": GIB,
        "history_samples": 2000,
    }


def test_a_cluster_with_room_and_time_is_nothing_but_good() -> None:
    found = seen()

    assert [line.level for line in cluster_watch.lines(found)] == [Level.GOOD, Level.GOOD]
    assert "(then osd.10 is near full)" in words(found, Level.GOOD)[0]
    assert "full in about 200 days" in words(found, Level.GOOD)[1]


def test_osds_that_do_not_answer_are_a_finding() -> None:
    assert words(seen(osds_down=2), Level.FINDING) == ["OSDs to which data goes and that do not answer: 2"]


def test_a_cluster_without_room_is_a_finding() -> None:
    (said,) = words(seen(advised_bytes=0), Level.FINDING)

    assert said.startswith("tenants can store 0.0 GiB more")
