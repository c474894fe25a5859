"""The two modules that carry the agent to a node: the same sources give the same wheel, and a node needs no network."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.node_module import ROOT, run

PIP = "pip-99.0-py3-none-any.whl"
FAKE_PIP = """
import sys
from pathlib import Path
assert "--no-index" in sys.argv and "--require-hashes" in sys.argv
Path(sys.prefix, "installed").write_text(" ".join(sys.argv[1:]))
"""


def wheels(capsys: pytest.CaptureFixture[str], folder: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / PIP, "w") as archive:
        archive.writestr("pip/__main__.py", FAKE_PIP)
    digest = hashlib.sha256((folder / PIP).read_bytes()).hexdigest()
    wanted = folder.with_name("requirements.txt")
    wanted.write_text(f"pip==99.0 --hash=sha256:{digest}\n")
    return run(capsys, "agent_wheels", {"folder": str(folder), "sources": str(ROOT), "requirements_file": str(wanted)})


def ours(folder: Path) -> Path:
    (wheel,) = folder.glob("legalcloud-*.whl")
    return wheel


def test_the_same_sources_give_the_same_bytes_and_every_wheel_is_pinned(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = [wheels(capsys, tmp_path / name) for name in ("one", "two")]

    assert ours(tmp_path / "one").read_bytes() == ours(tmp_path / "two").read_bytes()
    digest = hashlib.sha256(ours(tmp_path / "one").read_bytes()).hexdigest()
    assert f"legalcloud==0.1.0 --hash=sha256:{digest}\n" in told[0]["requirements"]
    assert told[0]["requirements"].splitlines()[1].startswith("pip==99.0 --hash=sha256:")


def test_the_wheel_has_what_a_node_needs_and_nothing_stale(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    wheels(capsys, tmp_path / "one")

    names = zipfile.ZipFile(ours(tmp_path / "one")).namelist()
    assert {"legalcloud/node/daemon.py", "legalcloud/py.typed"} <= set(names)
    assert any(name.startswith("legalcloud/data/") for name in names)
    assert not [name for name in names if "__pycache__" in name]
    for name in names:
        if name.endswith(".py"):
            assert (ROOT / "agent/src" / name).exists(), name


def test_what_does_not_belong_there_goes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/legalcloud-0.0.9-py3-none-any.whl").write_bytes(b"of an earlier version")

    told = wheels(capsys, tmp_path / "one")

    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(
        Path(path).name for path in told["wheels"]
    )


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / PIP, "w") as archive:
        archive.writestr("pip/__main__.py", FAKE_PIP)
    wanted = required(tmp_path / "wheels")
    return {"path": str(tmp_path / "agent"), "wheels": str(tmp_path / "wheels"), "requirements": wanted}


def required(wheels: Path) -> str:
    return f"pip==99.0 --hash=sha256:{hashlib.sha256((wheels / PIP).read_bytes()).hexdigest()}\n"


def test_a_pip_that_the_requirements_do_not_name_never_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: dict[str, str]
) -> None:
    (tmp_path / "wheels/pip-98.0-py3-none-any.whl").touch()  # of the version before
    told = run(capsys, "offline_venv", {**arguments, "requirements": f"pip==99.0 --hash=sha256:{'0' * 64}\n"})

    assert told["failed"]
    assert "not the one whose hash the requirements name" in told["msg"]
    assert not (tmp_path / "agent").exists()
    assert run(capsys, "offline_venv", arguments)["changed"]


def test_an_environment_is_made_once_and_the_link_leads_to_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: dict[str, str]
) -> None:
    predicted, first, second = (run(capsys, "offline_venv", arguments, check=check) for check in (True, False, False))

    assert [told["changed"] for told in (predicted, first, second)] == [True, True, False]
    assert (tmp_path / "agent").resolve() == Path(first["made"])
    words = (tmp_path / "agent/installed").read_text()
    assert "install --quiet --no-index --no-deps" in words
    code = "import sys, json; print(json.dumps([sys.prefix, sys.base_prefix]))"
    shown = subprocess.run([tmp_path / "agent/bin/python3", "-I", "-c", code], capture_output=True, check=True)
    prefix, base = json.loads(shown.stdout)
    assert (prefix != base, Path(prefix).resolve()) == (True, Path(first["made"]))


def test_another_set_of_wheels_makes_another_one_and_keeps_the_one_that_may_still_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: dict[str, str]
) -> None:
    made = [
        run(capsys, "offline_venv", {**arguments, "requirements": f"{arguments['requirements']}# {number}\n"})["made"]
        for number in range(3)
    ]

    assert (tmp_path / "agent").resolve() == Path(made[2])
    assert [Path(path).exists() for path in made] == [False, True, True]


def test_one_that_was_left_half_made_is_made_anew(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: dict[str, str]
) -> None:
    made = Path(run(capsys, "offline_venv", arguments)["made"])
    (made / "complete").unlink()
    (made / "stray").touch()

    assert run(capsys, "offline_venv", arguments)["changed"]
    assert (made / "complete").exists()
    assert not (made / "stray").exists()


def test_a_failing_pip_leaves_the_link_as_it_was(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: dict[str, str]
) -> None:
    first = run(capsys, "offline_venv", arguments)["made"]
    with zipfile.ZipFile(tmp_path / "wheels" / PIP, "w") as archive:
        archive.writestr("pip/__main__.py", "raise SystemExit('THESE PACKAGES DO NOT MATCH THE HASHES')")

    told = run(capsys, "offline_venv", {**arguments, "requirements": required(tmp_path / "wheels")})

    assert told["failed"]
    assert "DO NOT MATCH" in told["msg"]
    assert (tmp_path / "agent").resolve() == Path(first)
