"""HTTPS for clients that the internal CA vouches for, in one thread: nothing that a client does can hold it up.

Pages are made from memory, so that one thread serves them all; whoever is slow costs a connection and no more.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path

from legalcloud.errors import InputError
from legalcloud.node.settings import Tls

MOST_CONNECTIONS = 64
"""At one more, the oldest is dropped: two Prometheus and a person need five."""
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
    _clients: dict[asyncio.Task[None], None] = field(default_factory=dict)

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
            if len(self._clients) >= MOST_CONNECTIONS:
                next(iter(self._clients)).cancel()
            task = loop.create_task(self._client(connection))
            self._clients[task] = None
            task.add_done_callback(partial(self._gone, connection))

    def _gone(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        """Forget a client; one that was dropped before its turn came has not closed its connection."""
        self._clients.pop(task, None)
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
                while await self._answer(reader, writer):
                    pass
                writer.close()
                await writer.wait_closed()
            finally:
                transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; tell whether the connection may stay."""
        async with asyncio.timeout(IDLE_SECONDS):
            first = await reader.readexactly(1)
        async with asyncio.timeout(HEAD_SECONDS):
            try:
                head = first + await reader.readuntil(_SEPARATOR)
            except asyncio.LimitOverrunError:
                head = b""
        page, stays, has_body = self.respond(head)
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
