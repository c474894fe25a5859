"""A role's templates and variables as Ansible renders them on the controller."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).parents[2]

init_plugin_loader()


def role_variables(role: str, **inventory: Any) -> dict[str, Any]:  # noqa: ANN401 -- variables of an inventory
    found: dict[str, Any] = {}
    for folder in ("defaults", "vars"):
        path = ROOT / "roles" / role / folder / "main.yml"
        found |= yaml.safe_load(path.read_text()) if path.exists() else {}
    return {"ansible_managed": "managed", **found, **inventory}


def rendered(role: str, template: str, **inventory: Any) -> str:  # noqa: ANN401 -- as above
    text: str = _render((ROOT / "roles" / role / "templates" / template).read_text(), role_variables(role, **inventory))
    return text


def variable(role: str, name: str, **inventory: Any) -> Any:  # noqa: ANN401 -- as above
    variables = role_variables(role, **inventory)
    return _render(variables[name], variables)


def _render(text: str, variables: dict[str, Any]) -> Any:  # noqa: ANN401 -- as above
    trusted = {key: trust_as_template(value) if isinstance(value, str) else value for key, value in variables.items()}
    templar = Templar(DataLoader(), variables=trusted)
    return templar.template(
        trust_as_template(text), overrides={"trim_blocks": True, "lstrip_blocks": False}, escape_backslashes=False
    )
