"""The planner's CRUSH rules, judged by Ceph's own crushtool: here if it is installed, else on a lab node."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

import pytest
from tests.e2e.crush_map import NOWHERE, Run, cluster, faults, map_text, placed

from legalcloud.plan import Goal, Plan
from legalcloud.planner.choice import Wish, choose
from legalcloud.planner.crush import crush_rules, replicas
from legalcloud.planner.layout import plan_of
from legalcloud.planner.topology import of_counts

pytestmark = pytest.mark.ci

GOAL = Goal(lose_sites=1, lose_nodes=2)
ONE_SITE = Goal(lose_sites=0, lose_nodes=2)
CASES = [
    (GOAL, (2, 2, 2)),
    (GOAL, (3, 3, 3)),
    (GOAL, (2, 3, 3)),
    (GOAL, (4, 4, 4)),
    (GOAL, (1, 1, 1, 1)),
    (GOAL, (3, 3, 3, 3)),
    (Goal(lose_sites=1, lose_nodes=3), (2, 2, 2)),
    (Goal(lose_sites=2, lose_nodes=2), (2, 2, 2, 2, 2)),
    (ONE_SITE, (6,)),
    (ONE_SITE, (12,)),
    (ONE_SITE, (3, 3)),
]


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Run:
    if shutil.which("crushtool") is None:
        lab_node_run: Run = request.getfixturevalue("lab_node_run")
        return lab_node_run

    def here(argv: Sequence[str], stdin: bytes) -> bytes:
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(argv, input=stdin, capture_output=True, check=True, timeout=120, env=environment).stdout

    return here


def plan_for(goal: Goal, nodes: tuple[int, ...], *, self_healing: bool = False) -> Plan:
    topology = of_counts(nodes)
    layout = choose(Wish(goal=goal, self_healing=self_healing), topology).layout
    assert layout is not None
    return plan_of(layout, goal, topology)


def spread_of(plan: Plan) -> list[int]:
    return [plan.shards_per_site] * ((plan.k + plan.m) // plan.shards_per_site)


@pytest.mark.parametrize(("goal", "nodes"), CASES, ids=str)
def test_shards_stand_on_nodes_of_their_own_inside_hk_and_evenly_over_the_sites(
    run: Run, goal: Goal, nodes: tuple[int, ...]
) -> None:
    plan, where = plan_for(goal, nodes), cluster(nodes)
    rule, _ = crush_rules(plan, len(nodes))

    mappings = placed(run, map_text(where, rule.text(1)), size=plan.k + plan.m)

    assert faults(mappings, where, shards_by_site=spread_of(plan)) == set()


@pytest.mark.parametrize(("goal", "nodes"), CASES, ids=str)
def test_copies_stand_on_nodes_of_their_own_inside_hk_and_apart(run: Run, goal: Goal, nodes: tuple[int, ...]) -> None:
    plan, where = plan_for(goal, nodes), cluster(nodes)
    copies = replicas(goal, len(nodes), plan.shards_per_site)
    _, rule = crush_rules(plan, len(nodes))

    mappings = placed(run, map_text(where, rule.text(1)), size=copies.size)

    full, rest = divmod(copies.size, copies.per_site)
    spread = [copies.per_site] * full + [rest] * bool(rest)
    assert faults(mappings, where, shards_by_site=spread) == set()


def test_a_lost_node_heals_inside_its_site_when_there_is_a_node_to_spare(run: Run) -> None:
    nodes, where = (3, 3, 3), cluster((3, 3, 3))
    plan = plan_for(GOAL, nodes, self_healing=True)
    rule, _ = crush_rules(plan, len(nodes))
    lost = where.osds_of("hk-s2-1")

    mappings = placed(run, map_text(where, rule.text(1)), size=plan.k + plan.m, out=lost)

    assert plan.heals_after_node_loss
    assert not {osd for group in mappings for osd in group} & set(lost)
    assert faults(mappings, where, shards_by_site=spread_of(plan)) == set()


def test_a_lost_node_leaves_one_hole_and_nothing_doubled_when_there_is_none_to_spare(run: Run) -> None:
    nodes, where = (2, 2, 2), cluster((2, 2, 2))
    plan = plan_for(GOAL, nodes)
    rule, _ = crush_rules(plan, len(nodes))

    mappings = placed(run, map_text(where, rule.text(1)), size=plan.k + plan.m, out=where.osds_of("hk-s2-1"))

    assert not plan.heals_after_node_loss
    assert {group.count(NOWHERE) for group in mappings} == {1}
    assert faults(mappings, where, shards_by_site=[1, 2, 2]) == set()


def test_a_lost_site_moves_nothing(run: Run) -> None:
    nodes, where = (3, 3, 3), cluster((3, 3, 3))
    plan = plan_for(GOAL, nodes, self_healing=True)
    rule, _ = crush_rules(plan, len(nodes))
    lost = [osd for osd, place in enumerate(where.places) if place.site == "hk-s2"]

    mappings = placed(run, map_text(where, rule.text(1)), size=plan.k + plan.m, out=lost)

    assert faults(mappings, where, shards_by_site=[2, 2]) == set()


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("take hk", "take outside", "a shard outside hk"),
        ("chooseleaf indep 2 type host", "chooseleaf indep 2 type osd", "two shards on one node"),
        ("choose indep 3 type datacenter", "choose indep 2 type datacenter", "a shard without a place"),
        (
            "choose indep 3 type datacenter\n\tstep chooseleaf indep 2 type host",
            "chooseleaf indep 0 type host",
            "sites with the wrong number of shards",
        ),
    ],
)
def test_the_judge_finds_fault_with_a_wrong_rule(run: Run, right: str, wrong: str, fault: str) -> None:
    where = cluster((4, 3, 3))
    plan = plan_for(GOAL, (2, 2, 2))
    text = crush_rules(plan, 3)[0].text(1)
    assert right in text

    mappings = placed(run, map_text(where, text.replace(right, wrong)), size=6, tries=1000)

    assert fault in faults(mappings, where, shards_by_site=[2, 2, 2])


def test_without_the_extra_tries_a_wide_rule_leaves_shards_without_a_place(run: Run) -> None:
    where, plan = cluster((12,)), plan_for(ONE_SITE, (12,))
    text = crush_rules(plan, 1)[0].text(1)
    assert "set_choose_tries 600" in text

    mappings = placed(run, map_text(where, text.replace("\tstep set_choose_tries 600\n", "")), size=12)

    assert "a shard without a place" in faults(mappings, where, shards_by_site=[12])
