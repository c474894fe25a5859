from __future__ import annotations

from typing import Any

import pytest
from plugins.filter.founding import founding_doubts, key_holders, seen_fsids
from tests.agent.preflight_sample import FSID, answer

MEMBERS = ["tko-1", "cwn-1", "sht-1"]
OTHER = "11111111-2222-3333-4444-555555555555"
EMPTY = {"device": "/dev/vdb", "signatures": [], "begun": False, "bluestore": None, "luks": None}


def node(**drives: Any) -> dict[str, Any]:  # noqa: ANN401 -- any part of the module's answer
    return {"preflight_node": {"facts": {"drives": {"lsblk": {}, "seen": {}, "volumes": []} | drives}}}


def store(key: str | None) -> dict[str, Any]:
    return {"exists": key is not None, "mon_key": key or "offered"}


def test_recorded_nodes_tell_the_cluster_of_their_drives() -> None:
    recorded = {name: {"preflight_node": {"facts": answer(name)}} for name in ("provisioned", "bare")}

    assert seen_fsids(["provisioned", "bare"], recorded) == [FSID]
    assert seen_fsids(["bare"], recorded) == []


def test_an_encrypted_osd_tells_its_cluster_by_the_tags_of_its_volume() -> None:
    seen = {"S1": {**EMPTY, "signatures": ["LVM2_member"]}}
    volume = {"device": "/dev/vdb", "volume": "vg/lv", "ceph_fsid": FSID, "whoami": "7"}

    assert seen_fsids(["tko-1"], {"tko-1": node(seen=seen, volumes=[volume])}) == [FSID]


@pytest.mark.parametrize(
    ("hostvars", "said"),
    [
        ({}, "did not ask tko-1"),
        ({"preflight_node": {"unreachable": True, "msg": "timed out"}}, "did not ask tko-1"),
        (node(problem="lsblk: not found"), "drives of tko-1: lsblk"),
        (node(volumes={"problem": "lvs ended with 5"}), "lvs ended with 5"),
        (node(seen={"S1": {"device": "/dev/vdb", "problem": "Input/output error"}}), "tko-1/S1: Input/output error"),
        (node(seen={"S1": {"device": None, "claimed_by": ["/dev/vdb", "/dev/vdc"]}}), "tko-1/S1: two devices"),
        (node(seen={"S1": {**EMPTY, "bluestore": {"ceph_fsid": None, "whoami": None}}}), "names no cluster"),
        (node(seen={"S1": {**EMPTY, "signatures": ["LVM2_member"]}}), "volumes that cannot be read"),
    ],
)
def test_what_could_not_be_seen_is_unknown_and_forbids_founding(hostvars: dict[str, Any], said: str) -> None:
    (entry,) = seen_fsids(["tko-1"], {"tko-1": hostvars})

    assert entry.startswith("unknown: ")
    assert said in entry
    assert founding_doubts({name: store(None) for name in MEMBERS}, MEMBERS, FSID, [entry]) == [entry]


def test_a_drive_that_is_not_there_says_nothing() -> None:
    assert seen_fsids(["tko-1"], {"tko-1": node(seen={"S1": {"device": None, "claimed_by": []}})}) == []


def test_a_bare_fleet_may_be_founded_and_a_stranger_s_drive_does_not_forbid_it() -> None:
    answers = {name: store(None) for name in MEMBERS}

    assert founding_doubts(answers, MEMBERS, FSID, []) == []
    assert founding_doubts(answers, MEMBERS, FSID, [OTHER]) == []


def test_a_rebuilt_monitor_alone_founds_nothing() -> None:
    assert founding_doubts({"tko-1": store(None)}, MEMBERS, FSID, []) == [
        "cwn-1, sht-1 took no part and may have a store"
    ]


def test_a_rebuilt_monitor_joins_one_that_stands_whatever_else_is_known() -> None:
    assert founding_doubts({"tko-1": store(None), "cwn-1": store("k")}, MEMBERS, FSID, [FSID, "unknown: x"]) == []


def test_three_rebuilt_monitors_do_not_found_a_cluster_over_its_own_drives() -> None:
    doubts = founding_doubts({name: store(None) for name in MEMBERS}, MEMBERS, FSID, [FSID])

    assert doubts == [f"drives of the fleet hold OSDs of {FSID}"]


def test_monitors_are_grouped_by_key_and_no_key_is_shown() -> None:
    groups = key_holders({"tko-1": store("a"), "cwn-1": store("b"), "sht-1": store("a"), "new": store(None)})

    assert groups == [["cwn-1"], ["sht-1", "tko-1"]]
