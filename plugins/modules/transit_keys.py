#!/usr/bin/python
"""Ansible module: the tenants' keys in OpenBao."""

from __future__ import annotations

DOCUMENTATION = r"""
module: transit_keys
short_description: Keep, or rotate, the keys in OpenBao that encrypt tenants' objects
description:
  - Runs on an OpenBao server, as the role C(steward), for which the node's HSM vouches.
  - Makes AES-256 keys that are derived for each object and cannot be exported. It deletes none, and replaces none.
options:
  keys:
    description: The keys that must be there.
    type: list
    elements: dict
    required: true
    suboptions:
      mount: {description: "Engine, C(transit-s3) or C(transit-kms).", type: str, required: true}
      name: {description: Name of the key., type: str, required: true}
      tenant: {description: "Whose it is; only for people.", type: str, default: ""}
  rotate:
    description:
      - Give each of them another version, with which new objects are encrypted. Older ones open what they encrypted.
      - A run with this changes something each time.
    type: bool
    default: false
attributes:
  check_mode: {support: full, description: Logs in and compares.}
  diff_mode: {support: full, description: Names keys and versions.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: configure | Keep the tenants' keys in OpenBao
  transit_keys:
    keys:
      - {mount: transit-kms, name: demo-chambers}
"""

RETURN = r"""
versions: {description: Latest version of each key by its path., type: dict, returned: always}
unknown:
  description: Keys of the same engines that were not asked for, as C(MOUNT/NAME).
  type: list
  elements: str
  returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.openbao import Client, OpenBaoError, steward
from ansible.module_utils.transit_key import WISH, KeyConflictError, Name, check, unknown


def version(client: Client, name: Name) -> int:
    return int((client.read(name.path) or {"data": {"latest_version": 0}})["data"]["latest_version"])


def keep(module: AnsibleModule, client: Client) -> dict[str, Any]:
    """Compare all before the first call that changes anything."""
    names = sorted({Name(mount=entry["mount"], name=entry["name"]) for entry in module.params["keys"]})
    seen = {name: client.read(name.path) for name in names}
    missing = [name for name, answer in seen.items() if check(name, answer["data"] if answer else None)]
    extra = unknown({mount: client.keys(f"{mount}/keys") for mount in sorted({name.mount for name in names})}, names)
    rotated = names if module.params["rotate"] else []
    before = {str(name): int(answer["data"]["latest_version"]) for name, answer in seen.items() if answer}
    after = {str(name): before.get(str(name), 1) + (name in rotated) for name in names}
    if not module.check_mode:
        for name in missing:
            client.write(name.path, dict(WISH))
        for name in rotated:
            client.write(f"{name.path}/rotate")
        after = {str(name): version(client, name) for name in names} if missing or rotated else after
    return {
        "changed": bool(missing or rotated),
        "versions": after,
        "unknown": extra,
        "diff": {"before": lines(before), "after": lines(after)},
    }


def lines(versions: dict[str, int]) -> str:
    return "".join(f"{path}: version {number}\n" for path, number in versions.items())


def main() -> None:
    key = {
        "mount": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "tenant": {"type": "str", "default": ""},
    }
    module = AnsibleModule(
        argument_spec={
            "keys": {"type": "list", "elements": "dict", "required": True, "options": key, "no_log": False},
            "rotate": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    result: dict[str, Any] = {}
    try:
        with steward() as client:
            result = keep(module, client)
    except (OpenBaoError, KeyConflictError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
