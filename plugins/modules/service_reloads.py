#!/usr/bin/python
"""Reloads the systemd units whose files are newer than what they run with."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_reloads
short_description: Reload the systemd units whose files are newer than what they run with
description:
  - Reloads a running unit if one of its files was written after the unit last started or reloaded. Unlike a
    handler it does not forget - a run that was interrupted between writing and reloading is made good by the
    next, and a certificate that another role renewed is noticed.
  - A unit that does not run is left alone.
options:
  units:
    description: The units, in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Full name with its suffix., type: str, required: true}
      files:
        description: Paths of the files that the unit reads again on reload. One that is missing is a fault.
        type: list
        elements: path
        required: true
attributes:
  check_mode: {support: full, description: Says what it would reload for files that are in place.}
  diff_mode: {support: none, description: The names are returned instead.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: run | Reload HAProxy if its configuration or its certificate is newer
  service_reloads:
    units:
      - {name: haproxy.service, files: [/etc/haproxy/haproxy.cfg, /etc/haproxy/s3.pem]}
"""

RETURN = r"""
reloaded:
  description: Units that were, or would be, reloaded.
  type: list
  elements: str
  returned: always
"""

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run
from ansible.module_utils.service_reload import is_outdated, parse

PROPERTIES = "Names,ActiveState,StateChangeTimestampMonotonic"


def systemctl(module: AnsibleModule, *arguments: str) -> str:
    code, out, err = run(["systemctl", *arguments])
    if code:
        unit = arguments[-1]
        module.fail_json(msg=f"systemctl {' '.join(arguments)} failed: {err.strip()} Look at journalctl --unit={unit}.")
    return str(out)


def written_at(module: AnsibleModule, entry: dict[str, Any]) -> float | None:
    """Return when the newest file was written."""
    missing = [name for name in entry["files"] if not Path(name).is_file()]
    if missing and not module.check_mode:
        module.fail_json(
            msg=f"{entry['name']} reads {missing[0]}, which is not there. Run the role that writes it first."
        )
    return max((Path(name).stat().st_mtime for name in entry["files"] if name not in missing), default=None)


def main() -> None:
    unit = {
        "name": {"type": "str", "required": True},
        "files": {"type": "list", "elements": "path", "required": True},
    }
    module = AnsibleModule(
        argument_spec={"units": {"type": "list", "elements": "dict", "required": True, "options": unit}},
        supports_check_mode=True,
    )
    entries = module.params["units"]
    seen = parse(
        systemctl(module, "show", f"--property={PROPERTIES}", *(entry["name"] for entry in entries)),
        boot_time=time.time() - time.monotonic(),
    )
    outdated = [
        entry["name"] for entry in entries if is_outdated(seen[entry["name"]], written_at=written_at(module, entry))
    ]
    if not module.check_mode:
        for name in outdated:
            systemctl(module, "reload", name)
    module.exit_json(changed=bool(outdated), reloaded=outdated)


if __name__ == "__main__":
    main()
