from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest
from tests.agent.node.node_sample import SIGNING, issue, settings, write
from tests.agent.signing_sample import Holder, authority

from legalcloud.errors import InputError
from legalcloud.node import daemon, serve
from legalcloud.node.probe import Board, Probe
from legalcloud.node.serve import Contexts, Page, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A server that runs in a thread, and what a client needs to reach it."""

    folder: Path
    ca: Holder
    port: int
    server: Server

    def context(self, client: str | None = "client") -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.folder / "ca.crt")
        context.check_hostname = False
        if client is not None:
            context.load_cert_chain(self.folder / f"{client}.crt", self.folder / f"{client}.key")
        return context

    def connect(self, client: str | None = "client") -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        return self.context(client).wrap_socket(plain)

    def get(self, path: str, *, method: str = "GET", client: str | None = "client") -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context(client), timeout=5)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@contextmanager
def running(folder: Path, server: Server, ca: Holder) -> Iterator[Site]:
    listener = serve.listen("127.0.0.1", 0)
    loop = asyncio.new_event_loop()
    task = loop.create_task(server.run(listener))

    def forever() -> None:
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        for one in asyncio.all_tasks(loop):
            one.cancel()
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()

    thread = threading.Thread(target=forever, daemon=True)
    thread.start()
    try:
        yield Site(folder=folder, ca=ca, port=listener.getsockname()[1], server=server)
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(5)
        listener.close()


def put_files(folder: Path) -> Holder:
    ca = authority()
    (folder / "ca.crt").write_bytes(ca.pem)
    write(folder, "agent", issue(ca, "tko-1"))
    write(folder, "client", issue(ca, "cwn-1"))
    return ca


def broken() -> Page:
    raise KeyError("missing")


def large() -> Page:
    return Page(body=b"x" * 2**24)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    ca = put_files(tmp_path)
    pages: dict[str, Callable[[], Page]] = {
        "/metrics": lambda: Page(body=b"series\n"),
        "/broken": broken,
        "/large": large,
    }
    tls = settings(tmp_path).tls
    with running(tmp_path, Server(pages=pages, contexts=Contexts(tls), clients=frozenset(tls.clients)), ca) as found:
        yield found


def test_a_client_that_our_ca_vouches_for_gets_the_page(site: Site) -> None:
    assert site.get("/metrics") == (200, b"series\n")
    assert site.get("/metrics?name=x") == (200, b"series\n")
    assert site.get("/metrics", method="HEAD") == (200, b"")


@pytest.mark.parametrize(("path", "method", "status"), [("/", "GET", 404), ("/metrics", "POST", 405)])
def test_what_is_not_there_or_would_change_something_is_refused(
    site: Site, path: str, method: str, status: int
) -> None:
    assert site.get(path, method=method)[0] == status


def test_a_page_with_a_fault_costs_one_answer(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    assert site.get("/broken")[0] == 500
    assert site.get("/metrics")[0] == 200
    assert "KeyError" in caplog.text


def refused(site: Site, client: str | None) -> bool:
    """Tell whether the server ends a connection without an answer; with TLS 1.3 a client learns it when it reads."""
    try:
        with site.connect(client) as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            return connection.recv(100) == b""
    except OSError:
        return True


def test_a_client_without_a_certificate_is_refused(site: Site) -> None:
    assert refused(site, None)
    assert not refused(site, "client")


def test_a_client_of_another_ca_is_refused(site: Site) -> None:
    write(site.folder, "stranger", issue(authority(), "cwn-1"))

    assert refused(site, "stranger")


def test_a_certificate_that_signs_statements_opens_no_connection(site: Site) -> None:
    write(site.folder, "statement", issue(site.ca, "cwn-1", purposes=SIGNING))

    assert refused(site, "statement")


def test_a_client_of_our_ca_that_is_not_named_is_told_so_counted_and_gets_no_page(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    write(site.folder, "other", issue(site.ca, "sht-2"))

    status, said = site.get("/metrics", client="other")

    assert (status, said) == (403, b"/etc/legalcloud/agent.yml has no name of this certificate in tls.clients\n")
    assert [site.get(path, client="other")[0] for path in ("/healthz", "/nowhere")] == [403, 403]
    assert site.get("/metrics") == (200, b"series\n")
    assert site.server.refused == 3
    assert "refused a client named ['sht-2']" in caplog.text


@pytest.mark.parametrize("names", [("cwn-1", ()), ("prometheus", ("cwn-1", "cwn-1.example"))])
def test_a_common_name_or_an_alternative_name_lets_a_client_in(site: Site, names: tuple[str, tuple[str, ...]]) -> None:
    write(site.folder, "named", issue(site.ca, names[0], names=names[1]))

    assert site.get("/metrics", client="named")[0] == 200


def test_tls_before_1_2_is_refused(site: Site) -> None:
    context = site.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises(ssl.SSLError), socket.create_connection(("127.0.0.1", site.port), timeout=5) as plain:
        context.wrap_socket(plain)


def test_one_connection_serves_many_requests(site: Site) -> None:
    with site.connect() as connection:
        for _ in range(3):
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: tko-1\r\n\r\n")
            assert connection.recv(4096).endswith(b"series\n")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /metrics HTTP/2.0\r\n\r\n", 400),
        (b"GET http://other/metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 10000 + b"\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
        (b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n", 200),
    ],
)
def test_bad_requests_and_closing_ones_are_answered_and_the_connection_ends(
    site: Site, head: bytes, status: int
) -> None:
    with site.connect() as connection:
        connection.sendall(head)
        heard = b""
        while chunk := connection.recv(4096):
            heard += chunk

    assert heard.startswith(b"HTTP/1.1 %d " % status)


def test_slow_clients_of_every_kind_hold_nobody_up(site: Site) -> None:
    silent = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(20)]
    halfway = [site.connect() for _ in range(5)]
    for one in halfway:
        one.sendall(b"GET /metr")

    began = time.monotonic()
    assert site.get("/metrics")[0] == 200
    assert time.monotonic() - began < 1

    for each in (*silent, *halfway):
        each.close()


def test_a_request_that_does_not_end_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "HEAD_SECONDS", 0.3)

    with site.connect() as connection:
        connection.sendall(b"GET /metr")
        began = time.monotonic()
        with suppress(OSError):
            assert connection.recv(100) == b""
        assert time.monotonic() - began < 3


def test_who_asks_and_asks_and_reads_nothing_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "SEND_SECONDS", 0.3)

    with site.connect() as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\n\r\n" * 5)
        time.sleep(1.5)
        heard = 0
        with suppress(OSError):
            while chunk := connection.recv(2**16):
                heard += len(chunk)

    assert heard < 5 * 2**24


def test_a_connection_rests_between_requests_longer_than_an_answer_may_take(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "SEND_SECONDS", 0.2)

    with site.connect() as connection:
        for _ in range(2):
            connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert connection.recv(4096).endswith(b"series\n")
            time.sleep(0.5)


def asked(connection: ssl.SSLSocket) -> bytes:
    connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    return connection.recv(4096)


def test_at_one_client_too_many_the_oldest_goes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "MOST_CONNECTIONS", 2)
    with site.connect() as first, site.connect() as second, site.connect() as third:
        assert b"200 OK" in asked(third)
        assert b"200 OK" in asked(second)
        with suppress(OSError):
            assert asked(first) == b""


def test_strangers_push_out_strangers_and_never_a_client_that_has_shown_who_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "MOST_STRANGERS", 3)
    write(site.folder, "other", issue(site.ca, "sht-2"))
    with site.connect() as client, site.connect("other") as other:
        assert b"200 OK" in asked(client)
        silent = [socket.create_connection(("127.0.0.1", site.port), timeout=5) for _ in range(9)]

        assert silent[0].recv(10) == b"", "the oldest of them is dropped"
        with suppress(OSError):
            assert asked(other) == b"", "a certificate of our CA alone protects nobody"
        assert b"200 OK" in asked(client)
        assert site.get("/metrics")[0] == 200, "and a new client comes in"

        for one in silent:
            one.close()


def served_by(site: Site) -> int:
    with site.connect() as connection:
        certificate = connection.getpeercert()
        assert certificate is not None
        return int(str(certificate["serialNumber"]), 16)


def test_a_new_certificate_serves_the_next_connection(site: Site) -> None:
    renewed = issue(site.ca, "tko-1")
    before = served_by(site)

    write(site.folder, "agent", renewed)

    assert served_by(site) == renewed.certificate.serial_number != before


def test_while_key_and_certificate_do_not_fit_the_former_ones_serve(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    before = served_by(site)

    (site.folder / "agent.crt").write_bytes(issue(site.ca, "tko-1").pem)

    assert served_by(site) == before
    assert "cannot be used yet" in caplog.text


def test_a_new_ca_decides_who_may_come_in(site: Site) -> None:
    other = authority("another CA")
    served_by(site)

    (site.folder / "ca.crt").write_bytes(other.pem)
    write(site.folder, "agent", issue(other, "tko-1"))

    assert refused(site, "client")


def test_without_a_usable_certificate_the_daemon_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"agent\.crt, its key and"):
        Contexts(settings(tmp_path).tls).current()


def test_a_port_that_is_taken_is_refused_with_a_remedy() -> None:
    with serve.listen("127.0.0.1", 0) as listener, pytest.raises(InputError, match="cannot listen on") as caught:
        serve.listen("127.0.0.1", listener.getsockname()[1])

    assert "ss -ltnp" in caught.value.hint


def test_the_node_is_ready_when_every_probe_has_run_and_a_hung_one_does_not_hold_up_a_scrape(tmp_path: Path) -> None:
    let_go = threading.Event()
    board = Board(
        (
            Probe(name="units", every_seconds=9, deadline_seconds=0.2, read=lambda: let_go.wait(20)),
            Probe(name="pressure", every_seconds=9, deadline_seconds=5, read=lambda: None),
        )
    )
    server = daemon.pages(settings(tmp_path), board)
    assert server.pages["/readyz"]().body == b"waits for units, pressure\n"
    assert server.pages["/readyz"]().status is HTTPStatus.SERVICE_UNAVAILABLE
    board.start()

    with running(tmp_path, server, put_files(tmp_path)) as site:
        time.sleep(0.5)
        times = sorted(_timed(lambda: site.get("/metrics")) for _ in range(20))
        status, text = site.get("/metrics")
        ready = site.get("/readyz")

    let_go.set()
    board.stop()
    assert (status, ready) == (200, (200, b"every probe has run, or run out of time\n"))
    assert b'legalcloud_probe_success{probe="units"} 0.0' in text
    assert times[10] < 0.25, "the median scrape, on a machine that does other things too"


def _timed(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began
