from __future__ import annotations

from pathlib import Path

from plugins.modules.ceph_mon import key_in, keyring, write_private

KEY = "AQ" + "C" * 36 + "=="
"""As long as a key of CephX, and none."""


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
