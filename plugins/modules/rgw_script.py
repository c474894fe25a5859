#!/usr/bin/python
"""Ansible module: the Lua script that the gateways run before each request."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rgw_script
short_description: Keep the Lua script that the gateways run in one context
description:
  - Runs where C(radosgw-admin) and the administrator's keyring are.
  - The gateways take the script up without a restart.
options:
  content: {description: The script., type: str, required: true}
  context: {description: When it runs., type: str, choices: [prerequest, postrequest], default: prerequest}
attributes:
  check_mode: {support: full, description: Compares and changes nothing.}
  diff_mode: {support: full, description: Shows both scripts.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: configure | Keep the gateways' script
  rgw_script:
    content: "{{ lookup('ansible.builtin.file', 'object_lock.lua') }}"
"""

RETURN = ""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import need

NONE_YET = "no script exists"
"""What `radosgw-admin script get`, Ceph 20.2, begins with when there is none."""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "content": {"type": "str", "required": True},
            "context": {"type": "str", "choices": ["prerequest", "postrequest"], "default": "prerequest"},
        },
        supports_check_mode=True,
    )
    wanted = module.params["content"].strip() + "\n"
    context = f"--context={module.params['context']}"
    out = need(module, ["radosgw-admin", "script", "get", context])
    seen = "" if out.startswith(NONE_YET) else out.strip() + "\n"
    if seen != wanted and not module.check_mode:
        path = Path(module.tmpdir) / "script.lua"  # Ansible removes the folder
        path.write_text(wanted)
        need(module, ["radosgw-admin", "script", "put", context, f"--infile={path}"])
    module.exit_json(changed=seen != wanted, diff={"before": seen, "after": wanted})


if __name__ == "__main__":
    main()
