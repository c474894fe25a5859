#!/usr/bin/python
"""Ansible module: the tenants of an inventory, or every reason why a file is refused."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_files
short_description: Read the tenants of an inventory
description:
  - Runs on the controller. Reads C(tenants/*.yml) and refuses the whole inventory if one file is wrong.
  - Changes nothing.
options:
  inventory: {description: Folder of the inventory., type: path, required: true}
  encryption_available: {description: Whether the gateways have a key manager., type: bool, required: true}
  rotate:
    description: Ids of tenants whose key is to be replaced; each must be in a file.
    type: list
    elements: str
    default: []
  weaken:
    description: Names of buckets that may lose protection; each must be in a file.
    type: list
    elements: str
    default: []
attributes:
  check_mode: {support: full, description: Only reads.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: preflight | Read the tenants
  tenant_files:
    inventory: inventories/lab
    encryption_available: false
"""

RETURN = r"""
tenants:
  description: The tenants as C(s3_tenants) takes them.
  type: list
  elements: dict
  returned: success
keys:
  description: Keys of the tenants as C(transit_keys) takes them; none on a fleet without a key manager.
  type: list
  elements: dict
  returned: success
accounts:
  description: The tenants as C(rgw_accounts) takes them.
  type: list
  elements: dict
  returned: success
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.rgw_account import account_id

try:
    from legalcloud import inventory, tenant
    from legalcloud.errors import LegalcloudError
except ImportError:
    inventory = None  # type: ignore[assignment]  # absent: main says so


def as_wanted(firm: tenant.Tenant) -> dict[str, Any]:
    return {
        "id": firm.id,
        "names": {"en": firm.name.en, "zh_hant": firm.name.zh_hant},
        "reveal_to": firm.reveal_to,
        "buckets": [
            {
                "name": bucket.name,
                "versioning": bucket.versioning,
                "object_lock": bucket.object_lock
                and {"mode": bucket.object_lock.mode.value, "days": bucket.object_lock.days},
                "encryption": bucket.encryption and bucket.encryption.value,
            }
            for bucket in firm.buckets
        ],
    }


def keys(firm: tenant.Tenant) -> list[dict[str, str]]:
    """Name both keys of a firm: SSE-S3 takes the one named after the account, whatever the bucket's default is."""
    names = {"transit-s3": account_id(firm.id), "transit-kms": firm.id}
    return [{"tenant": firm.id, "mount": mount, "name": name} for mount, name in names.items()]


def encryption_refusal(encryption: tenant.Encryption | None, *, available: bool) -> str:
    """Say why a bucket may not have this encryption; empty if it may."""
    if encryption and not available:
        return (
            f"is {encryption.value}, but this fleet has no key manager, and its gateways would refuse every object. "
            "Put hosts into the group kms, run site.yml and key_ceremony.yml; or write null, to store in the clear."
        )
    if available and not encryption:
        return "is null, but this fleet has a key manager, and nothing is stored in the clear. Write sse-s3 or sse-kms."
    return ""


def refusals(
    folder: Path,
    firms: tuple[tenant.Tenant, ...],
    rotate: list[str],
    weaken: list[str],
    *,
    encryption_available: bool,
) -> list[str]:
    """Say what the files may say in general, but not to this fleet or in this run."""
    refused = [
        f"{folder}/tenants/{firm.id}.yml: buckets[{index}].encryption: {why}"
        for firm in firms
        for index, bucket in enumerate(firm.buckets)
        if (why := encryption_refusal(bucket.encryption, available=encryption_available))
    ]
    known = {firm.id for firm in firms}
    refused += [
        f"tenants_rotate: {name} has no file {folder}/tenants/{name}.yml. Correct the id."
        for name in rotate
        if name not in known
    ]
    buckets = {bucket.name for firm in firms for bucket in firm.buckets}
    return refused + [
        f"tenants_weaken: no file in {folder}/tenants has a bucket {name}. Correct the name."
        for name in weaken
        if name not in buckets
    ]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "inventory": {"type": "path", "required": True},
            "encryption_available": {"type": "bool", "required": True},
            "rotate": {"type": "list", "elements": "str", "default": []},
            "weaken": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    if inventory is None:
        module.fail_json(msg=missing_required_lib("legalcloud"))
    folder = Path(module.params["inventory"])
    try:
        firms = inventory.load(folder).tenants
    except LegalcloudError as error:
        module.fail_json(msg=f"Nothing was touched. {error}\n{error.hint}")
    refused = refusals(
        folder,
        firms,
        module.params["rotate"],
        module.params["weaken"],
        encryption_available=module.params["encryption_available"],
    )
    if refused:
        module.fail_json(msg="Nothing was touched.\n" + "\n".join(refused))
    module.exit_json(
        changed=False,
        tenants=[as_wanted(firm) for firm in firms],
        keys=[key for firm in firms for key in keys(firm)] if module.params["encryption_available"] else [],
        accounts=[{"name": firm.id, "bytes": firm.quota.bytes, "objects": firm.quota.objects} for firm in firms],
    )


if __name__ == "__main__":
    main()
