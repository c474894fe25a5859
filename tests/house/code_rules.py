"""Rules about Python: our Ansible modules, the size of files, and reference pages that lag behind."""

from __future__ import annotations

import ast
from pathlib import Path

from docs.generate import stale
from tests.house.tree import texts

LINES = 250
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def modules_document_themselves(root: Path) -> list[str]:
    faults = []
    for path in sorted((root / "plugins/modules").glob("*.py")):
        bound = {
            target.id
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        missing = {"DOCUMENTATION", "EXAMPLES", "RETURN"} - bound
        if missing:
            faults.append(f"plugins/modules/{path.name}: no {', '.join(sorted(missing))}")
    return faults


def modules_predict(root: Path) -> list[str]:
    """Every AnsibleModule says that it supports check mode; that it then does is its own tests' business."""
    faults = []
    for path in sorted((root / "plugins/modules").glob("*.py")):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "AnsibleModule"
        ]
        says = [
            any(word.arg == "supports_check_mode" and ast.unparse(word.value) == "True" for word in call.keywords)
            for call in calls
        ]
        if not all(says) or not (says or _action_predicts(root / "plugins/action" / path.name)):
            faults.append(f"plugins/modules/{path.name}: no supports_check_mode=True; compute the change")
    return faults


def _action_predicts(path: Path) -> bool:
    """Tell whether an action does the work of a module that is only its documentation, and says the same."""
    if not path.exists():
        return False
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return any(isinstance(node, ast.Assign) and ast.unparse(node) == "_supports_check_mode = True" for node in nodes)


def files_stay_short_and_are_nouns(root: Path) -> list[str]:
    faults = []
    for name, text in texts(root, "agent", "plugins", "roles", "docs", "tests/house"):
        if not name.endswith(".py"):
            continue
        if (lines := len(text.splitlines())) > LINES:
            faults.append(f"{name}: {lines} lines, of {LINES} at most; split it by meaning")
        if Path(name).stem in VAGUE:
            faults.append(f"{name}: the name says nothing; call it after what it holds")
    return faults


def reference_is_current(root: Path) -> list[str]:
    return [f"{name}: lags behind its source; type `make docs`" for name in stale(root)]
