from __future__ import annotations

import copy
import json
from typing import Any

from plugins.modules.rgw_zone import Admin, committed, keep, wanted_group, wanted_zone
from tests.plugins.ceph_sample import answer

ZONE, GROUP, PERIOD = answer("zone"), answer("zonegroup"), answer("period")
POOLS = {"index": "hk.rgw.buckets.index", "data": "hk.rgw.buckets.data", "non_ec": "hk.rgw.buckets.non-ec"}
NAMES = ["s3.lab.legalcloud.test"]


class Recorded(Admin):
    """`radosgw-admin` that answers what was recorded, and notes what it is told to do."""

    def __init__(self, **answers: dict[str, Any] | None) -> None:
        self.answers: dict[str, dict[str, Any] | None] = {
            "realm": {"name": "hk"},
            "zone": ZONE,
            "zonegroup": GROUP,
            "period": PERIOD,
        } | answers
        self.done: list[str] = []

    def get(self, *words: str) -> dict[str, Any] | None:
        return copy.deepcopy(self.answers[words[0]])

    def do(self, *words: str, data: object = None) -> None:
        self.done.append(" ".join(words[:2]))
        if data is not None:
            self.answers[words[0]] = json.loads(json.dumps(data))
        elif words[1] == "create":
            self.answers[words[0]] = {"realm": {"name": "hk"}, "zone": ZONE, "zonegroup": GROUP}[words[0]]


def test_the_labs_zone_needs_nothing() -> None:
    admin = Recorded()

    assert wanted_zone(ZONE, POOLS) == ZONE
    assert wanted_group(GROUP, NAMES) == GROUP
    assert keep(admin, "hk", POOLS, NAMES, check=False) == []
    assert committed(admin, "hk")
    assert admin.done == []


def test_only_the_three_pools_of_the_default_placement_change() -> None:
    new = wanted_zone(ZONE, {"index": "i", "data": "d", "non_ec": "n"})

    (placement,) = new["placement_pools"]
    assert placement["val"]["index_pool"] == "i"
    assert placement["val"]["data_extra_pool"] == "n"
    assert placement["val"]["storage_classes"]["STANDARD"] == {"data_pool": "d"}
    assert new | {"placement_pools": ZONE["placement_pools"]} == ZONE


def test_what_was_recorded_is_not_altered_by_deciding() -> None:
    before = copy.deepcopy(ZONE)

    wanted_zone(ZONE, {"index": "i", "data": "d", "non_ec": "n"})

    assert before == ZONE


def test_a_new_cluster_gets_realm_group_and_zone_in_that_order() -> None:
    admin = Recorded(realm=None, zonegroup=None, zone=None)

    changes = keep(admin, "hk", POOLS, NAMES, check=False)

    assert changes == ["realm hk", "zone group hk", "zone hk"]
    assert admin.done == ["realm create", "zonegroup create", "zone create"]


def test_check_mode_says_the_same_and_does_nothing() -> None:
    empty = Recorded(realm=None, zonegroup=None, zone=None)
    renamed = Recorded(zonegroup=GROUP | {"hostnames": ["old.example"]})

    assert keep(empty, "hk", POOLS, NAMES, check=True) == ["realm hk", "zone group hk", "zone hk"]
    assert keep(renamed, "hk", POOLS, NAMES, check=True) == ["host names of zone group hk"]
    assert empty.done == renamed.done == []


def test_names_that_a_killed_run_did_not_commit_are_noticed() -> None:
    stale = copy.deepcopy(PERIOD)
    stale["period_map"]["zonegroups"][0]["hostnames"] = []

    assert not committed(Recorded(period=stale), "hk")
    assert not committed(Recorded(period=None), "hk")
    assert not committed(Recorded(zonegroup=None), "hk")
