"""A gateway counts as refusing a client's own Object Lock only if it was seen to."""

from __future__ import annotations

import pytest

from legalcloud.health.locks import judge, parse

REFUSES: dict[str, object] = {"plain_status": 404, "lock_status": 403, "changed": False}


def said(answer: dict[str, object], *, script_current: bool = True) -> list[str]:
    answers = {"tko-1": REFUSES, "cwn-1": answer}
    return [f"{p.subject}: {p.what}" for p in judge(parse(answers, script_current=script_current))]


def test_gateways_that_refuse_are_well() -> None:
    assert said(REFUSES) == []


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (REFUSES | {"lock_status": 404}, "takes a client's own Object Lock (404 instead of 403)"),
        (REFUSES | {"plain_status": 403}, "for a bucket that does not exist its gateway answers 403, not 404"),
        (REFUSES | {"plain_status": 503, "lock_status": 503}, "answers 503, not 404"),
        ({"msg": "port 7480 gave no answer: timed out"}, "unknown whether its gateway refuses"),
        ({"unreachable": True, "msg": "Failed to connect"}, "Failed to connect"),
        ({"plain_status": 404}, "it gave no answer"),
        ({}, "it gave no answer"),
    ],
)
def test_any_other_gateway_is_named(answer: dict[str, object], complaint: str) -> None:
    (problem,) = said(answer)

    assert problem.startswith("cwn-1: ")
    assert complaint in problem


def test_another_script_in_the_cluster_is_a_problem_even_while_the_gateways_refuse() -> None:
    (problem,) = said(REFUSES, script_current=False)

    assert problem.startswith("gateways' script: ")
