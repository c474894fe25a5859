#!/usr/bin/python
"""Brings several systemd units to their wanted state in one invocation."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_units
short_description: Bring several systemd units to their wanted state in one invocation
description:
  - Enables, starts, stops and masks units, and restarts a unit that started before its configuration was
    written. The latter makes up for a handler that did not run because an earlier run was interrupted.
  - Reloads systemd first if a unit's file is newer than what systemd has loaded.
options:
  units:
    description: The units, in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Full name with its suffix., type: str, required: true}
      enabled: {description: Whether it starts at boot. Left out - as it is., type: bool}
      started: {description: Whether it runs now. Left out - as it is., type: bool}
      masked: {description: Stop and mask it; the other two do not matter then., type: bool, default: false}
      configuration:
        description:
          - Files or globs that the unit reads only when it starts; none that it reads again on a reload.
        type: list
        elements: str
        default: []
      check:
        description: Command and arguments that must succeed before the unit is started or restarted.
        type: list
        elements: str
        default: []
attributes:
  check_mode: {support: full, description: Says which steps it would take.}
  diff_mode: {support: none, description: The steps are returned instead.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: run | Keep chrony running with its present configuration
  service_units:
    units:
      - {name: chrony.service, enabled: true, started: true, configuration: [/etc/chrony/conf.d/*.conf]}
      - {name: systemd-timesyncd.service, masked: true}
"""

RETURN = r"""
steps:
  description: For each unit the systemctl verbs that were, or would be, used.
  type: dict
  returned: always
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run
from ansible.module_utils.service_state import Step, Wanted, parse, plan

PROPERTIES = "Names,LoadState,UnitFileState,ActiveState,InactiveExitTimestampMonotonic,NeedDaemonReload"


def modified_at(patterns: list[str]) -> float | None:
    """Return when the newest of these files was written; a removed file is not seen."""
    times = [
        path.stat().st_mtime for pattern in patterns for path in Path("/").glob(pattern.lstrip("/")) if path.is_file()
    ]
    return max(times, default=None)


def systemctl(module: AnsibleModule, *arguments: str) -> str:
    code, out, err = run(["systemctl", *arguments])
    if code:
        unit = arguments[-1]
        module.fail_json(msg=f"systemctl {' '.join(arguments)} failed: {err.strip()} Look at journalctl --unit={unit}.")
    return str(out)


def check(module: AnsibleModule, unit: str, command: list[str]) -> None:
    code, out, err = run(command)
    if code:
        module.fail_json(
            msg=f"{unit} was left as it is: {command[0]} refuses its configuration: {(err or out).strip()}"
        )


def act(module: AnsibleModule, entry: dict[str, Any], steps: tuple[Step, ...]) -> None:
    for step in steps:
        if step in {Step.START, Step.RESTART} and entry["check"]:
            check(module, entry["name"], entry["check"])
        systemctl(module, str(step), entry["name"])


def main() -> None:
    unit = {
        "name": {"type": "str", "required": True},
        "enabled": {"type": "bool"},
        "started": {"type": "bool"},
        "masked": {"type": "bool", "default": False},
        "configuration": {"type": "list", "elements": "str", "default": []},
        "check": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(
        argument_spec={"units": {"type": "list", "elements": "dict", "required": True, "options": unit}},
        supports_check_mode=True,
    )
    entries = module.params["units"]
    names = [entry["name"] for entry in entries]
    seen = parse(
        systemctl(module, "show", f"--property={PROPERTIES}", *names),
        boot_time=time.time() - time.monotonic(),
    )
    if not module.check_mode and any(seen[name].needs_reload for name in names):
        systemctl(module, "daemon-reload")
    steps: dict[str, tuple[Step, ...]] = {}
    for entry in entries:
        name, observed = entry["name"], seen[entry["name"]]
        if not observed.known and not entry["masked"] and not module.check_mode:
            module.fail_json(msg=f"This node has no unit {name}. Install the package that brings it first.")
        wanted = Wanted(name=name, enabled=entry["enabled"], started=entry["started"], masked=entry["masked"])
        steps[name] = plan(wanted, observed, configured_at=modified_at(entry["configuration"]))
        if not module.check_mode:
            act(module, entry, steps[name])
    module.exit_json(
        changed=any(steps.values()),
        steps={name: [str(step) for step in taken] for name, taken in steps.items()},
    )


if __name__ == "__main__":
    main()
