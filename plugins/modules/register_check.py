#!/usr/bin/python
"""Ansible module: refuse a wrong inventory before any node is touched. Runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: register_check
short_description: Read the whole inventory and refuse it if anything in it is wrong
description:
  - Runs on the controller with the Python that has the package legalcloud. Changes nothing.
options:
  inventory_dir: {description: Folder that holds hosts.yml., type: path, required: true}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Refuse a wrong inventory
  register_check:
    inventory_dir: "{{ inventory_dir }}"
"""

RETURN = r"""
nodes:
  description: Names of the nodes of the register.
  type: list
  elements: str
  returned: success
"""

import sys
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from legalcloud import inventory
    from legalcloud.errors import InputError
except ImportError as error:
    MISSING: str | None = str(error)
else:
    MISSING = None


def main() -> None:
    module = AnsibleModule(
        argument_spec={"inventory_dir": {"type": "path", "required": True}}, supports_check_mode=True
    )
    if MISSING is not None:
        module.fail_json(msg=f"{missing_required_lib('legalcloud')} ({MISSING}; {sys.executable})")
    try:
        loaded = inventory.load(Path(module.params["inventory_dir"]))
    except InputError as error:
        module.fail_json(msg=f"{error}\nremedy: {error.hint}")
    else:
        module.exit_json(changed=False, nodes=[node.name for node in loaded.register.nodes])


if __name__ == "__main__":
    main()
