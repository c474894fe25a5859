#!/usr/bin/python
"""Refuses audit devices that would stop OpenBao; changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_audit
short_description: Refuse audit devices that would stop OpenBao
description:
  - OpenBao lets no audit device be edited. With an edited one no server becomes active, one restart after the other.
  - OpenBao answers nothing when no audit device can be written, so they belong on file systems of their own.
  - Asks only questions.
options:
  devices: {description: The devices that are wanted; name and path., type: list, elements: dict, required: true}
  configuration: {description: The file of devices that the node has., type: path, required: true}
  storage: {description: Folder of the raft store., type: path, required: true}
  shares_disk: {description: Whether files on one file system are accepted., type: bool, required: true}
attributes:
  check_mode: {support: full, description: It changes nothing.}
  diff_mode: {support: none, description: It changes nothing.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: configure | Refuse audit devices that would stop OpenBao
  openbao_audit:
    devices: [{name: file-1, path: /var/log/openbao/audit.log}]
    configuration: /etc/openbao/audit.hcl
    storage: /var/lib/openbao/raft
    shares_disk: false
"""

RETURN = r"""
shared: {description: Groups of folders that share a file system., type: list, elements: list, returned: always}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.openbao_state import audit_devices, audit_refusals, shared_disks


def device_of(folder: Path) -> int:
    """Return the number of the file system that holds the folder, or would once it is made."""
    while not folder.exists():
        folder = folder.parent
    return folder.stat().st_dev


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "devices": {"type": "list", "elements": "dict", "required": True},
            "configuration": {"type": "path", "required": True},
            "storage": {"type": "path", "required": True},
            "shares_disk": {"type": "bool", "required": True},
        },
        supports_check_mode=True,
    )
    wanted = {device["name"]: device["path"] for device in module.params["devices"]}
    present = Path(module.params["configuration"])
    refusals = audit_refusals(audit_devices(present.read_text()) if present.exists() else {}, wanted)
    folders = [module.params["storage"], *(str(Path(path).parent) for path in wanted.values())]
    shared = shared_disks(folders, {folder: device_of(Path(folder)) for folder in folders})
    if shared and not module.params["shares_disk"]:
        refusals += [
            f"{' and '.join(group)} are on one file system: full, it would stop OpenBao altogether. Mount "
            "one of its own at each, or accept it with openbao_audit_shares_disk."
            for group in shared
        ]
    if refusals:
        module.fail_json(msg=" ".join(refusals))
    module.exit_json(changed=False, shared=shared)


if __name__ == "__main__":
    main()
