"""Runs a module of ours in this process as Ansible would run it on a node."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
import pytest
from ansible.module_utils.testing import patch_module_args

ROOT = Path(__file__).parents[2]

if str(ROOT / "plugins/module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(ROOT / "plugins/module_utils"))


def run(
    capsys: pytest.CaptureFixture[str], name: str, arguments: Mapping[str, Any], *, check: bool = False
) -> dict[str, Any]:
    """Return the result that the module prints, `failed` among it if it failed."""
    module = importlib.import_module(f"plugins.modules.{name}")
    flags = {"_ansible_check_mode": check, "_ansible_diff": True}
    capsys.readouterr()
    with patch_module_args({**arguments, **flags}), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result
