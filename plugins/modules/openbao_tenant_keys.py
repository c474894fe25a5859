#!/usr/bin/python
"""Ansible module: look at a departing tenant's keys in OpenBao, and destroy them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_tenant_keys
short_description: Look at a tenant's keys in OpenBao, or destroy them
description:
  - Runs on a node of the key manager, as the role C(shredder), with a certificate that the HSM signs for this one run.
  - A key that is gone stays gone; only a snapshot from before brings it back.
options:
  tenant: {description: The tenant's id., type: str, required: true}
  mounts:
    description: Transit engines, and whether a key there has the name of the C(tenant) or of its C(account).
    type: dict
    required: true
  state: {description: Whether to destroy them., type: str, choices: [looked, absent], default: looked}
attributes:
  check_mode: {support: full, description: It looks and destroys nothing.}
  diff_mode: {support: none, description: The keys found are returned.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: destroy | Destroy the keys
  openbao_tenant_keys:
    tenant: example-chambers
    mounts: {transit-kms: tenant}
    state: absent
"""

RETURN = r"""
found:
  description: The keys that were there, each with C(mount), C(name), C(type), C(versions) and C(created_at).
  type: list
  elements: dict
  returned: always
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.openbao import Client, OpenBaoError, as_role
from ansible.module_utils.rgw_account import account_id


def described(mount: str, name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """Say of a key what a certificate may say. `keys` has a number or a time for each version, OpenBao 2.7."""
    first = data["keys"][min(data["keys"], key=int)]
    created = first if isinstance(first, int) else first["creation_time"]
    when = datetime.fromtimestamp(created, UTC) if isinstance(created, int) else datetime.fromisoformat(created)
    return {
        "mount": mount,
        "name": name,
        "type": data["type"],
        "versions": data["latest_version"],
        "created_at": when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def look(client: Client, wanted: list[tuple[str, str]]) -> list[dict[str, Any]]:
    found = []
    for mount, name in wanted:
        answer = client.read(f"{mount}/keys/{name}")
        if answer is not None:
            found.append(described(mount, name, answer["data"]))
    return found


def destroy(client: Client, keys: list[dict[str, Any]]) -> None:
    """Destroy each key and see that it is gone. Raises: OpenBaoError."""
    for key in keys:
        path = f"{key['mount']}/keys/{key['name']}"
        client.write(f"{path}/config", {"deletion_allowed": True})
        client.delete(path)
        if client.read(path) is not None:
            msg = (
                f"{path} is still there after it was deleted. Somebody makes it anew: run playbooks/tenants.yml first."
            )
            raise OpenBaoError(msg)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "tenant": {"type": "str", "required": True},
            "mounts": {"type": "dict", "required": True},
            "state": {"type": "str", "choices": ["looked", "absent"], "default": "looked"},
        },
        supports_check_mode=True,
    )
    tenant = module.params["tenant"]
    names = {"tenant": tenant, "account": account_id(tenant)}
    try:
        wanted = [(mount, names[kind]) for mount, kind in module.params["mounts"].items()]
    except KeyError as error:
        module.fail_json(msg=f"mounts: a key is named after the tenant or the account, not after {error}")
    try:
        with as_role("shredder") as client:
            found = look(client, wanted)
            if module.params["state"] == "absent" and not module.check_mode:
                destroy(client, found)
    except OpenBaoError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=module.params["state"] == "absent" and bool(found), found=found)


if __name__ == "__main__":
    main()
