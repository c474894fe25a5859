"""What was asked of the store and what it answered, written beside the cluster and never read from it.

One JSON object a line, on the drive before the next step is taken: `intent` before a request is sent, then
`acknowledged` or `failed`. An intent without an end is a request whose outcome nobody knows.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

ABSENT = None
"""The content of an object that is not there."""

Content = str | None
"""SHA-256 of an object's bytes in hexadecimal, or ABSENT."""


class Ledger(AbstractContextManager["Ledger"]):
    """The writer; several threads may share it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._lock = threading.Lock()
        self._next = 0

    def intend(self, key: str, content: Content) -> int:
        """Note that `key` is about to be given this content, and return the number of the operation."""
        with self._lock:
            self._next += 1
            self._write({"event": "intent", "op": self._next, "key": key, "content": content})
            return self._next

    def acknowledge(self, op: int) -> None:
        with self._lock:
            self._write({"event": "acknowledged", "op": op})

    def fail(self, op: int, reason: str) -> None:
        with self._lock:
            self._write({"event": "failed", "op": op, "reason": reason})

    def _write(self, entry: dict[str, object]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


@dataclass(slots=True, kw_only=True)
class Expected:
    """What one key may hold."""

    allowed: set[Content] = field(default_factory=lambda: {ABSENT})
    """More than one while the outcome of a request is unknown."""
    past: set[Content] = field(default_factory=set)
    """What it held before, and must not hold any more."""


def replay(lines: Iterable[bytes]) -> dict[str, Expected]:
    """Work out what each key may hold, from the ledger alone.

    Requests to one key must not overlap, as the generator sees to. An unfinished last line is a request that was
    never sent, or an end that was never noted; both leave its outcome unknown.
    Raises: ValueError for a ledger that no writer of ours has written.
    """
    keys: dict[str, Expected] = {}
    pending: dict[int, tuple[str, Content]] = {}
    for entry in _entries(lines):
        if entry["event"] == "intent":
            key, content = entry["key"], entry["content"]
            pending[entry["op"]] = key, content
            keys.setdefault(key, Expected()).allowed.add(content)  # until the answer comes, both may be
        elif entry["event"] == "acknowledged":
            key, content = pending.pop(entry["op"])
            expected = keys[key]
            expected.past = (expected.past | expected.allowed) - {content}
            expected.allowed = {content}
        elif entry["event"] != "failed":
            raise ValueError(f"the ledger has an event {entry['event']!r}; it was not written by this harness")
    return keys


def _entries(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.endswith(b"\n"):
            yield json.loads(line)
