"""Renders a role's templates on the controller and hands them to the module of the same name, packed."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template

ENTRY = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["file", "directory", "absent"], "default": "file"},
    "template": {"type": "str"},
    "content": {"type": "str", "no_log": False},
    "source": {"type": "str"},
    "mode": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "validate": {"type": "list", "elements": "str", "default": []},
    "secret": {"type": "bool", "default": False, "no_log": False},
}
ORIGINS = ("template", "content", "source")
MANAGED = "Written by Ansible: changes made here by hand are overwritten."
MODE = re.compile(r"0[0-7]{3,4}")


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    """One invocation on the node, whatever the number of files."""

    _requires_connection = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        del tmp
        result: dict[str, Any] = super().run(None, task_vars)
        _, arguments = self.validate_argument_spec(
            {"files": {"type": "list", "elements": "dict", "required": True, "options": ENTRY}}
        )
        variables = task_vars or {}
        seen: set[str] = set()
        packed = []
        for entry in arguments["files"]:
            if entry["path"] in seen:
                msg = f"config_files: {entry['path']} is listed twice. Keep one of the two."
                raise AnsibleActionFail(msg)
            seen.add(entry["path"])
            packed.append(self._packed(entry, variables))
        payload = base64.b64encode(zlib.compress(json.dumps(packed).encode())).decode()
        result.update(self._execute_module("config_files", {"payload": payload}, task_vars=variables))
        return result

    def _packed(self, entry: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        path = entry["path"]
        if not Path(path).is_absolute():
            msg = f"config_files: {path} is not an absolute path."
            raise AnsibleActionFail(msg)
        origins = [key for key in ORIGINS if entry[key] is not None]
        if len(origins) != (1 if entry["state"] == "file" else 0):
            msg = (
                f"config_files: {path} (state: {entry['state']}) has {origins or 'no content'}. "
                f"A file needs exactly one of {', '.join(ORIGINS)}; anything else needs none."
            )
            raise AnsibleActionFail(msg)
        mode = entry["mode"] or ("0755" if entry["state"] == "directory" else "0644")
        if not MODE.fullmatch(mode):
            msg = f'config_files: mode {mode} of {path} is not like "0644". Quote it, with its leading zero.'
            raise AnsibleActionFail(msg)
        packed = {key: entry[key] for key in ("path", "state", "owner", "group", "validate", "secret")}
        packed["mode"] = mode
        if origins:
            packed["content"] = base64.b64encode(self._content(entry, variables)).decode()
        return packed

    def _content(self, entry: dict[str, Any], variables: dict[str, Any]) -> bytes:
        if entry["content"] is not None:
            return str(entry["content"]).encode()
        if entry["source"] is not None:
            source = self._loader.get_real_file(self._find_needle("files", entry["source"]))
            return Path(source).read_bytes()
        return self._rendered(entry["template"], variables).encode()

    def _rendered(self, name: str, variables: dict[str, Any]) -> str:
        source = self._find_needle("templates", name)
        roots = [
            *variables.get("ansible_search_path", []),
            self._loader.get_basedir(),
            str(Path(source).parent),
        ]
        search_path = [place for root in roots for place in (str(Path(root) / "templates"), str(root))]
        available = {"ansible_managed": MANAGED} | variables
        templar = self._templar.copy_with_new_env(searchpath=search_path, available_variables=available)
        text = templar.template(
            trust_as_template(self._loader.get_text_file_contents(source)),
            escape_backslashes=False,
            overrides={"trim_blocks": True, "lstrip_blocks": False},
        )
        return "" if text is None else str(text)
