"""What is done with the tokens of several nodes: the lab's are made once and cloned, an HSM's are only judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from plugins.filter.hsm import hsm_check_faults, hsm_fingerprint, hsm_plan, hsm_sources

WANTED = {"kek-1": "aes-256", "login-ca": "ec-p384"}
NODES = ("tko-1", "cwn-1", "sht-1")


def key(label: str, fingerprint: str | None = "f0", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- any attribute
    return {"label": label, "fingerprint": fingerprint, "extractable": False, "sensitive": True, **changes}


def good(*keys: Mapping[str, Any], checks: Mapping[str, Any] | None = None) -> dict[str, Any]:
    found = keys or (key("kek-1"), key("login-ca"))
    return {"reason": "good", "token": {"label": "legalcloud-kms"}, "keys": found, "traces": [], "checks": checks or {}}


def bad(reason: str, *traces: str) -> dict[str, Any]:
    return {"reason": reason, "message": f"{reason}: it is so.", "remedy": "Do this.", "keys": [], "traces": traces}


def plan(*states: Mapping[str, Any], softhsm: bool = True) -> dict[str, Any]:
    return hsm_plan(dict(zip(NODES, states, strict=False)), WANTED, softhsm=softhsm)


NOTHING: dict[str, Any] = {"make": "", "add": {}, "clones": {}, "faults": [], "work": False}


def test_a_new_fleet_makes_the_first_token_and_clones_it_to_the_others() -> None:
    absent = bad("token-absent")

    assert plan(absent, absent, absent) == {
        "make": "tko-1",
        "add": {},
        "clones": {"cwn-1": "tko-1", "sht-1": "tko-1"},
        "faults": [],
        "work": True,
    }


def test_tokens_with_the_same_keys_need_nothing() -> None:
    assert plan(good(), good(), good()) == NOTHING
    assert plan(good(), good(), good(), softhsm=False) == NOTHING


@pytest.mark.parametrize("state", [bad("token-absent", "/etc/hsm-pin"), bad("pin-unreadable")])
def test_a_node_that_lost_its_token_or_its_pin_gets_a_clone_of_a_healthy_one(state: Mapping[str, Any]) -> None:
    told = plan(good(), state, good())

    assert (told["clones"], told["make"], told["faults"]) == ({"cwn-1": "tko-1"}, "", [])


def test_the_first_node_too_is_cloned_from_another() -> None:
    assert plan(bad("token-absent"), good(), good())["clones"] == {"tko-1": "cwn-1"}


def test_a_fleet_that_lost_every_token_gets_no_new_key() -> None:
    told = plan(bad("token-absent"), bad("token-absent", "/var/lib/openbao/raft/vault.db"), bad("token-absent"))

    assert (told["make"], told["clones"], told["work"]) == ("", {}, False)
    assert "cwn-1: /var/lib/openbao/raft/vault.db" in told["faults"][0]
    assert "docs/runbooks/hsm-lost.md" in told["faults"][0]


@pytest.mark.parametrize("reason", ["pin-wrong", "pin-locked", "token-ambiguous", "token-failed", "library"])
def test_a_token_that_is_there_and_does_not_answer_is_left_to_a_person(reason: str) -> None:
    told = plan(good(), bad(reason), bad("token-absent"))

    assert told["faults"] == [f"cwn-1: {reason}: it is so. Do this."]
    assert "cwn-1" not in told["clones"]


def test_a_pin_that_no_node_can_read_is_no_reason_to_make_a_token() -> None:
    told = plan(*[bad("pin-unreadable")] * 3)

    assert (told["make"], told["work"]) == ("", False)
    assert len(told["faults"]) == 3


def test_keys_that_differ_between_nodes_are_refused_by_name() -> None:
    told = plan(good(), good(key("kek-1", "aa"), key("login-ca")), good())

    (fault,) = told["faults"]
    assert fault.startswith("Key kek-1 is not the same everywhere (tko-1, sht-1 have f0; cwn-1 have aa)")


def test_a_key_that_no_token_has_is_made_once_and_cloned() -> None:
    lacking = good(key("login-ca"))

    told = plan(lacking, lacking, lacking)

    assert told["add"] == {"tko-1": ["kek-1"]}
    assert told["clones"] == {"cwn-1": "tko-1", "sht-1": "tko-1"}


def test_the_node_with_most_keys_is_the_one_that_is_cloned() -> None:
    told = plan(good(key("login-ca")), good(), good())

    assert (told["add"], told["clones"]) == ({}, {"tko-1": "cwn-1"})


@pytest.mark.parametrize("change", [{"extractable": True}, {"sensitive": False}, {"extractable": None}])
def test_a_key_that_may_leave_or_does_not_say_is_refused(change: dict[str, Any]) -> None:
    told = plan(good(key("kek-1", **change), key("login-ca")), good(), good())

    assert "key kek-1 may leave its token" in told["faults"][0]


def test_two_keys_of_one_label_are_refused() -> None:
    told = plan(good(key("kek-1"), key("kek-1"), key("login-ca")), good(), good())

    assert told["faults"][0].startswith("tko-1: 2 keys kek-1 on one token")


def test_a_key_that_shows_no_fingerprint_cannot_be_called_a_clone() -> None:
    told = plan(good(), good(key("kek-1", None), key("login-ca")), good())

    assert told["faults"] == ["cwn-1: the token does not show which key kek-1 is; clones cannot be compared."]


def test_an_hsm_is_never_made_extended_or_cloned() -> None:
    absent = bad("token-absent")

    for states in [(absent, absent, absent), (good(), absent, good()), (good(), good(key("login-ca")), good())]:
        told = plan(*states, softhsm=False)
        assert not told["work"]
        assert told["faults"]
    assert "has no key kek-1" in plan(good(), good(key("login-ca")), good(), softhsm=False)["faults"][0]


def test_only_nodes_whose_keys_all_work_can_be_cloned_from() -> None:
    broken = {"kek-1": {"reason": "round-trip", "message": "round-trip: it does not open."}}
    states = {"tko-1": good(checks=broken), "cwn-1": good(), "sht-1": good(), "x": good(key("kek-1"))}

    assert hsm_sources(states, WANTED, "sht-1") == ["cwn-1"]
    assert hsm_check_faults(states) == ["tko-1: round-trip: it does not open."]


def test_the_fingerprint_of_a_key_that_is_not_there_yet_is_empty() -> None:
    assert hsm_fingerprint(good(), "kek-1") == "f0"
    assert hsm_fingerprint(bad("token-absent"), "kek-1") == ""
