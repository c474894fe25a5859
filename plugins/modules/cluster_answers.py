#!/usr/bin/python
"""Ansible module: what the cluster says of itself, unread."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_answers
short_description: Ask the cluster read-only commands in one connection
description:
  - Runs where the administrator's keyring is. Returns the answers as text, for a reader on the controller.
options:
  prefixes:
    description: Commands without arguments, such as C(status) or C(osd tree).
    type: list
    elements: str
    required: true
  settle_seconds:
    description: How long to wait first, at most, for C(HEALTH_OK) and placement groups that are all active and clean.
    type: int
    default: 0
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Ask the cluster
  cluster_answers:
    prefixes: [status, df]
"""

RETURN = r"""
answers:
  description: Text of the answer by command.
  type: dict
  returned: always
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ceph_cluster import CephError, Cluster


def settled(status: Mapping[str, Any]) -> bool:
    """Say whether nothing is raised and every placement group is active and clean."""
    states = [row["state_name"].split("+") for row in status["pgmap"]["pgs_by_state"]]
    return status["health"]["status"] == "HEALTH_OK" and all({"active", "clean"} <= set(state) for state in states)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "prefixes": {"type": "list", "elements": "str", "required": True},
            "settle_seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    try:
        with Cluster(timeout_seconds=20) as cluster:
            deadline = time.monotonic() + module.params["settle_seconds"]
            while time.monotonic() < deadline and not settled(cluster.ask("status")):
                time.sleep(1)
            answers = {prefix: json.dumps(cluster.ask(prefix)) for prefix in module.params["prefixes"]}
    except CephError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, answers=answers)


if __name__ == "__main__":
    main()
