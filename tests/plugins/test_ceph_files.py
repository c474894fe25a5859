"""ceph.conf with either IP version, and the package source against an apt that really reads it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.role_text import rendered, variable

NODE = {
    "ceph_fsid": "5f1d9c1e-7a57-4d0b-9c31-2f0b6c1b8a10",
    "ceph_site": "tko",
    "ceph_rack": "r1",
    "inventory_hostname": "tko-1",
}
OLD, NEW = "20.2.4-1~bpo12+1", "20.2.5-1~bpo12+1"


def conf(addresses: Sequence[str], networks: list[str]) -> list[str]:
    named = {f"mon-{number}": address for number, address in enumerate(addresses)}
    return rendered("ceph", "ceph.conf.j2", **NODE, ceph_mon_addresses=named, ceph_networks=networks).splitlines()


def test_monitors_with_ipv4_addresses() -> None:
    lines = conf(["10.77.1.11", "10.77.2.11"], ["10.77.1.0/24", "10.77.2.0/24"])

    assert "mon_host = [v2:10.77.1.11:3300],[v2:10.77.2.11:3300]" in lines
    assert not [line for line in lines if line.startswith("ms_bind_ipv")]


def test_monitors_with_ipv6_addresses() -> None:
    lines = conf(["fd00:1::11", "fd00:2::11"], ["fd00:1::/64", "fd00:2::/64"])

    assert "mon_host = [v2:[fd00:1::11]:3300],[v2:[fd00:2::11]:3300]" in lines
    assert {"ms_bind_ipv6 = true", "ms_bind_ipv4 = false"} <= set(lines)


class Apt:
    """apt with folders of its own, so that it sees no source but the one of the test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (
            "etc/sources.list.d",
            "etc/preferences.d",
            "etc/apt.conf.d",
            "state/lists/partial",
            "cache/archives/partial",
        ):
            (root / folder).mkdir(parents=True)
        (root / "status").touch()
        places = {"Etc": "etc", "State": "state", "State::status": "status", "Cache": "cache"}
        settings = [f"Dir::{key}={root / place}" for key, place in places.items()]
        settings += ["APT::Sandbox::User=", "APT::Architecture=amd64", "APT::Architectures::=amd64"]
        self.options = [word for setting in settings for word in ("-o", setting)]

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *self.options, *words],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APT_CONFIG": "/dev/null", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def candidate(self, package: str) -> str:
        lines = self.run("apt-cache", "policy", package).stdout.splitlines()
        return next(line.split()[1] for line in lines if line.strip().startswith("Candidate:"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a signed repository with two versions of a package of Ceph's, as its maintainers lay theirs out."""
    if missing := [word for word in ("apt-get", "gpg") if not shutil.which(word)]:
        pytest.skip(f"no {', '.join(missing)} here")
    root = tmp_path_factory.mktemp("repository")
    suite, home = root / "dists/bookworm", root / "gpg"
    (suite / "main/binary-amd64").mkdir(parents=True)
    home.mkdir(mode=0o700)
    packages = "\n".join(
        f"Package: ceph-mon\nSource: ceph\nVersion: {version}\nArchitecture: amd64\nMaintainer: test\n"
        f"Filename: pool/{version}.deb\nSize: 1\nSHA256: {'0' * 64}\nDescription: test\n"
        for version in (OLD, NEW)
    )
    index = suite / "main/binary-amd64/Packages"
    index.write_text(packages)
    told = subprocess.run(["/usr/bin/sha256sum", index], capture_output=True, text=True, check=True).stdout.split()[0]
    (suite / "Release").write_text(
        "Origin: Ceph\nSuite: stable\nCodename: bookworm\nArchitectures: amd64\nComponents: main\n"
        f"Date: Mon, 23 Nov 2026 00:00:00 UTC\nSHA256:\n {told} {len(packages)} main/binary-amd64/Packages\n"
    )
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
    for words in (
        ["--quick-gen-key", "test", "ed25519", "sign", "never"],
        ["--armor", "--output", str(root / "key.asc"), "--export"],
        ["--clearsign", "--output", str(suite / "InRelease"), str(suite / "Release")],
    ):
        subprocess.run([*gpg, *words], check=True, capture_output=True)
    subprocess.run(["/usr/bin/gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
    return root


def apt(tmp_path: Path, repository: Path, **inventory: Any) -> Apt:  # noqa: ANN401 -- variables of an inventory
    """Place what the role would place, with the paths of the test."""
    found = Apt(tmp_path)
    said = {
        "ceph_package_source": "upstream",
        "ceph_upstream_repository": f"copy:{repository}",
        "ceph_upstream_key_file": str(repository / "key.asc"),
        **inventory,
    }
    for entry in variable("ceph", "__ceph_apt_files", **said):
        name = entry["path"].removeprefix("/etc/apt/")
        if entry.get("state") == "directory":
            (tmp_path / "etc" / name).mkdir()
        elif entry.get("state") != "absent":
            text = entry["content"] if "content" in entry else rendered("ceph", entry["template"], **said)
            (tmp_path / "etc" / name).write_text(text.replace("/etc/apt/", f"{tmp_path}/etc/"))
    updated = found.run("apt-get", "--error-on=any", "update")
    assert updated.returncode == 0, updated.stdout + updated.stderr
    return found


def test_apt_takes_the_source_and_its_key_and_the_newest_without_a_version(tmp_path: Path, repository: Path) -> None:
    assert apt(tmp_path, repository).candidate("ceph-mon") == NEW


def test_a_version_is_the_only_one_that_apt_offers(tmp_path: Path, repository: Path) -> None:
    assert apt(tmp_path, repository, ceph_version=OLD).candidate("ceph-mon") == OLD


def test_a_version_that_the_source_does_not_have_is_replaced_by_no_other(tmp_path: Path, repository: Path) -> None:
    assert apt(tmp_path, repository, ceph_version="20.2.3-1~bpo12+1").candidate("ceph-mon") == "(none)"


def test_debians_own_ceph_needs_neither_source_nor_pin() -> None:
    files = variable("ceph", "__ceph_apt_files")

    assert {entry.get("state") for entry in files} == {"absent"}
