"""Filters that turn the plan into what the Ceph roles take; run on the controller, where the planner is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from legalcloud import plan as plans
from legalcloud.planner import crush

WHERE = "legalcloud_plan"


def crush_rules(plan: Mapping[str, Any], sites: int) -> dict[str, dict[str, Any]]:
    """Give the CRUSH rules of a plan: type and steps by name."""
    rules = crush.crush_rules(plans.parse(dict(plan), WHERE), sites)
    return {rule.name: {"type": rule.type, "steps": [str(step) for step in rule.steps]} for rule in rules}


def replicated_copies(plan: Mapping[str, Any], sites: int) -> dict[str, int]:
    """Give size and min_size of the pools that cannot be erasure coded."""
    parsed = plans.parse(dict(plan), WHERE)
    copies = crush.replicas(parsed.goal, sites, parsed.shards_per_site)
    return {"size": copies.size, "min_size": copies.min_size}


def addresses(hosts: list[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Give the address of each host by its name."""
    return {host: hostvars[host]["ansible_host"] for host in hosts}


def locations(hosts: list[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Give the site and the rack of each host by its name."""
    return {
        host: {"site": hostvars[host]["legalcloud_site"], "rack": hostvars[host]["legalcloud_rack"]} for host in hosts
    }


def peers(hosts: list[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Give name and address of each host, in the order of names: Ansible's sets have none."""
    return [{"name": host, "address": hostvars[host]["ansible_host"]} for host in sorted(hosts)]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        return {
            "crush_rules": crush_rules,
            "replicated_copies": replicated_copies,
            "addresses": addresses,
            "locations": locations,
            "peers": peers,
        }
