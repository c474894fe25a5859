from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from plugins.filter.firewall import firewall_digest, firewall_elements, firewall_lockout, firewall_rules
from tests.agent.node.test_ruleset import GATEWAY

from legalcloud.errors import ParseError
from legalcloud.node import ruleset


def entry(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- any wrong value
    return {"name": "s3", "proto": "tcp", "ports": [443, "6800-7568"], "peers": ["10.0.0.0/8"], **changes}


def test_a_network_becomes_one_rule_for_its_ip_version() -> None:
    assert firewall_rules([entry()], "in") == [
        'ip saddr { 10.0.0.0/8 } tcp dport { 443, 6800-7568 } accept comment "s3"'
    ]


def test_outgoing_rules_match_the_receiver() -> None:
    (rule,) = firewall_rules([entry(peers=["fd00::1"])], "out")

    assert rule.startswith("ip6 daddr { fd00::1/128 } tcp dport")


def test_named_sets_cover_both_ip_versions() -> None:
    rules = firewall_rules([entry(peers=["@nodes"], proto="any", ports=None)], "in")

    assert rules == [
        'ip saddr @nodes4 accept comment "s3"',
        'ip6 saddr @nodes6 accept comment "s3"',
    ]


def test_icmp_has_another_number_in_each_ip_version() -> None:
    rules = firewall_rules([entry(peers=["@any"], proto="icmp", ports=None)], "in")

    assert [rule.split(" accept")[0] for rule in rules] == [
        "meta nfproto ipv4 meta l4proto icmp",
        "meta nfproto ipv6 meta l4proto ipv6-icmp",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ports": [0]}, "s3: 0 is not a port"),
        ({"ports": ["9-8"]}, "s3: '9-8' is not a port"),
        ({"ports": ["443 accept; drop"]}, "is not a port"),
        ({"ports": []}, "tcp needs ports"),
        ({"proto": "sctp"}, "sctp' is not tcp"),
        ({"proto": "any"}, "any has no ports"),
        ({"proto": "any", "ports": None, "peers": ["@any"]}, "would switch the firewall off"),
        ({"peers": []}, "peers is empty"),
        ({"peers": ["@all"]}, "@all is not one of @nodes, @controllers, @any"),
        ({"peers": ["mirror.example"]}, "host names are not resolved here"),
        ({"peers": ["10.0.0.1/8"]}, "'10.0.0.1/8' is not a network"),
        ({"name": 'x" drop'}, "has no name of the form"),
        ({"port": 1}, "unknown keys port"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_name_and_the_place(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AnsibleFilterError) as refusal:
        firewall_rules([entry(**changes)], "in")

    assert said in str(refusal.value)
    assert "firewall_allow_in or firewall_allow_out" in str(refusal.value)


def test_set_elements_are_split_by_version_and_sorted() -> None:
    addresses = ["10.77.2.11", "fd00::2", "10.77.1.0/24", "10.77.2.11"]

    assert firewall_elements(addresses, 4) == "10.77.1.0/24, 10.77.2.11/32"
    assert firewall_elements(addresses, 6) == "fd00::2/128"
    assert firewall_elements([], 6) == ""


@pytest.mark.parametrize(
    ("session", "controllers"),
    [
        ("10.77.0.1 46098 10.77.2.11 22", ["10.77.0.1"]),
        ("10.77.0.1 46098 10.77.2.11 22", ["192.0.2.1", "10.77.0.0/24"]),
        ("fd00::5 46098 fd00::11 22", ["10.77.0.0/24", "fd00::/64"]),
        ("\r\n", ["192.0.2.1"]),
    ],
)
def test_rules_that_let_the_session_through_are_no_lockout(session: str, controllers: list[str]) -> None:
    assert firewall_lockout(session, controllers, 22) == []


def test_a_jump_host_that_is_no_controller_is_named_with_the_variable() -> None:
    (fault,) = firewall_lockout("198.51.100.7 46098 10.77.2.11 22\r\n", ["10.20.0.10", "fd00::/64"], 22)

    assert "comes from 198.51.100.7" in fault
    assert "firewall_controllers (10.20.0.10, fd00::/64) does not hold it" in fault


def test_no_controllers_at_all_is_a_lockout() -> None:
    assert "firewall_controllers (empty)" in firewall_lockout("10.77.0.1 4 10.77.2.11 22", [], 22)[0]


def test_another_port_of_sshd_is_named() -> None:
    (fault,) = firewall_lockout("10.77.0.1 46098 10.77.2.11 2222", ["10.77.0.1"], 22)

    assert "came in at port 2222, and firewall_ssh_port is 22" in fault


def test_what_is_recorded_of_the_wanted_table_is_what_the_agent_makes_of_the_kernels() -> None:
    wanted = GATEWAY.decode().replace('"handle": ', '"handle": 1').replace('"packets": ', '"packets": 1')
    assert wanted.encode() != GATEWAY

    facts = ruleset.parse(GATEWAY, recorded=firewall_digest(wanted))

    assert facts.as_recorded is True


@pytest.mark.parametrize("listing", ["", "{}", "table inet legalcloud {"])
def test_what_is_no_listing_has_no_digest(listing: str) -> None:
    with pytest.raises(ParseError):
        firewall_digest(listing)
