from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from plugins.filter.lab import lab_drives, lab_machines, lab_node_interface, lab_router_interfaces, networkd_files
from plugins.modules.lab_network import plan, script

SITES = [
    {"id": "tko", "subnets": ["10.77.1.0/24"]},
    {"id": "cwn", "subnets": ["10.77.2.0/24", "10.77.9.0/24"]},
]
WISH: dict[str, Any] = {
    "bridges": ["lc-edge", "lc-tko"],
    "edge": "lc-edge",
    "address": "10.77.0.1/24",
    "networks": ["10.77.0.0/16"],
    "router": "10.77.0.2",
}
EDGE_ADDRESS = {"family": "inet", "local": "10.77.0.1", "prefixlen": 24, "scope": "global", "label": "lc-edge"}
# `ip -json address` and `ip -json route` of iproute2 6.1 on a host with the lab, shortened to what is read.
LINKS: list[dict[str, Any]] = [
    {"ifname": "lo", "flags": ["LOOPBACK", "UP", "LOWER_UP"], "addr_info": []},
    {"ifname": "lc-edge", "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"], "addr_info": [EDGE_ADDRESS]},
    {"ifname": "lc-tko", "flags": ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"], "addr_info": []},
]
ROUTES: list[dict[str, Any]] = [
    {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0", "flags": []},
    {"dst": "10.77.0.0/16", "gateway": "10.77.0.2", "dev": "lc-edge", "flags": []},
    {"dst": "10.77.0.0/24", "dev": "lc-edge", "protocol": "kernel", "scope": "link", "flags": []},
]


def steps(links: list[dict[str, Any]], routes: list[dict[str, Any]], *, present: bool = True) -> list[str]:
    return [" ".join(words) for words in plan(links, routes, present=present, **WISH)]


def test_a_host_with_the_lab_needs_nothing() -> None:
    assert steps(LINKS, ROUTES) == []


def test_a_host_without_it_gets_bridges_address_and_route_in_that_order() -> None:
    assert steps(LINKS[:1], ROUTES[:1]) == [
        "link add lc-edge type bridge forward_delay 0",
        "link set lc-edge up",
        "link add lc-tko type bridge forward_delay 0",
        "link set lc-tko up",
        "address add 10.77.0.1/24 dev lc-edge",
        "route replace 10.77.0.0/16 via 10.77.0.2 dev lc-edge",
    ]


def test_a_route_to_the_lab_through_another_router_is_replaced() -> None:
    other = [ROUTES[1] | {"gateway": "10.77.0.9"}]

    assert steps(LINKS, other) == ["route replace 10.77.0.0/16 via 10.77.0.2 dev lc-edge"]


def test_a_bridge_that_is_down_is_only_set_up() -> None:
    down = [*LINKS[:2], LINKS[2] | {"flags": ["BROADCAST", "MULTICAST"]}]

    assert steps(down, ROUTES) == ["link set lc-tko up"]


def test_removal_deletes_the_bridges_that_are_there_and_nothing_else() -> None:
    assert steps(LINKS, ROUTES, present=False) == ["link delete lc-edge", "link delete lc-tko"]
    assert steps(LINKS[:1], ROUTES[:1], present=False) == []


@given(st.sets(st.sampled_from(range(len(LINKS)))), st.sets(st.sampled_from(range(len(ROUTES)))))
def test_whatever_a_killed_run_left_only_what_is_missing_is_made(links: set[int], routes: set[int]) -> None:
    words = steps([LINKS[n] for n in sorted(links)], [ROUTES[n] for n in sorted(routes)])

    assert ("link add lc-tko type bridge forward_delay 0" in words) == (2 not in links)
    assert ("address add 10.77.0.1/24 dev lc-edge" in words) == (1 not in links)
    assert any(word.startswith("route replace") for word in words) == (1 not in routes)


def test_the_table_is_replaced_in_one_transaction() -> None:
    lines = script("counter outside { }", "d1").splitlines()

    assert lines[:2] == ["table inet legalcloud_lab {}", "delete table inet legalcloud_lab"]
    assert 'comment "d1"' in lines
    assert lines[-1] == "}"


def test_the_router_has_the_first_address_of_each_sites_first_subnet() -> None:
    edge = {"name": "edge", "bridge": "lc-edge", "address": "10.77.0.2/24"}

    assert [one["address"] for one in lab_router_interfaces(SITES, edge)] == [
        "10.77.0.2/24",
        "10.77.1.1/24",
        "10.77.2.1/24",
    ]


def test_a_node_is_on_its_sites_bridge_with_the_router_as_gateway() -> None:
    assert lab_node_interface("10.77.2.12", "cwn", SITES) == {
        "name": "host0",
        "bridge": "lc-cwn",
        "address": "10.77.2.12/24",
        "gateway": "10.77.2.1",
    }


def test_only_a_node_gets_a_gateway_and_nobody_takes_advertised_routes() -> None:
    (file,) = networkd_files([lab_node_interface("10.77.2.12", "cwn", SITES)])
    (router,) = networkd_files([{"name": "cwn", "bridge": "lc-cwn", "address": "10.77.2.1/24"}])

    assert "Gateway=10.77.2.1" in file["content"]
    assert "Gateway" not in router["content"]
    assert all("IPv6AcceptRA=no" in one["content"] for one in (file, router))
    assert Path(file["path"]).suffix == ".network"


def test_drives_are_named_in_the_order_of_the_inventory() -> None:
    assert lab_drives(["A", "B"], 5) == [
        {"serial": "A", "device": "/dev/vdb", "size_bytes": 5},
        {"serial": "B", "device": "/dev/vdc", "size_bytes": 5},
    ]


def test_a_host_becomes_a_machine_that_is_bare_only_if_the_inventory_says_so() -> None:
    common: dict[str, Any] = {
        "ansible_host": "10.77.1.11",
        "legalcloud_site": "tko",
        "legalcloud_drives": [{"serial": "A", "use": "osd"}],
    }
    hostvars = {"a": common, "b": common | {"lab_bare": True}}

    first, second = lab_machines(["a", "b"], hostvars)

    assert first == {"name": "a", "address": "10.77.1.11", "site": "tko", "serials": ["A"], "bare": False}
    assert second["bare"] is True
