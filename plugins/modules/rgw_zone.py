#!/usr/bin/python
"""Ansible module: the realm, zone group and zone of the RADOS Gateways."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rgw_zone
short_description: Keep the one realm, zone group and zone of the gateways
description:
  - Makes realm, zone group and zone, names the pools of the zone, and commits the period when anything changed.
options:
  name: {description: "Name of the realm, the zone group and the zone.", type: str, required: true}
  pools:
    description: Pools of the zone's default placement - C(index), C(data) and C(non_ec).
    type: dict
    required: true
  hostnames:
    description: DNS names under which buckets are hosts (virtual-hosted buckets).
    type: list
    elements: str
    default: []
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Keep the zone
  rgw_zone:
    name: hk
    pools: {index: hk.rgw.buckets.index, data: hk.rgw.buckets.data, non_ec: hk.rgw.buckets.non-ec}
"""

RETURN = r"""
changes:
  description: What was changed, in words.
  type: list
  returned: always
"""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run

ENOENT = 2


def wanted_zone(zone: Mapping[str, Any], pools: Mapping[str, str]) -> dict[str, Any]:
    """Return the zone with its default placement in the named pools."""
    new = copy.deepcopy(dict(zone))
    for placement in new["placement_pools"]:
        if placement["key"] == "default-placement":
            value = placement["val"]
            value["index_pool"] = pools["index"]
            value["data_extra_pool"] = pools["non_ec"]
            value["storage_classes"]["STANDARD"]["data_pool"] = pools["data"]
    return new


def wanted_group(group: Mapping[str, Any], hostnames: Sequence[str]) -> dict[str, Any]:
    new = copy.deepcopy(dict(group))
    new["hostnames"] = list(hostnames)
    return new


class Admin:
    """`radosgw-admin`, which prints JSON."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module

    def get(self, *words: str) -> dict[str, Any] | None:
        code, out, err = run(["radosgw-admin", *words])
        if code == ENOENT:
            return None
        if code != 0:
            self.module.fail_json(msg=f"`radosgw-admin {' '.join(words)}` ended with {code}: {err.strip()}")
        answer: dict[str, Any] = json.loads(out) if out.strip().startswith("{") else {}
        return answer

    def do(self, *words: str, data: object = None) -> None:
        text = None if data is None else json.dumps(data)
        code, _, err = run(["radosgw-admin", *words], text=text)
        if code != 0:
            self.module.fail_json(msg=f"`radosgw-admin {' '.join(words)}` ended with {code}: {err.strip()}")


def keep(admin: Admin, name: str, pools: Mapping[str, str], hostnames: Sequence[str], *, check: bool) -> list[str]:
    """Make what is missing or differs; return it in words."""
    changes = []
    realm = ("--rgw-realm", name)
    group_words, zone_words = ("--rgw-zonegroup", name), ("--rgw-zone", name)
    if admin.get("realm", "get", *realm) is None:
        changes.append(f"realm {name}")
        if check:
            return [*changes, f"zone group {name}", f"zone {name}"]
        admin.do("realm", "create", *realm, "--default")
    if admin.get("zonegroup", "get", *realm, *group_words) is None:
        changes.append(f"zone group {name}")
        if not check:
            admin.do("zonegroup", "create", *realm, *group_words, "--master", "--default")
    if admin.get("zone", "get", *realm, *group_words, *zone_words) is None:
        changes.append(f"zone {name}")
        if not check:
            admin.do("zone", "create", *realm, *group_words, *zone_words, "--master", "--default")
    zone = admin.get("zone", "get", *realm, *group_words, *zone_words)
    if zone is not None and (new := wanted_zone(zone, pools)) != zone:
        changes.append(f"pools of zone {name}")
        if not check:
            admin.do("zone", "set", *realm, *group_words, *zone_words, data=new)
    group = admin.get("zonegroup", "get", *realm, *group_words)
    if group is not None and (new := wanted_group(group, hostnames)) != group:
        changes.append(f"host names of zone group {name}")
        if not check:
            admin.do("zonegroup", "set", *realm, *group_words, data=new)
    return changes


def committed(admin: Admin, name: str) -> bool:
    """Say whether the running period has the zone group as it stands; a killed run may not have committed."""
    period = admin.get("period", "get", "--rgw-realm", name)
    group = admin.get("zonegroup", "get", "--rgw-realm", name, "--rgw-zonegroup", name)
    if not period or not group:
        return False
    groups = period.get("period_map", {}).get("zonegroups", [])
    return any(g["id"] == group["id"] and g["zones"] and g["hostnames"] == group["hostnames"] for g in groups)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "pools": {"type": "dict", "required": True},
            "hostnames": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    admin, name = Admin(module), module.params["name"]
    changes = keep(admin, name, module.params["pools"], module.params["hostnames"], check=module.check_mode)
    if changes or not committed(admin, name):
        changes.append("period committed")
        if not module.check_mode:
            admin.do(
                "period",
                "update",
                "--commit",
                "--rgw-realm",
                name,
                "--rgw-zonegroup",
                name,
                "--rgw-zone",
                name,
            )
    module.exit_json(changed=bool(changes), changes=changes, diff={"before": "", "after": "\n".join([*changes, ""])})


if __name__ == "__main__":
    main()
