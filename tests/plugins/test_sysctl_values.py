from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.node_module import run


@pytest.fixture
def proc_sys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend a kernel with two parameters."""
    (tmp_path / "fs").mkdir()
    (tmp_path / "fs/aio-max-nr").write_text("65536\n")
    (tmp_path / "fs/three").write_text("1\t2\t3\n")
    monkeypatch.setattr(importlib.import_module("plugins.modules.sysctl_values"), "ROOT", tmp_path)
    return tmp_path


def settle(capsys: pytest.CaptureFixture[str], *, check: bool = False, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    return run(capsys, "sysctl_values", options, check=check)


def test_only_what_differs_is_set(proc_sys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {"fs.aio-max-nr": 1048576, "fs.three": "1 2 3"}

    result = settle(capsys, values=values)

    assert result["diff"] == {"before": "fs.aio-max-nr = 65536\n", "after": "fs.aio-max-nr = 1048576\n"}
    assert (proc_sys / "fs/aio-max-nr").read_text().startswith("1048576")


def test_check_mode_sets_nothing(proc_sys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert settle(capsys, values={"fs.aio-max-nr": 1}, check=True)["changed"] is True
    assert (proc_sys / "fs/aio-max-nr").read_text() == "65536\n"


@pytest.mark.usefixtures("proc_sys")
def test_an_unknown_parameter_fails_unless_the_kernel_is_not_ours(capsys: pytest.CaptureFixture[str]) -> None:
    strict = settle(capsys, values={"fs.no": 1})
    lenient = settle(capsys, values={"fs.no": 1}, read_only_is_error=False)

    assert "fs.no: this kernel does not know it" in strict["msg"]
    assert lenient["unsettable"] == ["fs.no"]
    assert lenient["changed"] is False


def test_another_node_than_expected_is_refused_before_anything_is_set(
    proc_sys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = settle(capsys, values={"fs.aio-max-nr": 1}, expected={"fs.three": "tko-1"})

    assert "fs.three is '1 2 3', not 'tko-1'" in result["msg"]
    assert (proc_sys / "fs/aio-max-nr").read_text() == "65536\n"
