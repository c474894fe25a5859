#!/usr/bin/python
"""Ansible module: reads and judges the public keys of the custodians, on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_custodians
short_description: Read and judge the public keys of the custodians
description:
  - For the controller. Refuses a key that is expired, revoked, secret or cannot encrypt, a file with more than one
    key, a key that two custodians share, and a threshold below 2 or above their number.
requirements: [gpg]
options:
  custodians:
    description: Who will hold a share.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name of the custodian., type: str, required: true}
      pgp_key: {description: File with his public key., type: path, required: true}
  threshold: {description: How many shares are needed together., type: int, required: true}
attributes:
  check_mode: {support: full, description: It changes nothing.}
  diff_mode: {support: none, description: It changes nothing.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: preflight | Judge the keys of the custodians
  openbao_custodians:
    custodians: [{name: Ada, pgp_key: /srv/ceremony/ada.asc}, {name: Bao, pgp_key: /srv/ceremony/bao.asc}]
    threshold: 2
  delegate_to: localhost
"""

RETURN = r"""
custodians:
  description: Name, fingerprint and the key itself as base64 of each.
  type: list
  elements: dict
  returned: success
"""

import base64
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import need, run
from ansible.module_utils.openpgp_listing import PublicKey, parse, refusals


class Gpg:
    """`gpg` with an empty folder of its own: it shall know no key but the file's."""

    def __init__(self, module: AnsibleModule, home: str) -> None:
        self.module = module
        self.words = [module.get_bin_path("gpg", required=True), "--homedir", home, "--batch", "--quiet"]

    def read(self, name: str, path: str) -> PublicKey:
        code, out, err = run([*self.words, "--with-colons", "--show-keys", "--", path])
        if code:
            self.module.fail_json(msg=f"{path}, the key of {name}: {err.strip() or 'gpg cannot read it'}.")
        found = parse(out)
        if len(found) != 1:
            self.module.fail_json(
                msg=f"{path}, the key of {name}: it holds {len(found)} keys. Give one, by `gpg --armor --export`."
            )
        return found[0]

    def binary(self, path: str) -> bytes:
        content = Path(path).read_bytes()
        if not content.startswith(b"-----BEGIN PGP"):
            return content
        with tempfile.NamedTemporaryFile() as plain:
            words = [*self.words, "--yes", "--output", plain.name, "--dearmor", "--", path]
            need(self.module, words)
            return Path(plain.name).read_bytes()


def main() -> None:
    custodian = {
        "name": {"type": "str", "required": True},
        "pgp_key": {"type": "path", "required": True, "no_log": False},
    }
    module = AnsibleModule(
        argument_spec={
            "custodians": {"type": "list", "elements": "dict", "required": True, "options": custodian},
            "threshold": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    entries = module.params["custodians"]
    names = [entry["name"] for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        module.fail_json(msg=f"{', '.join(twice)} is named twice: one custodian holds one share.")
    with tempfile.TemporaryDirectory(prefix="custodians-") as home:
        gpg = Gpg(module, home)
        keys = {entry["name"]: gpg.read(entry["name"], entry["pgp_key"]) for entry in entries}
        if faults := refusals(keys, threshold=module.params["threshold"]):
            module.fail_json(msg=f"These custodians cannot hold shares. {'; '.join(faults)}.")
        found = [
            {
                "name": entry["name"],
                "fingerprint": keys[entry["name"]].fingerprint,
                "key": base64.b64encode(gpg.binary(entry["pgp_key"])).decode(),
            }
            for entry in entries
        ]
    module.exit_json(changed=False, custodians=found)


if __name__ == "__main__":
    main()
