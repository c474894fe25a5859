"""The scripts in .ci fail when they should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.tree import ROOT

UNCHANGED = """\
- name: Find everything in place
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Look
      ansible.builtin.stat: {path: /}
"""
CHANGED = (
    UNCHANGED
    + """\
    - name: Write
      ansible.builtin.copy: {content: x, dest: "{{ playbook_dir }}/written", mode: "0600"}
"""
)


def run(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "ANSIBLE_LOCALHOST_WARNING": "false",
    }
    return subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60)


def second_run(folder: Path, playbook: str) -> subprocess.CompletedProcess[str]:
    (folder / "site.yml").write_text(playbook)
    return run(folder, str(ROOT / ".ci/second-run"), "site.yml")


def test_a_second_run_that_changes_nothing_is_good(tmp_path: Path) -> None:
    done = second_run(tmp_path, UNCHANGED)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=0" in (tmp_path / "reports/second-run-site.log").read_text()


def test_a_second_run_that_changes_something_fails_and_names_the_log(tmp_path: Path) -> None:
    done = second_run(tmp_path, CHANGED)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "reports/second-run-site.log" in done.stderr


@pytest.mark.parametrize("playbook", [UNCHANGED.replace("localhost", "nowhere"), "- name: Broken\n"])
def test_a_second_run_that_asked_nobody_fails(tmp_path: Path, playbook: str) -> None:
    assert second_run(tmp_path, playbook).returncode != 0


def test_a_timed_step_fails_with_its_command_and_is_noted(tmp_path: Path) -> None:
    good = run(tmp_path, str(ROOT / ".ci/timed"), "one", "true")
    bad = run(tmp_path, str(ROOT / ".ci/timed"), "two", "sh", "-c", "exit 7")

    assert (good.returncode, bad.returncode) == (0, 7)
    noted = (tmp_path / ".cache/phases").read_text().splitlines()
    assert [(line.split()[0], line.split()[3]) for line in noted] == [("one", "good"), ("two", "failed")]
