#!/usr/bin/python
"""Ansible module: the wheels of the node agent that the controller carries to the nodes; runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: agent_wheels
short_description: Keep the wheels of the node agent on the controller, each with its hash
description:
  - Builds the wheel of this project; the same sources give the same bytes.
  - Brings what else the agent needs by a pip requirements file with hashes, if it is not there already.
  - Runs on localhost with the Python of the controller, which has pip and setuptools.
options:
  folder: {description: Where the wheels are kept; nothing else is., type: path, required: true}
  sources: {description: Folder of this project with its pyproject.toml., type: path, required: true}
  requirements_file: {description: A pip requirements file with hashes., type: path, required: true}
attributes:
  check_mode: {support: none, description: It changes nothing but a cache of the controller.}
  diff_mode: {support: none, description: Wheels are no text.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: install | Keep the wheels on the controller
  agent_wheels:
    folder: /srv/legalcloud/agent
    sources: /srv/legalcloud/appliance
    requirements_file: /srv/legalcloud/appliance/requirements/agent.txt
  delegate_to: localhost
"""

RETURN = r"""
wheels: {description: Paths of all wheels., type: list, elements: str, returned: always}
requirements: {description: A pip requirements file with the hash of every wheel., type: str, returned: always}
"""

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run

PARTS = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "agent/src")
EPOCH = "315532800"
"""1980-01-01, the first moment that an archive can name: the wheel's bytes shall depend on the sources alone."""


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pip(module: AnsibleModule, *words: str) -> None:
    environment = {"SOURCE_DATE_EPOCH": EPOCH, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    code, _, err = run([sys.executable, "-m", "pip", *words], environment=environment)
    if code:
        module.fail_json(msg=f"pip {words[0]} failed: {err.strip()}")


def build(module: AnsibleModule, sources: Path, folder: Path) -> Path:
    """Build from a copy, since setuptools leaves files beside what it builds, and would take stale ones along."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "sources"
        for part in PARTS:
            if (sources / part).is_dir():
                shutil.copytree(sources / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                copy.mkdir(exist_ok=True)
                shutil.copy(sources / part, copy / part)
        for path in copy.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        pip(module, "wheel", "-q", "--no-deps", "--no-index", "--no-build-isolation", "-w", scratch, str(copy))
        (wheel,) = Path(scratch).glob("*.whl")
        target = folder / wheel.name
        if not target.exists() or sha256(target) != sha256(wheel):
            shutil.move(wheel, target.with_suffix(".new"))
            target.with_suffix(".new").replace(target)
    return target


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "sources": {"type": "path", "required": True},
            "requirements_file": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    folder, requirements = Path(module.params["folder"]), Path(module.params["requirements_file"])
    folder.mkdir(parents=True, exist_ok=True)
    ours = build(module, Path(module.params["sources"]), folder)
    wanted = requirements.read_text()
    others = [path for path in folder.glob("*.whl") if path != ours and sha256(path) in wanted]
    if len(others) < wanted.count("=="):
        pip(module, "download", "-q", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(requirements),
            "-d", str(folder))  # fmt: skip
        others = [path for path in folder.glob("*.whl") if path != ours and sha256(path) in wanted]
    wheels = sorted([ours, *others])
    for path in set(folder.iterdir()) - set(wheels):
        path.unlink()
    lines = [f"{path.name.split('-')[0]}=={path.name.split('-')[1]} --hash=sha256:{sha256(path)}" for path in wheels]
    module.exit_json(changed=False, wheels=[str(path) for path in wheels], requirements="\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
