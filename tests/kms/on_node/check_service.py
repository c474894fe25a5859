"""The plugin as a process, spoken to by another gRPC client than bao's: who may connect, and what a bug would show."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from grpclib.client import Channel, UnaryUnaryMethod
from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from tests.kms.on_node.bao_server import KEY, TOKEN, BaoServer
from tests.kms.on_node.softhsm import LIBRARY

from legalcloud_kms import handshake, wire
from legalcloud_kms.handshake import Identity
from legalcloud_kms.transport import RawCodec


class Started:
    """A plugin that was invited by `client`."""

    def __init__(self, bao: BaoServer) -> None:
        self.bao = bao
        self.client = handshake.make_identity(datetime.now(UTC))
        pem = ssl.DER_cert_to_PEM_cert(self.client.certificate_der)
        invitation = {handshake.COOKIE_NAME: handshake.COOKIE_VALUE, "PLUGIN_CLIENT_CERT": pem}
        self.process = subprocess.Popen(
            [bao.plugin],
            env={**bao.hsm.environment, **invitation, "TMPDIR": str(bao.temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout
        self.line = self.process.stdout.readline().decode().strip()
        core, protocol, network, self.socket, kind, certificate = self.line.split("|")
        assert (core, protocol, network, kind) == ("1", "1", "unix", "grpc")
        self.server_der = base64.b64decode(certificate + "=" * (-len(certificate) % 4))

    def call(self, path: str, message: bytes = b"", identity: Identity | None = None) -> bytes:
        return self.call_often(path, message, times=1, identity=identity)

    def call_often(self, path: str, message: bytes, times: int, identity: Identity | None = None) -> bytes:
        """Call some times over one connection; return the last answer."""
        return asyncio.run(self._call(path, message, times, identity or self.client))

    async def _call(self, path: str, message: bytes, times: int, identity: Identity) -> bytes:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(self.server_der))
        context.set_alpn_protocols(["h2"])
        with tempfile.NamedTemporaryFile() as file:
            file.write(identity.pem)
            file.flush()
            context.load_cert_chain(file.name)
        named = Configuration(ssl_target_name_override="localhost")
        try:
            async with Channel(path=self.socket, ssl=context, codec=RawCodec(), config=named) as channel:
                method: UnaryUnaryMethod[bytes, bytes] = UnaryUnaryMethod(channel, path, bytes, bytes)
                answers = [await method(message, timeout=10) for _ in range(times)]
                return bytes(answers[-1])
        finally:
            await asyncio.sleep(0.1)  # the transport closes in the background, and the loop ends here


@pytest.fixture
def started(bao: BaoServer) -> Iterator[Started]:
    plugin = Started(bao)
    yield plugin
    plugin.process.kill()
    plugin.process.wait(10)
    assert plugin.process.stdout
    plugin.process.stdout.close()


def configuration(bao: BaoServer) -> bytes:
    stanza = {"lib": LIBRARY, "token_label": TOKEN, "key_label": KEY, "pin": f"file://{bao.pin}"}
    return wire.field(20, wire.mapping(30, stanza))


def test_a_client_with_another_certificate_is_not_served(started: Started) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError, StreamTerminatedError)):
        started.call("/grpc.health.v1.Health/Check", identity=handshake.make_identity(datetime.now(UTC)))

    assert started.call("/grpc.health.v1.Health/Check") == b"\x08\x01"


def test_the_socket_is_in_a_folder_of_its_owner_alone(started: Started) -> None:
    assert Path(started.socket).parent.stat().st_mode & 0o777 == 0o700


def test_it_seals_and_opens_and_says_who_it_is(started: Started) -> None:
    instance = wire.raw(wire.parse(started.call("/pb.Wrapper/SetConfig", configuration(started.bao))), 1)
    named = wire.field(1, instance)

    sealed = started.call("/pb.Wrapper/Encrypt", named + wire.field(10, b"root key"))
    opened = started.call("/pb.Wrapper/Decrypt", named + sealed)

    assert wire.raw(wire.parse(opened), 10) == b"root key"
    assert wire.raw(wire.parse(started.call("/pb.Wrapper/Type", named)), 10) == b"pkcs11"
    assert wire.raw(wire.parse(started.call("/pb.Wrapper/KeyId", named)), 10) == f"{KEY}:".encode()
    assert wire.raw(wire.parse(started.call("/metadata.Metadata/Get")), 1) == b"pin"


def test_what_the_token_leaves_behind_in_openssl_does_not_break_the_connection(started: Started) -> None:
    instance = wire.raw(wire.parse(started.call("/pb.Wrapper/SetConfig", configuration(started.bao))), 1)
    message = wire.field(1, instance) + wire.field(10, b"root key")

    assert started.call_often("/pb.Wrapper/Encrypt", message, times=50)


def test_an_instance_of_an_earlier_process_is_not_found(started: Started) -> None:
    with pytest.raises(GRPCError) as told:
        started.call("/pb.Wrapper/KeyId", wire.field(1, "before"))

    assert told.value.status is Status.NOT_FOUND


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\xff", b"\x0f" * 64])
def test_garbage_is_refused_and_the_plugin_lives_on(started: Started, message: bytes) -> None:
    with pytest.raises(GRPCError):
        started.call("/pb.Wrapper/Decrypt", message)

    assert started.call("/grpc.health.v1.Health/Check") == b"\x08\x01"


def test_asked_to_shut_down_it_ends_and_takes_its_socket_along(started: Started) -> None:
    started.call("/plugin.GRPCController/Shutdown")

    assert started.process.wait(5) == 0
    assert not Path(started.socket).parent.exists()
