"""What opens and wakes drives at boot: trouble of one drive is its own, and the exit says whether all are awake."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.drive_keys import DriveKeyError
from ansible.module_utils.openbao import OpenBaoError
from tests.plugins.node_module import ROOT

FSID = "5f1d9c1e-7a57-4d0b-9c31-2f0b6c1b8a10"
SERIALS = ["A", "B", "C"]


class Keys:
    """Gives each key but those that OpenBao breaks off at."""

    owner = "drive-tko-1"

    def __init__(self, broken: Sequence[str] = ()) -> None:
        self.broken = broken

    def fetch(self, name: str) -> bytes:
        if name in self.broken:
            raise OpenBaoError(f"GET drive-keys/data/{name}: 503: Vault is sealed")
        return name.encode()


class Node:
    """Three drives below LUKS, a program of the node's for each thing that is done, and notes of what was done."""

    def __init__(self, program: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.program, self.folder = program, folder
        self.drives: dict[str, dict[str, Any]] = {
            f"/dev/{serial}": {"device": f"/dev/{serial}", "luks": {"ceph_fsid": FSID, "keys": [f"key-{serial}"]}}
            for serial in SERIALS
        }
        self.keys = Keys()
        self.unreadable: list[str] = []
        self.sick: list[str] = []
        self.woken: list[str] = []
        (folder / "drives.json").write_text(json.dumps(SERIALS))
        patches: dict[str, Any] = {
            "sources": lambda _run: (),
            "resolve": lambda: {serial: f"/dev/{serial}" for serial in SERIALS if f"/dev/{serial}" in self.drives},
            "look": self.look,
            "logged_in": self.logged_in,
            "Settings": type("Settings", (), {"read": staticmethod(lambda: None)}),
            "pipe_into": lambda argv, _text: (folder / argv[-1]).touch(),
            "mapper": lambda serial: folder / f"osd-{serial}",
            "begun": lambda serial: folder / f"begun-{serial}",
            "activate": self.activate,
        }
        for name, stand_in in patches.items():
            monkeypatch.setattr(program, name, stand_in)
        monkeypatch.setattr("ansible.module_utils.drive_keys.mapper", lambda serial: folder / f"osd-{serial}")
        monkeypatch.setattr(program, "Path", self.path)

    def path(self, text: str) -> Path:
        return self.folder / "drives.json" if text == "/etc/legalcloud/osd-drives.json" else Path(text)

    def look(self, device: str, _run: object) -> dict[str, Any]:
        if device in self.unreadable:
            raise OSError("Input/output error")
        return self.drives[device]

    @contextmanager
    def logged_in(self, _settings: object) -> Iterator[Keys]:
        yield self.keys

    def activate(self, device: str) -> None:
        if device in self.sick:
            raise subprocess.CalledProcessError(1, ["ceph-volume"], stderr="no valid label")
        self.woken.append(Path(device).name)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = ROOT / "roles/ceph_osd/files/activate-osds"
    loader = importlib.machinery.SourceFileLoader("activate_osds", str(path))
    spec = importlib.util.spec_from_loader("activate_osds", loader)
    assert spec is not None
    monkeypatch.setattr("sys.dont_write_bytecode", True)  # a file beside the role's would be carried to nodes
    program = importlib.util.module_from_spec(spec)
    loader.exec_module(program)
    return program


@pytest.fixture
def node(program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(program, tmp_path, monkeypatch)


def test_all_drives_are_opened_and_woken(node: Node) -> None:
    assert node.program.main() == 0
    assert node.woken == ["osd-A", "osd-B", "osd-C"]


def test_openbao_s_error_for_one_drive_is_told_with_its_remedy_and_costs_no_other(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    node.keys = Keys(broken=["key-A"])

    assert node.program.main() == 1
    assert node.woken == ["osd-B", "osd-C"]
    assert capsys.readouterr().err == (
        "A (/dev/A) stays locked: GET drive-keys/data/key-A: 503: Vault is sealed. "
        "docs/runbooks/drive-locked.md says what to do.\n"
    )


def test_a_drive_that_does_not_wake_costs_no_other_and_is_tried_again(
    node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    node.sick = [str(node.folder / "osd-B")]

    assert node.program.main() == 1
    assert node.woken == ["osd-A", "osd-C"]
    assert "B (" in (said := capsys.readouterr().err)
    assert "no valid label. Is it whole?" in said


def test_a_drive_that_cannot_be_read_is_tried_again(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    node.unreadable = ["/dev/B"]

    assert node.program.main() == 1
    assert node.woken == ["osd-A", "osd-C"]
    assert "B (/dev/B): Input/output error" in capsys.readouterr().err


def test_a_missing_drive_is_named_and_not_waited_for(node: Node, capsys: pytest.CaptureFixture[str]) -> None:
    del node.drives["/dev/B"]

    assert node.program.main() == 0
    assert node.woken == ["osd-A", "osd-C"]
    assert "B: no drive has this serial" in capsys.readouterr().err


def test_a_login_that_fails_leaves_drives_that_are_open_awake(
    node: Node, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_settings: object) -> object:
        raise DriveKeyError("no OpenBao server lets drive-tko-1 in")

    monkeypatch.setattr(node.program, "logged_in", refused)
    (node.folder / "osd-C").touch()

    assert node.program.main() == 1
    assert node.woken == ["osd-C"]
    assert "A, B: no OpenBao server lets drive-tko-1 in" in capsys.readouterr().err


@pytest.mark.parametrize(("marked", "code"), [(True, 0), (False, 1)])
def test_half_a_header_is_waited_for_only_where_no_run_left_its_mark(
    node: Node, capsys: pytest.CaptureFixture[str], *, marked: bool, code: int
) -> None:
    node.drives["/dev/B"]["luks"]["keys"] = []
    if marked:
        (node.folder / "begun-B").touch()

    assert node.program.main() == code
    assert node.woken == ["osd-A", "osd-C"]
    assert ("B (/dev/B): its header names no key" in capsys.readouterr().err) is not marked


def test_a_drive_that_is_not_encrypted_is_woken_as_it_is(node: Node) -> None:
    node.drives["/dev/B"]["luks"] = None

    assert node.program.main() == 0
    assert node.woken == ["osd-A", "B", "osd-C"]


@pytest.mark.parametrize(
    ("ran_at", "file_state", "starts"),
    [("0", "enabled", True), ("0", "enabled-runtime", True), ("0", "disabled", False), ("81000000", "enabled", False)],
)
@pytest.mark.parametrize("filled", [False, True], ids=["empty folder", "a run before was killed after it filled it"])
def test_an_osd_starts_that_has_not_run_since_the_boot(  # noqa: PLR0913, PLR0917 -- the cases
    program: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ran_at: str,
    file_state: str,
    filled: bool,
    starts: bool,
) -> None:
    ran: list[str] = []

    def run(argv: Sequence[str]) -> str:
        ran.append(" ".join(argv[:2]))
        return f"InactiveExitTimestampMonotonic={ran_at}\nUnitFileState={file_state}\n"

    monkeypatch.setattr(program, "run", run)
    monkeypatch.setattr(program, "look", lambda _device, _run: {"bluestore": {"whoami": "3"}})
    monkeypatch.setattr(program, "Path", lambda _text: tmp_path if filled else tmp_path / "none")

    program.activate("/dev/A")

    assert ("ceph-volume raw" in ran) is not filled
    assert ("systemctl start" in ran) is starts
