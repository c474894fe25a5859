#!/usr/bin/python
"""Asks legalcloud-hsm about the tokens of a node, and reads what stands beside them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hsm_state
short_description: Say what the tokens of a node hold and whether their keys work
description:
  - Runs C(legalcloud-hsm describe) for each token and C(legalcloud-hsm check) for the wanted keys that are there.
  - Changes nothing. A wrong PIN costs one try of the token; then no key of it is tried.
options:
  places:
    description: The tokens by their name in C(/etc/legalcloud/hsm.json).
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name., type: str, required: true}
      keys: {description: Labels of the keys to try., type: list, elements: str, default: []}
      traces:
        description: Files that are there only if the token was used before.
        type: list
        elements: path
        default: []
  certificates:
    description: Certificates to read, by a name of the caller's.
    type: dict
    default: {}
attributes:
  check_mode: {support: full, description: It only reads.}
  diff_mode: {support: none, description: It changes nothing.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: configure | Look at the tokens
  hsm_state:
    places: [{name: kms, keys: [kek-1]}]
    certificates: {login_ca: /etc/legalcloud/hsm/login-ca.crt}
  register: __hsm_state
"""

RETURN = r"""
tokens:
  description: For each token reason, message, remedy, token, keys, checks (by label) and the traces that are there.
  type: dict
  returned: always
certificates:
  description: Name to PEM; empty where there is no such file.
  type: dict
  returned: always
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run

TOOL = "/usr/local/sbin/legalcloud-hsm"


def ask(module: AnsibleModule, *words: str) -> dict[str, Any]:
    """Return the tool's answer, whatever its exit code."""
    if not Path(TOOL).exists():  # check mode before the first run
        return {"reason": "token-absent", "message": f"{TOOL} is not on this node yet."}
    _, out, err = run([TOOL, *words])
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        module.fail_json(msg=f"{TOOL} {' '.join(words)} gave no answer: {err.strip() or out.strip()}")
    return answer


def look(module: AnsibleModule, entry: dict[str, Any]) -> dict[str, Any]:
    told = ask(module, "describe", entry["name"])
    there = {key["label"] for key in told.get("keys", ())}
    return {
        "keys": [],
        "traces": [path for path in entry["traces"] if Path(path).exists()],
        **told,
        "checks": {label: ask(module, "check", entry["name"], label) for label in entry["keys"] if label in there},
    }


def main() -> None:
    token = {
        "name": {"type": "str", "required": True},
        "keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
        "traces": {"type": "list", "elements": "path", "default": []},
    }
    module = AnsibleModule(
        argument_spec={
            "places": {"type": "list", "elements": "dict", "required": True, "options": token},
            "certificates": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    paths = {name: Path(path) for name, path in module.params["certificates"].items()}
    module.exit_json(
        changed=False,
        tokens={entry["name"]: look(module, entry) for entry in module.params["places"]},
        certificates={name: path.read_text() if path.exists() else "" for name, path in paths.items()},
    )


if __name__ == "__main__":
    main()
