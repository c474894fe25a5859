"""Speed of S3 along three paths and of RADOS beneath it, one after the other in each round."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from urllib.parse import urlsplit

from botocore.config import Config
from tests.bench import processes
from tests.bench.client import Order, Outcome
from tests.bench.figures import KIB, MIB, Cell, Speed
from tests.load.lab import ROOT, Lab, LabError
from tests.load.reader import clear
from tests.load.store import Store

from legalcloud.register import Node

ANYCAST, GATEWAY, LOOPBACK, RADOS = (
    "one address, TLS",
    "gateway, TLS",
    "gateway, HTTP on its loopback",
    "rados bench, same pool",
)
S3_PATHS = (ANYCAST, GATEWAY, LOOPBACK)
SIZES_BYTES = (64 * KIB, 4 * MIB)
POOL = "hk.rgw.buckets.data"
RUN = "legalcloud-bench"
THREADS = 16
TARGETS = {64 * KIB: 2000, 4 * MIB: 240, 64 * MIB: 12}
"""Objects a cell, by size; writers start over when they run out. Well below the tenant's quota of 2 GiB."""
DAEMONS = ("ceph-osd", "radosgw", "haproxy", "ceph-mon", "ceph-mgr")
RADOS_CPU = re.compile(r"^cpu ([\d.]+) ([\d.]+)$", re.MULTILINE)


class Bench:
    """Runs the cells against one lab, through the gateway of one node."""

    def __init__(self, lab: Lab, store: Store, *, seconds: float) -> None:
        self._lab, self._store, self._seconds = lab, store, seconds
        self._gateway = next(node for node in lab.members("gateways") if "mons" in node.groups)
        self._machines = [node.name for node in lab.nodes]
        self._prefix = f"bench-{time.time_ns()}/"

    def round(self) -> Mapping[Cell, Speed]:
        """Measure every cell once; whatever happens, leave nothing in the store."""
        try:
            return self._round()
        finally:
            self._on_gateway(["rados", "-p", POOL, "cleanup", "--run-name", RUN])
            clear(self._store, self._prefix)

    def _round(self) -> Mapping[Cell, Speed]:
        speeds: dict[Cell, Speed] = {}
        for size in SIZES_BYTES:
            for verb, mode in (("PUT", "write"), ("GET", "seq")):
                speeds[Cell(verb=verb, size_bytes=size, path=RADOS)] = self._rados(mode, size)
            self._on_gateway(["rados", "-p", POOL, "cleanup", "--run-name", RUN])
            for path in S3_PATHS:
                for verb, speed in self.put_and_get(path, size).items():
                    speeds[Cell(verb=verb, size_bytes=size, path=path)] = speed
        return speeds

    def put_and_get(self, path: str, size: int) -> Mapping[str, Speed]:
        """Put objects of one size along one path and get them again; they are removed."""
        prefix = f"{self._prefix}{time.monotonic_ns()}/"
        targets = {verb: self._sign(verb, prefix, size) for verb in ("PUT", "GET")}
        try:
            put = self._s3(path, "PUT", size, targets["PUT"])
            got = self._s3(path, "GET", size, targets["GET"][: put[0].requests])
        finally:
            clear(self._store, prefix)
        return {"PUT": _speed(put, size), "GET": _speed(got, size)}

    def _sign(self, verb: str, prefix: str, size: int) -> list[str]:
        s3 = self._store.session.client(
            "s3",
            endpoint_url=self._store.endpoint_url,
            region_name="default",
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        urls = (
            urlsplit(
                s3.generate_presigned_url(
                    f"{verb.lower()}_object", Params={"Bucket": self._store.bucket, "Key": f"{prefix}{number}"}
                )
            )
            for number in range(TARGETS[size])
        )
        return [f"{url.path}?{url.query}" for url in urls]

    def _s3(self, path: str, verb: str, size: int, targets: list[str]) -> tuple[Outcome, Mapping[str, float]]:
        host = urlsplit(self._store.endpoint_url).hostname or ""
        address, tls_name = {
            ANYCAST: ((host, 443), host),
            GATEWAY: ((str(self._gateway.address), 8443), self._gateway.name),
            LOOPBACK: (("127.0.0.1", 7480), None),
        }[path]
        order = Order(
            verb=verb, targets=targets, size_bytes=size, connect_to=address, host=host, tls_name=tls_name,
            ca_file=str(self._store.ca_file), threads=min(THREADS, TARGETS[size]), seconds=self._seconds,
        )  # fmt: skip
        enter = [] if path != LOOPBACK else _network_of(self._gateway)
        with self._counting() as used:
            done = subprocess.run(
                [*enter, sys.executable, "-m", "tests.bench.client"],
                cwd=ROOT,
                input=json.dumps(asdict(order)),
                capture_output=True,
                text=True,
                timeout=self._seconds + 120,
                check=False,
            )
        if done.returncode != 0:
            raise LabError(f"the client failed on {verb} by {path}: {done.stderr.strip()}")
        outcome = Outcome(**json.loads(done.stdout))
        if outcome.faults or not outcome.requests:
            reason = outcome.faults[0] if outcome.faults else f"nothing was done within {self._seconds:g} s"
            raise LabError(f"{verb} of {size} bytes by {path}: {reason}")
        return outcome, {**used(), "client": outcome.cpu_seconds}

    def _rados(self, mode: str, size: int) -> Speed:
        words = ["rados", "bench", "-p", POOL, f"{self._seconds:.0f}", mode, "-t", str(THREADS), "--run-name", RUN]
        if mode == "write":
            words += ["-b", str(size), "--no-cleanup"]
        with self._counting() as used:
            script = f"TIMEFORMAT='cpu %U %S'; {{ time {shlex.join(words)}; }} 2>&1"
            text = self._on_gateway(["bash", "-c", script])
        return parse_rados(text, used=used())

    def _on_gateway(self, argv: list[str]) -> str:
        return self._lab.run(self._gateway, argv, timeout_seconds=self._seconds + 120)

    @contextmanager
    def _counting(self) -> Iterator[Callable[[], Mapping[str, float]]]:
        before = processes.look(self._machines)
        after: list[tuple[processes.Process, ...]] = []
        yield lambda: {name: seconds for name, seconds in processes.used(before, after[0]).items() if name in DAEMONS}
        after.append(processes.look(self._machines))


def parse_rados(text: str, *, used: Mapping[str, float]) -> Speed:
    """Parse the summary of `rados bench` (Ceph 20) and bash's `cpu USER SYSTEM` after it.

    The size is what rados says: it rounds up to whole stripes of the pool. Raises: LabError.
    """
    count = re.search(r"^Total (?:writes|reads) made:\s+(\d+)$", text, re.MULTILINE)
    total = re.search(r"^Total time run:\s+([\d.]+)$", text, re.MULTILINE)
    each = re.search(r"^(?:Write|Read) size:\s+(\d+)$", text, re.MULTILINE)
    cpu = RADOS_CPU.search(text)
    if not (count and total and each and cpu):
        raise LabError(f"rados bench printed no summary that we know:\n{text}")
    objects, seconds = int(count[1]), float(total[1])
    outcome = Outcome(requests=objects, seconds=seconds, cpu_seconds=float(cpu[1]) + float(cpu[2]), faults=[])
    return _speed((outcome, {**used, "client": outcome.cpu_seconds}), int(each[1]))


def _speed(measured: tuple[Outcome, Mapping[str, float]], size: int) -> Speed:
    outcome, used = measured
    moved = outcome.requests * size
    return Speed(
        objects_per_second=outcome.requests / outcome.seconds,
        bytes_per_second=moved / outcome.seconds,
        cpu_seconds_per_gb={name: seconds / (moved / 1e9) for name, seconds in used.items()},
    )


def _network_of(node: Node) -> list[str]:
    """Run what follows in the network of a node's gateway, on the host's files."""
    gateway = next(process for process in processes.look([node.name]) if process.name == "radosgw")
    return ["nsenter", f"--net=/proc/{gateway.pid}/ns/net"]
