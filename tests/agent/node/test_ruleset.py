from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.agent.node import fuzz
from tests.agent.node.node_sample import HERE

from legalcloud.errors import ParseError
from legalcloud.node import ruleset
from legalcloud.node.ruleset import Ruleset
from legalcloud.node.subject import Level

DATA = HERE / "data/ruleset"
GATEWAY, STORAGE = ((DATA / name).read_bytes() for name in ("gateway.json", "storage.json"))


def listed() -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = json.loads(GATEWAY)["nftables"]
    return objects


def parsed(objects: list[dict[str, Any]], *, recorded: str | None = None) -> Ruleset:
    return ruleset.parse(json.dumps({"nftables": objects}).encode(), recorded=recorded)


def words(facts: Ruleset, level: Level) -> list[str]:
    return [line.words for line in ruleset.lines(facts) if line.level is level]


def test_a_recorded_node_denies_both_ways_and_counts_what_it_drops() -> None:
    facts = ruleset.parse(GATEWAY)

    assert (facts.egress_denied, facts.ingress_denied) == (True, True)
    assert facts.tables == ("inet legalcloud",)
    assert set(facts.dropped) == set(ruleset.COUNTERS)
    assert None not in facts.dropped.values()
    assert words(facts, Level.FINDING) == []


def test_handles_and_counts_leave_the_digest_alone() -> None:
    objects = listed()
    for entry in objects:
        (one,) = entry.values()
        if "handle" in one:
            one["handle"] += 1000
        if "packets" in one:
            one["packets"], one["bytes"] = 77, 7777

    changed = parsed(objects)

    assert changed.sha256 == ruleset.parse(GATEWAY).sha256
    assert changed.dropped["egress_dropped"] == 77


def test_the_digest_does_not_depend_on_the_order_of_sets_but_on_that_of_rules() -> None:
    objects = listed()
    sets = [entry for entry in objects if "set" in entry]
    others = [entry for entry in objects if "set" not in entry]
    rules = [place for place, entry in enumerate(objects) if "rule" in entry]
    swapped = list(objects)
    swapped[rules[1]], swapped[rules[2]] = objects[rules[2]], objects[rules[1]]

    assert parsed([*others, *reversed(sets)]).sha256 == parsed(objects).sha256
    assert parsed(swapped).sha256 != parsed(objects).sha256


def drop_last_rule(objects: list[dict[str, Any]]) -> None:
    del objects[-1]


def open_a_port(objects: list[dict[str, Any]]) -> None:
    rule = next(entry["rule"] for entry in objects if entry.get("rule", {}).get("comment") == "ssh")
    rule["expr"][1]["match"]["right"] = 23


def add_an_address(objects: list[dict[str, Any]]) -> None:
    nodes = next(entry["set"] for entry in objects if entry.get("set", {}).get("name") == "nodes4")
    nodes["elem"].append("203.0.113.9")


def accept_by_default(objects: list[dict[str, Any]]) -> None:
    chain = next(entry["chain"] for entry in objects if entry.get("chain", {}).get("name") == "output")
    chain["policy"] = "accept"


@pytest.mark.parametrize("change", [drop_last_rule, open_a_port, add_an_address, accept_by_default])
def test_a_rule_that_is_changed_by_hand_changes_the_digest(change: Any) -> None:  # noqa: ANN401 -- any of these
    objects, before = listed(), ruleset.parse(GATEWAY).table_sha256
    change(objects)

    facts = parsed(objects, recorded=before)

    assert facts.as_recorded is False
    assert any("somebody changed one by hand" in line for line in words(facts, Level.FINDING))


def test_the_recorded_digest_is_kept_apart_from_none() -> None:
    digest = ruleset.parse(GATEWAY).table_sha256

    assert ruleset.parse(GATEWAY).as_recorded is None
    assert ruleset.parse(GATEWAY, recorded=digest).as_recorded is True
    assert ruleset.parse(STORAGE, recorded=digest).as_recorded is False


def test_egress_that_is_open_by_default_is_a_finding_and_never_good() -> None:
    objects = listed()
    accept_by_default(objects)

    facts = parsed(objects)

    assert "what leaves the node is not dropped by default" in words(facts, Level.FINDING)
    assert words(facts, Level.GOOD) == []


def test_an_empty_packet_filter_is_a_fact_and_a_finding() -> None:
    facts = parsed([{"metainfo": {"json_schema_version": 1}}])

    assert (facts.egress_denied, facts.ingress_denied, facts.tables) == (False, False, ())
    assert set(facts.dropped.values()) == {None}
    assert len(words(facts, Level.FINDING)) == 2
    assert [line.split(",")[0] for line in words(facts, Level.UNKNOWN)] == [
        "nobody recorded which rules were loaded", "nobody counts egress_dropped",
    ]  # fmt: skip


def test_a_table_of_somebody_else_is_named_and_its_policy_does_not_pass_for_ours() -> None:
    strange = [
        {"table": {"family": "ip", "name": "docker", "handle": 9}},
        {"chain": {"family": "ip", "table": "docker", "name": "out", "handle": 1, "hook": "output", "policy": "drop"}},
    ]

    alone = parsed([{"metainfo": {}}, *strange])
    before = ruleset.parse(GATEWAY)
    beside = parsed([*listed(), *strange], recorded=before.table_sha256)

    assert alone.egress_denied is False
    assert words(beside, Level.FINDING) == ["tables of the packet filter that are not ours: ip docker"]
    assert beside.as_recorded is True, "our own table is as it was"
    assert (before.sha256, before.table_sha256) == (before.table_sha256, beside.table_sha256)
    assert beside.sha256 != before.sha256


def test_no_output_is_no_empty_ruleset() -> None:
    for raw in (b"", b'{"nftables": []}', b'{"nftables": [{}]}'):
        with pytest.raises(ParseError):
            ruleset.parse(raw)


def test_a_recorded_digest_is_read_from_its_file_and_another_text_is_refused(tmp_path: Path) -> None:
    assert ruleset.recorded_digest(tmp_path) is None
    path = tmp_path / ruleset.RECORDED
    path.parent.mkdir(parents=True)
    path.write_text("ab" * 32 + "\n")
    assert ruleset.recorded_digest(tmp_path) == "ab" * 32
    path.write_text("none")
    with pytest.raises(ParseError):
        ruleset.recorded_digest(tmp_path)


@fuzz.lengths
def test_whatever_nft_prints_is_facts_or_a_parse_error(mutations: int) -> None:
    objects = json.loads(STORAGE)["nftables"]
    few = [*(entry for entry in objects if "rule" not in entry), *objects[-8:]]

    fuzz.facts_or_parse_error(ruleset.parse, [json.dumps({"nftables": few}).encode()], mutations)
