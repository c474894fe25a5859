"""gRPC over a Unix socket with mutual TLS, by grpclib."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server, Stream

from legalcloud_kms import handshake
from legalcloud_kms.errors import KmsError
from legalcloud_kms.handshake import Invitation
from legalcloud_kms.service import Call, Service, UnknownInstanceError

LAST_REPLY_SECONDS = 0.1


class RawCodec:
    """Messages stay bytes; wire.py reads them."""

    __content_subtype__ = "proto"

    def encode(self, message: bytes, _message_type: object) -> bytes:
        return message

    def decode(self, data: bytes, _message_type: object) -> bytes:
        return data


class Handlers:
    """What grpclib looks for: a table from path to handler."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __mapping__(self) -> Mapping[str, Handler]:
        table = {
            path: Handler(_unary(call), Cardinality.UNARY_UNARY, None, None)
            for path, call in self._service.calls().items()
        }
        table["/plugin.GRPCStdio/StreamStdio"] = Handler(self._stdio, Cardinality.UNARY_STREAM, None, None)
        return table

    async def _stdio(self, stream: Stream[bytes, bytes]) -> None:
        """Stay open: bao would mirror what the plugin prints; it prints nothing, and its log goes to stderr."""
        await stream.recv_message()
        await stream.send_initial_metadata()
        await self._service.done.wait()


def _unary(call: Call) -> Callable[[Stream[bytes, bytes]], Awaitable[None]]:
    """Map our errors to the two statuses that bao tells apart; a bug is logged by grpclib, with a traceback."""

    async def handler(stream: Stream[bytes, bytes]) -> None:
        try:
            reply = await call(await stream.recv_message() or b"")
        except UnknownInstanceError:
            raise GRPCError(Status.NOT_FOUND, "instance not found") from None
        except KmsError as error:
            raise GRPCError(Status.UNKNOWN, str(error)) from None
        await stream.send_message(reply)

    return handler


async def serve(invited: Invitation, environment: Mapping[str, str]) -> None:
    """Serve until bao says so, or is no more."""
    service = Service(environment)
    identity = handshake.make_identity(datetime.now(UTC))
    context = handshake.tls(identity, invited.client_certificate)
    server = Server([Handlers(service)], codec=RawCodec())
    parent = os.pidfd_open(os.getppid())
    asyncio.get_running_loop().add_reader(parent, service.done.set)
    with tempfile.TemporaryDirectory(prefix="kms-", dir=invited.socket_folder) as folder:
        socket = Path(folder) / "s"
        await server.start(path=str(socket), ssl=context)
        print(handshake.line(socket, identity), flush=True)  # noqa: T201 -- the handshake is a line on stdout
        await service.done.wait()
        await asyncio.sleep(LAST_REPLY_SECONDS)
        server.close()
