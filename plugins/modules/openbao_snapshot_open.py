#!/usr/bin/python
"""Ansible module: decrypt a snapshot on the controller, with a recipient's key."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_snapshot_open
short_description: Decrypt a snapshot of OpenBao with a recipient's key
description:
  - Runs on the controller. What it returns is still encrypted by OpenBao's barrier, but has the names of keys in it, so
    the task needs C(no_log). It is written nowhere.
options:
  content: {description: "The snapshot as the node keeps it, base64.", type: str, required: true}
  key_file: {description: The recipient's private key., type: path, required: true}
  certificate_file: {description: The recipient's certificate., type: path, required: true}
attributes:
  check_mode: {support: full, description: It changes nothing.}
  diff_mode: {support: none, description: It changes nothing.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: restore | Open the snapshot
  openbao_snapshot_open:
    content: "{{ __chosen.content }}"
    key_file: recipient.key
    certificate_file: recipient.crt
  no_log: true  # the snapshot
"""

RETURN = r"""
content:
  description: The snapshot as OpenBao made it, base64.
  type: str
  returned: always
"""

import base64
import subprocess

from ansible.module_utils.basic import AnsibleModule

SECONDS = 300


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "content": {"type": "str", "required": True, "no_log": True},
            "key_file": {"type": "path", "required": True, "no_log": False},
            "certificate_file": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    key, certificate = module.params["key_file"], module.params["certificate_file"]
    words = ["-inkey", key, "-recip", certificate]
    command = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", *words]
    sealed = base64.b64decode(module.params["content"])
    try:
        done = subprocess.run(command, input=sealed, capture_output=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        module.fail_json(msg=f"openssl did not answer: {error}")
    if done.returncode != 0:  # what it printed before it met the wrong tag is not to be trusted
        said = done.stderr.decode(errors="replace").strip().splitlines()
        module.fail_json(
            msg=f"the snapshot does not open with {key} ({said[0] if said else 'no word'}). "
            "Its manifest lists the SHA-256 of the certificates that it was encrypted to; use the key of one of them."
        )
    module.exit_json(changed=False, content=base64.b64encode(done.stdout).decode())


if __name__ == "__main__":
    main()
