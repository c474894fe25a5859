from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families
from tests.agent.node.node_sample import settings

from legalcloud.node import metrics, pressure, subjects, units
from legalcloud.node.filesystems import Room
from legalcloud.node.pressure import Memory, Pressure, Stall
from legalcloud.node.probe import Seen
from legalcloud.node.subject import Kind
from legalcloud.node.units import Unit, Units

GIB = 2**30
SUBJECTS = (units.SUBJECT, pressure.SUBJECT)
UNITS = Units(
    expected={
        "chrony.service": Unit(loaded="loaded", active="active", sub="running", restarts=0),
        "ceph-osd@1.service": Unit(loaded="loaded", active="failed", sub="failed", restarts=5),
        "ceph-mon.target": Unit(loaded="loaded", active="active", sub="active", restarts=None),
    },
    failed=("ceph-osd@1.service",),
)
PRESSURE = Pressure(
    memory=Memory(total_bytes=16 * GIB, available_bytes=8 * GIB),
    stalls={"cpu": Stall(some_seconds=12.5, full_seconds=None, full_ratio=None), "memory": None},
    rooms={
        "/": Room(size_bytes=100 * GIB, free_bytes=50 * GIB, inodes=1000, free_inodes=900),
        "/boot/efi": Room(size_bytes=GIB, free_bytes=GIB // 2, inodes=0, free_inodes=0),
        "/absent": None,
    },
    up_seconds=90061.5,
)


def seen(name: str, facts: object, *, age_seconds: float = 4.0) -> Seen[object]:
    return Seen(
        name=name,
        facts=facts,
        age_seconds=age_seconds,
        stale=False,
        success=True,
        duration_seconds=0.25,
        problem=None,
    )


GOOD = (seen("units", UNITS), seen("pressure", PRESSURE))
NOTHING_YET = tuple(
    replace(one, facts=None, age_seconds=None, stale=True, success=None, duration_seconds=None) for one in GOOD
)


def page(looks: Sequence[Seen[object]]) -> str:
    return metrics.Exposition(settings=settings(), subjects=SUBJECTS).page(looks, refused=0).decode()


def test_the_exposition_is_what_prometheus_reads() -> None:
    families = list(text_string_to_metric_families(page(GOOD)))

    names = [metric.name.removesuffix("_total") for _, metric in metrics.rows(SUBJECTS)]
    assert [family.name for family in families] == names


def test_a_number_that_is_not_known_has_no_series() -> None:
    text = page(GOOD)

    assert 'legalcloud_service_restarts_total{unit="ceph-mon.target"}' not in text
    assert "legalcloud_pressure_full_seconds_total{" not in text
    assert 'path="/absent"' not in text
    assert 'legalcloud_filesystem_free_inodes{path="/boot/efi"}' not in text


def test_a_probe_that_never_gave_facts_is_seen_to_be_stale() -> None:
    text = page(NOTHING_YET)

    assert 'legalcloud_probe_stale{probe="units"} 1.0' in text
    assert "legalcloud_probe_success{" not in text
    assert "legalcloud_service_active" not in text


def test_every_metric_is_named_after_its_unit_and_only_once() -> None:
    table = [metric for _, metric in metrics.rows(subjects.ALL)]
    names = [metric.name for metric in table]

    assert len(names) == len(set(names))
    for metric in table:
        base = metric.name.removesuffix("_total")
        assert re.fullmatch(r"legalcloud(_[a-z0-9]+)+", metric.name), metric.name
        assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER), metric.name
        assert base.endswith(metric.unit), metric.name
        assert metric.help.endswith("."), metric.name


def test_the_reference_page_has_a_row_for_each_metric() -> None:
    page = metrics.page(subjects.ALL)

    assert [line.split("`")[1] for line in page[2:]] == [metric.name for _, metric in metrics.rows(subjects.ALL)]


def test_every_subject_has_a_name_of_its_own_and_a_deadline_within_its_interval() -> None:
    assert len(subjects.NAMES) == len(set(subjects.NAMES))
    for subject in subjects.ALL:
        assert subject.deadline_seconds <= subject.every_seconds, subject.name
