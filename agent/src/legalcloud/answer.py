"""Reads what another process or machine says, to its end: in time, and not more than fits."""

from __future__ import annotations

import time
from typing import Protocol

from legalcloud.errors import SourceError

MOST_BYTES = 4 * 2**20
"""A node with two drives says 13 kB."""
_CHUNK_BYTES = 2**16


class Source(Protocol):
    """A connected socket, or a channel of SSH."""

    def settimeout(self, seconds: float, /) -> None: ...

    def recv(self, most: int, /) -> bytes: ...


def whole(source: Source, *, until: float) -> bytes:
    """Read until the other side has ended; `until` is a moment of time.monotonic().

    Raises: TimeoutError after that moment, SourceError beyond MOST_BYTES, OSError as the source does.
    """
    heard = bytearray()
    while (left := until - time.monotonic()) > 0:
        source.settimeout(left)
        chunk = source.recv(_CHUNK_BYTES)
        if not chunk:
            return bytes(heard)
        heard += chunk
        if len(heard) > MOST_BYTES:
            raise SourceError(f"the answer has more than {MOST_BYTES} bytes")
    raise TimeoutError("timed out")
