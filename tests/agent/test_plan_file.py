"""The plan file: strict to read, the same bytes for the same plan."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from legalcloud.errors import InventoryError
from legalcloud.plan import Goal, Plan, parse, text

LAB = Plan(
    goal=Goal(lose_sites=1, lose_nodes=2),
    k=3,
    m=3,
    shards_per_site=2,
    min_size=4,
    overhead=2.0,
    heals_after_node_loss=False,
)


def raw(**changed: object) -> dict[str, Any]:
    return {**yaml.safe_load(text(LAB))["legalcloud_plan"], **changed}


@given(
    st.builds(
        Plan,
        goal=st.builds(Goal, lose_sites=st.integers(0, 9), lose_nodes=st.integers(0, 9)),
        k=st.integers(1, 30),
        m=st.integers(1, 30),
        shards_per_site=st.integers(1, 30),
        min_size=st.integers(1, 30),
        overhead=st.integers(10000, 90000).map(lambda number: number / 10000),
        heals_after_node_loss=st.booleans(),
    )
)
def test_what_is_written_reads_back_as_the_same_plan(plan: Plan) -> None:
    assert parse(yaml.safe_load(text(plan))["legalcloud_plan"], "plan.yml") == plan


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"k": "3"}, "legalcloud_plan.k: '3' is not a whole number of at least 1"),
        ({"k": True}, "legalcloud_plan.k: True is not a whole number"),
        ({"m": 0}, "legalcloud_plan.m: 0 is not a whole number of at least 1"),
        ({"shards_per_site": 0}, "legalcloud_plan.shards_per_site: 0 is not"),
        ({"overhead": "2x"}, "legalcloud_plan.overhead: '2x' is not a number"),
        (
            {"heals_after_node_loss": "no"},
            "legalcloud_plan.heals_after_node_loss: 'no' is neither true nor false",
        ),
        ({"goal": {"lose_sites": 1}}, "legalcloud_plan.goal.lose_nodes: missing"),
        ({"goal": {"lose_sites": -1, "lose_nodes": 2}}, "legalcloud_plan.goal.lose_sites: -1 is not"),
        ({"goal": [1, 2]}, "legalcloud_plan.goal: is not a mapping"),
        ({"parity": 3}, "legalcloud_plan.parity: unknown key; remove it"),
    ],
)
def test_a_wrong_plan_is_refused_with_file_and_key(changed: dict[str, object], said: str) -> None:
    with pytest.raises(InventoryError) as refusal:
        parse(raw(**changed), "inventories/x/group_vars/all/plan.yml")

    assert f"inventories/x/group_vars/all/plan.yml: {said}" in str(refusal.value)


@pytest.mark.parametrize("key", sorted(Plan.__dataclass_fields__))
def test_a_missing_key_is_named(key: str) -> None:
    plan = raw()
    del plan[key]

    with pytest.raises(InventoryError, match=rf"legalcloud_plan\.{key}: missing"):
        parse(plan, "plan.yml")


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_anything_else_is_refused_and_never_crashes(garbage: object) -> None:
    with pytest.raises(InventoryError):
        parse(garbage, "plan.yml")
