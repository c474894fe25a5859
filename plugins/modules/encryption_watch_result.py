#!/usr/bin/python
"""Ansible module: fails if the encryption watch found something in the clear, or has no fresh result."""

from __future__ import annotations

DOCUMENTATION = r"""
module: encryption_watch_result
short_description: Judge the last result of the encryption watch
description:
  - Fails if a bucket has no default encryption, if an object is stored in the clear, or if that is not known.
options:
  path: {description: File that the watch writes., type: path, required: true}
  max_age_hours: {description: A whole pass older than this counts as unknown., type: int, required: true}
attributes:
  check_mode: {support: full, description: Only reads.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: verify | Read what the last whole pass found
  encryption_watch_result:
    path: /var/lib/encryption-watch/result.json
    max_age_hours: 48
"""

RETURN = ""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.encryption_result import faults


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "max_age_hours": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    path, age = Path(module.params["path"]), timedelta(hours=module.params["max_age_hours"])
    text = path.read_text(encoding="utf-8") if path.exists() else None
    found = faults(text, path=str(path), now=datetime.now(UTC), max_age=age)
    if found:
        module.fail_json(msg=" ".join(found))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
