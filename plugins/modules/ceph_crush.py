#!/usr/bin/python
"""Ansible module: the CRUSH hierarchy and rules of the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_crush
short_description: Keep the CRUSH root, its hierarchy and the rules
description:
  - Adds the root and the rules in one transaction of the map. Data centres, racks and hosts come with the first OSD
    that starts in them (C(crush_location) in ceph.conf). A host that stands elsewhere than in the register is
    refused, unless it is empty or named in I(moves).
  - Removes Ceph's own root C(default) and C(replicated_rule) when nothing uses them, so that no rule can place
    anything outside the register. Refuses to change a rule that pools use.
options:
  root: {description: Name of the root., type: str, required: true}
  locations:
    description: For each host its C(site) and C(rack).
    type: dict
    required: true
  rules:
    description: Rules by name, each with C(type) (C(erasure) or C(replicated)) and C(steps), the lines of the rule.
    type: dict
    required: true
  moves:
    description: Hosts with OSDs that may be moved to where the register has them, which moves their data.
    type: list
    elements: str
    default: []
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Keep the hierarchy
  ceph_crush:
    root: hk
    locations: {tko-1: {site: tko, rack: r1}}
    rules:
      hk-rep: {type: replicated, steps: [take hk, chooseleaf firstn 0 type datacenter, emit]}
"""

RETURN = r"""
changes:
  description: What was changed, in words.
  type: list
  returned: always
"""

import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ceph_cluster import CephError, Cluster
from ansible.module_utils.command import run

RULE = re.compile(r"^rule (\S+) \{\n(.*?)^\}\n", re.MULTILINE | re.DOTALL)


def rule_text(name: str, number: int, rule: Mapping[str, Any]) -> str:
    """Write one rule as `crushtool` reads it."""
    steps = "".join(f"\tstep {step}\n" for step in rule["steps"])
    return f"rule {name} {{\n\tid {number}\n\ttype {rule['type']}\n{steps}}}\n"


def present_rules(text: str) -> dict[str, tuple[int, dict[str, Any]]]:
    """Read the rules of a decompiled map: number, type and steps by name."""
    found = {}
    for name, body in RULE.findall(text):
        lines = [line.strip() for line in body.splitlines()]
        number = next(int(line.split()[1]) for line in lines if line.startswith("id "))
        kind = next(line.split()[1] for line in lines if line.startswith("type "))
        steps = [line.removeprefix("step ") for line in lines if line.startswith("step ")]
        found[name] = (number, {"type": kind, "steps": steps})
    return found


def location(place: Mapping[str, str], root: str) -> tuple[str, ...]:
    """Write a place of the register as `osd crush move` takes it: all ancestors, so that none is left hanging."""
    return (f"root={root}", f"datacenter={place['site']}", f"rack={place['site']}-{place['rack']}")


def plan_moves(
    tree: Sequence[Mapping[str, Any]],
    root: str,
    locations: Mapping[str, Mapping[str, str]],
    allowed: Collection[str] = (),
) -> dict[str, tuple[str, ...]]:
    """Say where each host that stands elsewhere than in the register must go.

    Raises: ValueError if such a host has OSDs and was not named: moving it moves their data.
    """
    by_id = {node["id"]: node for node in tree}
    parents = {child: node for node in tree for child in node.get("children", ())}
    moves: dict[str, tuple[str, ...]] = {}
    for host in (node for node in tree if node["type"] == "host" and node["name"] in locations):
        path, above = [], parents.get(host["id"])
        while above is not None:
            path.append(f"{above['type']}={above['name']}")
            above = parents.get(above["id"])
        wanted = location(locations[host["name"]], root)
        if tuple(reversed(path)) != wanted:
            moves[host["name"]] = wanted
    full = [
        name
        for name in moves
        if name not in allowed
        and any(
            by_id[child]["type"] == "osd" for node in tree if node["name"] == name for child in node.get("children", ())
        )
    ]
    if full:
        raise ValueError(
            f"{', '.join(sorted(full))} stand elsewhere in the cluster than site and rack in hosts.yml say. Moving "
            "a host moves its data. If the register is wrong, correct it; if the machine was moved, name it: "
            f'-e \'{{"ceph_cluster_moves": ["{min(full)}"]}}\', one at a time, and wait for HEALTH_OK'
        )
    return moves


def add_root(text: str, root: str) -> tuple[str, list[str]]:
    """Add an empty root to a decompiled map; return the map and what changed."""
    if re.search(rf"^root {re.escape(root)} \{{", text, re.MULTILINE):
        return text, []
    bucket = f"root {root} {{\n\talg straw2\n\thash 0\n}}\n"
    return text.replace("\n# rules\n", f"\n{bucket}\n# rules\n"), [f"root {root}"]


def replace_rule(text: str, name: str, new: str) -> str:
    return RULE.sub(lambda found: new if found[1] == name else found[0], text)


def edit_rules(text: str, wanted: Mapping[str, Mapping[str, Any]], used: set[int], root: str) -> tuple[str, list[str]]:
    """Write the wanted rules into a decompiled map and drop `replicated_rule`; return the map and what changed."""
    there, changes = present_rules(text), []
    numbers = {number for number, _ in there.values()}
    for name, rule in sorted(wanted.items()):
        plain = {"type": rule["type"], "steps": list(rule["steps"])}
        number, current = there.get(name, (None, None))
        if current == plain:
            continue
        if number is not None and number in used:
            raise ValueError(
                f"rule {name} is {current}, not {plain}, and pools use it: changing it would move their data. "
                "Give the new rule another name and move the pools by hand."
            )
        if number is None:
            number = min(set(range(len(numbers) + 1)) - numbers)
            numbers.add(number)
            text = text.replace("\n# end crush map", "\n" + rule_text(name, number, plain) + "\n# end crush map")
        else:
            text = replace_rule(text, name, rule_text(name, number, plain))
        changes.append(f"rule {name}")
    number, _ = there.get("replicated_rule", (None, None))
    if number is not None and number not in used and root != "default":
        text = replace_rule(text, "replicated_rule", "")
        changes.append("rule replicated_rule removed")
    return text, changes


class Map:
    """The map on the monitors, and crushtool to read and write it."""

    def __init__(self, module: AnsibleModule, cluster: Cluster) -> None:
        self.module, self.cluster = module, cluster
        self.version = 0
        """Of the map that was read; the monitors refuse ours if somebody wrote another one since."""

    def _crushtool(self, *words: str) -> None:
        code, out, err = run(["crushtool", *words])
        if code != 0:
            raise CephError(f"`crushtool {' '.join(words)}` ended with {code}: {(err or out).strip()}")

    def read(self) -> str:
        code, binary, status = self.cluster.raw({"prefix": "osd getcrushmap", "format": "plain"})
        if code != 0:
            raise CephError(f"`osd getcrushmap` ended with {code}: {status}")
        self.version = int(status)
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "binary").write_bytes(binary)
            self._crushtool("-d", f"{name}/binary", "-o", f"{name}/text")
            return (Path(name) / "text").read_text()

    def write(self, text: str) -> None:
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "text").write_text(text)
            self._crushtool("-c", f"{name}/text", "-o", f"{name}/binary")
            command = {"prefix": "osd setcrushmap", "prior_version": self.version}
            code, _, status = self.cluster.raw(command, (Path(name) / "binary").read_bytes())
        if code != 0:
            raise CephError(f"`osd setcrushmap` ended with {code}: {status}")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "str", "required": True},
            "locations": {"type": "dict", "required": True},
            "rules": {"type": "dict", "required": True},
            "moves": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    root = module.params["root"]
    try:
        with Cluster() as cluster:
            tree = cluster.ask("osd crush tree")["nodes"]
            map_ = Map(module, cluster)
            used = {pool["crush_rule"] for pool in cluster.ask("osd dump")["pools"]}
            text, changes = add_root(map_.read(), root)
            text, rule_changes = edit_rules(text, module.params["rules"], used, root)
            changes += rule_changes
            if changes and not module.check_mode:
                map_.write(text)
            moves = plan_moves(tree, root, module.params["locations"], module.params["moves"])
            empty = [n for n in tree if n["name"] == "default" and not n.get("children")] if root != "default" else []
            remove_default = bool(empty) and "rule replicated_rule" not in text
            if not module.check_mode:
                for name, place in moves.items():
                    cluster.ask("osd crush move", name=name, args=list(place))
                if remove_default:
                    cluster.ask("osd crush rm", name="default")
            changes += [f"{name} moved to {' '.join(place)}" for name, place in moves.items()]
            changes += ["root default removed"] if remove_default else []
    except (CephError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changes), changes=changes, diff={"before": "", "after": "\n".join([*changes, ""])})


if __name__ == "__main__":
    main()
