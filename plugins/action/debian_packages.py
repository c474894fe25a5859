"""Asks dpkg first, and apt only if something is missing: apt's cache costs a node seconds, dpkg's answer none."""

from __future__ import annotations

import shlex
from typing import Any

from ansible.plugins.action import ActionBase

SHOW = r"${db:Status-Status} ${Package}\n"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    """One cheap invocation on a node that has all packages, two on one that has not."""

    _requires_connection = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        del tmp
        result: dict[str, Any] = super().run(None, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "name": {"type": "list", "elements": "str", "required": True},
                "cache_valid_seconds": {"type": "int", "default": 86400},
            }
        )
        wanted: list[str] = arguments["name"]
        words = shlex.join(["dpkg-query", "--show", "--showformat", SHOW, *wanted])
        # A command of the connection's, not a module: it only reads, so it also runs in check mode.
        asked = self._low_level_execute_command(words, sudoable=False)
        missing = sorted(set(wanted) - installed(asked.get("stdout", "")))
        result.update(changed=False, missing=missing)
        if missing:
            apt = {
                "name": missing,
                "install_recommends": False,
                "update_cache": True,
                "cache_valid_time": arguments["cache_valid_seconds"],
                "lock_timeout": 300,
            }
            result.update(self._execute_module("ansible.builtin.apt", apt, task_vars=task_vars))
            result["missing"] = missing
        return result


def installed(listing: str) -> set[str]:
    """Read the output of dpkg-query: a state and a package a line."""
    words = (line.split() for line in listing.splitlines())
    return {pair[1] for pair in words if len(pair) == 2 and pair[0] == "installed"}  # noqa: PLR2004 -- a pair
