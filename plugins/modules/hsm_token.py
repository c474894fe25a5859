#!/usr/bin/python
"""Makes and clones the lab's SoftHSM token, in place of what an HSM's vendor gives for that."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hsm_token
short_description: Make or clone the lab's SoftHSM token
description:
  - Runs one verb of C(legalcloud-hsm), which never touches a token that has keys of its own.
  - A clone travels as CMS for the certificate of the node that takes it in; nobody between the two can read it.
options:
  name: {description: The token's name in C(/etc/legalcloud/hsm.json)., type: str, required: true}
  action:
    description:
      - C(make) the token with its keys, C(add) keys to it, C(export) a clone or C(import) one.
    type: str
    choices: [make, add, export, import]
    required: true
  keys: {description: Label to kind, for C(make) and C(add)., type: dict, default: {}}
  to: {description: The node that the clone is for., type: str}
  certificate: {description: That node's certificate as PEM., type: str}
  envelope: {description: The clone, for C(import)., type: str}
attributes:
  check_mode: {support: full, description: Says that it would; an envelope is empty then.}
  diff_mode: {support: none, description: Nothing of a token is ever shown.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: configure | Make the first token
  hsm_token:
    name: kms
    action: make
    keys: {kek-1: aes-256, login-ca: ec-p384}
"""

RETURN = r"""
envelope:
  description: The clone, sealed to the node that it is for.
  type: str
  returned: with action export
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run

TOOL = "/usr/local/sbin/legalcloud-hsm"


def do(module: AnsibleModule, *words: str, stdin: str = "") -> dict[str, Any]:
    _, out, err = run([TOOL, *words], text=stdin)
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        answer = {"reason": "none", "message": f"{TOOL} {words[0]} gave no answer: {err.strip()}"}
    if answer["reason"] != "good":
        module.fail_json(msg=f"{answer['message']} {answer.get('remedy', '')}".strip())
    return answer


def act(module: AnsibleModule) -> dict[str, Any]:
    name, keys = module.params["name"], module.params["keys"]
    match module.params["action"]:
        case "make":
            do(module, "softhsm-make", name, *(f"{label}={kind}" for label, kind in keys.items()))
        case "add":
            for label, kind in keys.items():
                do(module, "make-key", name, label, kind)
        case "export":
            words = ("softhsm-export", name, "--to", module.params["to"])
            return {"envelope": do(module, *words, stdin=module.params["certificate"])["envelope"]}
        case _:
            do(module, "softhsm-import", name, stdin=module.params["envelope"])
    return {}


def main() -> None:
    actions = ["make", "add", "export", "import"]
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "action": {"type": "str", "choices": actions, "required": True},
            "keys": {"type": "dict", "default": {}, "no_log": False},
            "to": {"type": "str"},
            "certificate": {"type": "str"},
            "envelope": {"type": "str"},
        },
        required_if=[
            ("action", "make", ["keys"]),
            ("action", "add", ["keys"]),
            ("action", "export", ["to", "certificate"]),
            ("action", "import", ["envelope"]),
        ],
        supports_check_mode=True,
    )
    exports = module.params["action"] == "export"
    done = {"envelope": ""} if module.check_mode and exports else {} if module.check_mode else act(module)
    module.exit_json(changed=not exports, **done)


if __name__ == "__main__":
    main()
