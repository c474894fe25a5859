"""Which files count as snapshots, what else may hold a key, and what a drill's record says."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from plugins.filter.erasure import erasure_servers
from plugins.filter.restore import restore_body, restore_lines
from plugins.modules.openbao_tenant_keys import described
from tests.plugins.node_module import run

ROOT = Path(__file__).parents[2]
TAKES = "missing_is_empty: true"
CapturedOutput = pytest.CaptureFixture[str]


def place(folder: Path, name: str, taken_at: object, content: bytes = b"sealed", digest: str | None = None) -> None:
    (folder / name).write_bytes(content)
    manifest = {"taken_at": taken_at, "kek_label": "kek-1", "sha256": digest or hashlib.sha256(content).hexdigest()}
    (folder / f"{name}.json").write_text(json.dumps(manifest))


def look(capsys: CapturedOutput, folder: Path, **more: str | bool) -> dict[str, Any]:
    storage = folder.parent / "raft"
    return run(capsys, "openbao_snapshots", {"folder": str(folder), "storage": str(storage), **more})


def test_a_snapshot_counts_if_its_manifest_fits_and_whatever_else_is_there_is_named(
    capsys: CapturedOutput, tmp_path: Path
) -> None:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    (tmp_path / "raft.before-restore").mkdir()
    place(folder, "openbao-2.cms", "2026-12-02T00:00:00Z")
    place(folder, "openbao-1.cms", "2026-12-01T00:00:00Z")
    place(folder, "openbao-3.cms", "2026-12-03T00:00:00Z", digest="0" * 64)
    place(folder, "openbao-4.cms", 5)
    (folder / "openbao-5.cms").write_bytes(b"no manifest")
    (folder / "notes.txt").write_bytes(b"not one of ours")

    found = look(capsys, folder)

    assert [one["name"] for one in found["snapshots"]] == ["openbao-1.cms", "openbao-2.cms"]
    assert found["broken"] == ["openbao-3.cms", "openbao-4.cms", "openbao-5.cms"]
    assert found["aside"] == [str(tmp_path / "raft.before-restore")]
    assert found["changed"] is False


def test_the_content_of_one_is_handed_out_and_of_a_broken_one_is_not(capsys: CapturedOutput, tmp_path: Path) -> None:
    place(tmp_path, "openbao-1.cms", "2026-12-01T00:00:00Z")
    place(tmp_path, "openbao-2.cms", "2026-12-01T00:00:00Z", digest="0" * 64)

    assert base64.b64decode(look(capsys, tmp_path, content_of="openbao-1.cms")["content"]) == b"sealed"
    refused = look(capsys, tmp_path, content_of="openbao-2.cms")
    assert refused["failed"]
    assert "has no whole snapshot openbao-2.cms" in refused["msg"]


def test_a_folder_that_is_not_there_is_unknown_and_an_empty_one_is_not(capsys: CapturedOutput, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    refused = look(capsys, tmp_path / "absent")

    assert refused["failed"]
    assert f"{tmp_path / 'absent'} is no folder here" in refused["msg"]
    for found in (look(capsys, tmp_path / "empty"), look(capsys, tmp_path / "absent", missing_is_empty=True)):
        assert (found["snapshots"], found["broken"]) == ([], [])


def test_a_storage_that_is_not_where_it_should_be_is_unknown_too(capsys: CapturedOutput, tmp_path: Path) -> None:
    arguments = {"folder": str(tmp_path), "storage": str(tmp_path / "elsewhere/raft")}

    assert f"{tmp_path / 'elsewhere'} is no folder here" in run(capsys, "openbao_snapshots", arguments)["msg"]


def test_only_the_restore_takes_a_missing_folder_for_an_empty_one() -> None:
    takes = {path.relative_to(ROOT).parts[1] for path in ROOT.glob("roles/*/tasks/*.yml") if TAKES in path.read_text()}

    assert takes == {"openbao_restore"}


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sealed")
    for name in ("one", "two"):
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -subj /CN=x -days 2"
        command = ["openssl", *words.split(), "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
    words = f"cms -encrypt -binary -outform DER -aes-256-gcm -recip {folder}/one.crt"
    command = ["openssl", *words.split()]
    done = subprocess.run(command, input=b"snapshot", check=True, capture_output=True, timeout=30)
    (folder / "sealed").write_bytes(done.stdout)
    return folder


def open_it(capsys: CapturedOutput, folder: Path, name: str, content: bytes) -> dict[str, Any]:
    arguments = {
        "content": base64.b64encode(content).decode(),
        "key_file": str(folder / f"{name}.key"),
        "certificate_file": str(folder / f"{name}.crt"),
    }
    return run(capsys, "openbao_snapshot_open", arguments)


def test_a_recipient_opens_a_snapshot(capsys: CapturedOutput, sealed: Path) -> None:
    found = open_it(capsys, sealed, "one", (sealed / "sealed").read_bytes())

    assert base64.b64decode(found["content"]) == b"snapshot"


def test_another_key_and_a_changed_snapshot_do_not_open(capsys: CapturedOutput, sealed: Path) -> None:
    whole = (sealed / "sealed").read_bytes()
    changed = whole[:-1] + bytes([whole[-1] ^ 1])

    for name, content in (("two", whole), ("one", changed)):
        found = open_it(capsys, sealed, name, content)
        assert found["failed"]
        assert "does not open with" in found["msg"]
        assert "content" not in found


@pytest.mark.parametrize("created", [1764547200, {"creation_time": "2025-12-01T00:00:00.5Z"}])
def test_a_key_is_described_by_the_time_of_its_first_version(created: object) -> None:
    data = {"keys": {"10": 1, "2": created}, "latest_version": 10, "type": "aes256-gcm96"}

    assert described("transit-kms", "firm-a", data) == {
        "mount": "transit-kms",
        "name": "firm-a",
        "type": "aes256-gcm96",
        "versions": 10,
        "created_at": "2025-12-01T00:00:00Z",
    }


def test_each_server_is_judged_by_its_own_snapshots_and_its_own_token() -> None:
    snapshots = [{"item": node, "snapshots": [node], "broken": [], "aside": []} for node in ("a", "b")]
    tokens = [{"item": node, "stdout": json.dumps({"keys": [{"label": f"kek-{node}"}]})} for node in ("b", "a")]

    assert erasure_servers(snapshots, tokens) == [
        {"snapshots": ["a"], "broken": [], "aside": [], "node": "a", "kek_labels": ["kek-a"]},
        {"snapshots": ["b"], "broken": [], "aside": [], "node": "b", "kek_labels": ["kek-b"]},
    ]


SERVER = {
    "__openbao_restore_used": {
        "name": "openbao.cms",
        "taken_at": "2026-12-01T09:00:00Z",
        "node": "tko-1",
        "site": "tko",
        "sha256": "0" * 64,
        "kek_label": "kek-1",
        "bytes": 1,
    },
    "__openbao_restore_stopped_at": 1796115610,
    "__openbao_restore_before": {"snapshots": [{"taken_at": "2026-12-01T08:00:00Z"}]},
    "__openbao_restore_seconds": 20,
    "__openbao_restore_whole_seconds": 40,
    "__openbao_restore_voters": {"voters": ["a", "b", "c"]},
}


def test_a_drill_says_what_could_have_been_lost_and_how_long_it_took() -> None:
    body = restore_body(SERVER, {"skipped": False}, {"results": [{"encryption": "aws:kms"}, {}]})

    assert body["stopped_at"] == "2026-12-01T09:00:10Z"
    assert (body["recovery_point_seconds"], body["newest_by_timer_was_old_seconds"]) == (10, 3610)
    assert (body["witness_read_back"], body["witness_encryption"]) == (True, "aws:kms")
    assert "all 3 servers vote after 40 s" in " ".join(restore_lines(body, "record.json"))


def test_a_restore_without_a_witness_does_not_claim_one() -> None:
    body = restore_body({**SERVER, "__openbao_restore_before": {"snapshots": []}}, {"skipped": True}, {"skipped": True})

    assert (body["witness_read_back"], body["newest_by_timer_was_old_seconds"]) == (None, None)
    assert "no object was stored before" in restore_lines(body, "record.json")
