"""The whole page of /metrics, byte for byte, for whole nodes, and how many series a node has at most.

`LEGALCLOUD_GOLDEN=write pytest tests/agent/node/test_exposition.py` writes the golden files anew; then read the
difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.agent.node import whole_nodes
from tests.agent.node.node_sample import HERE, settings
from tests.agent.node.whole_nodes import Facts, broken_node, gateway_node, looks, storage_node

from legalcloud.node import pressure, subjects
from legalcloud.node.metrics import Exposition
from legalcloud.node.probe import Seen
from legalcloud.node.subject import Metric, Sample
from legalcloud.node.units import Unit, Units

MOST_SERIES = 300
SERVICES, DATA_SERVICES = 16, 4
"""So many does group_vars name for a node with every role, and for one that only holds data."""

Looks = tuple[Seen[object], ...]


def storage() -> Looks:
    return looks(storage_node())


def gateway() -> Looks:
    return looks(gateway_node())


def broken() -> Looks:
    """All facts are two hours old, and every probe fails."""
    old = looks(broken_node(), age_seconds=7200.0)
    return tuple(replace(one, success=False, stale=True, duration_seconds=130.0) for one in old)


def just_started() -> Looks:
    return tuple(replace(one, success=None, duration_seconds=None) for one in looks({}))


CASES = {case.__name__: case for case in (storage, gateway, broken, just_started)}


def page(seen: Looks) -> str:
    return Exposition(settings=settings(), subjects=subjects.ALL).page(seen, refused=0).decode()


def golden(case: str) -> Path:
    return HERE / f"golden/{case}.txt"


@pytest.mark.parametrize("case", CASES)
def test_the_whole_page_is_as_recorded(case: str) -> None:
    text = page(CASES[case]())
    if os.environ.get("LEGALCLOUD_GOLDEN") == "write":
        golden(case).write_text(text)

    assert text == golden(case).read_text()


def test_no_golden_file_is_left_over() -> None:
    assert set((HERE / "golden").iterdir()) == {golden(case) for case in CASES}


def test_every_subject_has_facts_in_each_whole_node() -> None:
    everything = set(subjects.NAMES)

    assert everything - storage_node().keys() == set(), f"add them to {whole_nodes.__file__}"
    assert everything - gateway_node().keys() == set()
    assert everything - broken_node().keys() == {"forecast", "cluster"}, "their probes give no facts when they fail"


def test_every_metric_has_a_series_on_one_of_the_nodes_at_least() -> None:
    pages = [text_string_to_metric_families(page(CASES[case]())) for case in ("storage", "gateway", "broken")]
    told = {family.name for families in pages for family in families if family.samples}
    table = {metric.name.removesuffix("_total") for subject in subjects.ALL for metric in subject.metrics}

    assert table - told == set()


def failing(drives: int, *, roles: bool) -> Facts:
    """Say what a node says on which many units have failed, with drives for data, and maybe with every role as well."""
    data = storage_node(drives)
    one = Unit(loaded="loaded", active="active", sub="running", restarts=0)
    names = [f"service-{number}.service" for number in range(SERVICES if roles else DATA_SERVICES)]
    broken = Units(expected=dict.fromkeys(names, one), failed=tuple(f"unit-{number}.service" for number in range(99)))
    also = {**gateway_node(), **{name: data[name] for name in ("drives", "osds", "forecast")}} if roles else data
    return {**also, "units": broken}


NODES: dict[str, Callable[[], Facts]] = {
    "24 drives for data alone": lambda: failing(24, roles=False),
    "monitor, gateway and key manager": gateway_node,
    "16 drives and every role": lambda: failing(16, roles=True),
}


def counted(facts: Facts) -> dict[str, int]:
    """Count series by the probe that they are from."""
    families = {family.name: len(family.samples) for family in text_string_to_metric_families(page(looks(facts)))}
    found = {
        subject.name: sum(families.pop(metric.name.removesuffix("_total"), 0) for metric in subject.metrics)
        for subject in subjects.ALL
    }
    return {**found, "probes": sum(families.values())}


@pytest.mark.parametrize("node", NODES)
def test_no_node_has_more_than_300_series(node: str) -> None:
    found = counted(NODES[node]())

    assert sum(found.values()) <= MOST_SERIES, found


def test_a_part_is_written_when_its_facts_are_others_and_only_then() -> None:
    asked: list[object] = []

    def samples(facts: object) -> tuple[Sample, ...]:
        asked.append(facts)
        return ()

    metric: Metric[Any] = Metric(name="legalcloud_any", help="Any.", samples=samples)
    subject = replace(pressure.SUBJECT, metrics=[metric])
    writer = Exposition(settings=settings(), subjects=[subject])
    (look,) = (one for one in storage() if one.name == "pressure")

    for facts in ("first", "first", "second"):
        writer.page([replace(look, facts=facts)], refused=0)

    assert asked == ["first", "second"]


def test_what_changes_at_each_scrape_is_never_a_kept_part() -> None:
    writer, one = Exposition(settings=settings(), subjects=subjects.ALL), storage()

    assert "legalcloud_clients_refused_total 0.0" in writer.page(one, refused=0).decode()
    later = writer.page(tuple(replace(look, age_seconds=77.0) for look in one), refused=3).decode()
    assert "legalcloud_clients_refused_total 3.0" in later
    assert 'legalcloud_probe_age_seconds{probe="drives"} 77.0' in later
    assert writer.page(broken(), refused=0).decode() == page(broken())
