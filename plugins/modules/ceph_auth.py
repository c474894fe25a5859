#!/usr/bin/python
"""Ansible module: CephX entities and what each may do."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_auth
short_description: Keep CephX entities and their capabilities
description:
  - Makes entities that are missing and corrects capabilities that differ; keys are never changed.
  - Runs where the administrator's keyring is. Returns the keys, so the task needs C(no_log).
options:
  entities:
    description: Wanted capabilities by entity, such as C({client.rgw.tko-1{{':'}} {mon{{':'}} allow rw}}).
    type: dict
    required: true
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Keep the keys of the managers
  ceph_auth:
    entities:
      mgr.tko-1: {mon: profile mgr, osd: allow *, mds: allow *}
  no_log: true  # returns the keys
  register: __keys
"""

RETURN = r"""
keyrings:
  description: Text of a keyring file by entity.
  type: dict
  returned: always
"""

from collections.abc import Mapping

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ceph_cluster import CephError, Cluster

Caps = Mapping[str, str]


def plan(current: Mapping[str, Caps], wanted: Mapping[str, Caps]) -> dict[str, str]:
    """Say for each entity that is not as wanted whether to `create` it or to correct its `caps`."""
    return {
        entity: "caps" if entity in current else "create"
        for entity, caps in sorted(wanted.items())
        if current.get(entity) != caps
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={"entities": {"type": "dict", "required": True}},
        supports_check_mode=True,
    )
    wanted: dict[str, Caps] = module.params["entities"]
    try:
        with Cluster() as cluster:
            dump = {entry["entity"]: entry for entry in cluster.ask("auth ls")["auth_dump"]}
            current = {entity: entry["caps"] for entity, entry in dump.items()}
            steps = plan(current, wanted)
            keys = {entity: dump[entity]["key"] for entity in wanted if entity in dump}
            for entity, step in steps.items():
                caps = [word for item in sorted(wanted[entity].items()) for word in item]
                if module.check_mode:
                    continue
                if step == "caps":
                    cluster.ask("auth caps", entity=entity, caps=caps)
                else:
                    keys[entity] = cluster.ask("auth get-or-create", entity=entity, caps=caps)[0]["key"]
    except CephError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(steps),
        keyrings={entity: f"[{entity}]\n\tkey = {key}\n" for entity, key in keys.items()},
        diff={
            "before": {entity: current.get(entity) for entity in steps},
            "after": {entity: wanted[entity] for entity in steps},
        },
    )


if __name__ == "__main__":
    main()
