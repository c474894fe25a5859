"""Looks for what is stored in the clear: buckets without default encryption, objects without an encryption attribute.

One pass reads the attributes of every object in the data pool, one placement group after another, no faster than it
may. A run that ends before the pass does leaves its place in a file, and the next goes on from there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MODE = "user.rgw.crypt.mode"
KEPT_IN_OPENBAO = frozenset({b"AES256", b"SSE-KMS"})
"""Modes whose key is in OpenBao (SSE-S3, SSE-KMS), Ceph 20.2. Not SSE-C-AES256 and RGW-AUTO: none could be shredded."""
DEFAULT = "user.rgw.sse-s3.policy"
"""On a bucket's instance if it has default encryption, of whichever kind."""
ETAG = "user.rgw.etag"
"""On the head of every object that has data; a delete marker's has none."""
INSTANCE = ".bucket.meta."
TAILS = ("__shadow_", "__multipart_")
SAMPLES = 20
COMMAND_SECONDS = 300


@dataclass(slots=True, kw_only=True)
class Pass:
    """How far a pass has come, and what it has found."""

    groups: int
    """Placement groups of the data pool; a pass begins anew when they change."""
    started: str
    next_group: int = 0
    objects: int = 0
    clear_objects: int = 0
    samples: list[str] = field(default_factory=list)
    """Names of some of the objects found. They are privileged: only root reads this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a whole pass found."""

    started: str
    finished: str
    buckets: int
    objects: int
    clear_buckets: tuple[str, ...]
    clear_objects: int
    samples: tuple[str, ...]


def is_tail(name: str) -> bool:
    """Tell parts of an object, whose attributes stand at its head; `MARKER_` goes before the object's own name.

    A client's name that begins so has one underscore more there.
    """
    return name[name.find("_") :].startswith(TAILS)


def is_clear(attributes: Mapping[str, bytes]) -> bool:
    """Judge a head by its attributes."""
    return ETAG in attributes and attributes.get(MODE, b"").rstrip(b"\0") not in KEPT_IN_OPENBAO


def bucket_of(instance: str) -> str | None:
    """Return the bucket's name of `.bucket.meta.NAME:ID`; None for what is no instance."""
    return instance.removeprefix(INSTANCE).split(":", 1)[0] if instance.startswith(INSTANCE) else None


def resumed(text: str, groups: int, now: str) -> Pass:
    """Go on with a pass that was left, unless it cannot be read or the pool has other groups now."""
    try:
        left = Pass(**json.loads(text))
    except (ValueError, TypeError):
        return Pass(groups=groups, started=now)
    return left if left.groups == groups else Pass(groups=groups, started=now)


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
    listing: Callable[[int], bytes]
    """Lists one placement group of the data pool as JSON."""

    def heads(self, group: int) -> Iterator[tuple[str, Mapping[str, bytes]]]:
        for entry in json.loads(self.listing(group)):
            if not is_tail(entry["name"]):
                try:
                    yield entry["name"], dict(self.data.get_xattrs(entry["name"]))
                except self.absent:
                    continue  # deleted since

    def buckets(self) -> Iterator[tuple[str, bool]]:
        """Yield each bucket's name, and whether it has default encryption."""
        for item in self.instances.list_objects():
            if name := bucket_of(item.key):
                try:
                    yield name, DEFAULT in dict(self.instances.get_xattrs(item.key))
                except self.absent:
                    continue


def walk(store: Store, state: Pass, *, pause: Callable[[], None], may_go_on: Callable[[], bool]) -> bool:
    """Look at one group after another; tell whether the pass is whole. A group that was begun is finished."""
    while state.next_group < state.groups:
        if not may_go_on():
            return False
        for name, attributes in store.heads(state.next_group):
            state.objects += 1
            if is_clear(attributes):
                state.clear_objects += 1
                state.samples += [name] if len(state.samples) < SAMPLES else []
            pause()
        state.next_group += 1
    return True


def judge(store: Store, state: Pass, now: str) -> Result:
    buckets = dict(sorted(store.buckets()))
    return Result(
        started=state.started,
        finished=now,
        buckets=len(buckets),
        objects=state.objects,
        clear_buckets=tuple(name for name, encrypted in buckets.items() if not encrypted),
        clear_objects=state.clear_objects,
        samples=tuple(state.samples),
    )


def write(path: Path, text: str, mode: int) -> None:
    staged = path.with_name(f".{path.name}.new")
    staged.write_text(text, encoding="utf-8")
    staged.chmod(mode)
    staged.replace(path)


def stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def connect(user: str, zone: str) -> tuple[Store, int]:
    """Reach the cluster; return the store and the number of placement groups of its data pool."""
    import rados  # noqa: PLC0415 -- of the node

    pool = f"{zone}.rgw.buckets.data"
    keyring = f"{os.environ['CREDENTIALS_DIRECTORY']}/keyring"
    cluster = rados.Rados(name=user, conffile="/etc/ceph/ceph.conf", conf={"keyring": keyring})
    cluster.connect(timeout=30)
    instances = cluster.open_ioctx(f"{zone}.rgw.meta")
    instances.set_namespace("root")
    wish = {"prefix": "osd pool get", "pool": pool, "var": "pg_num", "format": "json"}
    code, answer, words = cluster.mon_command(json.dumps(wish), b"", timeout=30)
    if code:
        sys.exit(f"the monitors do not tell pg_num of {pool}: {words}")
    found = json.loads(answer)

    def listing(group: int) -> bytes:
        where = ["--pool", pool, "ls", "--pgid", f"{found['pool_id']}.{group:x}", "--format", "json"]
        command = ["rados", "--name", user, "--keyring", keyring, *where]
        return subprocess.run(command, capture_output=True, check=True, timeout=COMMAND_SECONDS).stdout

    data = cluster.open_ioctx(pool)
    return Store(data=data, instances=instances, absent=rados.ObjectNotFound, listing=listing), int(found["pg_num"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zone", required=True)
    parser.add_argument("--user", required=True, help="client.NAME of Ceph; its keyring is the credential `keyring`")
    parser.add_argument("--per-second", type=float, required=True, help="objects")
    parser.add_argument("--seconds", type=float, required=True, help="after which this run leaves the pass to the next")
    parser.add_argument("--textfile", type=Path, required=True, help="for the node exporter")
    asked = parser.parse_args()
    folder = Path(os.environ["STATE_DIRECTORY"])
    left, result_file = folder / "pass.json", folder / "result.json"
    store, groups = connect(asked.user, asked.zone)
    state = resumed(left.read_text(encoding="utf-8") if left.exists() else "", groups, stamp())
    until = time.monotonic() + asked.seconds
    whole = walk(
        store,
        state,
        pause=lambda: time.sleep(1 / asked.per_second),
        may_go_on=lambda: time.monotonic() < until,
    )
    if not whole:
        write(left, json.dumps(asdict(state)), 0o600)
        sys.stdout.write(f"{state.next_group} of {state.groups} placement groups done; the next run goes on\n")
        return
    result = judge(store, state, stamp())
    write(result_file, json.dumps(asdict(result), indent=1, ensure_ascii=False) + "\n", 0o600)
    write(asked.textfile, metrics(result, time.time()), 0o644)
    left.unlink(missing_ok=True)
    found = f"{result.clear_objects} objects and {len(result.clear_buckets)} buckets in the clear"
    sys.stdout.write(f"{result.objects} objects and {result.buckets} buckets seen: {found}\n")


if __name__ == "__main__":
    main()
