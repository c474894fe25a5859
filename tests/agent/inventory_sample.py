"""A sound inventory that a test may spoil in one place."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from legalcloud.errors import InventoryError
from legalcloud.inventory import Inventory, load

TODAY = date(2026, 12, 1)
SOUND = Path(__file__).parent / "data" / "inventory"

HOSTS = "hosts.yml"
REGISTER = "group_vars/all/register.yml"
PLAN = "group_vars/all/plan.yml"
TENANT = "tenants/firm-a.yml"


class Sample:
    """A copy of the sound inventory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(SOUND, folder)

    def change(self, file: str, old: str, new: str) -> Sample:
        """Change the first place where `old` stands."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} of the sample does not hold {old!r}"
        path.write_text(text.replace(old, new, 1))
        return self

    def write(self, file: str, text: str) -> Sample:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return self

    def load(self) -> Inventory:
        return load(self.folder, today=TODAY)

    def refusals(self) -> list[str]:
        """Give every problem that the loader names, with the path of the folder cut off."""
        with pytest.raises(InventoryError) as refused:
            self.load()
        head, *problems = str(refused.value).splitlines()
        assert head.startswith(f"{self.folder} has {len(problems)} problem")
        return [problem.strip().removeprefix(f"{self.folder}/") for problem in problems]
