"""What tests on the lab share. They run on the lab that stands, and make none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import boto3
import pytest
import yaml
from tests.e2e.nodes import ROOT, Lab, NodeError, lab_from

from legalcloud.reveal import open_revealed

INVENTORY = ROOT / "inventories/lab"
IDENTITY = INVENTORY / "lab-age-identity.txt"
CACHE = ROOT / ".cache/e2e-inventory"
"""The lab's inventory with its connection variables resolved: testinfra reads them without Ansible's templates."""
NO_LAB = "This test needs the lab, and none stands here: type `make lab` first."

Run = Callable[[Sequence[str], bytes], bytes]

_labs: dict[str, Lab] = {}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave these tests alone, imports and all, where nobody asks for them."""
    expression = str(config.option.markexpr)
    unwanted = "not ci" in expression and "not long" in expression
    return True if unwanted and collection_path.name.startswith("test_") else None


def pytest_collection(session: pytest.Session) -> None:
    """Give testinfra the lab's nodes before it asks for them."""
    expression = str(session.config.option.markexpr)
    if session.config.option.ansible_inventory or ("not ci" in expression and "not long" in expression):
        return
    lab = _lab()
    if lab is not None:
        session.config.option.ansible_inventory = str(_inventory_for_testinfra(lab))


def _lab() -> Lab | None:
    """Return the lab, or None if none stands; asks Ansible once."""
    if "lab" not in _labs:
        found = lab_from(INVENTORY)
        if not found.known_hosts.exists():
            return None
        _labs["lab"] = found
    return _labs["lab"]


def _inventory_for_testinfra(lab: Lab) -> Path:
    CACHE.mkdir(parents=True, exist_ok=True)
    for name in ("hosts.yml", "group_vars"):
        link = CACHE / name
        if not link.is_symlink():
            link.symlink_to(lab.inventory / name)
    keys = ("ansible_ssh_private_key_file", "ansible_ssh_common_args")
    hosts = {name: {key: own[key] for key in keys} for name, own in lab.host_variables.items()}
    (CACHE / "resolved.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    return CACHE


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    found = _lab()
    if found is None:
        pytest.fail(NO_LAB, pytrace=False)
    try:
        found.admin().run(["true"])
    except (OSError, NodeError) as error:
        pytest.fail(f"The lab does not answer ({error}): type `make lab` first.", pytrace=False)
    yield found
    for node in found.nodes.values():
        node.close()


@pytest.fixture(autouse=True)
def _nodes_stand(request: pytest.FixtureRequest) -> None:
    """Say plainly that there is no lab, before testinfra says something else."""
    if "host" in request.fixturenames:
        request.getfixturevalue("lab")


@pytest.fixture(scope="session")
def lab_node_run(lab: Lab) -> Run:
    """Run a command on the first monitor, as root, with bytes on its standard input."""
    return lambda argv, stdin: lab.admin().run(argv, stdin)


@pytest.fixture(scope="session")
def inventory_folder(lab: Lab) -> Path:
    return lab.inventory


@pytest.fixture(scope="session")
def endpoint_url(lab: Lab) -> str:
    """Return the S3 service's one name, which the lab's host finds in /etc/hosts."""
    return str(lab.variables["tenants_endpoint_url"])


@pytest.fixture(scope="session")
def ca_file(lab: Lab) -> Path:
    return Path(lab.variables["tenants_ca_file"])


@pytest.fixture(scope="session")
def tenant_session(lab: Lab) -> Callable[[str], boto3.Session]:
    """Give a tenant's own session, by the key that was revealed to it last."""
    revealed = Path(lab.variables["tenants_reveal_dir"])
    identity = next(line for line in IDENTITY.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-"))

    def make(tenant_id: str) -> boto3.Session:
        files = sorted(revealed.glob(f"{tenant_id}.*.age"), key=lambda path: path.stat().st_mtime)
        assert files, f"{revealed} has no file for {tenant_id}: run playbooks/tenants.yml"
        key = open_revealed(files[-1], identity=identity)
        return boto3.Session(str(key["access_key_id"]), str(key["secret_access_key"]), region_name="default")

    return make
