#!/usr/bin/python
"""Ansible module: throw-away PGP keys for the custodians of the lab."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_custodians
short_description: Make throw-away PGP keys for the custodians of the lab
description:
  - For the lab only. A real custodian makes a key at his own desk, and its secret half never comes near the controller.
  - Makes a key without a passphrase for each name, in a GnuPG folder of its own, and writes C(NAME.asc) beside it. A
    key that is there is kept.
requirements: [gpg, gpg-agent]
options:
  folder: {description: Where keys and folders are., type: path, required: true}
  names: {description: "Names of the custodians, of [a-z0-9-].", type: list, elements: str, required: true}
attributes:
  check_mode: {support: full, description: Says whose keys it would make.}
  diff_mode: {support: none, description: Secret keys are never shown.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: custodians | Make the keys of the custodians
  lab_custodians:
    folder: /var/lib/legalcloud-lab/custodians
    names: [custodian-1, custodian-2]
"""

RETURN = r"""
made: {description: Whose keys were made., type: list, elements: str, returned: always}
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import need, run


def make(module: AnsibleModule, folder: Path, name: str) -> None:
    """Make the pair and write its public half last, which says that all of it is there."""
    home = folder / name
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    gpg = [module.get_bin_path("gpg", required=True), "--homedir", str(home), "--batch", "--quiet"]
    address = f"{name}@custodians.lab.legalcloud.test"

    def do(*words: str) -> str:
        return str(need(module, [*gpg, *words]))

    try:
        if not (home / "private-keys-v1.d").exists():
            do("--passphrase", "", "--quick-generate-key", address, "future-default", "default", "never")
        public = do("--armor", "--export", address)
    finally:
        run(["gpgconf", "--homedir", str(home), "--kill", "all"])
    (folder / f"{name}.asc").write_text(public, encoding="ascii")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["folder"])
    missing = [name for name in module.params["names"] if not (folder / f"{name}.asc").exists()]
    if not module.check_mode:
        for name in missing:
            make(module, folder, name)
    module.exit_json(changed=bool(missing), made=missing)


if __name__ == "__main__":
    main()
