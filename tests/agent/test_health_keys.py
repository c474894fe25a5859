"""Each state of a key manager is told apart, with its remedy; what nobody knows never reads as good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legalcloud.errors import ParseError
from legalcloud.health.keys import KeyManager, State, judge, parse, summary

DATA = Path(__file__).parent / "data" / "key_managers"
SILENT_NODE = {"unreachable": True, "msg": "Failed to connect to the host via ssh"}
NOT_INITIALISED = {"health": {"initialized": False, "sealed": True, "version": "2.7.2"}, "leader": {"errors": []}}


def recorded(case: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((DATA / f"{case}.json").read_text())
    return answer


def three(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """Give the recorded answers of three servers that serve, each updated as told; `_` stands for the dash."""
    answers = recorded("three")
    for name, change in changes.items():
        answers[name.replace("_", "-")].update(change)
    return answers


def said(answers: dict[str, Any]) -> str:
    return "\n".join(f"{p.subject}: {p.what}. {p.remedy}" for p in judge(parse(answers)))


def one(case: str) -> tuple[KeyManager, str]:
    answers = {"sht-1": recorded(case)}
    (manager,) = parse(answers)
    return manager, said(answers)


def test_three_recorded_servers_are_well() -> None:
    managers = parse(three())

    assert said(three()) == ""
    assert {m.state for m in managers} == {State.SERVING}
    assert {m.leader for m in managers} == {"tko-1"}
    assert summary(managers) == "3 of 3 unsealed; tko-1 leads; 1 may be lost"


@pytest.mark.parametrize(
    ("case", "state", "reason", "remedy"),
    [
        ("pin_wrong", State.SEALED, "pin-latched", "Run playbooks/hsm_pin.yml with the right PIN"),
        ("pin_missing", State.SEALED, "pin-unreadable", "Run playbooks/hsm_pin.yml with the right PIN"),
        ("token_absent", State.SEALED, "token-absent", "Connect the HSM"),
        ("two_tokens", State.SEALED, "token-ambiguous", "by serial in openbao_seal"),
        ("plugin_changed", State.STOPPED, "plugin-changed", "Find out who changed the plugin"),
        ("pin_of_another_machine", State.STOPPED, "pin-undecipherable", "of another machine"),
    ],
)
def test_a_server_that_does_not_serve_is_named_with_its_reason_and_remedy(
    case: str, state: State, reason: str, remedy: str
) -> None:
    manager, problems = one(case)

    assert (manager.state, manager.reason) == (state, reason)
    assert f"sht-1: its key manager is {state} ({reason})" in problems
    assert remedy in problems
    assert "0 of 1 are known to serve" in problems


@pytest.mark.parametrize(
    ("case", "what"),
    [
        ("audit_full", "refuses every request: no audit device could be written"),
        ("audit_edited", "modifications to audit devices are not allowed"),
        ("token_lost_while_serving", "its HSM has not answered for"),
        ("certificate_expired", "its key manager's certificate is not trusted: certificate has expired"),
    ],
)
def test_an_unsealed_server_with_a_fault_is_not_called_well(case: str, what: str) -> None:
    manager, problems = one(case)

    assert manager.state is State.SERVING
    assert what in problems


def test_a_reason_that_has_passed_is_not_repeated() -> None:
    assert said(three(cwn_1={"reason": "token-absent"})) == ""


def test_a_new_fleet_is_told_to_hold_the_ceremony_and_nothing_else() -> None:
    answers = three(tko_1=NOT_INITIALISED, cwn_1=NOT_INITIALISED, sht_1=NOT_INITIALISED)

    assert said(answers) == "key managers: none is initialised. Hold the ceremony: playbooks/key_ceremony.yml."


def test_one_that_has_not_joined_the_others_is_named() -> None:
    assert "sht-1: its key manager is not initialised" in said(three(sht_1=NOT_INITIALISED))


def test_a_node_that_cannot_be_asked_is_unknown_and_a_problem() -> None:
    answers = three()
    answers["cwn-1"] = SILENT_NODE

    assert "cwn-1: it is unknown whether its key manager is unsealed: Failed to connect" in said(answers)
    assert "2 of 3 unsealed; tko-1 leads; 1 may be lost; cwn-1 unknown" in summary(parse(answers))


def test_two_nodes_that_cannot_be_asked_are_no_quorum() -> None:
    answers = three()
    answers["cwn-1"], answers["sht-1"] = SILENT_NODE, {}

    assert "1 of 3 are known to serve, which is no quorum" in said(answers)
    assert "sht-1: it is unknown whether its key manager is unsealed: it gave no answer" in said(answers)


def test_a_server_that_runs_and_does_not_answer_is_a_problem() -> None:
    assert "tko-1: its key manager is not answering" in said(three(tko_1={"health": None}))


def test_a_sealed_server_without_a_reason_still_shows_what_it_said_last() -> None:
    sealed = {"health": {"initialized": True, "sealed": True}, "reason": "", "said": "sealed by hand"}

    assert "sht-1: its key manager is sealed: sealed by hand" in said(three(sht_1=sealed))


def test_metrics_that_nobody_gave_leave_the_hsm_unknown() -> None:
    assert "cwn-1: unknown whether its HSM answers" in said(three(cwn_1={"metrics": None}))


def test_a_server_without_a_leader_is_a_problem() -> None:
    assert "cwn-1: its key manager is unsealed and knows no leader" in said(three(cwn_1={"leader": None}))


def test_two_leaders_are_a_problem() -> None:
    other = {"leader": {"is_self": False, "leader_address": "https://sht-1:8200"}}

    assert "they follow different leaders: sht-1, tko-1" in said(three(cwn_1=other))


def test_three_that_serve_and_tolerate_no_loss_are_a_problem() -> None:
    assert "tolerates the loss of 0 instead of 1" in said(
        three(tko_1={"metrics": {"vault_autopilot_failure_tolerance": 0.0}})
    )


def test_an_audit_that_nobody_tried_is_a_problem() -> None:
    assert "was not asked whether it can write its audit files" in said(three(cwn_1={"audited_status": None}))


@given(st.dictionaries(st.sampled_from(["unit", "health", "leader", "said", "reason", "metrics"]), st.integers()))
def test_an_answer_is_read_or_refused_and_never_good_by_accident(junk: dict[str, Any]) -> None:
    try:
        problems = list(judge(parse({"tko-1": junk})))
    except ParseError:
        return
    assert problems
