#!/usr/bin/python
"""Ansible module: erasure-code profiles and pools."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_pools
short_description: Keep erasure-code profiles and pools
description:
  - Makes what is missing and sets the options that are named. Refuses to change an erasure-code profile, or the
    profile, the type or the rule of a pool that holds data by it.
  - Removes nothing.
options:
  profiles:
    description: Parameters by name of the erasure-code profile.
    type: dict
    default: {}
  pools:
    description: >-
      Pools by name, each with C(type) (C(erasure) or C(replicated)), C(rule), C(application), for erasure C(profile),
      C(pg_num) for a pool that is made now (the autoscaler has it afterwards), and C(options), such as C(min_size).
    type: dict
    required: true
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Keep the pools
  ceph_pools:
    profiles: {hk-3-3: {k: 3, m: 3, plugin: isa, technique: reed_sol_van}}
    pools:
      hk.rgw.buckets.data:
        {type: erasure, profile: hk-3-3, rule: hk-ec, application: rgw, pg_num: 64, options: {min_size: 4, bulk: true}}
"""

RETURN = r"""
changes:
  description: What was changed, in words.
  type: list
  returned: always
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ceph_cluster import CephError, Cluster, text

Command = dict[str, Any]
TYPES = {1: "replicated", 3: "erasure"}
FLAGS = {"bulk": "bulk", "allow_ec_optimizations": "ec_optimizations"}


def profile_conflicts(current: Mapping[str, str], wanted: Mapping[str, Any]) -> list[str]:
    """Compare only the keys we were asked about: Ceph fills in the rest with its own defaults."""
    return [
        f"{key} is {current.get(key)!r}, not {text(value)!r}"
        for key, value in sorted(wanted.items())
        if current.get(key) != text(value)
    ]


def option_of(pool: Mapping[str, Any], name: str) -> str | None:
    """Return an option of a pool as `osd dump` shows it; a flag is one word of `flags_names`."""
    value: object = pool.get("options", {}).get(name)
    if name in FLAGS:
        value = FLAGS[name] in pool["flags_names"].split(",")
    elif name in pool:
        value = pool[name]
    shown: str | None = None if value is None else text(value)
    return shown


def plan_pool(
    name: str, wanted: Mapping[str, Any], current: Mapping[str, Any] | None, rules: Mapping[int, str]
) -> tuple[list[Command], list[str]]:
    """Return the commands that make a pool as wanted, and the conflicts that forbid it."""
    commands: list[Command] = []
    if current is None:
        pg_num = int(wanted["pg_num"])
        create: Command = {
            "prefix": "osd pool create",
            "pool": name,
            "pg_num": pg_num,
            "pgp_num": pg_num,
            "pool_type": wanted["type"],
            "rule": wanted["rule"],
        }
        if name.startswith("."):
            create["yes_i_really_mean_it"] = True  # Ceph's way to say that a leading dot is its own
        if wanted["type"] == "erasure":
            create["erasure_code_profile"] = wanted["profile"]
        commands.append(create)
        current = {"flags_names": "", "application_metadata": {}, "options": {}}
    else:
        kind = TYPES[current["type"]]
        rule = rules.get(current["crush_rule"], "a rule that is gone")
        conflicts = []
        if kind != wanted["type"]:
            conflicts.append(f"pool {name} is {kind}, not {wanted['type']}")
        if kind == "erasure" and current["erasure_code_profile"] != wanted.get("profile"):
            conflicts.append(f"pool {name} has profile {current['erasure_code_profile']}, not {wanted.get('profile')}")
        if rule != wanted["rule"] and kind == "erasure":
            conflicts.append(f"pool {name} has rule {rule}, not {wanted['rule']}")
        if conflicts:
            return [], conflicts
        if rule != wanted["rule"]:
            commands.append({"prefix": "osd pool set", "pool": name, "var": "crush_rule", "val": wanted["rule"]})
        if current["pg_num"] < (least := wanted.get("options", {}).get("pg_num_min", 0)):
            # Whoever runs radosgw-admin before the pools are made gets .rgw.root with one placement group.
            commands.append({"prefix": "osd pool set", "pool": name, "var": "pg_num", "val": text(least)})
    if wanted["application"] not in current["application_metadata"]:
        commands.append({"prefix": "osd pool application enable", "pool": name, "app": wanted["application"]})
    commands += [
        {"prefix": "osd pool set", "pool": name, "var": option, "val": text(value)}
        for option, value in sorted(wanted.get("options", {}).items())
        if option_of(current, option) != text(value)
    ]
    return commands, []


def words(command: Command) -> str:
    return " ".join(text(v) for k, v in command.items() if not isinstance(v, bool))


def apply(cluster: Cluster, commands: Sequence[Command]) -> None:
    """Do the commands of each pool in turn, and the pools side by side: the monitors agree about once a second."""
    chains: dict[str, list[Command]] = {}
    for command in commands:
        chains.setdefault(str(command["pool"]), []).append(command)

    def follow(chain: Sequence[Command]) -> None:
        for command in chain:
            cluster.ask(**command)

    with ThreadPoolExecutor(max_workers=16) as pool:
        for done in [pool.submit(follow, chain) for chain in chains.values()]:
            done.result()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "profiles": {"type": "dict", "default": {}},
            "pools": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    profile_commands: list[Command] = []
    commands: list[Command] = []
    conflicts: list[str] = []
    try:
        with Cluster() as cluster:
            dump = cluster.ask("osd dump")
            profiles = dump["erasure_code_profiles"]
            for name, wanted in module.params["profiles"].items():
                if name not in profiles:
                    pairs = [f"{key}={text(value)}" for key, value in wanted.items()]
                    profile_commands.append({"prefix": "osd erasure-code-profile set", "name": name, "profile": pairs})
                else:
                    found = profile_conflicts(profiles[name], wanted)
                    conflicts += [f"profile {name}: {conflict}" for conflict in found]
            rules = {rule["rule_id"]: rule["rule_name"] for rule in cluster.ask("osd crush rule dump")}
            pools = {pool["pool_name"]: pool for pool in dump["pools"]}
            for name, wanted in module.params["pools"].items():
                found_commands, found = plan_pool(name, wanted, pools.get(name), rules)
                commands += found_commands
                conflicts += found
            if conflicts:
                module.fail_json(
                    msg=f"{'; '.join(conflicts)}. Data lies there as it is; make a pool under another name and move it."
                )
            if not module.check_mode:
                for command in profile_commands:
                    cluster.ask(**command)
                apply(cluster, commands)
    except CephError as error:
        module.fail_json(msg=str(error))
    changes = [words(command) for command in [*profile_commands, *commands]]
    module.exit_json(changed=bool(changes), changes=changes, diff={"before": "", "after": "\n".join([*changes, ""])})


if __name__ == "__main__":
    main()
