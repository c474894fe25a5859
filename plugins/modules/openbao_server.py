#!/usr/bin/python
"""Keeps an OpenBao server running, and restarts it only when the others can carry on."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_server
short_description: Keep an OpenBao server running, and restart it only when the others can carry on
description:
  - Starts the unit, or restarts it if it started before its configuration was written. A server that serves is
    restarted only while the others have a quorum without it, and must then come back unsealed.
  - Give the task C(throttle 1), so that the servers take turns; when one does not come back, the next one refuses.
options:
  name: {description: The unit., type: str, required: true}
  configuration: {description: Files or globs that it reads when it starts., type: list, elements: str, required: true}
  check: {description: Command and arguments that must succeed before., type: list, elements: str, required: true}
  server: {description: Name of this server in C(servers)., type: str, required: true}
  servers: {description: Address of each server by its name., type: dict, required: true}
  ca_path: {description: CA of their certificates., type: path, required: true}
  unseal_seconds: {description: How long it may take to unseal., type: int, required: true}
attributes:
  check_mode: {support: full, description: Says which steps it would take.}
  diff_mode: {support: none, description: The steps are returned instead.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: run | Keep the server running
  openbao_server:
    name: openbao.service
    configuration: [/etc/openbao/*.hcl]
    check: [bao, operator, validate-config, -config=/etc/openbao]
    server: tko-1
    servers: {tko-1: 10.0.1.11, cwn-1: 10.0.2.11, sht-1: 10.0.3.11}
    ca_path: /usr/local/share/ca-certificates/legalcloud.crt
    unseal_seconds: 90
  throttle: 1
"""

RETURN = r"""
steps: {description: The systemctl verbs that were or would be used., type: list, elements: str, returned: always}
unsealed_after_seconds: {description: From the start to unsealed., type: float, returned: when it was started}
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run
from ansible.module_utils.openbao_probe import HEALTH, ask, context
from ansible.module_utils.openbao_state import Server, describe, parse_health, restart_refusal, serves
from ansible.module_utils.service_state import Step, Wanted, parse, plan

PROPERTIES = "Names,LoadState,UnitFileState,ActiveState,InactiveExitTimestampMonotonic,NeedDaemonReload"


class Unit:
    """The unit and its servers, this one and the others."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.name: str = module.params["name"]
        own = module.params["server"]
        self.others: dict[str, str] = {k: v for k, v in module.params["servers"].items() if k != own}

    def command(self, *words: str) -> str:
        code, out, err = run(words)
        if code:
            self.module.fail_json(
                msg=f"{self.name} was left as it is: `{' '.join(words)}` says: {(err or out).strip()} "
                f"Look at journalctl --unit={self.name}."
            )
        return str(out)

    def look(self) -> tuple[Step, ...]:
        """Name the steps to a unit that runs with its present configuration."""
        boot_time = time.time() - time.monotonic()
        shown = self.command("systemctl", "show", f"--property={PROPERTIES}", self.name)
        seen = parse(shown, boot_time=boot_time)[self.name]
        if not self.module.check_mode and seen.needs_reload:
            self.command("systemctl", "daemon-reload")
        files = [path for glob in self.module.params["configuration"] for path in Path("/").glob(glob.lstrip("/"))]
        newest = max((path.stat().st_mtime for path in files), default=None)
        wanted = Wanted(name=self.name, enabled=True, started=True)
        steps: tuple[Step, ...] = plan(wanted, seen, configured_at=newest)
        return steps

    def health(self, host: str = "127.0.0.1") -> Server | None:
        return parse_health(ask(host, HEALTH, tls=context(self.module.params["ca_path"])))

    def gate(self) -> bool:
        """Refuse a restart that would leave no quorum; return whether the cluster is initialised."""
        own = self.health()
        others = {name: self.health(address) for name, address in self.others.items()}
        if refusal := restart_refusal(own, others):
            self.module.fail_json(
                msg=f"{self.name} must restart to use its new configuration, and was left running: {refusal}. Bring "
                "those back first; docs/runbooks/openbao-sealed.md says how. Then run this again."
            )
        return any(server is not None and server.initialized for server in (own, *others.values()))

    def wait(self, began: float, *, initialized: bool) -> float:
        """Wait until it answers and, in a cluster that is initialised, serves."""
        deadline = began + self.module.params["unseal_seconds"]
        own = None
        while time.monotonic() < deadline:
            own = self.health()
            if own is not None and (serves(own) or not initialized):
                return round(time.monotonic() - began, 1)
            time.sleep(0.2)
        seconds = self.module.params["unseal_seconds"]
        return self.module.fail_json(
            msg=f"{self.name} runs, and is not unsealed after {seconds} s ({describe(own)}). "
            f"journalctl --unit={self.name} says why, with reason=; docs/runbooks/openbao-sealed.md has the remedy."
        )


def main() -> None:
    arguments: dict[str, dict[str, Any]] = {
        "name": {"type": "str", "required": True},
        "configuration": {"type": "list", "elements": "str", "required": True},
        "check": {"type": "list", "elements": "str", "required": True},
        "server": {"type": "str", "required": True},
        "servers": {"type": "dict", "required": True},
        "ca_path": {"type": "path", "required": True},
        "unseal_seconds": {"type": "int", "required": True},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    unit = Unit(module)
    steps = unit.look()
    result: dict[str, Any] = {"changed": bool(steps), "steps": [str(step) for step in steps]}
    if not module.check_mode and {Step.START, Step.RESTART} & set(steps):
        unit.command(*module.params["check"])
        initialized = unit.gate()
        began = time.monotonic()
        for step in steps:
            unit.command("systemctl", str(step), unit.name)
        result["unsealed_after_seconds"] = unit.wait(began, initialized=initialized)
    elif not module.check_mode:
        for step in steps:
            unit.command("systemctl", str(step), unit.name)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
