"""Checks of names, addresses, packet sizes and ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address

from legalcloud.preflight.facts import NodeFacts
from legalcloud.preflight.finding import (
    Answer,
    Case,
    Check,
    Severity,
    deferred,
    each_node,
    failed,
    holds,
    ok,
    unknown,
)
from legalcloud.register import Node

_COMM_CHARACTERS = 15
"""The kernel cuts a process's name after so many (proc_pid_comm(5))."""


def _hostname(_case: Case, node: Node, facts: NodeFacts) -> Answer:
    return holds(facts.system.hostname.partition(".")[0] == node.name, node.name, facts.system.hostname)


def _forward(case: Case, node: Node, facts: NodeFacts) -> Answer:
    wrong: list[str] = []
    missing: list[str] = []
    for other in case.register.nodes:
        found = facts.network.forward.get(other.name)
        if not found:
            missing.append(other.name)
        elif str(other.address) not in found and not _is_own_loopback(node, other, found):
            wrong.append(f"{other.name} is {', '.join(found)} instead of {other.address}")
    return _names(case, node, facts, wrong, [f"no address for {name}" for name in missing])


def _is_own_loopback(node: Node, other: Node, found: tuple[str, ...]) -> bool:
    """Debian writes the machine's own name with 127.0.1.1."""
    return node.name == other.name and all(ip_address(address).is_loopback for address in found)


def _reverse(case: Case, node: Node, facts: NodeFacts) -> Answer:
    wrong: list[str] = []
    missing: list[str] = []
    for other in case.register.nodes:
        found = facts.network.reverse.get(other.name)
        if not found:
            missing.append(f"no name for {other.address}")
        elif found.partition(".")[0] != other.name:
            wrong.append(f"{other.address} is {found} instead of {other.name}")
    return _names(case, node, facts, wrong, missing)


def _names(case: Case, node: Node, facts: NodeFacts, wrong: list[str], missing: list[str]) -> Answer:
    if missing and not wrong and case.limits.hosts_file_managed and case.may_lack(facts):
        return deferred(node.name, f"{'; '.join(missing)}; site.yml writes /etc/hosts")
    return holds(not wrong + missing, node.name, "; ".join(wrong + missing) or "all nodes")


def _address(_case: Case, node: Node, facts: NodeFacts) -> Answer:
    carrier = facts.network.interface_of(str(node.address))
    if carrier is None:
        return failed(node.name, f"no interface carries {node.address}")
    return ok(node.name, f"{node.address} on {carrier.name}")


def _mtu(case: Case) -> Iterator[Answer]:
    found = {
        node.name: carrier.mtu_bytes
        for node in case.register.nodes
        if node.name in case.facts
        and (carrier := case.facts[node.name].network.interface_of(str(node.address))) is not None
    }
    usual = Counter(found.values()).most_common(1)[0][0] if found else None
    for node in case.register.nodes:
        mtu = found.get(node.name)
        if mtu is None:
            yield unknown(node.name, "no interface is known to carry the node's address")
        else:
            yield holds(
                mtu == usual and mtu >= case.limits.mtu_bytes_min,
                node.name,
                f"{mtu} bytes; most nodes {usual}, at least {case.limits.mtu_bytes_min} asked",
            )


def _peers(case: Case, node: Node, facts: NodeFacts) -> Answer:
    return _echoes(case, node, facts, full=False)


def _full_size(case: Case, node: Node, facts: NodeFacts) -> Answer:
    return _echoes(case, node, facts, full=True)


def _echoes(case: Case, node: Node, facts: NodeFacts, *, full: bool) -> Answer:
    if facts.network.echoes is None:
        return unknown(node.name, "the node could not send echoes")
    silent = []
    for other in case.register.nodes:
        if other.name == node.name or case.written_off(other.name):
            continue
        echo = facts.network.echoes.get(other.name)
        if echo is None:
            return unknown(node.name, f"{other.name} was not asked")
        if not (echo.full if full else echo.small):
            silent.append(other.name + (f" ({echo.problem})" if echo.problem else ""))
    return holds(not silent, node.name, f"no answer from {', '.join(silent)}" if silent else "all other nodes answer")


def _ports(case: Case, node: Node, facts: NodeFacts) -> Answer:
    wrong: list[str] = []
    for rule in case.limits.ports:
        if rule.group not in node.groups:
            continue
        holders = {seen.process for seen in facts.network.listeners if seen.port == rule.port}
        right = rule.process[:_COMM_CHARACTERS]
        wrong.extend(
            f"{rule.port} for {rule.process} is held by {holder or 'an unknown process'}"
            for holder in sorted(holders - {right}, key=str)
        )
    return holds(not wrong, node.name, "; ".join(wrong) or "free, or held by the right service")


def _ipv6(case: Case, node: Node, facts: NodeFacts) -> Answer:
    subnets = [subnet for site in case.register.sites for subnet in site.subnets]
    strange = [
        f"{text} on {interface.name}"
        for interface in facts.network.interfaces
        for text in interface.addresses
        if (address := ip_address(text)).version == 6  # noqa: PLR2004 -- the version of the protocol
        and not (address.is_link_local or address.is_loopback)
        and not any(address in subnet for subnet in subnets)
    ]
    return holds(not strange, node.name, ", ".join(strange) or "none outside the register's subnets")


CHECKS = (
    Check(
        id="hostname",
        title="Host name is the inventory's",
        why="Ceph, certificates and reports name a node by its host name.",
        remedy="hostnamectl set-hostname NAME, or correct the name in hosts.yml.",
        judge=each_node(_hostname),
    ),
    Check(
        id="name-forward",
        title="Every node's name leads to its address",
        why="Daemons that find another machine under a name send it their messages.",
        remedy="Correct DNS or /etc/hosts on the node.",
        judge=each_node(_forward),
    ),
    Check(
        id="name-reverse",
        title="Every node's address leads to its name",
        why="Logs show names; a wrong one misleads whoever is called at night.",
        remedy="Correct the PTR record or /etc/hosts on the node.",
        judge=each_node(_reverse),
    ),
    Check(
        id="address-present",
        title="Node carries the register's address",
        why="An address that is translated on the way is not the one that other nodes reach.",
        remedy="Correct ansible_host in hosts.yml, or the node's network configuration.",
        judge=each_node(_address),
    ),
    Check(
        id="mtu-equal",
        title="MTU is the same on all nodes",
        why="With unequal MTU small packets pass and large ones vanish: OSDs look alive and hang.",
        remedy="Set the same MTU on the interfaces and the switches of all nodes.",
        judge=_mtu,
    ),
    Check(
        id="peers-answer",
        title="Nodes reach each other",
        why="Every OSD talks to every other.",
        remedy="Look at routes and firewalls between the nodes; ICMP echo must pass.",
        judge=each_node(_peers),
    ),
    Check(
        id="mtu-path",
        title="Packets of full size pass between nodes",
        why="A switch or tunnel with a smaller MTU on the way makes large writes hang.",
        remedy="Raise the MTU on the way, or lower it on all nodes: ping -M do -s MTU-28 PEER shows where.",
        judge=each_node(_full_size),
    ),
    Check(
        id="ports",
        title="Ports are free, or held by the right service",
        why="A service that cannot bind its port fails after other parts have been changed.",
        remedy="Stop what holds the port (ss -ltnp), or correct preflight_ports.",
        judge=each_node(_ports),
    ),
    Check(
        id="ipv6-registered",
        title="No IPv6 address outside the register",
        why="An address that nobody registered is a way out that nobody watches.",
        remedy="Remove the address, or add its subnet to the site in register.yml.",
        judge=each_node(_ipv6),
        severity=Severity.WARN,
    ),
)
