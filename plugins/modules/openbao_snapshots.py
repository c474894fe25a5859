#!/usr/bin/python
"""Ansible module: what snapshots of OpenBao this node has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_snapshots
short_description: List the snapshots of OpenBao on this node, and hand one out
description:
  - A snapshot counts if its manifest is beside it and its SHA-256 holds; one that does not is returned as broken.
  - The content stays encrypted to the recipients of the backup.
options:
  folder: {description: Where the role openbao_backup keeps them., type: path, required: true}
  storage: {description: OpenBao's; an earlier one beside it is named., type: path, default: /var/lib/openbao/raft}
  missing_is_empty:
    description: >-
      Whether a folder that is not there holds nothing. Otherwise nobody knows what there is, and that is refused, so
      that no moved folder proves that no snapshot is left.
    type: bool
    default: false
  content_of: {description: Name of the snapshot to return as well., type: str, default: ""}
attributes:
  check_mode: {support: full, description: It changes nothing.}
  diff_mode: {support: none, description: It changes nothing.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: look | List the snapshots
  openbao_snapshots:
    folder: /var/backups/openbao
  register: __found
"""

RETURN = r"""
snapshots:
  description: Manifests with the file's C(name), oldest first.
  type: list
  elements: dict
  returned: always
broken:
  description: Names of files that are no whole snapshot; each may still hold a key.
  type: list
  elements: str
  returned: always
aside:
  description: Folders beside the storage that hold an earlier one.
  type: list
  elements: str
  returned: always
content:
  description: The encrypted snapshot that was asked for, base64.
  type: str
  returned: when asked for
"""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

PATTERN = "openbao-*.cms"


def manifest(path: Path) -> dict[str, Any] | None:
    """Return what the manifest says, or None unless the file is the one that it describes."""
    try:
        found = json.loads(path.with_name(f"{path.name}.json").read_bytes())
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != found["sha256"] or not isinstance(found["taken_at"], str):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**found, "name": path.name}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "storage": {"type": "path", "default": "/var/lib/openbao/raft"},
            "missing_is_empty": {"type": "bool", "default": False},
            "content_of": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    folder, name = Path(module.params["folder"]), module.params["content_of"]
    storage = Path(module.params["storage"])
    missing = [str(path) for path in (folder, storage.parent) if not path.is_dir()]
    if missing and not module.params["missing_is_empty"]:
        module.fail_json(
            msg=f"{' and '.join(missing)} is no folder here, so nothing says which snapshots are left. Name the folder "
            "where they are; if there are none, make it."
        )
    found = {path.name: manifest(path) for path in sorted(folder.glob(PATTERN))}
    answer: dict[str, Any] = {
        "changed": False,
        "snapshots": sorted((one for one in found.values() if one), key=lambda one: str(one["taken_at"])),
        "broken": [path for path, one in found.items() if one is None],
        "aside": sorted(str(path) for path in storage.parent.glob(f"{storage.name}.*")),
    }
    if name:
        if found.get(name) is None:
            module.fail_json(msg=f"{folder} has no whole snapshot {name}. Name one of: {', '.join(found) or 'none'}.")
        answer["content"] = base64.b64encode((folder / name).read_bytes()).decode()
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
