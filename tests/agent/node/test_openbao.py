"""A server of the test's own, over real TLS: what is not trusted has not answered."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.agent.node.node_sample import HERE, issue, settings, world, write
from tests.agent.signing_sample import Holder, authority

from legalcloud.health.keys import State
from legalcloud.node import keys, openbao

DATA = HERE / "data/keys"
ANSWERS = {
    openbao.HEALTH: "standby_health.json",
    openbao.LEADER: "standby_leader.json",
    openbao.METRICS_PATH: "metrics.txt",
}


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write((DATA / ANSWERS[self.path]).read_bytes())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def ca(tmp_path: Path) -> Holder:
    made = authority("the CA")
    (tmp_path / "ca.crt").write_bytes(made.pem)
    for name in ("server", "agent"):
        write(tmp_path, name, issue(made, "localhost"))
    return made


@pytest.fixture
def port(ca: Holder, tmp_path: Path) -> Iterator[int]:
    """Serve with a certificate, and demand one of the same CA as OpenBao does for its metrics."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.crt"))
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    tls.verify_mode = ssl.CERT_OPTIONAL
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_server_that_our_ca_vouches_for_is_read_whole(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openbao, "METRICS_PORT", port)
    told = replace(settings(tmp_path), openbao=f"https://localhost:{port}")

    found = keys.read(world(told, root=tmp_path))

    assert found.server is not None
    assert (found.server.state, found.server.leader, found.hsm_away_seconds) == (State.SERVING, "tko-1", 0)


def test_a_server_that_another_ca_vouches_for_has_not_answered(port: int, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(authority("another CA").pem)
    tls = settings(tmp_path).tls

    assert openbao.fetch(f"https://localhost:{port}", openbao.HEALTH, tls=openbao.context(tls)) is None
