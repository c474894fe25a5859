#!/usr/bin/python
"""Ansible module: the bridges of the lab on the host, and the way to them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_network
short_description: Make and remove the lab's bridges, the host's address and its route
description:
  - One bridge a site and one at the edge. The host has an address on the edge only; the sites are reached through
    the lab's router, as data centres are.
options:
  bridges: {description: Names of the bridges., type: list, elements: str, required: true}
  edge: {description: The bridge that the host has an address on., type: str, required: true}
  address: {description: The host's address on the edge with its prefix length., type: str, required: true}
  networks: {description: Networks reached through the router., type: list, elements: str, required: true}
  router: {description: Address of the lab's router on the edge., type: str, required: true}
  ruleset:
    description: Body of the nftables table C(inet legalcloud_lab), which drops and counts what leaves the lab.
    type: str
    required: true
  state: {description: Whether they shall be there., type: str, choices: [present, absent], default: present}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Make the network
  lab_network:
    bridges: [lc-edge, lc-tko]
    edge: lc-edge
    address: 10.77.0.1/24
    networks: [10.77.0.0/16]
    router: 10.77.0.2
    ruleset: "{{ lookup('ansible.builtin.template', 'edge.nft.j2') }}"
"""

RETURN = r"""
commands:
  description: What was done, as commands.
  type: list
  returned: always
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_host import LabError, run


def plan(  # noqa: PLR0913 -- the wish has six parts
    links: Sequence[dict[str, Any]],
    routes: Sequence[dict[str, Any]],
    *,
    bridges: Sequence[str],
    edge: str,
    address: str,
    networks: Sequence[str],
    router: str,
    present: bool,
) -> list[list[str]]:
    """Compare `ip -json address` and `ip -json route` with the wish; return the words of ip(8) that are missing."""
    there = {link["ifname"]: link for link in links}
    if not present:
        return [["link", "delete", name] for name in bridges if name in there]
    steps: list[list[str]] = []
    for name in bridges:
        if name not in there:
            steps.append(["link", "add", name, "type", "bridge", "forward_delay", "0"])
        if "UP" not in there.get(name, {}).get("flags", ()):
            steps.append(["link", "set", name, "up"])
    addresses = [f"{a['local']}/{a['prefixlen']}" for a in there.get(edge, {}).get("addr_info", ())]
    if address not in addresses:
        steps.append(["address", "add", address, "dev", edge])
    routed = {(route["dst"], route.get("gateway"), route.get("dev")) for route in routes}
    steps += [
        ["route", "replace", network, "via", router, "dev", edge]
        for network in networks
        if (network, router, edge) not in routed
    ]
    return steps


TABLE = "legalcloud_lab"


def loaded_digest() -> str | None:
    """Digest of the ruleset in force, kept as the comment of the table; None if there is no table."""
    if f"table inet {TABLE}" not in run(["nft", "list", "tables"]).splitlines():
        return None
    comment = re.search(r'^\tcomment "(\w*)"$', run(["nft", "list", "table", "inet", TABLE]), re.MULTILINE)
    return comment.group(1) if comment else ""


def script(ruleset: str, digest: str) -> str:
    """Replace the whole table in one transaction."""
    body = f'comment "{digest}"\n{ruleset}\n'
    return f"table inet {TABLE} {{}}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{body}}}\n"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "bridges": {"type": "list", "elements": "str", "required": True},
            "edge": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "networks": {"type": "list", "elements": "str", "required": True},
            "router": {"type": "str", "required": True},
            "ruleset": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    wish = {key: module.params[key] for key in ("bridges", "edge", "address", "networks", "router")}
    try:
        links = json.loads(run(["ip", "-json", "address"]))
        routes = json.loads(run(["ip", "-json", "route"]))
        present = module.params["state"] == "present"
        steps = [["ip", *step] for step in plan(links, routes, present=present, **wish)]
        digest = hashlib.sha256(module.params["ruleset"].encode()).hexdigest()
        loaded = loaded_digest()
        load = present and loaded != digest
        if loaded is not None and not present:
            steps.append(["nft", "delete", "table", "inet", TABLE])
        if not module.check_mode:
            if load:
                run(["nft", "--file", "-"], text=script(module.params["ruleset"], digest))
            for step in steps:
                run(step)
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=load or bool(steps), commands=[" ".join(step) for step in steps])


if __name__ == "__main__":
    main()
