"""Filters that turn the register into the lab's machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any

Interface = dict[str, str]
DRIVE_LETTERS = "bcdefghijklmnopqrstuvwxyz"


def lab_machines(hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Describe each node of the inventory as a machine: name, address, site, serials, and whether it is bare."""
    return [
        {
            "name": host,
            "address": hostvars[host]["ansible_host"],
            "site": hostvars[host]["legalcloud_site"],
            "serials": [drive["serial"] for drive in hostvars[host]["legalcloud_drives"]],
            "bare": hostvars[host].get("lab_bare", False),
        }
        for host in hosts
    ]


def lab_drives(serials: Sequence[str], size_bytes: int) -> list[dict[str, Any]]:
    """Give each serial a device name in the machine, from /dev/vdb on."""
    return [
        {"serial": serial, "device": f"/dev/vd{letter}", "size_bytes": size_bytes}
        for serial, letter in zip(serials, DRIVE_LETTERS, strict=False)
    ]


def lab_router_interfaces(sites: Sequence[Mapping[str, Any]], edge: Interface) -> list[Interface]:
    """Give the router the first address of each site's first subnet, after its interface on the edge."""
    found = [edge]
    for site in sites:
        network = ip_network(site["subnets"][0])
        address = f"{network[1]}/{network.prefixlen}"
        found.append({"name": site["id"], "bridge": f"lc-{site['id']}", "address": address})
    return found


def lab_node_interface(address: str, site_id: str, sites: Sequence[Mapping[str, Any]]) -> Interface:
    """Describe a node's interface: its address in its site's subnet, the router as gateway."""
    network = ip_network(next(site for site in sites if site["id"] == site_id)["subnets"][0])
    return {
        "name": "host0",
        "bridge": f"lc-{site_id}",
        "address": f"{address}/{network.prefixlen}",
        "gateway": str(network[1]),
    }


def networkd_files(interfaces: Sequence[Interface]) -> list[dict[str, str]]:
    """Write the configuration of systemd-networkd, a file an interface."""
    files = []
    for interface in interfaces:
        lines = ["[Match]", f"Name={interface['name']}", "", "[Network]", f"Address={interface['address']}"]
        if "gateway" in interface:
            lines.append(f"Gateway={interface['gateway']}")
        lines += ["LinkLocalAddressing=ipv6", "IPv6AcceptRA=no", ""]
        path = f"/etc/systemd/network/10-{interface['name']}.network"
        files.append({"path": path, "mode": "0644", "content": "\n".join(lines)})
    return files


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        return {
            "lab_machines": lab_machines,
            "lab_drives": lab_drives,
            "lab_router_interfaces": lab_router_interfaces,
            "lab_node_interface": lab_node_interface,
            "networkd_files": networkd_files,
        }
