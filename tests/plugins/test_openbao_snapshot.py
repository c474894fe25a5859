"""What a snapshot of OpenBao is worth keeping, what goes, and what a full disk leaves behind."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import resource
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from roles.openbao_backup.files.openbao_snapshot import (
    Kept,
    Settings,
    SnapshotError,
    check,
    encrypt,
    manifests,
    run,
    settings,
    tidy,
    too_old,
)

NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def snapshot(*, spoil: bool = False, leave_out: str = "") -> bytes:
    """Make what OpenBao 2.7.2 sends: a tar with its sums."""
    files = {"meta.json": json.dumps({"Index": 51, "Term": 3}).encode(), "state.bin": b"state" * 1000}
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    if spoil:
        files["state.bin"] = b"other"
    files |= {"SHA256SUMS": sums.encode(), "SHA256SUMS.sealed": b"opaque"}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            if name != leave_out:
                tar.addfile(member, io.BytesIO(data))
    return raw.getvalue()


@pytest.fixture(scope="session")
def recipient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipient")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -subj /CN=snapshots -days 2"
    subprocess.run(
        ["openssl", *words.split(), "-keyout", folder / "key", "-out", folder / "crt"],  # noqa: S607 -- of the PATH
        check=True,
        capture_output=True,
        timeout=30,
    )
    return folder


@pytest.fixture
def wanted(tmp_path: Path, recipient: Path) -> Settings:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    return Settings(
        folder=folder,
        status=tmp_path / "status.json",
        site="cwn",
        node="cwn-1",
        keep_days=30,
        keep_count=3,
        recipients=(str(recipient / "crt"),),
        kek_label="kek-1",
    )


def opened(path: Path, recipient: Path) -> bytes:
    command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", str(path), "-inkey", str(recipient / "key")]
    return subprocess.run(command, check=True, capture_output=True, timeout=30).stdout


def test_a_snapshot_opens_with_the_recipients_key_and_its_manifest_tells_the_rest(
    wanted: Settings, recipient: Path
) -> None:
    raw = snapshot()

    status = run(wanted, raw, NOW)

    (path,) = wanted.folder.glob("*.cms")
    manifest = json.loads(path.with_name(f"{path.name}.json").read_bytes())
    assert opened(path, recipient) == raw
    assert b"state.bin" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert status == {
        "state": "good",
        "message": "openbao-20261201T093000Z.cms was taken, 0 files were removed",
        "newest": path.name,
    }
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["snapshot_sha256"] == hashlib.sha256(raw).hexdigest()
    assert (manifest["taken_at"], manifest["kek_label"], manifest["site"]) == ("2026-12-01T09:30:00Z", "kek-1", "cwn")
    assert manifest["raft_index"] == 51


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not a tar",
        gzip.compress(b"not a tar"),
        snapshot()[:-200],
        snapshot(spoil=True),
        snapshot(leave_out="state.bin"),
        snapshot(leave_out="SHA256SUMS"),
    ],
    ids=["empty", "no archive", "no tar inside", "cut short", "spoilt", "without state", "without sums"],
)
def test_what_is_no_whole_snapshot_is_not_kept_and_removes_nothing(wanted: Settings, raw: bytes) -> None:
    run(wanted, snapshot(), NOW - 100 * DAY)
    before = sorted(wanted.folder.iterdir())

    with pytest.raises(SnapshotError):
        run(wanted, raw, NOW)

    assert sorted(wanted.folder.iterdir()) == before


@given(st.binary(max_size=300))
def test_any_answer_is_a_snapshot_or_refused(raw: bytes) -> None:
    with pytest.raises(SnapshotError):
        check(raw)


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: as a full disk, write() fails half-way."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_no_half_file_and_keeps_what_there_was(wanted: Settings) -> None:
    run(wanted, snapshot(), NOW - 100 * DAY)
    before = sorted(wanted.folder.iterdir())

    with small_disk(300), pytest.raises(SnapshotError, match="nothing was removed"):
        run(wanted, snapshot(), NOW)

    assert sorted(wanted.folder.iterdir()) == before


def test_a_key_that_openssl_cannot_use_is_named(wanted: Settings, tmp_path: Path) -> None:
    (tmp_path / "none.crt").write_text("none")

    with pytest.raises(SnapshotError, match="openssl did not encrypt"):
        run(replace(wanted, recipients=(str(tmp_path / "none.crt"),)), snapshot(), NOW)


def test_each_recipient_can_open_a_snapshot_by_himself(recipient: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -days 2"
    subprocess.run(
        ["openssl", *words.split(), "-keyout", other / "key", "-out", other / "crt"],  # noqa: S607 -- of the PATH
        check=True,
        capture_output=True,
        timeout=30,
    )

    (tmp_path / "sealed").write_bytes(encrypt(b"plain", [str(recipient / "crt"), str(other / "crt")]))

    assert opened(tmp_path / "sealed", recipient) == opened(tmp_path / "sealed", other) == b"plain"


def test_a_killed_run_leaves_nothing_that_counts_and_the_next_one_clears_it(wanted: Settings) -> None:
    """The encrypted file is placed first: without its manifest it is none."""
    run(wanted, snapshot(), NOW - HOUR)
    (wanted.folder / "openbao-20261201T090000Z.cms").write_bytes(b"no manifest came")
    (wanted.folder / ".part-x").write_bytes(b"half")

    assert len(manifests(wanted.folder)) == 1
    assert tidy(wanted, NOW) == [".part-x", "openbao-20261201T090000Z.cms"]
    assert len(list(wanted.folder.iterdir())) == 2


def test_nothing_else_in_the_folder_is_touched(wanted: Settings) -> None:
    (wanted.folder / "lost+found").mkdir()
    (wanted.folder / "README").write_text("mine")

    run(wanted, snapshot(), NOW)

    assert (wanted.folder / "lost+found").is_dir()
    assert (wanted.folder / "README").read_text() == "mine"


def test_an_openbao_without_its_ceremony_has_nothing_to_save(wanted: Settings) -> None:
    assert run(wanted, None, NOW)["state"] == "waiting"
    assert list(wanted.folder.iterdir()) == []


def kept(*ages: timedelta) -> list[Kept]:
    return [Kept(name=str(age), taken_at=NOW - age) for age in ages]


def test_old_ones_go_and_of_each_earlier_day_the_last_stays() -> None:
    ages = [HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, DAY, DAY + HOUR, 29 * DAY, 30 * DAY, 30 * DAY + HOUR]

    going = too_old(kept(*ages), now=NOW, keep_days=30, keep_count=3)

    assert [NOW - one.taken_at for one in going] == [4 * HOUR, DAY + HOUR, 30 * DAY + HOUR]


@given(st.lists(st.integers(0, 10**7), unique=True), st.integers(1, 60), st.integers(1, 60))
def test_the_newest_stays_and_nothing_else_outlives_its_days(ages: list[int], days: int, count: int) -> None:
    all_of_them = kept(*(timedelta(seconds=age) for age in ages))
    going = too_old(all_of_them, now=NOW, keep_days=days, keep_count=count)
    staying = sorted(set(all_of_them) - set(going), key=lambda one: one.taken_at)

    assert bool(staying) == bool(ages)
    assert all(NOW - one.taken_at <= timedelta(days=days) for one in staying[:-1])


def test_the_settings_are_read_as_the_role_writes_them(tmp_path: Path) -> None:
    written = {
        "folder": "/var/backups/openbao",
        "status": "/var/lib/legalcloud/openbao-backup.json",
        "site": "tko",
        "node": "tko-1",
        "keep_days": 30,
        "keep_count": 48,
        "recipients": ["/etc/legalcloud/openbao-backup/recipient.crt"],
        "kek_label": "kek-1",
    }
    (tmp_path / "settings.json").write_text(json.dumps(written))

    found = settings(tmp_path / "settings.json")

    assert found.folder == Path("/var/backups/openbao")
    assert found.recipients == ("/etc/legalcloud/openbao-backup/recipient.crt",)
