#!/usr/bin/python
"""Ansible module: refuse a restore that would delete a storage of OpenBao that may be the good one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_earlier_storage
short_description: Refuse a restore while an earlier one's storage lies beside a storage that may be good
description:
  - A restore puts the storage aside. If both are there, the one in place is worthless only if the marker says that a
    restore was begun and not finished, and OpenBao does not serve what a snapshot holds.
  - An OpenBao that initialised itself to be restored knows no C(steward), so it does not count as one that serves.
options:
  storage: {description: OpenBao's., type: path, required: true}
  aside: {description: Where a restore puts it., type: path, required: true}
  marker: {description: File that says that a restore was begun and is not finished., type: path, required: true}
attributes:
  check_mode: {support: full, description: It changes nothing.}
  diff_mode: {support: none, description: It changes nothing.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: preflight | Refuse a storage that may be good beside an earlier one
  openbao_earlier_storage:
    storage: /var/lib/openbao/raft
    aside: /var/lib/openbao/raft.before-restore
    marker: /var/lib/openbao/restore-begun
"""

RETURN = r"""
half_made:
  description: Whether a restore was killed after it put the storage aside; what is in its place may be deleted.
  type: bool
  returned: always
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.openbao import OpenBaoError, steward


def serves() -> bool:
    """Tell whether an OpenBao with our roles answers: one of before, or one that was restored."""
    try:
        with steward() as client:
            return client.read("sys/storage/raft/configuration") is not None
    except OpenBaoError:
        return False


def main() -> None:
    path = {"type": "path", "required": True}
    module = AnsibleModule(argument_spec={"storage": path, "aside": path, "marker": path}, supports_check_mode=True)
    storage, aside, marker = (Path(module.params[name]) for name in ("storage", "aside", "marker"))
    begun = marker.exists()
    if storage.exists() and aside.exists():
        why = "OpenBao serves" if begun and serves() else "" if begun else "no restore is under way"
        if why:
            module.fail_json(
                msg=f"{aside} holds an earlier storage of OpenBao beside {storage}, and {why}: nothing says which is "
                f"the good one, so neither is touched. If encrypted objects can be read, delete {aside} on each "
                f"server; otherwise stop openbao.service on each, and move the one that you want to {storage}."
            )
    module.exit_json(changed=False, half_made=begun and aside.exists())


if __name__ == "__main__":
    main()
