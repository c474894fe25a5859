"""What the role agent promises, on a machine of its own after a power cut."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from testinfra.host import Host
from tests.e2e.nodes import tool

from legalcloud.node import statement
from legalcloud.node.status import from_json
from legalcloud.node.subject import Level

AGENT, HELPER = "legalcloud-agent.service", "legalcloud-agent-helper.socket"
PROGRAM = "/usr/local/bin/legalcloud"
PKI = "/etc/legalcloud/pki"
SETTINGS = "/etc/legalcloud/agent.yml"
PORT = 9640
CURL_REFUSED = {35, 52, 55, 56}
"""Handshake failed, nothing came, sending failed, receiving failed: TLS 1.3 may tell a client late (curl(1))."""


def output(host: Host, command: str, *arguments: str, good: tuple[int, ...] = (0,)) -> str:
    done = host.run(command, *arguments)
    assert done.rc in good, f"{done.command!r} ended with {done.rc}: {done.stdout}{done.stderr}"
    return str(done.stdout)


def ask(machine: dict[str, str], page: str, *, certificate: str | None = "node") -> str:
    shown = f"--cert {PKI}/{certificate}.crt --key {PKI}/{certificate}.key " if certificate else ""
    return f"curl -sS --fail --max-time 10 --cacert {PKI}/ca.crt {shown}https://{machine['ansible_host']}:{PORT}{page}"


@pytest.fixture(scope="module")
def page(host: Host, machine: dict[str, str]) -> str:
    """Return what Prometheus gets once every probe has run."""
    until = time.monotonic() + 90
    while host.run(ask(machine, "/readyz")).rc:
        assert time.monotonic() < until, "/readyz names who is awaited"
        time.sleep(1)
    return output(host, ask(machine, "/metrics"))


@pytest.mark.parametrize("unit", [AGENT, HELPER])
def test_it_runs_and_starts_at_boot(host: Host, unit: str) -> None:
    service = host.service(unit)

    assert (service.is_running, service.is_enabled) == (True, True)


def test_its_user_has_no_shell_no_password_and_no_other_group(host: Host) -> None:
    user = host.user("legalcloud-agent")

    assert (user.shell, user.group, user.groups) == ("/usr/sbin/nologin", "legalcloud-agent", ["legalcloud-agent"])
    assert user.uid < 1000
    assert user.password.startswith("!")
    pid = output(host, f"systemctl show {AGENT} --property=MainPID --value").strip()
    assert host.file(f"/proc/{pid}").user == "legalcloud-agent"


@pytest.mark.parametrize(
    ("path", "owner", "group", "mode"),
    [
        (SETTINGS, "root", "root", 0o644),
        ("/etc/systemd/system/legalcloud-agent.service", "root", "root", 0o644),
        ("/var/lib/legalcloud-agent", "legalcloud-agent", "legalcloud-agent", 0o700),
        ("/var/lib/legalcloud-statement", "root", "root", 0o700),
        ("/run/legalcloud-agent/status.sock", "legalcloud-agent", "legalcloud-agent", 0o660),
        ("/run/legalcloud-agent-helper.sock", "root", "legalcloud-agent", 0o660),
    ],
)
def test_its_files_belong_to_whom_they_should(host: Host, path: str, owner: str, group: str, mode: int) -> None:
    found = host.file(path)

    assert (found.user, found.group, oct(found.mode)) == (owner, group, oct(mode))
    assert found.is_socket is path.endswith(".sock")


@pytest.mark.parametrize("name", ["node.key", "agent.key", "statement.key"])
def test_its_user_reads_no_key(host: Host, name: str) -> None:
    as_agent = "setpriv --reuid=legalcloud-agent --regid=legalcloud-agent --clear-groups --"

    assert host.run(f"{as_agent} cat {PKI}/ca.crt").rc == 0
    done = host.run(f"{as_agent} cat {PKI}/{name}")
    assert (done.rc, "Permission denied" in done.stderr) == (1, True)


def test_it_listens_on_its_address_and_on_no_other(host: Host, machine: dict[str, str]) -> None:
    listening = host.socket.get_listening_sockets()

    assert [one for one in listening if one.endswith(f":{PORT}")] == [f"tcp://{machine['ansible_host']}:{PORT}"]


@pytest.mark.parametrize(("unit", "most"), [(AGENT, 2.0), ("legalcloud-agent-helper@test.service", 3.5)])
def test_it_is_locked_in(host: Host, unit: str, most: float) -> None:
    words = output(host, f"systemd-analyze security --no-pager {unit}")

    assert float(words.rsplit(":", 1)[1].split()[0]) <= most


def test_a_scrape_with_a_certificate_shows_also_what_is_missing(page: str) -> None:
    assert 'legalcloud_drive_present{serial="MOL-absent"} 0.0' in page
    assert 'legalcloud_service_active{unit="ssh.service"} 1.0' in page
    assert 'legalcloud_probe_success{probe="drives"} 1.0' in page


def test_a_scrape_without_a_certificate_is_refused(host: Host, machine: dict[str, str]) -> None:
    done = host.run(ask(machine, "/metrics", certificate=None))

    assert done.rc in CURL_REFUSED
    assert done.stdout == ""


def test_a_person_is_told_what_is_missing_and_a_machine_the_same(host: Host, page: str) -> None:
    assert page
    told = from_json(output(host, f"{PROGRAM} node status --json", good=(1,)).encode())

    findings = [line.words for line in told.lines if line.level is Level.FINDING]
    assert told.running
    assert "drive MOL-absent of the register is not there" in findings
    assert findings[0] in output(host, f"{PROGRAM} node status", good=(1,))


def test_a_statement_holds_and_counts(host: Host, machine: dict[str, str], page: str) -> None:
    assert page
    ca_pem = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "ca/ca.crt").read_bytes()
    counters = []
    for _ in range(2):
        nonce = secrets.token_hex(32)
        raw = output(host, f"{PROGRAM} node statement --nonce {nonce}").encode()
        name, now = machine["inventory_hostname"], datetime.now(UTC)
        said, _signer = statement.verify(raw, ca_pem=ca_pem, nonce=nonce, node=name, received_at=now)
        counters.append(said.counter)
        assert said.running

    assert counters[1] == counters[0] + 1


def test_bad_settings_are_refused_and_the_old_agent_runs_on(
    host: Host, machine: dict[str, str], inventory: str, page: str
) -> None:
    assert page
    converge = str(Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"], "converge.yml"))
    show = f"systemctl show {AGENT} --property=MainPID,NRestarts,ActiveState"
    before = (host.file(SETTINGS).sha256sum, output(host, show))

    done = tool("ansible-playbook", "-i", inventory, converge, "-e", json.dumps({"agent_site": "Not A Site"}))

    assert done.returncode != 0
    assert re.search(r"site: is 'Not A Site'\. Use a-z", " ".join(done.stdout.split())), done.stdout
    assert (host.file(SETTINGS).sha256sum, output(host, show)) == before
    assert "alive" in output(host, ask(machine, "/healthz"))
