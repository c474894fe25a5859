#!/usr/bin/python
"""Ansible module: the CRUSH hierarchy and rules of the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_crush
short_description: Keep the CRUSH root, its hierarchy and the rules
description:
  - Adds the root and the rules in one transaction of the map. Data centres, racks and hosts come with the first OSD
    that starts in them (C(crush_location) in ceph.conf); one that stands elsewhere than in the register is moved.
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ceph_cluster import CephError, Cluster

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


def plan_moves(
    tree: Sequence[Mapping[str, Any]], root: str, locations: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, str, str]]:
    """Return (bucket, type of parent, parent) for each bucket that stands elsewhere than in the register."""
    names = {node["id"]: node["name"] for node in tree}
    parents = {names[c]: node["name"] for node in tree for c in node.get("children", ()) if c in names}
    wanted: dict[str, tuple[str, str]] = {}
    for host, place in sorted(locations.items()):
        rack = f"{place['site']}-{place['rack']}"
        wanted |= {place["site"]: ("root", root), rack: ("datacenter", place["site"]), host: ("rack", rack)}
    there = set(names.values())
    moves = [
        (name, kind, parent) for name, (kind, parent) in wanted.items() if name in there and parents.get(name) != parent
    ]
    order = ("root", "datacenter", "rack")
    return sorted(moves, key=lambda move: (order.index(move[1]), move[0]))


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

    def _crushtool(self, *words: str) -> None:
        code, out, err = self.module.run_command(["crushtool", *words])
        if code != 0:
            raise CephError(f"`crushtool {' '.join(words)}` ended with {code}: {(err or out).strip()}")

    def read(self) -> str:
        code, binary, status = self.cluster.raw({"prefix": "osd getcrushmap", "format": "plain"})
        if code != 0:
            raise CephError(f"`osd getcrushmap` ended with {code}: {status}")
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "binary").write_bytes(binary)
            self._crushtool("-d", f"{name}/binary", "-o", f"{name}/text")
            return (Path(name) / "text").read_text()

    def write(self, text: str) -> None:
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "text").write_text(text)
            self._crushtool("-c", f"{name}/text", "-o", f"{name}/binary")
            code, _, status = self.cluster.raw({"prefix": "osd setcrushmap"}, (Path(name) / "binary").read_bytes())
        if code != 0:
            raise CephError(f"`osd setcrushmap` ended with {code}: {status}")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "str", "required": True},
            "locations": {"type": "dict", "required": True},
            "rules": {"type": "dict", "required": True},
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
            moves = plan_moves(tree, root, module.params["locations"])
            empty = [n for n in tree if n["name"] == "default" and not n.get("children")] if root != "default" else []
            remove_default = bool(empty) and "rule replicated_rule" not in text
            if not module.check_mode:
                for name, kind, parent in moves:
                    if parent not in {node["name"] for node in tree} | {root}:
                        cluster.ask("osd crush add-bucket", name=parent, type=kind)
                    cluster.ask("osd crush move", name=name, args=[f"{kind}={parent}"])
                if remove_default:
                    cluster.ask("osd crush rm", name="default")
            changes += [f"{name} moved to {kind} {parent}" for name, kind, parent in moves]
            changes += ["root default removed"] if remove_default else []
    except (CephError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(changes), changes=changes, diff={"before": "", "after": "\n".join([*changes, ""])})


if __name__ == "__main__":
    main()
