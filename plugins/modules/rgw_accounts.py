#!/usr/bin/python
"""Ansible module: S3 accounts with their quotas and root users."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rgw_accounts
short_description: Keep S3 accounts, their quotas and their root users
description:
  - Runs where C(radosgw-admin) and the administrator's keyring are. An account's id is derived from its name.
  - Returns the keys of the root users, so the task needs C(no_log). Nothing writes them down.
options:
  accounts:
    description: Wanted accounts.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: The tenant's id., type: str, required: true}
      bytes: {description: Quota in user bytes., type: int, required: true}
      objects: {description: Quota in objects., type: int, required: true}
attributes:
  check_mode: {support: full, description: Names the calls that it would make.}
  diff_mode: {support: full, description: Shows quotas and never a key.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: configure | Keep accounts and quotas
  rgw_accounts:
    accounts:
      - {name: firm-a, bytes: 536870912000, objects: 1000000}
  no_log: true  # returns the keys of the root users
  register: __tenants_accounts
"""

RETURN = r"""
roots:
  description: Key of each root user by account name; an account that check mode would make has none.
  type: dict
  returned: always
unmanaged:
  description: Ids of accounts that were not asked for.
  type: list
  elements: str
  returned: always
"""

import json
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rgw_account import (
    Account,
    AccountConflictError,
    account_steps,
    active_key,
    quota_diff,
    root_steps,
    seen_account,
    unmanaged,
)

TIMEOUT_SECONDS = 120
ABSENT = {"account": 2, "user": 22}
"""Exit codes of `radosgw-admin account get` and `user info` when there is no such thing, Ceph 20.2."""
AT_ONCE = 4
"""Each call is a process that connects to the cluster; more at once do not finish sooner on a monitor."""


class AdminError(Exception):
    """`radosgw-admin` failed; the message has its words and never its answer, which may hold a key."""


def admin(words: list[str], absent: int | None = None) -> Any:  # noqa: ANN401 -- JSON
    shown = f"`radosgw-admin {' '.join(words)}`"
    try:
        done = subprocess.run(
            ["radosgw-admin", *words],  # noqa: S607 -- of the PATH, as Debian installs it
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AdminError(f"{shown} gave no answer in {TIMEOUT_SECONDS} s. Look at `ceph health detail`.") from None
    if absent is not None and done.returncode == absent:
        return None
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip()
        raise AdminError(f"{shown} ended with {done.returncode}: {reason}")
    return json.loads(done.stdout)


def look(account: Account) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Return account and root user as the cluster shows them."""
    return (
        admin(["account", "get", "--account-id", account.id], ABSENT["account"]),
        admin(["user", "info", "--uid", account.root], ABSENT["user"]),
    )


def keep(accounts: list[Account], *, check: bool) -> dict[str, Any]:
    """Decide for all before the first change; return what the module returns."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        listing = pool.submit(admin, ["account", "list"])
        seen = list(pool.map(look, accounts))
        known = listing.result()
    before, after, plans = "", "", []
    for account, (raw, root) in zip(accounts, seen, strict=True):
        old = seen_account(raw) if raw else None
        plans.append((account_steps(account, old), root_steps(account, root)))
        was, will = quota_diff(account, old)
        before, after = before + was, after + will
    roots = {}
    for account, (_, root), (quota, user) in zip(accounts, seen, plans, strict=True):
        current = root
        if not check:
            for words in quota:
                admin(words)
            for words in user:
                current = admin(words)
        if current and (key := active_key(current)):
            roots[account.name] = key
    return {
        "changed": any(quota or user for quota, user in plans),
        "roots": roots,
        "unmanaged": unmanaged(known, accounts),
        "diff": {"before": before, "after": after},
    }


def main() -> None:
    spec = {
        "name": {"type": "str", "required": True},
        "bytes": {"type": "int", "required": True},
        "objects": {"type": "int", "required": True},
    }
    module = AnsibleModule(
        argument_spec={"accounts": {"type": "list", "elements": "dict", "required": True, "options": spec}},
        supports_check_mode=True,
    )
    accounts = [Account(**item) for item in module.params["accounts"]]
    try:
        result = keep(accounts, check=module.check_mode)
    except (AdminError, AccountConflictError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
