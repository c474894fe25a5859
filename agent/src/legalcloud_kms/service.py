"""The services that bao calls, as functions from message to message. The transport stands in transport.py."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from legalcloud_kms import messages, options, wire
from legalcloud_kms.errors import KmsError
from legalcloud_kms.pins import PinLatch, read
from legalcloud_kms.pkcs11 import Library
from legalcloud_kms.seal import Seal

log = logging.getLogger(__name__)

R = TypeVar("R")
Call = Callable[[bytes], Awaitable[bytes]]
SERVING = wire.flag(1, value=True)
"""grpc.health.v1.HealthCheckResponse with status 1."""


class UnknownInstanceError(Exception):
    """bao speaks to an instance of a plugin that was here before; told so, it configures a new one."""


class Service:
    """One for the life of the process: libraries and refused PINs outlive a configuration that bao loads anew.

    One thread is the tokens' own. Not for speed, as PyKCS11 holds Python's lock while a token thinks: a PKCS#11 library
    that uses OpenSSL (SoftHSM does) leaves errors in its thread's queue, and TLS in the same thread breaks over them.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.done = asyncio.Event()
        self._environment = environment
        self._seals: dict[str, Seal] = {}
        self._libraries: dict[str, Library] = {}
        self._latch = PinLatch()
        self._token_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="token")

    def calls(self) -> Mapping[str, Call]:
        """Every unary call by its path, with errors told to the log."""
        named: Mapping[str, Call] = {
            "/pb.Wrapper/SetConfig": self.set_config,
            "/pb.Wrapper/Type": self.kind,
            "/pb.Wrapper/KeyId": self.key_id,
            "/pb.Wrapper/Encrypt": self.encrypt,
            "/pb.Wrapper/Decrypt": self.decrypt,
            "/pb.Wrapper/Init": self.init,
            "/pb.Wrapper/Finalize": self.finalize,
            "/metadata.Metadata/Get": self.metadata,
            "/grpc.health.v1.Health/Check": self.health,
            "/plugin.GRPCController/Shutdown": self.shutdown,
        }
        return {path: _logged(path, call) for path, call in named.items()}

    async def set_config(self, message: bytes) -> bytes:
        asked = messages.configuration(message)
        environment = self._environment if asked.environment_allowed else {}
        chosen = options.parse(asked.values, environment)
        library = self._libraries.setdefault(chosen.library, Library(chosen.library))
        instance = str(uuid.uuid4())
        pin = partial(read, chosen.pin_source, environment)
        self._seals[instance] = Seal(chosen, library=library, latch=self._latch, pin=pin)
        return messages.configured(instance, chosen.shown)

    async def kind(self, message: bytes) -> bytes:
        self._seal(message)
        return messages.payload("pkcs11")

    async def key_id(self, message: bytes) -> bytes:
        return messages.payload(str(self._seal(message).options.key))

    async def encrypt(self, message: bytes) -> bytes:
        seal, plaintext = self._seal(message), messages.plaintext(message)
        return messages.sealed(await self._in_token_thread(seal.encrypt, plaintext))

    async def decrypt(self, message: bytes) -> bytes:
        seal, blob = self._seal(message), messages.blob(message)
        return messages.payload(await self._in_token_thread(seal.decrypt, blob))

    async def init(self, message: bytes) -> bytes:
        """Prove the seal: bao asks once, before it initialises its storage, the last good moment to fail."""
        await self._in_token_thread(self._seal(message).prove)
        return b""

    async def finalize(self, message: bytes) -> bytes:
        self._seal(message)
        del self._seals[messages.wrapper_id(message)]
        return b""

    async def metadata(self, _message: bytes) -> bytes:
        """Name the parameter that bao shall not show."""
        return wire.field(1, "pin")

    async def health(self, _message: bytes) -> bytes:
        return SERVING

    async def shutdown(self, _message: bytes) -> bytes:
        self.done.set()
        return b""

    async def _in_token_thread(self, function: Callable[..., R], *arguments: object) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._token_thread, function, *arguments)

    def _seal(self, message: bytes) -> Seal:
        try:
            return self._seals[messages.wrapper_id(message)]
        except KeyError:
            raise UnknownInstanceError from None


def _logged(path: str, call: Call) -> Call:
    async def told(message: bytes) -> bytes:
        try:
            return await call(message)
        except KmsError as error:
            fields = {"call": path.rpartition("/")[2], "reason": error.reason}
            log.error("%s", error, extra={"fields": fields})
            raise

    return told
