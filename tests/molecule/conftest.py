"""What the scenarios' own tests share: `molecule verify` runs them with testinfra, and nobody else does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import testinfra
from testinfra.host import Host
from tests.e2e.nodes import tool

CONNECTION = (
    "inventory_hostname", "ansible_host", "ansible_user", "ansible_ssh_private_key_file", "ansible_ssh_common_args",
)  # fmt: skip


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave them alone where molecule made no machine."""
    wanted = "MOLECULE_SCENARIO_NAME" in os.environ
    return None if wanted or not collection_path.name.startswith("test_") else True


@pytest.fixture(scope="session")
def inventory() -> str:
    """Return the folder of the scenario's inventory."""
    return str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)


@pytest.fixture(scope="session")
def machine(inventory: str) -> dict[str, str]:
    """Return how Ansible reaches the scenario's one machine; testinfra does not read Ansible's templates."""
    pairs = ", ".join(f"'{name}': {name}" for name in CONNECTION)
    wish = json.dumps({"msg": f"{{{{ {{{pairs}}} }}}}"})
    plain = ("env", "ANSIBLE_FORCE_COLOR=0")  # molecule asks for colour
    done = tool("ansible", "all:!localhost", "-i", inventory, "-m", "ansible.builtin.debug", "-a", wish, prefix=plain)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, str] = json.loads(done.stdout.partition("=> ")[2])["msg"]
    return found


@pytest.fixture(scope="session")
def host(machine: dict[str, str]) -> Host:
    """Return the machine, on which every command runs as root."""
    return testinfra.get_host(
        f"ssh://{machine['ansible_user']}@{machine['ansible_host']}",
        ssh_identity_file=machine["ansible_ssh_private_key_file"],
        ssh_extra_args=machine["ansible_ssh_common_args"],
        sudo=True,
    )
