from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugins.modules.ceph_auth import plan as plan_entities
from plugins.modules.ceph_config import flatten, parse_dump, plan, same
from tests.plugins.ceph_sample import answer

DUMP = answer("config_dump")
ENTITIES = {entry["entity"]: entry["caps"] for entry in answer("auth_ls")["auth_dump"]}


def test_the_dump_is_read_by_section_and_option() -> None:
    options = parse_dump(DUMP)

    assert len(options) == len(DUMP)
    assert options["mgr", "mgr/prometheus/server_addr"] == "127.0.0.1"
    assert options["osd", "osd_memory_target"] == "939524096"


def test_an_entry_with_a_mask_is_somebody_elses() -> None:
    masked = [{**DUMP[0], "mask": "host:tko-1"}]

    assert parse_dump(masked) == {}


def test_what_is_there_needs_nothing_and_what_differs_is_set() -> None:
    wanted: dict[str, dict[str, Any]] = {
        "mgr": {"mgr/prometheus/exclude_perf_counters": False},
        "osd": {"osd_memory_target": 939524096},
    }

    assert plan(parse_dump(DUMP), flatten(wanted)) == {}
    wanted["osd"]["osd_memory_target"] = 4294967296
    assert plan(parse_dump(DUMP), flatten(wanted)) == {("osd", "osd_memory_target"): "4294967296"}


def test_an_option_that_nobody_named_is_left_alone() -> None:
    assert plan(parse_dump(DUMP), {}) == {}


@pytest.mark.parametrize(
    ("current", "wanted", "equal"),
    [
        ("0.050000", "0.05", True),
        ("1", "1.000000", True),
        ("true", "true", True),
        ("true", "false", False),
        ("[v2:10.77.1.11:3300]", "[v2:10.77.1.12:3300]", False),
        ("10", "10s", False),
        (None, "0", False),
        (None, "", False),
    ],
)
def test_two_values_are_the_same_only_if_ceph_would_say_so(current: str | None, wanted: str, *, equal: bool) -> None:
    assert same(current, wanted) is equal


@given(st.integers(min_value=-(2**31), max_value=2**31))
def test_a_number_is_itself_however_it_is_written(number: int) -> None:
    assert same(f"{number}.000000", str(number))
    assert not same(f"{number}.000000", str(number + 1))


def test_the_labs_entities_are_as_wanted() -> None:
    wanted = {
        "mgr.tko-1": {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"},
        "client.bootstrap-osd": {"mon": "profile bootstrap-osd", "mgr": "allow r"},
    }

    assert plan_entities(ENTITIES, wanted) == {}


def test_a_missing_entity_is_created_and_wrong_capabilities_are_corrected() -> None:
    wanted = {"mgr.tko-9": {"mon": "allow profile mgr"}, "client.rgw.tko-1": {"mon": "allow r"}}

    assert plan_entities(ENTITIES, wanted) == {"client.rgw.tko-1": "caps", "mgr.tko-9": "create"}
