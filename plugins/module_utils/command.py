"""Commands of the machine that a module runs on.

Ansible's own `run_command` (2.19) may return success and no output of a command that printed something: it stops
reading when it sees that the process has ended. No module of ours uses it: an empty list of signatures is an empty
drive.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

NOT_STARTED = 127
"""As a shell says it."""


def run(
    argv: Sequence[str], *, environment: Mapping[str, str] | None = None, text: str | None = None
) -> tuple[int, str, str]:
    """Run one command to its end; return its exit code, output and errors, all of them.

    `text` goes to its standard input, which is empty otherwise. Words are in English.
    """
    try:
        done = subprocess.run(
            argv,
            input=text or "",
            capture_output=True,
            env=os.environ | {"LC_ALL": "C.UTF-8"} | dict(environment or {}),
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return NOT_STARTED, "", f"{argv[0]} cannot be started: {error.strerror}"
    return done.returncode, done.stdout, done.stderr


def need(module: AnsibleModule, argv: Sequence[str], *, text: str | None = None) -> str:
    """Return what a command printed; end the module with the command's words if it fails."""
    code, out, err = run(argv, text=text)
    if code:
        module.fail_json(msg=f"`{' '.join(argv)}` ended with {code}: {(err or out).strip()}")
    return out
