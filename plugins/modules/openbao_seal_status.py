#!/usr/bin/python
"""Ansible module: asks the OpenBao of this node whether it is initialised and unsealed, without a login."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_seal_status
short_description: Ask the OpenBao of this node whether it is initialised and unsealed
description: [Needs no login. Waits for an answer and, if asked to, until it is unsealed.]
options:
  unsealed: {description: Whether to wait until it is unsealed., type: bool, default: false}
  seconds: {description: How long to wait., type: int, default: 30}
attributes:
  check_mode: {support: full, description: It changes nothing.}
  diff_mode: {support: none, description: It changes nothing.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: look | Ask the server for its state
  openbao_seal_status:
  register: __openbao_seal
"""

RETURN = r"""
initialized: {description: Whether it is initialised., type: bool, returned: success}
sealed: {description: Whether it is sealed., type: bool, returned: success}
cluster_id: {description: Of the store; empty while it is sealed., type: str, returned: success}
version: {description: Of OpenBao., type: str, returned: success}
shares: {description: How many shares of recovery keys there are., type: int, returned: success}
active: {description: Whether this server is the active one., type: bool, returned: success}
leader: {description: Address of the active server; empty if it knows none., type: str, returned: success}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.openbao import HERE, Client, OpenBaoError, trusting

PAUSE_SECONDS = 1


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "unsealed": {"type": "bool", "default": False},
            "seconds": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    deadline = time.monotonic() + module.params["seconds"]
    while True:
        try:
            client = Client(HERE, trusting())
            found = client.read("sys/seal-status") or {}
            leads = {} if found["sealed"] else client.read("sys/leader") or {}
            problem = "" if found["sealed"] is False or not module.params["unsealed"] else "it is sealed"
        except OpenBaoError as error:
            found, leads, problem = {}, {}, str(error)
        if not problem:
            break
        if time.monotonic() > deadline:
            module.fail_json(
                msg=f"OpenBao is not ready after {module.params['seconds']} s: {problem}. Its journal says why: "
                "journalctl --unit=openbao.service. docs/runbooks/key-ceremony.md has the remedy for each reason."
            )
        time.sleep(PAUSE_SECONDS)
    module.exit_json(
        changed=False,
        initialized=found["initialized"],
        sealed=found["sealed"],
        cluster_id=found.get("cluster_id", ""),
        version=found["version"],
        shares=found["n"],
        active=leads.get("is_self", False),
        leader=leads.get("leader_address", ""),
    )


if __name__ == "__main__":
    main()
