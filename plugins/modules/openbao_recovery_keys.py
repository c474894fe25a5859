#!/usr/bin/python
"""Ansible module: the recovery keys of OpenBao, in shares that only custodians can read."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_recovery_keys
short_description: Make, rotate and hand out the recovery keys of OpenBao
description:
  - Shares leave OpenBao encrypted to a custodian's key, never otherwise. Until C(forgotten) OpenBao keeps them,
    encrypted, so that a run that was killed can fetch them again.
  - A rotation takes a threshold of the present shares, and then of the new ones; the present ones stay valid until
    then, whatever happens. It lives in the memory of the active node; a change of leader ends it.
requirements: [python3-cryptography, legalcloud-hsm]
options:
  state:
    description:
      - C(present) makes recovery keys if there are none, and returns the encrypted shares that OpenBao still keeps.
      - C(rotated) takes the next step of a rotation with C(shares), or says which it needs.
      - C(forgotten) removes the encrypted shares that OpenBao keeps.
    type: str
    choices: [present, rotated, forgotten]
    default: present
  custodians:
    description: Fingerprint and key (base64) of each, as M(openbao_custodians) returns them.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name of the custodian., type: str, required: true}
      fingerprint: {description: Of his key., type: str, required: true}
      key: {description: "The key, base64.", type: str, required: true}
  threshold: {description: How many shares are needed together., type: int, default: 0}
  shares: {description: Decrypted shares for a rotation., type: list, elements: str, default: []}
attributes:
  check_mode: {support: full, description: Says what would be made or asked for.}
  diff_mode: {support: none, description: There is nothing to show.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: shares | Make the recovery keys
  openbao_recovery_keys:
    custodians: "{{ __key_ceremony_keys.custodians }}"
    threshold: 3
  no_log: true  # encrypted shares
"""

RETURN = r"""
shares:
  description: Encrypted shares, armored, by fingerprint; empty if OpenBao keeps none.
  type: dict
  returned: always
set: {description: Name of the set that OpenBao keeps; empty if it keeps none., type: str, returned: always}
threshold: {description: Shares that are needed now., type: int, returned: always}
total: {description: Shares that there are now., type: int, returned: always}
needs:
  description: For C(rotated), which shares come next - C(present) or C(new) - or nothing, and how many.
  type: dict
  returned: always
root_tokens: {description: How many tokens with the policy root there are., type: int, returned: always}
"""

import base64
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.openbao import Client, OpenBaoError, steward
from ansible.module_utils.openpgp_armor import armored

BASE = "sys/rotate/recovery"
NO_BACKUP = 400
ENDED = ((400, ["invalid", "accessor"]), (403, ["bad", "token"]))
"""What OpenBao 2.7.2 answers about a token that ended since the accessors were listed; all else is no answer."""


class Recovery:
    """The recovery keys as the steward sees them."""

    def __init__(self, client: Client, custodians: list[dict[str, str]], threshold: int) -> None:
        self.client = client
        self.custodians = custodians
        self.threshold = threshold

    def total(self) -> tuple[int, int]:
        """Return how many shares there are, and how many are needed."""
        status = self.client.read("sys/seal-status") or {}
        return int(status["n"]), int(status["t"])

    def kept(self) -> tuple[str, dict[str, str]]:
        """Return name and encrypted shares, by fingerprint, of the set that OpenBao keeps; both may be empty."""
        try:
            data = (self.client.read(f"{BASE}/backup") or {})["data"]
        except OpenBaoError as error:
            if error.status == NO_BACKUP and "no backed-up keys" in str(error):
                return "", {}
            raise
        shares = {name.upper(): armored(base64.b64decode(keys[0])) for name, keys in data["keys_base64"].items()}
        return data["nonce"], shares

    def progress(self) -> dict[str, Any]:
        return dict((self.client.read(f"{BASE}/init") or {})["data"])

    def begin(self, *, verified: bool) -> dict[str, Any]:
        body = {
            "secret_shares": len(self.custodians),
            "secret_threshold": self.threshold,
            "pgp_keys": [custodian["key"] for custodian in self.custodians],
            "backup": True,
            "require_verification": verified,
        }
        try:
            return dict(self.client.write(f"{BASE}/init", body)["data"])
        except OpenBaoError:
            self.cancel()
            raise

    def cancel(self) -> None:
        self.client.delete(f"{BASE}/init")

    def forget(self) -> None:
        self.client.delete(f"{BASE}/backup")

    def feed(self, step: str, nonce: str, shares: list[str]) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for share in shares:
            answer = dict(self.client.write(f"{BASE}/{step}", {"key": share.strip(), "nonce": nonce})["data"])
        return answer

    def is_ours(self, progress: dict[str, Any]) -> bool:
        """Tell whether the rotation under way is for these custodians and this threshold."""
        theirs = {str(one).upper() for one in progress.get("pgp_fingerprints") or []}
        return theirs == {one["fingerprint"] for one in self.custodians} and progress["t"] == self.threshold

    def root_tokens(self) -> int:
        found = 0
        for accessor in self.client.keys("auth/token/accessors"):
            try:
                token = self.client.write("auth/token/lookup-accessor", {"accessor": accessor})
            except OpenBaoError as error:
                if (error.status, str(error).rsplit(maxsplit=2)[-2:]) not in ENDED:
                    raise
                continue
            found += "root" in token["data"]["policies"]
        return found


def make(recovery: Recovery, *, check: bool) -> bool:
    """Make recovery keys if there are none; a rotation that was left unfinished has made none either."""
    if recovery.total()[0]:
        return False
    if not check:
        if recovery.progress()["started"]:
            recovery.cancel()
        recovery.begin(verified=False)
    return True


def rotate(recovery: Recovery, shares: list[str], *, check: bool) -> tuple[bool, dict[str, Any]]:
    """Take the next step; return whether anything changed and which shares come next."""
    progress = recovery.progress()
    waits = progress["started"] and progress.get("verification_nonce") and recovery.is_ours(progress)
    which, count = ("new", recovery.threshold) if waits else ("present", int(progress["required"]))
    if not shares or check:
        return False, {"which": which, "count": count}
    if len(shares) != count:
        msg = f"{len(shares)} shares were given; this step needs {count} of the {which} ones."
        raise OpenBaoError(msg)
    if waits:
        recovery.feed("verify", progress["verification_nonce"], shares)
        return True, {"which": "", "count": 0}
    if progress["started"]:
        recovery.cancel()
    begun = recovery.begin(verified=True)
    try:
        recovery.feed("update", begun["nonce"], shares)
    except OpenBaoError:
        recovery.cancel()
        raise
    return True, {"which": "new", "count": recovery.threshold}


def work(module: AnsibleModule) -> dict[str, Any]:
    params, changed, needs = module.params, False, {"which": "", "count": 0}
    with steward() as client:
        recovery = Recovery(client, params["custodians"], params["threshold"])
        if params["state"] == "present":
            changed = make(recovery, check=module.check_mode)
        elif params["state"] == "rotated":
            changed, needs = rotate(recovery, params["shares"], check=module.check_mode)
        elif recovery.kept()[0]:
            changed = True
            if not module.check_mode:
                recovery.forget()
        total, threshold = recovery.total()
        name, encrypted = recovery.kept()
        return {
            "changed": changed,
            "set": name,
            "shares": encrypted,
            "total": total,
            "threshold": threshold,
            "needs": needs,
            "root_tokens": recovery.root_tokens(),
        }


def main() -> None:
    custodian = {
        "name": {"type": "str", "required": True},
        "fingerprint": {"type": "str", "required": True},
        "key": {"type": "str", "required": True, "no_log": False},
    }
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "rotated", "forgotten"], "default": "present"},
            "custodians": {"type": "list", "elements": "dict", "default": [], "options": custodian},
            "threshold": {"type": "int", "default": 0},
            "shares": {"type": "list", "elements": "str", "default": [], "no_log": True},
        },
        supports_check_mode=True,
    )
    result: dict[str, Any] = {}
    try:
        result = work(module)
    except OpenBaoError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
