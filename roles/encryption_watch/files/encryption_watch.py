"""Looks for what is stored in the clear: buckets without default encryption, objects without an encryption attribute.

One pass reads the attributes of every object in the data pool, in the order of the listing, no faster than it may. A
run that ends before the pass does leaves its place in a file, and the next lists up to there and goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TextIO, cast

MODE = "user.rgw.crypt.mode"
KEPT_IN_OPENBAO = frozenset({b"AES256", b"SSE-KMS"})
"""Modes whose key is in OpenBao (SSE-S3, SSE-KMS), Ceph 20.2. Not SSE-C-AES256 and RGW-AUTO: none could be shredded."""
DEFAULT = "user.rgw.sse-s3.policy"  # on a bucket's instance if it has default encryption, of whichever kind
ETAG = "user.rgw.etag"
"""On the head of every object that has data; a delete marker's has none."""
INSTANCE = ".bucket.meta."
TAILS = ("__shadow_", "__multipart_")
SAMPLES = 20
CHUNK = 65536


@dataclass(slots=True, kw_only=True)
class Pass:
    """How far a pass has come, and what it has found."""

    started: str
    last: list[str] = field(default_factory=list)
    """Locator and name of the object that was looked at last. The order of a listing is that of the objects' hashes."""
    objects: int = 0
    clear_objects: int = 0
    samples: list[str] = field(default_factory=list)
    """Names of some of the objects found. They are privileged: only root reads this."""
    absent: list[list[str]] = field(default_factory=list)
    """Locators and names that were listed and could not be found: deleted since, or looked for in the wrong place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a whole pass found."""

    started: str
    finished: str
    buckets: int
    objects: int
    clear_buckets: tuple[str, ...]
    clear_objects: int
    unseen_objects: int
    """Listed, twice, and not to be found: with any, nobody knows whether all is encrypted."""
    samples: tuple[str, ...]


def is_tail(name: str) -> bool:
    """Tell parts of an object. `MARKER_` goes before a name; a client's that begins like a part's has one `_` more."""
    return name[name.find("_") :].startswith(TAILS)


def is_clear(attributes: Mapping[str, bytes]) -> bool:
    """Judge a head by its attributes."""
    return ETAG in attributes and attributes.get(MODE, b"").rstrip(b"\0") not in KEPT_IN_OPENBAO


def bucket_of(instance: str) -> str | None:
    """Return the bucket's name of `.bucket.meta.NAME:ID`; None for what is no instance."""
    return instance.removeprefix(INSTANCE).split(":", 1)[0] if instance.startswith(INSTANCE) else None


def resumed(text: str, now: str) -> Pass:
    """Go on with a pass that was left, unless it cannot be read."""
    try:
        return Pass(**json.loads(text))
    except (ValueError, TypeError):
        return Pass(started=now)


def entries(stream: TextIO) -> Iterator[Mapping[str, str]]:
    """Read a JSON list of flat objects one by one: a pool may have millions."""
    decoder, text = json.JSONDecoder(), ""
    while piece := stream.read(CHUNK):
        text, at = text + piece, 0
        while (start := text.find("{", at)) >= 0:
            try:
                entry, at = decoder.raw_decode(text, start)
            except ValueError:
                break  # its end comes with the next piece
            yield entry
        text = text[at:]
    if text.strip() not in {"[]", "]"}:
        raise ValueError("the listing ends in the middle")


def metrics(result: Result, finished: float) -> str:
    """Write numbers for Prometheus, and no name."""
    rows = (
        ("clear_objects", "Objects without an encryption attribute, at the last pass.", result.clear_objects),
        ("clear_buckets", "Buckets without default encryption, at the last pass.", len(result.clear_buckets)),
        ("seen_objects", "Objects that the last pass has seen.", result.objects),
        ("pass_timestamp_seconds", "When the last whole pass ended.", int(finished)),
    )
    named = [(f"legalcloud_encryption_{name}", text, value) for name, text, value in rows]
    return "".join(f"# HELP {name} {text}\n# TYPE {name} gauge\n{name} {value}\n" for name, text, value in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The pools of the gateways, as a user who may only read."""

    data: Any
    instances: Any
    """Pool of metadata, namespace `root`."""
    absent: type[Exception]
    listing: Callable[[], Iterator[Mapping[str, str]]]
    """Lists the whole data pool. Raises if it cannot to the end: what is not listed was not looked at."""

    def heads(self) -> Generator[list[str]]:
        """Yield locator and name. The gateway gives a locator to what a client has named with `_` at the beginning."""
        for entry in self.listing():
            if not is_tail(entry["name"]):
                yield [entry.get("locator", ""), entry["name"]]

    def attributes(self, head: list[str]) -> Mapping[str, bytes] | None:
        """Return a head's attributes, or None if it is not where its locator, or else its name, says."""
        self.data.set_locator_key(head[0])  # holds until the next one
        with suppress(self.absent):
            return dict(self.data.get_xattrs(head[1]))
        return None

    def buckets(self) -> Iterator[tuple[str, bool]]:
        """Yield each bucket's name, and whether it has default encryption."""
        for item in self.instances.list_objects():
            if name := bucket_of(item.key):
                with suppress(self.absent):
                    yield name, DEFAULT in dict(self.instances.get_xattrs(item.key))


def walk(store: Store, state: Pass, *, pause: Callable[[], None], may_go_on: Callable[[], bool]) -> bool:
    """Look at one head after another; tell whether the pass is whole. Raises: LookupError if its place is gone."""
    with closing(store.heads()) as heads:
        if state.last and state.last not in heads:  # `in` consumes what it has compared
            raise LookupError
        for head in heads:
            if not may_go_on():
                return False
            note(state, head, store.attributes(head))
            state.last = head
            pause()
    return True


def note(state: Pass, head: list[str], attributes: Mapping[str, bytes] | None) -> None:
    """Count what was seen of one head."""
    state.absent += [head] if attributes is None else []
    state.objects += attributes is not None
    if attributes is not None and is_clear(attributes):
        state.clear_objects += 1
        state.samples += [head[1]] if len(state.samples) < SAMPLES else []


def unseen(store: Store, state: Pass) -> int:
    """Count what was absent, is listed still and cannot be found."""
    absent, state.absent = {tuple(head) for head in state.absent}, []
    for head in [head for head in store.heads() if tuple(head) in absent] if absent else []:
        note(state, head, store.attributes(head))
    return len(state.absent)


def judge(store: Store, state: Pass, now: str) -> Result:
    buckets, missed = dict(sorted(store.buckets())), unseen(store, state)
    return Result(
        started=state.started, finished=now, buckets=len(buckets), objects=state.objects,
        clear_buckets=tuple(name for name, encrypted in buckets.items() if not encrypted),
        clear_objects=state.clear_objects, unseen_objects=missed, samples=tuple(state.samples),
    )  # fmt: skip


def write(path: Path, text: str, mode: int) -> None:
    staged = path.with_name(f".{path.name}.new")
    staged.write_text(text, encoding="utf-8")
    staged.chmod(mode)
    staged.replace(path)


def stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def connect(user: str, zone: str) -> Store:
    """Reach the cluster."""
    import rados  # noqa: PLC0415 -- of the node

    pool = f"{zone}.rgw.buckets.data"
    keyring = f"{os.environ['CREDENTIALS_DIRECTORY']}/keyring"
    cluster = rados.Rados(name=user, conffile="/etc/ceph/ceph.conf", conf={"keyring": keyring})
    cluster.connect(timeout=30)
    instances = cluster.open_ioctx(f"{zone}.rgw.meta")
    instances.set_namespace("root")
    # Not group by group: `ls --pgid` ends at the first object with a locator (Ceph 20.2). Not list_objects():
    # it ends at an error as at the end.
    command = ["rados", "--name", user, "--keyring", keyring, "--pool", pool, "ls", "--format", "json"]

    def listing() -> Iterator[Mapping[str, str]]:
        with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as child:
            yield from entries(cast("TextIO", child.stdout))
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, command)

    return Store(data=cluster.open_ioctx(pool), instances=instances, absent=rados.ObjectNotFound, listing=listing)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, kind in {"zone": str, "user": str, "per-second": float, "seconds": float, "textfile": Path}.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    asked = parser.parse_args()
    left, result_file = (Path(os.environ["STATE_DIRECTORY"], name) for name in ("pass.json", "result.json"))
    store = connect(asked.user, asked.zone)
    state = resumed(left.read_text(encoding="utf-8") if left.exists() else "", stamp())
    until = cache(lambda: time.monotonic() + asked.seconds)  # from the first look: to list up to there takes its time
    pace = 1 / asked.per_second
    try:
        whole = walk(store, state, pause=lambda: time.sleep(pace), may_go_on=lambda: time.monotonic() < until())
    except LookupError:  # the next run begins anew
        whole, state = False, Pass(started=stamp())
    if not whole:
        write(left, json.dumps(asdict(state)), 0o600)
        sys.stdout.write(f"{state.objects} objects seen; the next run goes on\n")
        return
    result = judge(store, state, stamp())
    write(result_file, json.dumps(asdict(result), indent=1, ensure_ascii=False) + "\n", 0o600)
    if not result.unseen_objects:  # else the numbers grow old, as if there had been no pass
        write(asked.textfile, metrics(result, time.time()), 0o644)
    left.unlink(missing_ok=True)
    sys.stdout.write(f"{result.objects} objects and {result.buckets} buckets seen, {result.unseen_objects} not found; ")
    sys.stdout.write(f"{result.clear_objects} objects and {len(result.clear_buckets)} buckets in the clear\n")


if __name__ == "__main__":
    main()
