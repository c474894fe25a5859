"""What a new operator copies is whole: every playbook takes it, and only what must be replaced is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.tree import ROOT, load

from legalcloud.cli import main
from legalcloud.inventory import load as load_inventory
from legalcloud.preflight.placeholders import left

EXAMPLE = ROOT / "inventories/example"
PLAYBOOKS = tuple(f"playbooks/{name}.yml" for name in ("site", "tenants", "verify"))
ON_OCCASION = tuple(f"playbooks/{name}.yml" for name in ("key_ceremony", "openbao_restore_drill", "shred_tenant"))
SOME_FSID = "ceph_fsid=7b0a0c6e-5d0e-4d2f-9a3b-1f2e3d4c5b6a"

# No task has such a tag, so that only what is tagged `always` runs: the argument spec of each role, on each host. It
# needs no connection. The playbooks are the real ones, so that no list here can lag behind them.
ONLY_ARGUMENT_SPECS = ("--tags", "argument-specs")

# The refusals of the roles, on a node that is storage, monitor and gateway. What asks the nodes comes before. Not from
# base's first on, though a later play asks that too: Ansible gathers facts when it starts at the first task of a play.
START = "base : preflight | Refuse a user whose name is no file's name"
ONLY_REFUSALS = ("--tags", "preflight", "--start-at-task", START, "--limit", "tko-1")


def ansible_playbook(inventory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, *PLAYBOOKS, *arguments],
        cwd=ROOT,
        env=os.environ | {"ANSIBLE_NOCOLOR": "1", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.parametrize("words", [["register"], ["plan", "--check"]], ids=" ".join)
def test_the_example_is_sound_and_keeps_to_its_plan(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--inventory", str(EXAMPLE)]) == 0, capsys.readouterr()


def test_the_example_gives_every_role_what_it_needs_on_every_host() -> None:
    done = ansible_playbook(EXAMPLE, *ON_OCCASION, *ONLY_ARGUMENT_SPECS)

    assert done.returncode == 0, done.stdout + done.stderr
    for role in {path.parents[1].name for path in ROOT.glob("roles/*/meta/argument_specs.yml")} - {"lab"}:
        assert f"TASK [{role} : Validating arguments" in done.stdout, f"{role} was not asked"


def test_a_variable_that_the_example_lacks_would_be_noticed(tmp_path: Path) -> None:
    poorer = shutil.copytree(EXAMPLE, tmp_path / "poorer")
    (poorer / "group_vars/all/controller.yml").unlink()

    done = ansible_playbook(poorer, *ONLY_ARGUMENT_SPECS)

    assert done.returncode != 0
    assert "missing required arguments: ca_dir" in done.stdout


def test_the_example_passes_every_refusal_of_the_roles_once_it_has_an_identity() -> None:
    done = ansible_playbook(EXAMPLE, *ONLY_REFUSALS, "--extra-vars", SOME_FSID)

    assert done.returncode == 0, done.stdout + done.stderr
    for role in ("ceph", "firewall", "ingress", "tenants"):
        assert f"TASK [{role} : preflight | " in done.stdout, f"{role} was not asked"


def test_the_example_as_it_stands_is_refused_for_its_identity() -> None:
    done = ansible_playbook(EXAMPLE, *ONLY_REFUSALS)

    assert done.returncode != 0
    assert "ceph_fsid is all zeros" in done.stdout


def test_preflight_refuses_every_key_of_the_example_that_is_nobody_s() -> None:
    example = load_inventory(EXAMPLE)

    places = set(left(example))

    assert "base_users[0].ssh_keys[0]" in places
    assert {f"tenants/{tenant.id}.yml: reveal_to" for tenant in example.tenants} <= places
    assert left(load_inventory(ROOT / "inventories/lab")) == ()


def test_the_example_encrypts_drives_and_every_bucket() -> None:
    variables = load(EXAMPLE / "group_vars/all/ceph.yml")
    tenants = load_inventory(EXAMPLE).tenants

    assert variables["ceph_osd_method"] == "luks"
    assert None not in {bucket.encryption for tenant in tenants for bucket in tenant.buckets}


def test_the_example_speaks_only_to_its_own_sites_and_to_addresses_of_documentation() -> None:
    """RFC 5737: whoever forgets to replace one speaks to nobody."""
    variables = load(EXAMPLE / "group_vars/all/network.yml")
    outside = [*variables["resolvers"], *variables["package_mirrors"]]
    outside += [source["address"] for source in variables["clock_sources"]]
    outside += load(EXAMPLE / "group_vars/all/s3.yml")["ingress_addresses"]

    assert [address for address in outside if not address.startswith(("198.51.100.", "203.0.113."))] == []
