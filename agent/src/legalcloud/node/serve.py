"""HTTPS for named clients of the internal CA, in one thread: nothing that a client does can hold it up.

Pages are made from memory, so that one thread serves them all; whoever is slow costs a connection and no more, and
whoever has not shown who he is pushes out others of his kind only.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import cast

from legalcloud.errors import InputError
from legalcloud.node.settings import FILE, Tls

MOST_CONNECTIONS = 64
"""Of clients that may ask. At one more, the oldest is dropped: two Prometheus and a person need five."""
MOST_STRANGERS = 32
"""Likewise, of those that are in their handshake, or whose certificate has another name."""
MOST_HEAD_BYTES = 8192
HANDSHAKE_SECONDS = 5.0
HEAD_SECONDS = 5.0
"""From a request's first byte to the end of its head."""
IDLE_SECONDS = 90.0
"""Between requests: a Prometheus that asks every minute keeps its connection, and saves both the handshake."""
SEND_SECONDS = 10.0
"""Until a client has taken what waits for it, once that is more than MOST_WAITING_BYTES."""
MOST_WAITING_BYTES = 2**16
_SEPARATOR = b"\r\n\r\n"
_REQUEST = re.compile(rb"([A-Z]+) (/[!-~]*|\*) HTTP/1\.([01])\r\n")
_BODY = re.compile(rb"\r\n(content-length: *0*[1-9]|transfer-encoding:)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[^\r\n]*\bclose\b", re.IGNORECASE)
SSLProtocol.max_size = 2**14
"""Of the buffer that each connection fills with zeros when it begins: a TLS record; asyncio's own 256 KiB would let a
hundred connections take as much memory as everything else."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is answered."""

    status: HTTPStatus = HTTPStatus.OK
    kind: str = "text/plain; charset=utf-8"
    body: bytes


@dataclass(slots=True)
class Contexts:
    """Keeps a TLS context that fits the files, which the role `certificate` replaces while we run."""

    files: Tls
    _seen: tuple[tuple[int, int, int], ...] = ()
    _context: ssl.SSLContext | None = None

    def current(self) -> ssl.SSLContext:
        """Read the files anew if they changed. While they do not fit each other, the former ones go on serving.

        Raises: InputError if there are no former ones.
        """
        try:
            paths = (self.files.certificate, self.files.key, self.files.ca)
            seen = tuple((stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in map(Path.stat, paths))
            if seen != self._seen or self._context is None:
                self._context, self._seen = _context(self.files), seen
        except (OSError, ssl.SSLError) as error:
            if self._context is None:
                raise InputError(
                    f"{self.files.certificate}, its key and {self.files.ca} cannot be used: {error}",
                    hint="Run playbooks/site.yml --tags certificate,agent; the agent must be able to read all three.",
                ) from error
            _log.warning("the new certificate cannot be used yet: %s", error)
        return self._context


def _context(files: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    context.load_verify_locations(files.ca)
    context.load_cert_chain(files.certificate, files.key)
    return context


@dataclass(slots=True)
class Server:
    """Answers GET and HEAD for a few pages."""

    pages: Mapping[str, Callable[[], Page]]
    """By path; each must come from memory at once."""
    contexts: Contexts
    clients: frozenset[str]
    """Names, one of which a client's certificate must bear."""
    refused: int = 0
    """Connections of the CA's other clients since the start."""
    _known: dict[asyncio.Task[None], None] = field(default_factory=dict)
    _strangers: dict[asyncio.Task[None], None] = field(default_factory=dict)

    async def run(self, listener: socket.socket) -> None:
        """Accept for ever; `listener` must not block."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # out of descriptors, or the client is gone again
                _log.warning("cannot accept a connection: %s", error.strerror)
                await asyncio.sleep(1)
                continue
            task = loop.create_task(self._client(connection))
            _keep(self._strangers, task, most=MOST_STRANGERS)
            task.add_done_callback(partial(self._gone, connection))

    def _gone(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        """Forget a client; one that was dropped before its turn came has not closed its connection."""
        self._strangers.pop(task, None)
        self._known.pop(task, None)
        connection.close()

    async def _client(self, connection: socket.socket) -> None:
        reader = asyncio.StreamReader(limit=MOST_HEAD_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        with connection, suppress(OSError, EOFError, TimeoutError):
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self.contexts.current(),
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=1,
            )
            transport.set_write_buffer_limits(high=MOST_WAITING_BYTES)
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            try:
                known = self._recognised(transport.get_extra_info("peercert"))
                while await self._answer(reader, writer, known=known):
                    pass
                writer.close()
                await writer.wait_closed()
            finally:
                transport.abort()

    def _recognised(self, certificate: object) -> bool:
        """Tell whether the client may ask; if so, strangers no longer push it out."""
        shown = frozenset(names(certificate))
        task = asyncio.current_task()
        if shown & self.clients and task is not None:
            self._strangers.pop(task, None)
            _keep(self._known, task, most=MOST_CONNECTIONS)
            return True
        self.refused += 1
        _log.warning("refused a client named %s, which is not among tls.clients", sorted(shown))
        return False

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, known: bool) -> bool:
        """Answer one request; tell whether the connection may stay."""
        async with asyncio.timeout(IDLE_SECONDS):
            first = await reader.readexactly(1)
        async with asyncio.timeout(HEAD_SECONDS):
            try:
                head = first + await reader.readuntil(_SEPARATOR)
            except asyncio.LimitOverrunError:
                head = b""
        page, stays, has_body = self.respond(head) if known else (_STRANGER, False, True)
        answer = (
            f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\nContent-Type: {page.kind}\r\n"
            f"Content-Length: {len(page.body)}\r\nCache-Control: no-store\r\n"
            + ("Allow: GET, HEAD\r\n" if page.status is HTTPStatus.METHOD_NOT_ALLOWED else "")
            + ("\r\n" if stays else "Connection: close\r\n\r\n")
        )
        writer.write(answer.encode() + (page.body if has_body else b""))
        async with asyncio.timeout(SEND_SECONDS):
            await writer.drain()
        return stays

    def respond(self, head: bytes) -> tuple[Page, bool, bool]:
        """Return the page for a request's head, whether the connection stays, and whether the body is sent."""
        request = _REQUEST.match(head)
        if request is None or _BODY.search(head):
            return _plain(HTTPStatus.BAD_REQUEST), False, True
        method, target, minor = request[1], request[2].decode().partition("?")[0], request[3]
        if method not in (b"GET", b"HEAD"):
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED), False, True
        make = self.pages.get(target)
        try:
            page = _plain(HTTPStatus.NOT_FOUND) if make is None else make()
        except Exception:  # noqa: BLE001 -- a fault of ours costs one answer; the journal has the trace
            _log.exception("%s has a fault", target)
            page = _plain(HTTPStatus.INTERNAL_SERVER_ERROR)
        return page, minor == b"1" and not _CLOSE.search(head), method == b"GET"


def _plain(status: HTTPStatus) -> Page:
    return Page(status=status, body=f"{status.phrase}\n".encode())


_STRANGER = Page(status=HTTPStatus.FORBIDDEN, body=f"{FILE} has no name of this certificate in tls.clients\n".encode())


def _keep(tasks: dict[asyncio.Task[None], None], task: asyncio.Task[None], *, most: int) -> None:
    """Add one; at one more than the bound, drop the oldest."""
    if len(tasks) >= most:
        oldest = next(iter(tasks))
        del tasks[oldest]
        oldest.cancel()
    tasks[task] = None


def names(certificate: object) -> Iterator[str]:
    """Give the common and DNS names in what `ssl.SSLSocket.getpeercert` makes of a certificate that it has verified."""
    told = cast("dict[str, tuple[object, ...]]", certificate or {})
    parts = cast("tuple[tuple[tuple[str, str], ...], ...]", told.get("subject", ()))
    yield from (value for part in parts for key, value in part if key == "commonName")
    others = cast("tuple[tuple[str, str], ...]", told.get("subjectAltName", ()))
    yield from (value for key, value in others if key == "DNS")


def listen(address: str, port: int) -> socket.socket:
    """Open the port. Raises: InputError if that address is not the node's, or the port is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family, backlog=MOST_CONNECTIONS)
    except OSError as error:
        raise InputError(
            f"cannot listen on {address} port {port}: {error.strerror}",
            hint=f"`ss -ltnp sport = :{port}` says who does; the address must be one of the node's own.",
        ) from error
    listener.setblocking(False)
    return listener
