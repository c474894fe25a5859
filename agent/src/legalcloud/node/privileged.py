"""What the agent may have done as root: a fixed list of deeds that only read, one short process for each request.

systemd starts `legalcloud-agent-helper` for each connection (`Accept=yes`), which only the agent may make. A request is
one line, `NAME ARGUMENT...`; the answer is one line, `done|late|refused EXIT OUTPUT_BYTES ERROR_BYTES`, and the bytes.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from legalcloud.errors import CommandError, LegalcloudError, SourceTimeoutError
from legalcloud.node import osd_sockets
from legalcloud.run import MOST_BYTES, Done, Run, run

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCKS = Path("/run/legalcloud-agent-helper")
MOST_REQUEST_BYTES = 200
READ_SECONDS = 5
WHOLE_SECONDS = 60
"""What no deed outlasts, whatever it does."""
_GRACE_SECONDS = 5
_LOCK_SECONDS = 5
"""Two probes may ask the same at one moment."""
"""Beyond a deed's own limit, for systemd and Python to start."""
_DONE, _LATE, _REFUSED = "done", "late", "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One thing that may be asked for."""

    arguments: tuple[re.Pattern[str], ...] = ()
    """What each argument must match whole."""
    seconds: float
    """How long it may take."""
    do: Callable[..., Done]
    """Takes `Run` with the limit bound, then the arguments."""


Limited = Callable[[list[str]], Done]


def _command(*argv: str) -> Callable[..., Done]:
    """Make a deed of one command; the arguments follow its own words."""
    return lambda run_it, *arguments: run_it([*argv, *arguments])


def osds(_run: Limited) -> Done:
    return Done(exit_code=0, output=json.dumps(osd_sockets.look()).encode(), errors=b"")


def certificates(run_it: Limited, *, folder: Path = Path("/etc/legalcloud")) -> Done:
    """Tell what openssl says of each certificate of ours; one that cannot be read is null, its key is never opened."""
    told: dict[str, str | None] = {}
    for path in sorted(folder.rglob("*.crt")):
        wanted = ["-noout", "-subject", "-issuer", "-serial", "-enddate", "-ext", "subjectAltName"]
        done = run_it(["openssl", "x509", "-in", str(path), *wanted, "-nameopt", "RFC2253", "-dateopt", "iso_8601"])
        told[str(path)] = None if done.exit_code else done.output.decode(errors="replace")
    return Done(exit_code=0, output=json.dumps(told).encode(), errors=b"")


CEPH_USER = "agent"
"""Of CephX, who may only read; its keyring lies on nodes that watch the cluster (role agent)."""
_NUMBER = re.compile(r"[1-9][0-9]?")


def cluster(run_it: Limited, k: str, m: str, shards_per_site: str) -> Done:
    """Work out here what still fits: Ceph's answers are long, and this process ends."""
    from legalcloud.node.cluster import of_cluster  # noqa: PLC0415 -- no other deed needs the planner's arithmetic
    from legalcloud.node.usage import cluster_usage  # noqa: PLC0415 -- as above
    from legalcloud.planner.layout import Layout  # noqa: PLC0415 -- as above

    def told(*words: str) -> bytes:
        asked = ["ceph", "--id", CEPH_USER, "--connect-timeout", "5", *words, "--format", "json"]
        return run_it(asked).good(f"ceph {' '.join(words)}")

    usage = cluster_usage(told("osd", "df", "tree"), told("osd", "dump"))
    per_site = int(shards_per_site)
    layout = Layout(k=int(k), m=int(m), sites=(int(k) + int(m)) // per_site, shards_per_site=per_site)
    return Done(exit_code=0, output=json.dumps(asdict(of_cluster(usage, layout))).encode(), errors=b"")


DEEDS: Mapping[str, Deed] = {
    "smart": Deed(
        arguments=(re.compile(r"/dev/(sd[a-z]{1,3}|vd[a-z]{1,2}|nvme[0-9]{1,3}(n[0-9]{1,3})?)"),),
        seconds=30,
        do=_command("smartctl", "--json", "-x"),
    ),
    "ruleset": Deed(seconds=10, do=_command("nft", "--json", "list", "ruleset")),
    "osds": Deed(seconds=10, do=osds),
    "certificates": Deed(seconds=20, do=certificates),
    "cluster": Deed(arguments=(_NUMBER, _NUMBER, _NUMBER), seconds=20, do=cluster),
    "hsm": Deed(
        arguments=(re.compile(r"[a-z0-9][a-z0-9-]{0,31}"),), seconds=20, do=_command("legalcloud-hsm", "describe")
    ),
}
"""The whole list. No deed writes, and none takes a path but a drive's."""


def answer(line: bytes, *, deeds: Mapping[str, Deed] = DEEDS, locks: Path = LOCKS, run_it: Run | None = None) -> bytes:
    """Do what one line asks for, and return the bytes of the answer."""
    name, *arguments = line.decode(errors="replace").removesuffix("\n").split(" ")
    deed = deeds.get(name)
    if deed is None or len(arguments) != len(deed.arguments) or not line.endswith(b"\n"):
        return _packed(_REFUSED, 0, b"there is no such deed")
    if not all(form.fullmatch(word) for form, word in zip(deed.arguments, arguments, strict=True)):
        return _packed(_REFUSED, 0, b"an argument has another form")
    try:
        with _alone(locks, line) as lock:
            done = deed.do(partial(run_it or partial(run, keep=(lock,)), seconds=deed.seconds), *arguments)
    except SourceTimeoutError as error:
        return _packed(_LATE, 0, str(error).encode())
    except LegalcloudError as error:
        return _packed(_REFUSED, 0, str(error).encode())
    return _packed(_DONE, done.exit_code, done.output, done.errors)


@contextmanager
def _alone(folder: Path, line: bytes) -> Iterator[int]:
    """Hold the lock of one request. Its command inherits it: while one hangs in the kernel, no second is started."""
    folder.mkdir(mode=0o700, exist_ok=True)
    until = time.monotonic() + _LOCK_SECONDS
    lock = os.open(folder / hashlib.sha256(line).hexdigest()[:16], os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        while not _locked(lock):
            if time.monotonic() > until:
                raise SourceTimeoutError(f"the same was asked before, and has not ended in {_LOCK_SECONDS} s")
            time.sleep(0.05)
        yield lock
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _packed(state: str, exit_code: int, output: bytes, errors: bytes = b"") -> bytes:
    return f"{state} {exit_code} {len(output)} {len(errors)}\n".encode() + output + errors


_HEAD = re.compile(rf"({_DONE}|{_LATE}|{_REFUSED}) (-?\d{{1,3}}) (\d{{1,9}}) (\d{{1,9}})\n".encode())


def ask(path: Path, name: str, *arguments: str) -> Done:
    """Ask the helper, from the agent's side; see `subject.Ask`."""
    what = " ".join((name, *arguments))
    until = time.monotonic() + DEEDS[name].seconds + _LOCK_SECONDS + _GRACE_SECONDS
    heard = bytearray()
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_GRACE_SECONDS)
            connection.connect(str(path))
            connection.sendall(f"{what}\n".encode())
            while len(heard) <= 2 * MOST_BYTES:
                connection.settimeout(max(0.001, until - time.monotonic()))
                if not (chunk := connection.recv(2**16)):
                    break
                heard += chunk
    except TimeoutError as error:
        raise SourceTimeoutError(f"the helper did not answer to `{what}`") from error
    except OSError as error:
        raise CommandError(f"the helper at {path}: {error.strerror}", hint=_SOCKET) from error
    return unpacked(bytes(heard), what)


_SOCKET = "`systemctl status legalcloud-agent-helper.socket`."


def unpacked(raw: bytes, what: str) -> Done:
    """Read an answer. Raises: CommandError, SourceTimeoutError."""
    head = _HEAD.match(raw)
    body = raw[head.end() :] if head else b""
    if head is None or len(body) != int(head[3]) + int(head[4]):
        raise CommandError(f"the helper ended its answer to `{what}` early", hint=_SOCKET)
    output, errors = body[: int(head[3])], body[int(head[3]) :]
    match head[1].decode():
        case state if state == _LATE:
            raise SourceTimeoutError(f"`{what}`: {output.decode(errors='replace')}")
        case state if state == _REFUSED:
            raise CommandError(f"`{what}`: {output.decode(errors='replace')}")
    return Done(exit_code=int(head[2]), output=output, errors=errors)


def main() -> int:
    signal.alarm(READ_SECONDS)  # who says nothing in time ends this process
    line = sys.stdin.buffer.readline(MOST_REQUEST_BYTES)
    signal.alarm(WHOLE_SECONDS)
    sys.stdout.buffer.write(answer(line))
    sys.stdout.buffer.flush()
    return 0
