#!/usr/bin/python
"""Ansible module: a virtual environment from wheels that are already on the node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: offline_venv
short_description: Make a virtual environment from wheels in a folder, without a network
description:
  - Each set of wheels, and each version of the node's Python, gets a folder of its own; C(path) is a link to the
    present one and changes in one step. A run that was interrupted leaves the former one in place.
  - pip is one of the wheels and checks every hash. Packages of the system are seen, too.
options:
  path: {description: Where the environment is found; a link., type: path, required: true}
  wheels: {description: Folder with the wheels., type: path, required: true}
  requirements: {description: A pip requirements file with a hash for each wheel., type: str, required: true}
attributes:
  check_mode: {support: full, description: Says whether it would make a new one.}
  diff_mode: {support: none, description: An environment is no text.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: install | Make the agent's environment
  offline_venv:
    path: /opt/legalcloud/agent
    wheels: /opt/legalcloud/wheels
    requirements: "{{ __agent_wheels.requirements }}"
"""

RETURN = r"""
made: {description: Folder of the present environment., type: str, returned: always}
"""

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run

DONE = "complete"


def command(module: AnsibleModule, *words: str) -> None:
    code, _, err = run(words, environment={"PIP_NO_CACHE_DIR": "1"})
    if code:
        module.fail_json(msg=f"{' '.join(words)} failed: {err.strip()}")


def pip_of(module: AnsibleModule, wheels: Path) -> Path:
    """Return the wheel of the pip that the requirements name, which runs before it could check itself."""
    wanted = module.params["requirements"]
    version = re.search(r"^pip==([\w.]+)", wanted, re.M)
    wheel = wheels / f"pip-{version[1] if version else ''}-py3-none-any.whl"
    if not wheel.is_file() or f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" not in wanted:
        module.fail_json(msg=f"{wheel} is not there, or not the one whose hash the requirements name")
    return wheel


def build(module: AnsibleModule, target: Path, python: str) -> None:
    wheels, requirements = Path(module.params["wheels"]), target / "requirements.txt"
    shutil.rmtree(target, ignore_errors=True)
    command(module, python, "-I", "-m", "venv", "--without-pip", "--system-site-packages", str(target))
    requirements.write_text(module.params["requirements"])
    pip = pip_of(module, wheels)
    words = ["install", "--quiet", "--no-index", "--no-deps", "--ignore-installed", "--require-hashes"]
    command(
        module, str(target / "bin/python3"), f"{pip}/pip", *words, f"--find-links={wheels}", "-r", str(requirements)
    )
    (target / DONE).touch()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "wheels": {"type": "path", "required": True},
            "requirements": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    path, python = Path(module.params["path"]), str(Path("/usr/bin/python3").resolve())
    said = f"{python} {sys.version} {module.params['requirements']}"
    target = path.with_name(f"{path.name}-{hashlib.sha256(said.encode()).hexdigest()[:16]}")
    changed = not (target / DONE).exists() or path.resolve() != target
    if changed and not module.check_mode:
        former = path.resolve()
        if not (target / DONE).exists():
            build(module, target, python)
        link = path.with_name(f".{path.name}.new")
        link.unlink(missing_ok=True)
        link.symlink_to(target.name)
        link.replace(path)
        for old in path.parent.glob(f"{path.name}-*"):
            if old not in (target, former):  # what runs still reads the former one
                shutil.rmtree(old)
    module.exit_json(changed=changed, made=str(target))


if __name__ == "__main__":
    main()
