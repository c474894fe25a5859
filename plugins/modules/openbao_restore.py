#!/usr/bin/python
"""Ansible module: put a snapshot into an OpenBao that was initialised for it a moment ago."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_restore
short_description: Put a snapshot into an empty OpenBao, or wait until all servers vote
description:
  - Logs in as C(restorer), which exists only in an OpenBao that initialised itself to be restored; what the snapshot
    holds then takes the place of everything, that login included.
  - With C(voters) it restores nothing, and waits until as many servers vote.
options:
  snapshot: {description: "The snapshot, decrypted, base64.", type: str, default: ""}
  voters: {description: How many servers must vote., type: int, default: 0}
  wait_seconds: {description: How long to go on trying., type: int, default: 120}
attributes:
  check_mode: {support: full, description: Restores nothing and says changed.}
  diff_mode: {support: none, description: Nothing of a snapshot can be shown.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: restore | Put the snapshot in
  openbao_restore:
    snapshot: "{{ __opened.content }}"
  no_log: true  # the snapshot
"""

RETURN = r"""
voters:
  description: Names of the servers that vote.
  type: list
  elements: str
  returned: when asked to wait
"""

import base64
import http.client
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.openbao import OpenBaoError, as_role, steward, trusting

T = TypeVar("T")
RESTORE_SECONDS = 300
PAUSE_SECONDS = 1


def restore(content: bytes) -> None:
    """Replace everything that this OpenBao holds. Raises: OpenBaoError."""
    with as_role("restorer") as client:
        where = urlsplit(client.address)
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port, timeout=RESTORE_SECONDS, context=trusting()
        )
        path, headers = "/v1/sys/storage/raft/snapshot-force", {"X-Vault-Token": client.token}
        try:
            connection.request("POST", path, content, headers)
            answer = connection.getresponse()
            said = answer.read()[:300].decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            msg = f"{client.address} broke off while it took the snapshot: {error}"
            raise OpenBaoError(msg) from error
        finally:
            connection.close()
        if answer.status not in {http.client.OK, http.client.NO_CONTENT}:
            msg = f"{client.address} refuses the snapshot: {answer.status} {said}"
            raise OpenBaoError(msg, status=answer.status)


def voters(wanted: int) -> list[str]:
    """Return the servers that vote. Raises: OpenBaoError if they are too few."""
    with steward() as client:
        answer: dict[str, Any] = client.read("sys/storage/raft/configuration") or {"data": {"config": {"servers": []}}}
    found = sorted(one["node_id"] for one in answer["data"]["config"]["servers"] if one["voter"])
    if len(found) < wanted:
        msg = f"only {', '.join(found) or 'none'} of {wanted} servers vote"
        raise OpenBaoError(msg)
    return found


def patiently(act: Callable[[], T], seconds: int) -> T:
    """Do it again until it can be done: a server needs a while to become active. Raises: OpenBaoError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return act()
        except OpenBaoError as error:
            if time.monotonic() > deadline:
                msg = f"after {seconds} s: {error}. Look at `journalctl --unit=openbao` on the servers."
                raise OpenBaoError(msg) from error
        time.sleep(PAUSE_SECONDS)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "snapshot": {"type": "str", "default": "", "no_log": True},
            "voters": {"type": "int", "default": 0},
            "wait_seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
        required_one_of=[("snapshot", "voters")],
    )
    params = module.params
    try:
        if params["voters"]:
            wait = params["wait_seconds"]
            found = [] if module.check_mode else patiently(lambda: voters(params["voters"]), wait)
            module.exit_json(changed=False, voters=found)
        if not module.check_mode:
            content = base64.b64decode(params["snapshot"])
            patiently(lambda: restore(content), params["wait_seconds"])
    except OpenBaoError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
