"""A lean S3 client, run as a program: on two cores an SDK's own work would be measured instead of the store's.

Reads one JSON object from standard input (`Order`), sends requests that are signed already over connections that stay
open, for some seconds, and prints one JSON object (`Outcome`).
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to do."""

    verb: str
    targets: list[str]
    """Path and query of each object, signed; taken in turn, and from the start again when they run out."""
    size_bytes: int
    connect_to: tuple[str, int]
    host: str
    """The Host header, which the signature covers."""
    tls_name: str | None
    """The name that the server's certificate must have; None for plain HTTP."""
    ca_file: str
    threads: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was done."""

    requests: int
    seconds: float
    cpu_seconds: float
    faults: list[str]
    """Answers that were not as they must be; at most one a thread, which then stops."""


class Worker(threading.Thread):
    """One connection."""

    def __init__(self, order: Order, context: ssl.SSLContext | None, turns: Iterator[int], deadline: float) -> None:
        super().__init__()
        self._order, self._context, self._turns, self._deadline = order, context, turns, deadline
        self._body = os.urandom(order.size_bytes) if order.verb == "PUT" else None
        self._room = bytearray(CHUNK_BYTES)
        self.done, self.ended_at, self.fault = 0, 0.0, ""

    def run(self) -> None:
        try:
            self._work()
        except (OSError, http.client.HTTPException) as error:
            self.fault = f"{type(error).__name__}: {error}"
        self.ended_at = time.monotonic()

    def _work(self) -> None:
        order = self._order
        connection = self._connect()
        while time.monotonic() < self._deadline and not self.fault:
            target = order.targets[next(self._turns) % len(order.targets)]  # one count for all: none is left out
            connection.request(order.verb, target, body=self._body, headers={"Host": order.host})
            answer = connection.getresponse()
            received = 0
            while size := answer.readinto(self._room):
                received += size
            wanted = order.size_bytes if order.verb == "GET" else 0
            if answer.status != http.client.OK or received != wanted:
                self.fault = f"HTTP {answer.status} and {received} bytes: {bytes(self._room[:200])!r}"
            else:
                self.done += 1

    def _connect(self) -> http.client.HTTPConnection:
        plain = socket.create_connection(self._order.connect_to, timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = http.client.HTTPConnection(self._order.host)
        connection.sock = (
            self._context.wrap_socket(plain, server_hostname=self._order.tls_name) if self._context else plain
        )
        return connection


def run(order: Order) -> Outcome:
    context = ssl.create_default_context(cafile=order.ca_file) if order.tls_name else None
    start, used_before = time.monotonic(), _cpu_seconds()
    turns = count()
    workers = [Worker(order, context, turns, start + order.seconds) for _ in range(order.threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return Outcome(
        requests=sum(worker.done for worker in workers),
        seconds=max(worker.ended_at for worker in workers) - start,
        cpu_seconds=_cpu_seconds() - used_before,
        faults=[worker.fault for worker in workers if worker.fault],
    )


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    outcome = run(Order(**{**asked, "connect_to": tuple(asked["connect_to"])}))
    json.dump(asdict(outcome), sys.stdout)
