from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from plugins.module_utils.ceph_cluster import CephError, Cluster
from plugins.modules import ceph_mon
from plugins.modules.ceph_mon import key_in, keyring, settle, store_stands, write_private
from tests.plugins.node_module import run

KEY = "AQ" + "C" * 36 + "=="
"""As long as a key of CephX, and none."""
MON = {"name": "tko-1", "fsid": "6a7bb2f4-0d52-4d0a-9d5b-1d3f7d7c1a01"}
MAKE = {**MON, "members": {"tko-1": "10.77.1.11"}, "mon_key": KEY, "admin_key": KEY, "state": "present"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the place of tko-1's store, where nothing is yet; no command of Ceph can be found."""
    monkeypatch.setattr(ceph_mon, "STORE", tmp_path / "mon")
    monkeypatch.setattr(ceph_mon, "ADMIN_KEYRING", tmp_path / "admin.keyring")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "mon").mkdir()
    return tmp_path / "mon/ceph-tko-1"


def restored(folder: Path) -> dict[Path, bytes]:
    """Lay a store there as a backup brings it: without our mark; return what must survive."""
    (folder / "store.db").mkdir(parents=True)
    (folder / "store.db/CURRENT").write_text("MANIFEST-000001\n")
    (folder / "keyring").write_text(keyring("mon.", KEY, {"mon": "allow *"}))
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_key_that_was_written_is_read_back_and_is_for_root_alone(tmp_path: Path) -> None:
    path = tmp_path / "keyring"

    write_private(path, keyring("mon.", KEY, {"mon": "allow *"}))

    assert key_in(path) == KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().splitlines() == ["[mon.]", f"\tkey = {KEY}", '\tcaps mon = "allow *"']


def test_a_file_that_was_open_to_all_is_closed_before_the_key_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "keyring"
    path.touch(mode=0o644)

    write_private(path, keyring("mon.", KEY, {}))

    assert path.stat().st_mode & 0o777 == 0o600


def test_a_missing_or_empty_keyring_has_no_key(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("[mon.]\n")

    assert key_in(tmp_path / "absent") is None
    assert key_in(tmp_path / "empty") is None


def test_only_a_marked_store_stands_and_an_empty_folder_is_none(folder: Path) -> None:
    assert not store_stands(folder)
    folder.mkdir()
    assert not store_stands(folder)
    restored(folder)
    (folder / "done").touch()
    assert store_stands(folder)


@pytest.mark.parametrize("arguments", [{**MON, "state": "keys"}, MAKE], ids=["keys", "present"])
@pytest.mark.parametrize("check", [False, True])
def test_a_store_that_was_restored_is_refused_and_survives(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], check: bool
) -> None:
    before = restored(folder)

    result = run(capsys, "ceph_mon", arguments, check=check)

    assert result["failed"]
    assert f"sudo -u ceph touch {folder}/done" in result["msg"]
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_restored_store_that_is_marked_by_hand_gives_its_keys(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    restored(folder)
    (folder / "done").touch()
    ceph_mon.ADMIN_KEYRING.write_text(keyring("client.admin", KEY[::-1], {}))

    result = run(capsys, "ceph_mon", {**MON, "state": "keys"})

    assert (result["exists"], result["mon_key"], result["admin_key"]) == (True, KEY, KEY[::-1])


def test_check_mode_on_a_bare_machine_offers_no_keys_and_foresees_a_store(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = run(capsys, "ceph_mon", {**MON, "state": "keys"}, check=True)
    made = run(capsys, "ceph_mon", {**MAKE, "mon_key": "", "admin_key": ""}, check=True)

    assert (keys["exists"], keys["mon_key"], keys["admin_key"]) == (False, None, None)
    assert made["changed"]
    assert list(folder.parent.iterdir()) == []


def test_a_tree_is_settled_to_its_last_file(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    (tmp_path / "store.db/CURRENT").touch()

    with pytest.raises(LookupError):
        settle(tmp_path, "nobody-of-this-name", "root")
    settle(tmp_path, "nobody", "nogroup")

    assert {path.owner() for path in [tmp_path, *tmp_path.rglob("*")]} == {"nobody"}


def test_a_node_without_the_library_is_told_which_package_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rados", None)

    with pytest.raises(CephError, match="python3-rados is not installed"):
        Cluster()
