"""Snapshots of OpenBao: one on each server, opened by nobody on a node, never half; and a restore that was measured."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.nodes import Lab, Node
from tests.e2e.openbao_revival import opened

from legalcloud.cli import main

FOLDER, STATUS = "/var/backups/openbao", "/var/lib/legalcloud/openbao-backup.json"
SETTINGS = "/etc/legalcloud/openbao-backup.json"
FULL = "/run/openbao-backup-full"


def status(node: Node) -> dict[str, object]:
    found: dict[str, object] = json.loads(node.run(["cat", STATUS]))
    return found


@pytest.fixture
def servers(lab: Lab) -> list[Node]:
    return [node for node in lab.nodes.values() if node.run(["ls", SETTINGS], good=(0, 2))]


@pytest.mark.ci
def test_every_server_takes_a_snapshot_that_only_the_recipient_opens(lab: Lab, servers: list[Node]) -> None:
    assert len(servers) == 3
    for node in servers:
        node.run(["systemctl", "start", "openbao-backup.service"])
        told = status(node)
        sealed = node.run(["cat", f"{FOLDER}/{told['newest']}"])
        manifest = json.loads(node.run(["cat", f"{FOLDER}/{told['newest']}.json"]))
        keys = lab.state_dir / "controller/backup"
        raw = opened(sealed, keys / "recipient.key", keys / "recipient.crt")

        assert told["state"] == "good"
        assert manifest["site"] == lab.host_variables[node.name]["legalcloud_site"]
        assert manifest["kek_label"]
        assert b"state.bin" not in sealed
        with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
            assert {"meta.json", "state.bin"} <= set(tar.getnames())
        assert node.text("stat", "-c", "%a %U", f"{FOLDER}/{told['newest']}") == "600 root\n"
        assert node.text("systemctl", "is-enabled", "openbao-backup.timer") == "enabled\n"


@pytest.mark.ci
def test_no_server_has_a_key_that_opens_snapshots(lab: Lab, servers: list[Node]) -> None:
    key = (lab.state_dir / "controller/backup/recipient.key").read_text().splitlines()[1]

    for node in servers:
        assert node.run(["grep", "-rlF", key, "/etc", "/var/lib/legalcloud", "/var/backups"], good=(1, 2)) == b""


@pytest.fixture
def full_disk(servers: list[Node]) -> Iterator[Node]:
    """Give one server's snapshots a file system with no room."""
    node = servers[-1]
    settings = node.run(["cat", SETTINGS])
    node.run(["mkdir", "-p", FULL])
    node.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", FULL])
    changed = {**json.loads(settings), "folder": FULL, "status": f"{FULL}-status.json"}
    node.run(["tee", f"{FULL}.json"], json.dumps(changed).encode())
    yield node
    node.run(["umount", FULL])
    node.run(["rm", "-rf", FULL, f"{FULL}.json", f"{FULL}-status.json"])


@pytest.mark.ci
def test_a_full_disk_leaves_no_half_file_and_says_so(full_disk: Node) -> None:
    program = ["python3", "-I", "/usr/local/lib/legalcloud/openbao_snapshot.py", "--settings", f"{FULL}.json"]

    full_disk.run(program, good=(1,))

    told = json.loads(full_disk.run(["cat", f"{FULL}-status.json"]))
    assert told["state"] == "failed"
    assert "No space left on device" in told["message"]
    assert full_disk.run(["ls", "-A", FULL]) == b""


@pytest.mark.ci
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("confirm=yes",), "confirm with --extra-vars confirm=lab"),
        (("confirm=lab", "openbao_restore_snapshot=openbao-old.cms"), "add --extra-vars openbao_restore_for_real=true"),
    ],
)
def test_a_restore_that_nobody_confirmed_touches_nothing(
    lab: Lab, servers: list[Node], words: tuple[str, ...], why: str
) -> None:
    before = [node.text("systemctl", "show", "--property=InvocationID", "openbao.service") for node in servers]

    done = lab.playbook("openbao_restore_drill.yml", *(each for word in words for each in ("-e", word)))

    assert done.returncode != 0
    assert why in " ".join(done.stdout.split())
    assert [node.text("systemctl", "show", "--property=InvocationID", "openbao.service") for node in servers] == before


@pytest.mark.long
def test_openbao_comes_back_from_a_snapshot_and_the_hsm_alone(
    lab: Lab, servers: list[Node], capsys: pytest.CaptureFixture[str]
) -> None:
    """The playbook itself reads back an object that it stored before."""
    records = lab.state_dir / "controller/records"
    known = set(records.glob("*-restore-drill-*.json"))

    done = lab.playbook("openbao_restore_drill.yml", "-e", "confirm=lab", seconds=900)

    assert done.returncode == 0, done.stdout
    (path,) = set(records.glob("*-restore-drill-*.json")) - known
    assert (
        main(["record", "verify", str(path), "--trust", str(Path(lab.variables["ca_dir"]) / "ca.crt"), "--json"]) == 0
    )
    body = json.loads(capsys.readouterr().out)["record"]["body"]
    assert body["witness_read_back"] is True
    assert body["witness_encryption"]
    assert len(body["voters"]) == len(servers)
    assert body["recovery_point_seconds"] < 120
    for node in servers:
        assert node.text("ls", "/var/lib/openbao").split() == ["raft"]
        assert node.run(["ls", "/etc/openbao/init.hcl"], good=(2,)) == b""
