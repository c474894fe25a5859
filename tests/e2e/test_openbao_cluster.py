"""The three key managers together: losing one, losing two, a wrong PIN, and what verify.yml then says.

They stop the lab's own servers for seconds at a time, and start them again whatever happens.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.nodes import Lab, Node, eventually, tool
from tests.e2e.openbao_servers import CA, unsealed

log = logging.getLogger(__name__)

UNIT = "openbao.service"
PIN_FILE = "/etc/credstore.encrypted/hsm-pin"
PATIENCE_SECONDS = 90
RESTARTS = 5
TRIAL = "/run/openbao-trial"
"""A file that says by its time that the configuration is new."""


@pytest.fixture(scope="module")
def servers(lab: Lab) -> list[Node]:
    listed = tool("ansible-inventory", "-i", str(lab.inventory), "--list").stdout
    found = [lab.nodes[name] for name in json.loads(listed)["kms"]["hosts"]]
    assert all(unsealed(node) for node in found), (
        "the key managers of the lab are not unsealed: see `legalcloud health`"
    )
    return found


@pytest.fixture(autouse=True)
def _whole(servers: list[Node]) -> Iterator[None]:
    yield
    for node in servers:
        node.run(["systemctl", "start", UNIT])
        node.run(["rm", "-f", TRIAL])
    for node in servers:
        until_unsealed(node)


def until_unsealed(node: Node) -> None:
    eventually(lambda: unsealed(node), seconds=PATIENCE_SECONDS, hint=f"{node.name} unseals by itself")


def problems(lab: Lab, folder: Path) -> tuple[int, str]:
    """Run verify.yml with a report of its own; return its exit code and what it names, as `legalcloud health` shows."""
    file = str(folder / "health.json")
    code = lab.playbook("verify.yml", "-e", "verify_settle_seconds=0", "-e", f"verify_report_file={file}").returncode
    report = json.loads(tool("legalcloud", "health", "--json", "--report", file).stdout)
    return code, "\n".join(f"{p['subject']}: {p['what']}. {p['remedy']}" for p in report["problems"])


def serve(node: Node, servers: list[Node], *words: str) -> tuple[int, str]:
    """Run the module that guards restarts on one node, for a configuration that is new."""
    addresses = {server.name: server.address for server in servers}
    wish: dict[str, Any] = {
        "name": UNIT,
        "configuration": [TRIAL],
        "check": ["/bin/true"],
        "server": node.name,
    }
    wish |= {"servers": addresses, "ca_path": CA, "unseal_seconds": PATIENCE_SECONDS}
    done = tool("ansible", node.name, "-b", "-m", "openbao_server", "-a", json.dumps(wish), *words)
    return done.returncode, done.stdout


@pytest.mark.ci
def test_a_second_run_of_the_role_changes_nothing(lab: Lab) -> None:
    done = lab.playbook("site.yml", "--tags", "openbao")

    assert done.returncode == 0, done.stdout
    assert re.findall(r"changed=(\d+)", done.stdout).count("0") == len(re.findall(r"changed=", done.stdout)), (
        done.stdout
    )


@pytest.mark.long
def test_each_of_five_restarts_unseals_by_itself(servers: list[Node]) -> None:
    node, seconds = servers[-1], []
    for _ in range(RESTARTS):
        node.run(["systemctl", "stop", UNIT])
        began = time.monotonic()
        node.run(["systemctl", "start", UNIT])
        while not unsealed(node):
            assert time.monotonic() - began < PATIENCE_SECONDS
        seconds.append(time.monotonic() - began)

    log.info("unsealed after %s s", ", ".join(f"{value:.1f}" for value in seconds))
    assert len(seconds) == RESTARTS


@pytest.mark.long
def test_a_wrong_pin_stops_one_server_and_verify_names_it(lab: Lab, servers: list[Node], tmp_path: Path) -> None:
    node = servers[-1]
    node.run(["cp", "-p", PIN_FILE, "/root/hsm-pin.kept"])
    try:
        node.run(["systemd-creds", "encrypt", "--name=hsm-pin", "-", PIN_FILE], b"111111")
        node.run(["systemctl", "restart", UNIT])
        eventually(lambda: "reason=pin-latched" in said(node), seconds=PATIENCE_SECONDS, hint="the PIN is latched")

        code, named = problems(lab, tmp_path)
    finally:
        node.run(["mv", "/root/hsm-pin.kept", PIN_FILE])
        node.run(["systemctl", "restart", UNIT])

    assert code != 0
    assert f"{node.name}: its key manager is sealed (pin-latched)" in named
    assert all(unsealed(other) for other in servers[:-1])


def said(node: Node) -> str:
    invocation = node.text("systemctl", "show", "--property=InvocationID", "--value", UNIT).strip()
    return node.text("journalctl", f"_SYSTEMD_INVOCATION_ID={invocation}", "--output=cat", "--no-pager")


@pytest.mark.long
def test_a_server_that_the_quorum_needs_is_not_restarted(servers: list[Node]) -> None:
    first, *_, last = servers
    last.run(["systemctl", "stop", UNIT])
    before = first.text("systemctl", "show", "--property=MainPID", UNIT)
    first.run(["touch", TRIAL])

    code, printed = serve(first, servers)

    assert code != 0
    assert f"without it 1 of {len(servers)} servers would serve, and 2 are needed: {last.name} (no answer)" in printed
    assert first.text("systemctl", "show", "--property=MainPID", UNIT) == before
    last.run(["systemctl", "start", UNIT])
    until_unsealed(last)

    code, printed = serve(first, servers)

    assert code == 0, printed
    assert first.text("systemctl", "show", "--property=MainPID", UNIT) != before
    assert unsealed(first)


@pytest.mark.long
def test_a_lost_quorum_is_named_and_heals_by_itself(lab: Lab, servers: list[Node], tmp_path: Path) -> None:
    first, *others = servers
    for node in others:
        node.run(["systemctl", "stop", UNIT])
    leader = ["curl", "-sS", "--cacert", CA, "https://localhost:8200/v1/sys/leader"]
    eventually(
        lambda: not json.loads(first.run(leader)).get("leader_address"), seconds=PATIENCE_SECONDS, hint="nobody leads"
    )

    code, named = problems(lab, tmp_path)

    assert code != 0
    assert "which is no quorum: no new key, no new login" in named
    assert all(f"{node.name}: its key manager is not running" in named for node in others)
    began = time.monotonic()
    for node in others:
        node.run(["systemctl", "start", UNIT])
    eventually(lambda: json.loads(first.run(leader)).get("leader_address"), seconds=PATIENCE_SECONDS, hint="one leads")
    log.info("a leader %.1f s after the first of two was started", time.monotonic() - began)
