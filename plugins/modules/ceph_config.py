#!/usr/bin/python
"""Ansible module: Ceph's central configuration and the managers' modules."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_config
short_description: Keep options in Ceph's central configuration, and modules of the manager
description:
  - Compares only the options that are named; all others are left alone.
options:
  options:
    description: Wanted values, by section (C(global), C(osd), C(client.rgw), C(mgr)) and option.
    type: dict
    default: {}
  absent:
    description: Options to remove, by section.
    type: dict
    default: {}
  mgr_modules:
    description: Modules of the manager that shall be enabled.
    type: list
    elements: str
    default: []
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Keep the configuration
  ceph_config:
    options:
      osd: {osd_memory_target: 4294967296}
    mgr_modules: [prometheus]
"""

RETURN = r"""
sections:
  description: Sections that changed.
  type: list
  returned: always
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ceph_cluster import CephError, Cluster, text

Options = Mapping[tuple[str, str], str]
MANAGER_SECONDS = 120


def parse_dump(dump: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """Turn `config dump` into values by section and option; masked entries are somebody else's."""
    return {(row["section"], row["name"]): row["value"] for row in dump if not row.get("mask")}


def same(current: str | None, wanted: str) -> bool:
    """Compare two values; Ceph may store a number in another form (1 as 1.000000)."""
    if current is None or current == wanted:
        return current == wanted
    try:
        return float(current) == float(wanted)
    except ValueError:
        return False


def plan(current: Options, wanted: Options) -> dict[tuple[str, str], str]:
    """Return what must be set."""
    return {key: value for key, value in sorted(wanted.items()) if not same(current.get(key), value)}


def flatten(sections: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    return {(who, name): text(value) for who, options in sections.items() for name, value in options.items()}


def wait_for_manager(cluster: Cluster) -> None:
    """Wait for a manager: only one that runs tells the monitors which options its modules have."""
    deadline = time.monotonic() + MANAGER_SECONDS
    while not cluster.ask("mgr dump")["available"]:
        if time.monotonic() > deadline:
            raise CephError(
                f"no manager became active in {MANAGER_SECONDS} s, and options of its modules cannot be set without "
                "one. Look at `systemctl status ceph-mgr@$(hostname)` on the managers."
            )
        time.sleep(0.5)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "options": {"type": "dict", "default": {}},
            "absent": {"type": "dict", "default": {}},
            "mgr_modules": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    wanted = flatten(module.params["options"])
    unwanted = [(who, name) for who, names in module.params["absent"].items() for name in names]
    try:
        with Cluster() as cluster:
            current = parse_dump(cluster.ask("config dump"))
            steps = plan(current, wanted)
            removals = [key for key in unwanted if key in current]
            listed = cluster.ask("mgr module ls")
            enabled = {*listed["always_on_modules"], *listed["enabled_modules"]}
            modules = [name for name in module.params["mgr_modules"] if name not in enabled]
            if not module.check_mode:
                if modules or any(name.startswith("mgr/") for _, name in steps):
                    wait_for_manager(cluster)
                for (who, name), value in steps.items():
                    cluster.ask("config set", who=who, name=name, value=value)
                for who, name in removals:
                    cluster.ask("config rm", who=who, name=name)
                for name in modules:
                    cluster.ask("mgr module enable", module=name)
    except CephError as error:
        module.fail_json(msg=str(error))
    touched = [*steps, *removals]
    module.exit_json(
        changed=bool(touched or modules),
        sections=sorted({who for who, _ in touched}),
        diff={
            "before": {f"{who}/{name}": current.get((who, name)) for who, name in touched},
            "after": {f"{who}/{name}": steps.get((who, name)) for who, name in touched}
            | {f"mgr module {name}": "enabled" for name in modules},
        },
    )


if __name__ == "__main__":
    main()
