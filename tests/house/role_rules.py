"""Rules about roles: what they say of themselves, and that they know nothing of each other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.house.tree import load, roles, tasks, texts

GROUP_NAMED = re.compile(r"\bgroups\s*(\[|\.get\b|\.\w)|\bgroup_names\b|'groups'\s*\]")
ROLE_CALLS = {"include_role", "import_role"}
"""What these reach need not be reached by site.yml: the lab's machines, and tenants of a standing store."""


def specs_equal_defaults(root: Path) -> list[str]:
    faults = []
    for role in roles(root):
        spec_file, defaults_file = role / "meta/argument_specs.yml", role / "defaults/main.yml"
        if not spec_file.exists():
            faults.append(f"roles/{role.name}: no meta/argument_specs.yml; every role says what it takes")
            continue
        documented = {
            name: option["default"]
            for entry in load(spec_file)["argument_specs"].values()
            for name, option in (entry.get("options") or {}).items()
            if "default" in option
        }
        defaults = (load(defaults_file) or {}) if defaults_file.exists() else {}
        for name in sorted(documented.keys() | defaults.keys()):
            said, given = _shown(documented, name), _shown(defaults, name)
            if said != given:
                faults.append(
                    f"roles/{role.name}: {name} is {said} in argument_specs.yml, {given} in defaults/main.yml"
                )
    return faults


def _shown(values: dict[str, Any], name: str) -> str:
    """Render a value as JSON, so that 1, true and "1" differ."""
    return json.dumps(values[name], sort_keys=True, default=str, ensure_ascii=False) if name in values else "absent"


def variables_begin_with_the_role(root: Path) -> list[str]:
    faults = []
    for role in roles(root):
        for folder in ("defaults", "vars"):
            for path in sorted((role / folder).glob("**/*.y*ml")):
                faults += [
                    f"{path.relative_to(root)}: {name}; call it {role.name}_... or __{role.name}_..."
                    for name in load(path) or {}
                    if not name.startswith((f"{role.name}_", f"__{role.name}_"))
                ]
    return faults


def roles_name_no_group(root: Path) -> list[str]:
    return [
        f"{name}:{number}: an inventory group; take a list of hosts as a variable and let the play fill it"
        for name, text in texts(root, "roles")
        for number, line in enumerate(text.splitlines(), 1)
        if GROUP_NAMED.search(line) and not line.lstrip().startswith("#") and not name.endswith(".md")
    ]


def roles_call_no_role(root: Path) -> list[str]:
    faults = [
        f"{task.where}: calls a role; the playbook introduces roles to each other"
        for task in tasks(root)
        if task.path.is_relative_to(root / "roles") and {key.rpartition(".")[2] for key in task.body} & ROLE_CALLS
    ]
    for role in roles(root):
        meta = role / "meta/main.yml"
        if meta.exists() and (load(meta) or {}).get("dependencies"):
            faults.append(f"roles/{role.name}/meta/main.yml: dependencies; the playbook introduces roles to each other")
    return faults


def a_playbook_reaches_every_role(root: Path) -> list[str]:
    playbooks = root / "playbooks"
    if not playbooks.exists():
        return []
    reached = {name for playbook in sorted(playbooks.glob("*.yml")) for name in _reached(playbook)}
    known = {role.name for role in roles(root)}
    return [
        *(f"roles/{name}: no playbook reaches it" for name in sorted(known - reached)),
        *(f"playbooks: role {name} does not exist" for name in sorted(reached - known)),
    ]


def _reached(playbook: Path) -> Iterator[str]:
    """Names of roles that a playbook, and those it imports, put to work."""
    if not playbook.exists():
        return
    yield from _named(load(playbook), playbook)


def _named(node: Any, playbook: Path) -> Iterator[str]:  # noqa: ANN401 -- YAML is whatever a person wrote
    if isinstance(node, list):
        for inner in node:
            yield from _named(inner, playbook)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        match str(key).rpartition(".")[2]:
            case "roles":
                yield from (
                    entry if isinstance(entry, str) else entry.get("role", entry.get("name")) for entry in value
                )
            case "include_role" | "import_role":
                yield str(value["name"])
            case "import_playbook":
                yield from _reached(playbook.parent / str(value))
            case "import_tasks" | "include_tasks":
                target = value if isinstance(value, str) else value.get("file", "")
                yield from _reached(playbook.parent / str(target))
            case _ if isinstance(value, list):
                yield from _named(value, playbook)
