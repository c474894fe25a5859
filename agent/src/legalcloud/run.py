"""The one place that starts processes: no shell, a deadline, a bound on what is read, and nothing left behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from legalcloud.errors import CommandError, SourceTimeoutError

MOST_BYTES = 16 * 2**20
"""Of output and of errors each; the longest that we ask for, `nft --json list ruleset`, takes a few hundred kB."""
_CHUNK_BYTES = 2**16
_SHOWN_BYTES = 300
_DYING_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command said before it ended."""

    exit_code: int
    """Minus the signal's number if one ended it."""
    output: bytes
    errors: bytes

    def good(self, name: str, *, allow: Collection[int] = (0,)) -> bytes:
        """Return the output. Raises: CommandError if the exit code is not one of `allow`."""
        if self.exit_code in allow:
            return self.output
        said = " ".join(self.errors[-_SHOWN_BYTES:].decode(errors="replace").split())
        raise CommandError(f"{name}: exit code {self.exit_code}{': ' if said else ''}{said}")


class Run(Protocol):
    """Starts one command and waits for its end.

    Raises: CommandError if it cannot start or says too much, SourceTimeoutError if it takes too long.
    """

    def __call__(self, argv: Sequence[str], *, seconds: float) -> Done: ...


def run(argv: Sequence[str], *, seconds: float, most_bytes: int = MOST_BYTES, keep: Collection[int] = ()) -> Done:
    """Start a command in a process group of its own, which is killed whole if anything goes wrong; see `Run`.

    It inherits the descriptors in `keep`. One that even SIGKILL does not end (it waits for a device) is not started
    again while it is there.
    """
    _refuse_stuck(argv)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"LC_ALL": "C"},
            start_new_session=True,
            pass_fds=tuple(keep),
            bufsize=0,
        )
    except OSError as error:
        raise CommandError(f"{argv[0]} cannot be started: {error.strerror}") from error
    try:
        output, errors = _read(process, argv[0], time.monotonic() + seconds, seconds, most_bytes)
    finally:
        _end(process, argv)
    return Done(exit_code=process.returncode, output=output, errors=errors)


def _read(
    process: subprocess.Popen[bytes], name: str, until: float, seconds: float, most_bytes: int
) -> tuple[bytes, bytes]:
    """Read both pipes to their end, and wait for the process; what a grandchild holds open counts against it."""
    heard: dict[int, bytearray] = {}
    with selectors.DefaultSelector() as selector:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                selector.register(stream, selectors.EVENT_READ)
                heard[stream.fileno()] = bytearray()
        while selector.get_map():
            ready = selector.select(until - time.monotonic()) if time.monotonic() < until else []
            if not ready:
                raise SourceTimeoutError(f"{name} did not finish in {seconds:g} s")
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK_BYTES)
                heard[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fileobj)
                if len(heard[key.fd]) > most_bytes:
                    raise CommandError(f"{name} said more than {most_bytes} bytes")
    try:
        process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise SourceTimeoutError(f"{name} did not finish in {seconds:g} s") from None
    output, errors = (bytes(content) for content in heard.values())
    return output, errors


_STUCK: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}


def _end(process: subprocess.Popen[bytes], argv: Sequence[str]) -> None:
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    if process.returncode is not None:
        return
    os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(_DYING_SECONDS)
    except subprocess.TimeoutExpired:
        _STUCK[tuple(argv)] = process


def _refuse_stuck(argv: Sequence[str]) -> None:
    earlier = _STUCK.pop(tuple(argv), None)
    if earlier is not None and earlier.poll() is None:
        _STUCK[tuple(argv)] = earlier
        raise SourceTimeoutError(f"{argv[0]} still hangs since it was last asked, and cannot be killed")
