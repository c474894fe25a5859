from __future__ import annotations

from typing import Any

from plugins.modules.ceph_pools import option_of, plan_pool, profile_conflicts, words
from tests.plugins.ceph_sample import answer

DUMP = answer("osd_dump")
POOLS: dict[str, dict[str, Any]] = {pool["pool_name"]: pool for pool in DUMP["pools"]}
RULES: dict[int, str] = {rule["rule_id"]: rule["rule_name"] for rule in answer("crush_rule_dump")}
PROFILE: dict[str, str] = DUMP["erasure_code_profiles"]["hk-3-3"]
DATA = {
    "type": "erasure",
    "profile": "hk-3-3",
    "rule": "hk-ec",
    "application": "rgw",
    "pg_num": 64,
    "options": {"min_size": 4, "bulk": True, "allow_ec_optimizations": True},
}
INDEX = {
    "type": "replicated",
    "rule": "hk-rep",
    "application": "rgw",
    "pg_num": 8,
    "options": {"size": 3, "min_size": 2},
}


def test_the_labs_pools_need_nothing() -> None:
    assert plan_pool("hk.rgw.buckets.data", DATA, POOLS["hk.rgw.buckets.data"], RULES) == ([], [])
    assert plan_pool("hk.rgw.buckets.index", INDEX, POOLS["hk.rgw.buckets.index"], RULES) == ([], [])


def test_what_the_autoscaler_made_of_a_pool_is_left_to_it() -> None:
    scaled = POOLS["hk.rgw.buckets.index"] | {"pg_num": 128}

    assert plan_pool("hk.rgw.buckets.index", INDEX, scaled, RULES) == ([], [])


def test_a_missing_pool_is_made_then_named_then_tuned() -> None:
    commands, conflicts = plan_pool("data", DATA, None, RULES)

    assert conflicts == []
    assert [words(command) for command in commands] == [
        "osd pool create data 64 64 erasure hk-ec hk-3-3",
        "osd pool application enable data rgw",
        "osd pool set data allow_ec_optimizations true",
        "osd pool set data bulk true",
        "osd pool set data min_size 4",
    ]


def test_a_pool_that_a_killed_run_left_half_made_is_finished() -> None:
    half = POOLS["hk.rgw.buckets.data"] | {"application_metadata": {}, "min_size": 5}

    commands, _ = plan_pool("data", DATA, half, RULES)

    assert [words(command) for command in commands] == [
        "osd pool application enable data rgw",
        "osd pool set data min_size 4",
    ]


def test_an_erasure_coded_pool_keeps_its_type_its_profile_and_its_rule() -> None:
    current = POOLS["hk.rgw.buckets.data"]
    for change, complaint in (
        ({"type": "replicated"}, "pool data is erasure, not replicated"),
        ({"profile": "hk-5-4"}, "pool data has profile hk-3-3, not hk-5-4"),
        ({"rule": "hk-ec-new"}, "pool data has rule hk-ec, not hk-ec-new"),
    ):
        commands, conflicts = plan_pool("data", DATA | change, current, RULES)
        assert commands == []
        assert complaint in conflicts


def test_a_replicated_pool_follows_its_rule() -> None:
    commands, conflicts = plan_pool("index", INDEX | {"rule": "hk-rep-new"}, POOLS["hk.rgw.buckets.index"], RULES)

    assert conflicts == []
    assert [words(command) for command in commands] == ["osd pool set index crush_rule hk-rep-new"]


def test_a_pool_whose_rule_is_gone_is_said_to_be_so() -> None:
    _, conflicts = plan_pool("data", DATA, POOLS["hk.rgw.buckets.data"], {})

    assert conflicts == ["pool data has rule a rule that is gone, not hk-ec"]


def test_options_are_found_wherever_ceph_shows_them() -> None:
    data, index = POOLS["hk.rgw.buckets.data"], POOLS["hk.rgw.buckets.index"]

    assert option_of(data, "min_size") == "4"
    assert (option_of(data, "bulk"), option_of(index, "bulk")) == ("true", "false")
    assert (option_of(data, "allow_ec_optimizations"), option_of(index, "allow_ec_optimizations")) == ("true", "false")
    assert option_of(data, "compression_mode") is None
    assert option_of(data | {"options": {"compression_mode": "none"}}, "compression_mode") == "none"


def test_a_profile_is_compared_only_by_what_was_asked_for() -> None:
    wanted = {"k": 3, "m": 3, "plugin": "isa", "technique": "reed_sol_van", "crush-root": "hk"}

    assert set(PROFILE) > set(wanted)
    assert profile_conflicts(PROFILE, wanted) == []
    assert profile_conflicts(PROFILE, wanted | {"k": 4}) == ["k is '3', not '4'"]
    assert profile_conflicts(PROFILE, {"d": 5}) == ["d is None, not '5'"]


def test_a_pool_that_somebody_made_too_small_grows_before_its_least_size_is_set() -> None:
    least = INDEX | {"options": {"size": 3, "min_size": 2, "pg_num_min": 8}}

    small = POOLS["hk.rgw.buckets.index"] | {"pg_num": 1, "options": {}}

    commands, _ = plan_pool("index", least, small, RULES)

    assert [words(command) for command in commands] == [
        "osd pool set index pg_num 8",
        "osd pool set index pg_num_min 8",
    ]
