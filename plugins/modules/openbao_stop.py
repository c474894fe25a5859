#!/usr/bin/python
"""Stops an OpenBao server, if the others can carry on without it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_stop
short_description: Stop an OpenBao server, if the others can carry on without it
description: A server that serves is stopped only while the others have a quorum without it.
options:
  name: {description: The unit., type: str, default: openbao.service}
  server: {description: Name of this server in C(servers)., type: str, required: true}
  servers: {description: Address of each server by its name., type: dict, required: true}
  ca_path: {description: CA of their certificates., type: path, required: true}
attributes:
  check_mode: {support: full, description: Says whether it would stop it, and refuses as it would.}
  diff_mode: {support: none, description: There is nothing to show.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Stop OpenBao here while its HSM is replaced
  openbao_stop:
    server: cwn-1
    servers: {tko-1: 10.0.1.11, cwn-1: 10.0.2.11, sht-1: 10.0.3.11}
    ca_path: /usr/local/share/ca-certificates/legalcloud.crt
"""

RETURN = r"""
others:
  description: What each other server is.
  type: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run
from ansible.module_utils.openbao_probe import HEALTH, ask, context
from ansible.module_utils.openbao_state import Server, describe, parse_health, restart_refusal


def health(host: str, ca_path: str) -> Server | None:
    return parse_health(ask(host, HEALTH, tls=context(ca_path)))


def systemctl(module: AnsibleModule, verb: str) -> tuple[int, str]:
    code, out, err = run(["systemctl", verb, module.params["name"]])
    return code, (err or out).strip()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "default": "openbao.service"},
            "server": {"type": "str", "required": True},
            "servers": {"type": "dict", "required": True},
            "ca_path": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    name, ca_path = module.params["name"], module.params["ca_path"]
    addresses = {host: where for host, where in module.params["servers"].items() if host != module.params["server"]}
    others = {host: health(address, ca_path) for host, address in addresses.items()}
    if refusal := restart_refusal(health("127.0.0.1", ca_path), others):
        module.fail_json(
            msg=f"{name} was left running: {refusal}. Bring those back first; docs/runbooks/openbao-sealed.md says how."
        )
    _, state = systemctl(module, "is-active")
    running = state not in {"inactive", "failed"}
    if running and not module.check_mode:
        code, said = systemctl(module, "stop")
        if code:
            module.fail_json(msg=f"{name} does not stop: {said} Look at journalctl --unit={name}.")
    module.exit_json(changed=running, others={host: describe(server) for host, server in others.items()})


if __name__ == "__main__":
    main()
