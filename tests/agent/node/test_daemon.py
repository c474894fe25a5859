from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.node.node_sample import issue, write
from tests.agent.signing_sample import authority

from legalcloud.commands.node import ask_daemon
from legalcloud.node.status import from_json

HEAVY = ("cryptography", "boto3", "fabric", "rich", "ansible", "shapely")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def daemon(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start the agent as its service does, and wait until it says to systemd that it is ready."""
    ca = authority()
    (tmp_path / "ca.crt").write_bytes(ca.pem)
    write(tmp_path, "agent", issue(ca, "tko-1"))
    write(tmp_path, "client", issue(ca, "cwn-1"))
    files = f"{{certificate: {tmp_path}/agent.crt, key: {tmp_path}/agent.key, ca: {tmp_path}/ca.crt}}"
    (tmp_path / "agent.yml").write_text(
        f"node: tko-1\nsite: tko\nrack: r1\nlisten: {{address: 127.0.0.1, port: {port}}}\n"
        f"tls: {files[:-1]}, clients: [cwn-1]}}\nstatement: {files}\n"
        f"paths: {{status: {tmp_path}/s, helper: {tmp_path}/h}}\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        program = str(Path(sys.executable).with_name("legalcloud"))
        command = [program, "node", "run", "--settings", str(tmp_path / "agent.yml")]
        with subprocess.Popen(command, env={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as process:
            try:
                assert systemd.recv(100) == b"READY=1"
                yield process
            finally:
                process.kill()


def scrape(folder: Path, port: int, path: str) -> bytes:
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    context.check_hostname = False
    context.load_cert_chain(folder / "client.crt", folder / "client.key")
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=5)) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        heard = b""
        while chunk := connection.recv(2**16):
            heard += chunk
    return heard


def test_the_agent_serves_metrics_and_its_status_and_ends_when_it_is_told_to(
    daemon: subprocess.Popen[bytes], tmp_path: Path, port: int
) -> None:
    assert scrape(tmp_path, port, "/healthz").endswith(b"alive\n")
    until = time.monotonic() + 30
    while b" 503 " in (ready := scrape(tmp_path, port, "/readyz")) and time.monotonic() < until:
        time.sleep(0.1)
    assert ready.startswith(b"HTTP/1.1 200 ")
    assert b"\nlegalcloud_memory_size_bytes " in scrape(tmp_path, port, "/metrics")

    told = ask_daemon(tmp_path / "s")
    assert told is not None
    assert (from_json(told).node, from_json(told).running) == ("tko-1", True)
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660

    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(10) == 0
    assert ask_daemon(tmp_path / "s") is None


def test_what_the_daemon_imports_is_small() -> None:
    code = "import sys, legalcloud.node.daemon; print(*{name.partition('.')[0] for name in sys.modules})"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)

    assert not set(HEAVY) & set(loaded.stdout.split())


def test_the_daemon_refuses_bad_settings_with_the_exit_code_of_wrong_input(tmp_path: Path) -> None:
    (tmp_path / "agent.yml").write_text("node: tko-1\n")

    done = subprocess.run(
        [sys.executable, "-m", "legalcloud.node.daemon", tmp_path / "agent.yml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 2
    assert "lacks the key listen" in done.stderr
    assert "remedy:" in done.stderr
