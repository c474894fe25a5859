"""Turns the firewall's allow-lists into nftables rules, and a table into its digest; a wrong entry names itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, NoReturn

from ansible.errors import AnsibleFilterError

from legalcloud.node import ruleset

KEYS = {"name", "proto", "ports", "peers"}
NAME = re.compile(r"[a-z0-9][a-z0-9 ._-]{0,60}")
PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
SETS = {"@nodes": "nodes", "@controllers": "controllers"}
OTHER_PROTOCOLS = {"vrrp": "112", "ospf": "89"}
HIGHEST_PORT = 65535


def firewall_rules(entries: Iterable[Mapping[str, Any]], direction: str) -> list[str]:
    """Return the accepting rules of one chain, in the order of the entries.

    `direction` is "in" (peers are senders) or "out" (peers are receivers).
    """
    return [rule for entry in entries for rule in _rules(entry, "saddr" if direction == "in" else "daddr")]


def firewall_elements(addresses: Iterable[str], version: int) -> str:
    """Return the elements of an nftables set: the addresses of one IP version."""
    networks = {_network(address, "firewall_nodes or firewall_controllers") for address in addresses}
    return ", ".join(str(network) for network in sorted(n for n in networks if n.version == version))


def firewall_lockout(session: str, controllers: Iterable[str], port: int) -> list[str]:
    """Say why the rules would drop the session that loads them; empty if they would not.

    `session` is sshd's SSH_CONNECTION: the sender's address and port as the node sees them, then the node's own. It is
    empty for a connection other than SSH, which these rules do not cut.
    """
    if not session.strip():
        return []
    sender, _, _, own_port = session.split()
    address = ip_address(sender)
    found = []
    if not any(address in _network(network, "firewall_controllers") for network in controllers):
        found.append(
            f"this session comes from {sender}, as the node sees it (a jump host's or NAT's address, if there is one), "
            f"and firewall_controllers ({', '.join(controllers) or 'empty'}) does not hold it. "
            f"Add {sender} in group_vars/all"
        )
    if int(own_port) != port:
        found.append(
            f"this session came in at port {own_port}, and firewall_ssh_port is {port}. "
            f"Set firewall_ssh_port to {own_port} in group_vars/all"
        )
    return found


def firewall_digest(table: str) -> str:
    """Return the digest by which the node agent knows our table again; `table` is what `nft --json` prints of it."""
    return ruleset.parse(table.encode()).table_sha256


def _rules(entry: Mapping[str, Any], side: str) -> list[str]:
    name = str(entry.get("name", ""))
    if not NAME.fullmatch(name):
        _refuse(f"{dict(entry)} has no name of the form {NAME.pattern}")
    if entry.keys() - KEYS:
        _refuse(f"{name}: unknown keys {', '.join(sorted(entry.keys() - KEYS))}; known are {', '.join(sorted(KEYS))}")
    peers = entry.get("peers") or []
    if not peers:
        _refuse(f"{name}: peers is empty. List networks, @nodes, @controllers, or @any")
    return [
        " ".join(f'{match}{protocol} accept comment "{name}"'.split())
        for version, match in _peers(name, list(peers), side)
        for protocol in _protocols(name, entry, version)
    ]


def _peers(name: str, peers: list[str], side: str) -> list[tuple[int, str]]:
    """Return (IP version, match with a blank at its end) for each rule that the peers need."""
    if "@any" in peers:
        return [(4, "meta nfproto ipv4 "), (6, "meta nfproto ipv6 ")]
    found = []
    for version, family in ((4, "ip"), (6, "ip6")):
        for peer in (peer for peer in peers if peer.startswith("@")):
            if peer not in SETS:
                _refuse(f"{name}: {peer} is not one of {', '.join([*SETS, '@any'])}")
            found.append((version, f"{family} {side} @{SETS[peer]}{version} "))
        networks = sorted(
            {_network(peer, name) for peer in peers if not peer.startswith("@")}, key=lambda n: (n.version, n)
        )
        mine = [str(network) for network in networks if network.version == version]
        if mine:
            found.append((version, f"{family} {side} {{ {', '.join(mine)} }} "))
    return found


def _protocols(name: str, entry: Mapping[str, Any], version: int) -> list[str]:
    protocol, ports = str(entry.get("proto", "")), entry.get("ports") or []
    if protocol not in {"tcp", "udp", "icmp", "any", *OTHER_PROTOCOLS}:
        _refuse(f"{name}: proto {protocol!r} is not tcp, udp, icmp, any, {' or '.join(OTHER_PROTOCOLS)}")
    if protocol in {"tcp", "udp"}:
        if not ports:
            _refuse(f"{name}: {protocol} needs ports, like [22, 6800-7568]")
        return [f"{protocol} dport {{ {', '.join(_port(name, port) for port in ports)} }}"]
    if ports:
        _refuse(f"{name}: {protocol} has no ports")
    if protocol == "icmp":
        return ["meta l4proto " + ("icmp" if version == 4 else "ipv6-icmp")]  # noqa: PLR2004 -- IP version
    if protocol == "any":
        if "@any" in entry["peers"]:
            _refuse(f"{name}: any protocol with @any would switch the firewall off. Name the peers")
        return [""]
    return [f"meta l4proto {OTHER_PROTOCOLS[protocol]}"]


def _port(name: str, port: int | str) -> str:
    match = PORT.fullmatch(str(port))
    numbers = [int(number) for number in match.groups() if number] if match else []
    if not numbers or not 0 < numbers[0] <= numbers[-1] <= HIGHEST_PORT:
        _refuse(f"{name}: {port!r} is not a port or a range like 6800-7568")
    return str(port)


def _network(text: str, name: str) -> Any:  # noqa: ANN401 -- both IP versions, sorted only within one
    try:
        return ip_network(text)
    except ValueError:
        _refuse(f"{name}: {text!r} is not a network or address; host names are not resolved here")


def _refuse(problem: str) -> NoReturn:
    msg = f"firewall: {problem}. Correct firewall_allow_in or firewall_allow_out in group_vars."
    raise AnsibleFilterError(msg)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "firewall_digest": firewall_digest,
            "firewall_elements": firewall_elements,
            "firewall_lockout": firewall_lockout,
            "firewall_rules": firewall_rules,
        }
