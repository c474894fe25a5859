#!/usr/bin/python
"""When certificates on this node end; changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_expiry
short_description: Say when certificates on this node end
description: One that cannot be read is reported, not raised; the reader decides what it means.
options:
  paths:
    description: Files with a certificate as PEM; the first in each counts.
    type: list
    elements: path
    required: true
attributes:
  check_mode: {support: full, description: It changes nothing.}
  diff_mode: {support: none, description: It changes nothing.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Ask when the gateway's login ends
  certificate_expiry:
    paths: [/etc/legalcloud/kms/gateway.crt]
"""

RETURN = r"""
certificates:
  description: By path, C(not_after) in ISO 8601, empty if it is not known, and C(problem), why it is not.
  type: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run

OPENSSL = ("openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in")


def end(path: str) -> dict[str, str]:
    code, out, err = run([*OPENSSL, path])
    if code != 0:
        last = (err.strip().splitlines() or ["openssl said nothing"])[0]
        return {"not_after": "", "problem": f"openssl ended with {code}: {last}"}
    return {"not_after": out.strip().partition("notAfter=")[2], "problem": ""}


def main() -> None:
    module = AnsibleModule(
        argument_spec={"paths": {"type": "list", "elements": "path", "required": True}}, supports_check_mode=True
    )
    module.exit_json(changed=False, certificates={path: end(path) for path in module.params["paths"]})


if __name__ == "__main__":
    main()
