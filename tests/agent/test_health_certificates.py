"""A login certificate is well while it is known to go on for a month; what nobody knows is a problem."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from legalcloud.health.certificates import judge, parse, summary

NOW = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
PATH = "/etc/legalcloud/kms/gateway.crt"
WANTED = {PATH: "openbao_agent"}


def answer(days: float) -> dict[str, Any]:
    end = f"{NOW + timedelta(days=days):%Y-%m-%d %H:%M:%SZ}"  # as openssl says it
    return {"wanted": WANTED, "certificates": {PATH: {"not_after": end, "problem": ""}}}


def said(one: dict[str, Any]) -> list[str]:
    return [f"{p.subject}: {p.what}. {p.remedy}" for p in judge(parse({"tko-1": one}, now=NOW))]


@pytest.mark.parametrize("days", [30, 31, 365])
def test_one_that_goes_on_for_a_month_is_well(days: float) -> None:
    assert said(answer(days)) == []


@pytest.mark.parametrize(("days", "told"), [(29.9, "has 29 days left"), (0.5, "has 0 days left"), (-3, "has ended")])
def test_one_that_ends_sooner_is_named_with_its_remedy(days: float, told: str) -> None:
    assert said(answer(days)) == [
        f"tko-1: the certificate that it logs in to OpenBao with ({PATH}) {told}. "
        "Run playbooks/site.yml --tags openbao_agent; it renews the certificate."
    ]


@pytest.mark.parametrize(
    ("one", "why"),
    [
        ({"wanted": WANTED, "certificates": {PATH: {"not_after": "", "problem": "openssl ended with 1"}}}, "openssl"),
        ({"wanted": WANTED, "certificates": {PATH: {"not_after": "soon", "problem": ""}}}, "does not say when"),
        ({"wanted": WANTED, "certificates": {PATH: {"not_after": "2027-12-01 08:00:00"}}}, "does not say when"),
        ({"wanted": WANTED, "certificates": {}}, "it gave no answer"),
        ({"wanted": WANTED, "skipped": True}, "it gave no answer"),
        ({"wanted": WANTED, "unreachable": True, "msg": "Failed to connect"}, "Failed to connect"),
    ],
)
def test_one_that_cannot_be_read_is_a_problem(one: dict[str, Any], why: str) -> None:
    (problem,) = said(one)

    assert problem.startswith(f"tko-1: unknown when the certificate that it logs in to OpenBao with ({PATH}) ends: ")
    assert why in problem
    assert "--tags openbao_agent" in problem
    assert summary(parse({"tko-1": one}, now=NOW)) == "tko-1 unknown"


def test_a_node_that_nobody_asked_is_a_problem() -> None:
    assert said({}) == [
        "tko-1: unknown when the certificate that it logs in to OpenBao with ends: it gave no answer. "
        "Make the node reachable, and run this again."
    ]


def test_a_node_that_logs_in_nowhere_is_well() -> None:
    assert said({"wanted": {}, "skipped": True}) == []
    assert summary(()) == "none"


def test_the_table_has_the_first_that_ends_and_who_is_unknown() -> None:
    logins = parse({"tko-1": answer(300), "cwn-1": answer(200), "sht-1": {}}, now=NOW)

    assert summary(logins) == "the first of 2 ends in 200 days (cwn-1); sht-1 unknown"
