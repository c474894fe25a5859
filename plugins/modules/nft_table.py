#!/usr/bin/python
"""Keeps one nftables table in the kernel equal to what its file says."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nft_table
short_description: Keep one nftables table in the kernel equal to its file
description:
  - Loads the file into an empty network namespace of its own, lists the table there and in the node's own
    namespace, both without counters, and loads the file for good only if the two listings differ. So a rule
    changed by hand is noticed, and a broken file never reaches the node's ruleset.
  - Other tables are not touched.
  - With C(undo_seconds) a change is on trial. A timer of the node's own puts back the former table, and makes the
    file say the same, unless a second call with C(confirmed) stops it first.
options:
  path:
    description: File that replaces the table in one transaction (declares it, deletes it, defines it).
    type: path
    required: true
  family: {description: Address family of the table., type: str, default: inet}
  name: {description: Name of the table., type: str, required: true}
  undo_seconds: {description: Seconds of the trial; 0 loads the file for good., type: int, default: 0}
  confirmed:
    description: End the trial and keep the table. Fails if the timer was faster. Nothing else is done.
    type: bool
    default: false
attributes:
  check_mode: {support: full, description: Compares the listings and loads nothing.}
  diff_mode: {support: full, description: The two listings.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: run | Keep the firewall as its file says
  nft_table: {path: /etc/nftables.d/legalcloud.nft, name: legalcloud}
"""

RETURN = r"""
was_absent:
  description: The table was not in the kernel at all.
  type: bool
  returned: unless confirmed
wanted:
  description: The table as the file says it, in the JSON of C(nft --json), with handles and counters of no meaning.
  type: str
  returned: if the file exists, unless confirmed
on_trial:
  description: The timer runs, from this call or from an earlier one that nobody confirmed.
  type: bool
  returned: always
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run

CLONE_NEWNET = 0x40000000  # sched.h
SELF = Path("/proc/self/ns/net")
UNDO = 'mv "$0" "$1" && nft --file "$1"'


def enter(call: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)  # os.unshare is there from Python 3.12 only
    if getattr(library, call)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}", str(SELF))


@contextlib.contextmanager
def empty_network() -> Iterator[None]:
    """Run the block in a network namespace that ends with it."""
    home = os.open(SELF, os.O_RDONLY)
    try:
        enter("unshare", CLONE_NEWNET)
        try:
            yield
        finally:
            enter("setns", home, CLONE_NEWNET)
    finally:
        os.close(home)


def listing(module: AnsibleModule, table: list[str], form: str = "--stateless") -> str | None:
    """Return the table as nft prints it, by default without counters; None if there is no such table."""
    code, out, err = run(["nft", form, "list", "table", *table])
    if code == 0:
        return str(out)
    if "No such file or directory" not in err:
        module.fail_json(msg=f"nft list table {' '.join(table)} failed: {err.strip()}")
    return None


def load(module: AnsibleModule, path: str) -> None:
    code, _, err = run(["nft", "--file", path])
    if code:
        module.fail_json(msg=f"{path}: nft refuses it; the ruleset in force was not touched. {err.strip()}")


class Trial:
    """A timer that puts the former table back; it lasts as long as the file with that table waits in /run."""

    def __init__(self, module: AnsibleModule, table: list[str]) -> None:
        self.module, self.table = module, " ".join(table)
        self.unit = f"nft-table-undo-{'-'.join(table)}"
        self.former = Path("/run") / f"{self.unit}.nft"

    def begin(self, path: str, live: str | None, seconds: int) -> None:
        if self.former.exists():  # an earlier trial that nobody confirmed: what was before it is what to go back to
            run(["systemctl", "stop", f"{self.unit}.timer"])
        else:
            self.former.touch(mode=0o640)
            self.former.write_text(f"table {self.table}\ndelete table {self.table}\n\n{live or ''}")
        timer = ["systemd-run", "--quiet", "--collect", f"--unit={self.unit}", f"--on-active={seconds}"]
        command = ["/bin/sh", "-c", UNDO, str(self.former), path]
        code, _, err = run([*timer, "--timer-property=AccuracySec=1s", *command])
        if code:
            self.former.unlink()
            self.module.fail_json(msg=f"{path} was not loaded: systemd-run made no timer: {err.strip()}")

    def end(self, path: str) -> None:
        run(["systemctl", "stop", f"{self.unit}.timer"])
        try:
            self.former.unlink()
        except FileNotFoundError:
            self.module.fail_json(
                msg=f"The trial of {path} ended before it was confirmed: table and file are as before. "
                "Run again; if it ends so again, give undo_seconds more."
            )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "family": {"type": "str", "default": "inet"},
            "name": {"type": "str", "required": True},
            "undo_seconds": {"type": "int", "default": 0},
            "confirmed": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    path, table = module.params["path"], [module.params["family"], module.params["name"]]
    trial = Trial(module, table)
    if module.params["confirmed"]:
        if not module.check_mode:
            trial.end(path)
        module.exit_json(changed=True, on_trial=False)
    if not Path(path).exists():
        if module.check_mode:
            module.exit_json(changed=True, on_trial=False, was_absent=listing(module, table) is None)
        module.fail_json(msg=f"{path} does not exist. Place it first.")
    with empty_network():
        load(module, path)
        wanted, in_json = listing(module, table), listing(module, table, "--json")
    if wanted is None:
        module.fail_json(msg=f"{path} does not define the table {' '.join(table)}.")
    live = listing(module, table)
    if live != wanted and not module.check_mode:
        if module.params["undo_seconds"]:
            trial.begin(path, live, module.params["undo_seconds"])
        load(module, path)
        if listing(module, table) != wanted:
            module.fail_json(msg=f"{path} was loaded, but the kernel's table {' '.join(table)} still differs.")
    module.exit_json(
        changed=live != wanted,
        was_absent=live is None,
        wanted=in_json,
        on_trial=trial.former.exists() and not module.check_mode,
        diff={"before": live or "", "after": wanted},
    )


if __name__ == "__main__":
    main()
