#!/usr/bin/python
"""Ansible module: what the gateway of this node answers to a request with an Object Lock, and to one without."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_answers
short_description: Ask the gateway of this node for a bucket that does not exist, with and without an Object Lock
description:
  - Runs on the gateway's node and asks on loopback, past HAProxy. Needs no key and changes nothing.
  - An answer that does not come is reported, not raised; the reader decides what it means.
options:
  port: {description: TCP port of the gateway on loopback., type: int, required: true}
  timeout_seconds: {description: How long to wait for each answer., type: int, default: 10}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Ask the gateway
  gateway_answers:
    port: 7480
"""

RETURN = r"""
plain_status:
  description: HTTP status of the request without a lock; 404 from a gateway that is well.
  type: int
  returned: when both answers came
lock_status:
  description: HTTP status of the request with a lock; 403 while the Lua script acts.
  type: int
  returned: when both answers came
msg:
  description: Why there is no answer.
  type: str
  returned: otherwise
"""

import http.client
import uuid

from ansible.module_utils.basic import AnsibleModule

LOCK = {"x-amz-object-lock-mode": "GOVERNANCE"}


def ask(port: int, headers: dict[str, str], timeout_seconds: int) -> int:
    """Return the status of a request for a bucket that nobody has; such names are left out of the operations log."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_seconds)
    try:
        connection.request("GET", f"/legalcloud-health-{uuid.uuid4()}", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "port": {"type": "int", "required": True},
            "timeout_seconds": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    port, patience = module.params["port"], module.params["timeout_seconds"]
    try:
        statuses = {"plain_status": ask(port, {}, patience), "lock_status": ask(port, LOCK, patience)}
    except (OSError, http.client.HTTPException) as error:
        module.exit_json(changed=False, msg=f"port {port} gave no answer: {type(error).__name__} {error}")
    module.exit_json(changed=False, **statuses)


if __name__ == "__main__":
    main()
