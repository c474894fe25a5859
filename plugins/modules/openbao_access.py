#!/usr/bin/python
"""Ansible module: engines, policies and logins of OpenBao."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_access
short_description: Keep engines, policies, logins and the keyring's rotation of OpenBao
description:
  - Logs in as C(steward) with a certificate that the node's HSM signs for this one run.
  - Compares first, and then makes only the calls that are needed. It never deletes an engine.
  - While OpenBao is not initialised it does nothing and says so.
requirements: [python3-cryptography, legalcloud-hsm]
options:
  engines:
    description: Secret engines.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: "Path, without a slash at its end.", type: str, required: true}
      type: {description: "C(transit) or C(kv).", type: str, required: true}
      description: {description: What it is for., type: str, required: true}
      options: {description: "Options of the engine, such as C(version) of kv.", type: dict, default: {}}
  policies: {description: Policies as HCL by name., type: dict, required: true}
  logins:
    description: Who may log in with a certificate of the login CA.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name of the login., type: str, required: true}
      common_names:
        description: Common names of certificates that may use it; C(*) stands for any text.
        type: list
        elements: str
        required: true
      policy: {description: "The token's one policy.", type: str, required: true}
      minutes: {description: Life of a token., type: int, required: true}
      renewable:
        description: Whether a token lives on for as long as it is renewed with the certificate.
        type: bool
        default: false
      addresses:
        description: Networks from which the token may be used; any if empty.
        type: list
        elements: str
        default: []
  login_ca: {description: Certificate of the CA that logins trust., type: path, required: true}
  longest_minutes: {description: The longest life of a token that is not renewable., type: int, required: true}
  rotation_days: {description: Days after which the keyring is rotated; 0 never., type: int, required: true}
  rotation_operations: {description: Encryptions after which the keyring is rotated., type: int, required: true}
  remove_unknown:
    description: Whether to delete policies and logins that are not named here.
    type: bool
    default: false
attributes:
  check_mode: {support: full, description: Logs in and compares.}
  diff_mode: {support: full, description: Policies as text; logins and engines as JSON.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: configure | Keep engines, policies and logins
  openbao_access:
    engines: [{path: transit-s3, type: transit, description: Keys of tenants}]
    policies: {snapshot: 'path "sys/storage/raft/snapshot" { capabilities = ["read"] }'}
    logins: [{name: snapshot, common_names: [snapshot], policy: snapshot, minutes: 10}]
    login_ca: /etc/legalcloud/hsm/login-ca.crt
    longest_minutes: 60
    rotation_days: 90
    rotation_operations: 3865470566
"""

RETURN = r"""
initialized: {description: Whether OpenBao is initialised., type: bool, returned: always}
changes: {description: "What was changed, in words.", type: list, elements: str, returned: always}
unknown: {description: What OpenBao has and nobody asked for., type: list, elements: str, returned: always}
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.openbao import CA, HERE, Client, OpenBaoError, steward, trusting
from ansible.module_utils.openbao_plan import MINUTE, ConflictError, State, Wanted, plan


def observe(client: Client) -> State:
    def data(path: str) -> dict[str, Any]:
        return dict((client.read(path) or {"data": {}})["data"])

    return State(
        mounts=data("sys/mounts"),
        login=data("sys/auth").get("cert/", {}),
        policies={
            name: data(f"sys/policies/acl/{name}")["policy"]
            for name in client.keys("sys/policies/acl")
            if name != "root"
        },
        logins={name: data(f"auth/cert/certs/{name}") for name in client.keys("auth/cert/certs")},
        keyring=data("sys/rotate/keyring/config"),
    )


def login(entry: dict[str, Any], certificate: str) -> dict[str, Any]:
    """Spell a login as OpenBao's API does."""
    seconds = entry["minutes"] * MINUTE
    return {
        "display_name": entry["name"],
        "certificate": certificate,
        "allowed_common_names": entry["common_names"],
        "token_policies": [entry["policy"]],
        "token_no_default_policy": True,
        "token_ttl": 0 if entry["renewable"] else seconds,
        "token_max_ttl": 0 if entry["renewable"] else seconds,
        "token_period": seconds if entry["renewable"] else 0,
        "token_bound_cidrs": entry["addresses"],
    }


def wished(params: dict[str, Any]) -> Wanted:
    certificate = Path(params["login_ca"]).read_text(encoding="ascii")
    return Wanted(
        engines={entry["path"]: entry for entry in params["engines"]},
        policies=params["policies"],
        logins={entry["name"]: login(entry, certificate) for entry in params["logins"]},
        keyring={
            "enabled": True,
            "interval": f"{params['rotation_days'] * 24}h0m0s" if params["rotation_days"] else 0,  # as it is read back
            "max_operations": params["rotation_operations"],
        },
        longest_minutes=params["longest_minutes"],
    )


def converge(module: AnsibleModule) -> dict[str, Any]:
    health = Client(HERE, trusting(CA)).read("sys/seal-status") or {}
    if not health.get("initialized"):
        return {"changed": False, "initialized": False, "changes": [], "unknown": []}
    wanted = wished(module.params)
    with steward() as client:
        found = plan(observe(client), wanted, remove_unknown=module.params["remove_unknown"])
        if not module.check_mode:
            for step in found.steps:
                if step.body is None:
                    client.delete(step.path)
                else:
                    client.write(step.path, step.body)
    return {
        "changed": bool(found.steps),
        "initialized": True,
        "changes": [step.title for step in found.steps],
        "unknown": list(found.unknown),
        "diff": [
            {"before_header": step.title, "after_header": step.title, "before": step.before, "after": step.after}
            for step in found.steps
        ],
    }


def main() -> None:
    engine = {
        "path": {"type": "str", "required": True},
        "type": {"type": "str", "required": True},
        "description": {"type": "str", "required": True},
        "options": {"type": "dict", "default": {}},
    }
    one_login = {
        "name": {"type": "str", "required": True},
        "common_names": {"type": "list", "elements": "str", "required": True},
        "policy": {"type": "str", "required": True},
        "minutes": {"type": "int", "required": True},
        "renewable": {"type": "bool", "default": False},
        "addresses": {"type": "list", "elements": "str", "default": []},
    }
    module = AnsibleModule(
        argument_spec={
            "engines": {"type": "list", "elements": "dict", "required": True, "options": engine},
            "policies": {"type": "dict", "required": True},
            "logins": {"type": "list", "elements": "dict", "required": True, "options": one_login},
            "login_ca": {"type": "path", "required": True},
            "longest_minutes": {"type": "int", "required": True},
            "rotation_days": {"type": "int", "required": True},
            "rotation_operations": {"type": "int", "required": True},
            "remove_unknown": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    result: dict[str, Any] = {}
    try:
        result = converge(module)
    except (OpenBaoError, ConflictError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}. The role hsm of site.yml places it.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
