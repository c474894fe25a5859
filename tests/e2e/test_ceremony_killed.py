"""A key ceremony that is killed is held again, and ends as if nothing had been.

The lab's own store is put aside, and back at the end: the ceremonies here are of stores that hold nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.e2e.nodes import ROOT, Lab, eventually

from legalcloud.records import record as records

pytestmark = pytest.mark.long

STORE = "/var/lib/openbao/raft"
ASIDE = "/var/lib/openbao/of-the-lab"
UNIT = "openbao.service"
SECONDS = 120


@dataclass(frozen=True, slots=True)
class Ceremony:
    """One that writes its record and shares into a folder of its own."""

    lab: Lab
    folder: Path

    def words(self, *more: str) -> list[str]:
        playbook = ["-i", str(self.lab.inventory), str(ROOT / "playbooks/key_ceremony.yml")]
        return [*playbook, "-e", f"records_dir={self.folder}", *more]

    def killed_at(self, task: str) -> None:
        """Hold it, and kill everything of it as soon as a task begins."""
        program = Path(sys.executable).with_name("ansible-playbook")
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [program, *self.words()],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            seen = any(f"key_ceremony : {task}" in line for line in process.stdout)
            os.killpg(process.pid, signal.SIGKILL)
        assert seen, f"the ceremony ended before it came to {task!r}"

    def held(self, *more: str) -> str:
        done = self.lab.playbook("key_ceremony.yml", *self.words(*more)[3:])
        assert done.returncode == 0, done.stdout + done.stderr
        return " ".join(done.stdout.split())

    def record(self, ca_file: Path) -> records.Record:
        """Return the one record that there is, checked."""
        (path,) = self.folder.glob("*-key-ceremony-*.json")
        return records.verify(path.read_bytes(), ca_pem=ca_file.read_bytes(), now=datetime.now(UTC))[0]


@pytest.fixture
def empty(lab: Lab, tmp_path: Path) -> Iterator[Ceremony]:
    servers = lab.group("kms")
    try:
        for node in servers:
            node.text("systemctl", "stop", UNIT)
        for node in servers:
            node.text("mv", "--no-target-directory", STORE, ASIDE)
            node.text("install", "-d", "-o", "openbao", "-g", "openbao", "-m", "0700", STORE)
        for node in servers:
            node.text("systemctl", "start", UNIT)
        yield Ceremony(lab, tmp_path / "records")
    finally:
        for node in servers:
            node.text("systemctl", "stop", UNIT)
        for node in servers:
            node.text("sh", "-c", f"test ! -d {ASIDE} || {{ rm -rf {STORE} {STORE}.2* && mv -T {ASIDE} {STORE}; }}")
            node.text("systemctl", "start", UNIT)
        eventually(
            lambda: lab.playbook("verify.yml", "-e", f"verify_report_file={tmp_path}/health.json").returncode == 0,
            seconds=SECONDS,
            hint="the lab's own store serves again",
        )


def test_one_that_is_killed_again_and_again_ends_with_one_record_and_every_share(
    empty: Ceremony, ca_file: Path
) -> None:
    for task in (
        "initialise | Restart the servers",
        "initialise | Wait until every server is unsealed",
        "shares | Refuse a root token",
        "record | Write the record",
        "record | Let OpenBao forget",
    ):
        empty.killed_at(task)

    said = empty.held()
    again = empty.held()

    body = empty.record(ca_file).body
    assert len(list(empty.folder.glob("recovery-shares/*/*.asc"))) == len(body["custodians"])  # type: ignore[arg-type]
    assert body["root_tokens"] == 0
    assert "failed=0" in said
    assert "had its ceremony, and nothing was changed" in again
    for node in empty.lab.group("kms"):
        assert "init.hcl" not in node.text("ls", "/etc/openbao"), node.name


def test_it_starts_over_only_while_no_key_was_given_out_and_deletes_nothing(empty: Ceremony, ca_file: Path) -> None:
    servers = empty.lab.group("kms")
    over = ("-e", "key_ceremony_start_over=true")

    empty.held(*over)

    assert empty.record(ca_file).body["root_tokens"] == 0
    for node in servers:
        assert node.text("sh", "-c", f"ls -d {STORE}.2*").strip(), "the storage before it was put aside"
    refused = empty.lab.playbook("key_ceremony.yml", *empty.words(*over)[3:])
    assert refused.returncode != 0
    assert "key_ceremony_start_over would throw keys away" in " ".join(refused.stdout.split())
