"""Clients that put, overwrite, read and delete small and middling objects until told to stop."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from tests.load.ledger import Ledger
from tests.load.request import Request
from tests.load.store import Store, on_trouble, read

KIB, MIB = 1 << 10, 1 << 20
SIZES_BYTES = (4 * KIB, 64 * KIB, 1 * MIB, 4 * MIB)
SIZE_WEIGHTS = (4, 4, 2, 1)
KINDS = ("put", "get", "delete")
KIND_WEIGHTS = (5, 4, 1)
KEYS_A_CLIENT = 60
"""A key of few is often overwritten; and what a test leaves stays far below the tenant's quota."""
NOISE = os.urandom(8 * MIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a client knows that a key holds."""

    sha256: str
    size_bytes: int


class Client:
    """One thread's worth of work, on keys that no other client touches.

    A key whose request was not acknowledged at the first attempt is only read from then on: an attempt that its
    client has given up may still be carried out, and would undo a later request. What was retried is written
    with the same content each time, so that such a key has one right content all the same.
    """

    def __init__(self, number: int, store: Store, ledger: Ledger, prefix: str, pause_seconds: float) -> None:
        self.requests: list[Request] = []
        self._store, self._ledger, self._pause_seconds = store, ledger, pause_seconds
        self._choice = random.Random(number)  # noqa: S311 -- a mix of work, not a secret
        self._prefix, self._made = f"{prefix}client-{number}/", 0
        self._known: dict[str, Content] = {}
        self._settled: list[str] = []
        """Keys that may be overwritten and deleted."""
        self._troubles: list[str] = []
        self._s3: Any = store.client()
        on_trouble(self._s3, self._hear)
        self._sent_at = 0.0

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(self._pause_seconds):
            (kind,) = self._choice.choices(KINDS, KIND_WEIGHTS)
            if kind == "put" or not self._settled:
                self._put()
            elif kind == "get":
                self._get(self._choice.choice(list(self._known)))
            else:
                self._delete(self._choice.choice(self._settled))

    def _hear(self, trouble: str) -> None:
        self._troubles.append(f"{time.monotonic() - self._sent_at:.1f} s: {trouble}")

    def _put(self) -> None:
        (size,) = self._choice.choices(SIZES_BYTES, SIZE_WEIGHTS)
        start = self._choice.randrange(len(NOISE) - size)
        body = os.urandom(32) + NOISE[start : start + size - 32]
        content = Content(sha256=hashlib.sha256(body).hexdigest(), size_bytes=size)
        if len(self._settled) < KEYS_A_CLIENT:
            self._made += 1
            key = f"{self._prefix}{self._made}"
        else:
            key = self._choice.choice(self._settled)
        if self._change("put", key, content, Body=body):
            self._known[key] = content
        else:
            self._known.pop(key, None)

    def _delete(self, key: str) -> None:
        self._change("delete", key, None)
        self._known.pop(key, None)
        if key in self._settled:
            self._settled.remove(key)

    def _change(self, kind: str, key: str, content: Content | None, **body: bytes) -> bool:
        op = self._ledger.intend(key, content.sha256 if content else None)
        call = self._s3.put_object if kind == "put" else self._s3.delete_object
        with self._timed(kind, key, content.size_bytes if content else 0):
            call(Bucket=self._store.bucket, Key=key, **body)
        request = self.requests[-1]
        if request.failure:
            self._ledger.fail(op, request.failure)
        else:
            self._ledger.acknowledge(op)
        if request.troubles or request.failure:
            if key in self._settled:
                self._settled.remove(key)
        elif kind == "put" and key not in self._settled:
            self._settled.append(key)
        return not request.failure

    def _get(self, key: str) -> None:
        expected = self._known[key]
        wrong: list[str] = []
        with self._timed("get", key, expected.size_bytes, wrong):
            body = read(self._s3, self._store, key, self._hear)
            if body is None:
                wrong.append("not there")
            elif hashlib.sha256(body).hexdigest() != expected.sha256:
                wrong.append(f"{len(body)} bytes that were not written")

    @contextmanager
    def _timed(self, kind: str, key: str, size_bytes: int, wrong: list[str] | None = None) -> Iterator[None]:
        self._troubles.clear()
        self._sent_at = time.monotonic()
        failure = ""
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            failure = f"{type(error).__name__}: {error}"
        self.requests.append(
            Request(
                kind=kind,
                key=key,
                size_bytes=size_bytes,
                sent_at=self._sent_at,
                ended_at=time.monotonic(),
                troubles=tuple(self._troubles),
                failure=failure,
                wrong="".join(wrong or ()),
            )
        )


class Load:
    """Several clients at work, from `with` to its end or to `stop`."""

    def __init__(
        self, store: Store, ledger: Ledger, *, prefix: str, clients: int = 6, pause_seconds: float = 0
    ) -> None:
        self._clients = [Client(number, store, ledger, prefix, pause_seconds) for number in range(clients)]
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._running: list[Future[None]] = []

    def __enter__(self) -> Load:
        self._running = [self._pool.submit(client.run, self._stop) for client in self._clients]
        return self

    def wait(self, seconds: float) -> None:
        """Let the clients work on. Raises what ended one of them early."""
        for future in wait(self._running, timeout=seconds, return_when=FIRST_COMPLETED).done:
            future.result()

    def stop(self) -> None:
        """Wait until every client has ended its request. Raises what ended a client early."""
        self._stop.set()
        for future in self._running:
            future.result()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown()

    @property
    def requests(self) -> list[Request]:
        """Those that have ended so far."""
        return [request for client in self._clients for request in tuple(client.requests)]
