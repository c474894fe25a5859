#!/usr/bin/python
"""Ansible module: the Debian image that the lab's machines are laid over."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_image
short_description: Build the Debian image of the lab's machines with mmdebstrap
description:
  - The image is a folder, named by the digest of its inputs, so that it is built once for each set of inputs.
  - A build that was killed leaves nothing that a later run could take for an image.
options:
  folder: {description: Folder that holds the images., type: path, required: true}
  name: {description: Short name of the image., type: str, required: true}
  suite: {description: Debian release., type: str, required: true}
  sources:
    description: Lines of sources.list to build from; empty means mmdebstrap's own.
    type: list
    elements: str
    default: []
  check_valid_until:
    description: Whether an expired Release file is refused. A frozen mirror has one, so the lab says no.
    type: bool
    default: true
  packages: {description: Packages in the image., type: list, elements: str, required: true}
  files:
    description: Files in the image, each with C(path), C(content) and C(mode).
    type: list
    elements: dict
    default: []
  commands:
    description: Commands, each a list of words, run inside the finished root.
    type: list
    elements: list
    default: []
  state: {description: Whether it shall be there., type: str, choices: [present, absent], default: present}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Build the image
  lab_image:
    folder: /var/lib/legalcloud-lab/images
    name: node
    suite: forky
    packages: [systemd-sysv, openssh-server]
"""

RETURN = r"""
path:
  description: Folder of the image.
  type: str
  returned: always
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_host import LabError, mount_points, run

BUILD_SECONDS = 1800


def image_path(params: dict[str, Any]) -> Path:
    """Folder of the image, named by everything that goes into it."""
    keys = ("suite", "sources", "check_valid_until", "packages", "files", "commands")
    text = json.dumps({key: params[key] for key in keys}, sort_keys=True)
    return Path(params["folder"]) / f"{params['name']}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def build(params: dict[str, Any], path: Path) -> None:
    unfinished = path.with_name(path.name + ".unfinished")
    for remains in path.parent.glob(f"{params['name']}-*.unfinished"):
        for point in mount_points(remains):
            run(["umount", "--lazy", str(point)])
        shutil.rmtree(remains)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = [] if params["check_valid_until"] else ['--aptopt=Acquire::Check-Valid-Until "false"']
    packages = ",".join(params["packages"])
    run(
        ["mmdebstrap", "--variant=apt", "--components=main", "--skip=cleanup/apt/lists", *options,
         f"--include={packages}", params["suite"], str(unfinished), *params["sources"]],
        timeout_seconds=BUILD_SECONDS,
    )  # fmt: skip
    for file in params["files"]:
        target = unfinished / file["path"].lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file["content"])
        target.chmod(int(file["mode"], 8))
    for command in params["commands"]:
        run(["chroot", str(unfinished), *command])
    unfinished.rename(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "suite": {"type": "str", "required": True},
            "sources": {"type": "list", "elements": "str", "default": []},
            "check_valid_until": {"type": "bool", "default": True},
            "packages": {"type": "list", "elements": "str", "required": True},
            "files": {"type": "list", "elements": "dict", "default": []},
            "commands": {"type": "list", "elements": "list", "default": []},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        supports_check_mode=True,
    )
    path = image_path(module.params)
    present = module.params["state"] == "present"
    changed = path.exists() != present
    if changed and not module.check_mode:
        try:
            build(module.params, path) if present else shutil.rmtree(path)
        except (LabError, OSError) as error:
            module.fail_json(msg=f"image {path.name}: {error}")
    module.exit_json(changed=changed, path=str(path))


if __name__ == "__main__":
    main()
