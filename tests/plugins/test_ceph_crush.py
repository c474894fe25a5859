from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from plugins.modules.ceph_crush import add_root, edit_rules, plan_moves, present_rules
from tests.plugins.ceph_sample import answer, text

WANTED = {
    "hk-ec": {
        "type": "erasure",
        "steps": ["take hk", "choose indep 3 type datacenter", "chooseleaf indep 2 type host", "emit"],
    },
    "hk-rep": {"type": "replicated", "steps": ["take hk", "chooseleaf firstn 0 type datacenter", "emit"]},
}
LAB = text("crush_map.txt")
SIMPLE = text("crush_map_simple.txt")
TREE: list[dict[str, Any]] = answer("crush_tree")["nodes"]
PLACES = {f"{site}-{n}": {"site": site, "rack": f"r{n}"} for site in ("tko", "cwn", "sht") for n in (1, 2)}


def moved(tree: Sequence[Mapping[str, Any]], moves: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """Do to a tree what `osd crush add-bucket` and `osd crush move` do."""
    nodes = {node["name"]: copy.deepcopy(dict(node)) for node in tree}
    for name, _, parent in moves:
        nodes.setdefault(parent, {"id": min(node["id"] for node in nodes.values()) - 1, "name": parent})
        for node in nodes.values():
            node["children"] = [child for child in node.get("children", ()) if child != nodes[name]["id"]]
        nodes[parent]["children"].append(nodes[name]["id"])
    return list(nodes.values())


def test_the_labs_map_needs_nothing() -> None:
    assert add_root(LAB, "hk") == (LAB, [])
    assert edit_rules(LAB, WANTED, {1, 2}, "hk") == (LAB, [])
    assert plan_moves(TREE, "hk", PLACES) == {}


def test_a_map_as_ceph_makes_it_gets_the_root_and_both_rules_and_loses_its_own_rule() -> None:
    rooted, root_changes = add_root(SIMPLE, "hk")
    edited, changes = edit_rules(rooted, WANTED, set(), "hk")

    assert root_changes == ["root hk"]
    assert changes == ["rule hk-ec", "rule hk-rep", "rule replicated_rule removed"]
    assert {name: rule for name, (_, rule) in present_rules(edited).items()} == WANTED
    assert edited.index("root hk {") < edited.index("# rules") < edited.index("rule hk-ec {")
    assert edited.rstrip().endswith("# end crush map")


def test_a_second_edit_finds_everything_in_place() -> None:
    once, _ = edit_rules(add_root(SIMPLE, "hk")[0], WANTED, set(), "hk")

    assert add_root(once, "hk") == (once, [])
    assert edit_rules(once, WANTED, set(), "hk") == (once, [])


def test_a_new_rule_takes_the_lowest_free_number() -> None:
    edited, _ = edit_rules(SIMPLE, WANTED, {0}, "hk")

    assert {name: number for name, (number, _) in present_rules(edited).items()} == {
        "replicated_rule": 0,
        "hk-ec": 1,
        "hk-rep": 2,
    }


def test_a_rule_that_pools_use_is_not_changed() -> None:
    wanted = {"hk-ec": {"type": "erasure", "steps": ["take hk", "chooseleaf indep 0 type host", "emit"]}}

    with pytest.raises(ValueError, match=r"rule hk-ec is .*pools use it.*another name"):
        edit_rules(LAB, wanted, {1}, "hk")


def test_a_rule_that_no_pool_uses_is_rewritten_under_its_number() -> None:
    wanted = WANTED | {"hk-rep": {"type": "replicated", "steps": ["take hk", "chooseleaf firstn 0 type host", "emit"]}}

    edited, changes = edit_rules(LAB, wanted, {1}, "hk")

    assert changes == ["rule hk-rep"]
    assert present_rules(edited)["hk-rep"] == (2, wanted["hk-rep"])
    assert present_rules(edited)["hk-ec"] == present_rules(LAB)["hk-ec"]


def test_cephs_own_rule_stays_while_a_pool_uses_it_or_the_root_is_cephs_own() -> None:
    assert "replicated_rule" in present_rules(edit_rules(SIMPLE, WANTED, {0}, "hk")[0])
    assert "replicated_rule" in present_rules(edit_rules(SIMPLE, {}, set(), "default")[0])


def test_a_root_whose_name_begins_like_ours_is_another() -> None:
    edited, changes = add_root(LAB.replace("root hk {", "root hk-old {"), "hk")

    assert changes == ["root hk"]
    assert "root hk-old {" in edited


def test_a_host_with_osds_is_not_moved_unless_it_is_named() -> None:
    places = PLACES | {"sht-2": {"site": "cwn", "rack": "r7"}}

    with pytest.raises(ValueError, match=r"sht-2 stand elsewhere .*ceph_cluster_moves"):
        plan_moves(TREE, "hk", places)

    assert plan_moves(TREE, "hk", places, ["sht-2"]) == {"sht-2": ("root=hk", "datacenter=cwn", "rack=cwn-r7")}


def test_a_register_with_other_racks_everywhere_is_refused_and_names_every_host() -> None:
    places = {host: {"site": place["site"], "rack": "a01"} for host, place in PLACES.items()}

    with pytest.raises(ValueError, match="cwn-1, cwn-2, sht-1, sht-2, tko-1, tko-2 stand elsewhere"):
        plan_moves(TREE, "hk", places)


def test_an_empty_host_moves_with_all_its_ancestors_named() -> None:
    tree = [node | {"children": []} if node["type"] == "host" else node for node in TREE]
    places = PLACES | {"tko-1": {"site": "tko", "rack": "new"}}

    assert plan_moves(tree, "hk", places) == {"tko-1": ("root=hk", "datacenter=tko", "rack=tko-new")}


def test_what_is_not_in_the_map_yet_is_not_moved() -> None:
    assert plan_moves(TREE, "hk", PLACES | {"tko-9": {"site": "tko", "rack": "r1"}}) == {}


def test_a_host_under_another_root_stands_elsewhere() -> None:
    tree = [node for node in TREE if node["name"] != "hk"]

    moves = plan_moves(tree, "hk", PLACES, list(PLACES))

    assert set(moves) == set(PLACES)
