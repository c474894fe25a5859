"""What encryption costs: the same objects into buckets that encrypt in different ways, one after the other."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from plugins.module_utils.rgw_account import Account
from tests.bench.figures import KIB, MIB, Cell, Speed
from tests.bench.throughput import ANYCAST, Bench
from tests.load.lab import Lab
from tests.load.store import Store

NONE, SSE_S3, SSE_KMS = "no encryption", "SSE-S3", "SSE-KMS"
KINDS = (NONE, SSE_S3, SSE_KMS)
SIZES_BYTES = (64 * KIB, 4 * MIB, 64 * MIB)
TENANT = "demo-chambers"


def order(turn: int) -> tuple[str, ...]:
    """Return KINDS as a round measures them: each is first, second and last in turn, so drift is no kind's cost."""
    first = turn % len(KINDS)
    return KINDS[first:] + KINDS[:first]


def measure(lab: Lab, store: Store, *, seconds: float, turn: int) -> Mapping[Cell, Speed]:
    """Measure each size in a bucket of each kind, side by side. The paths of the cells are KINDS."""
    operator = replace(store, session=_operator(lab))
    speeds: dict[Cell, Speed] = {}
    with contextlib.ExitStack() as stack:
        benches = {
            kind: Bench(lab, stack.enter_context(_bucket(operator, kind)), seconds=seconds) for kind in order(turn)
        }
        for size in SIZES_BYTES:
            for kind, bench in benches.items():
                for verb, speed in bench.put_and_get(ANYCAST, size).items():
                    speeds[Cell(verb=verb, size_bytes=size, path=kind)] = speed
    return speeds


def _operator(lab: Lab) -> boto3.Session:
    """Return a session of the root of the tenant's account: a tenant may make no bucket, least of all a clear one."""
    root = Account(name=TENANT, bytes=-1, objects=-1).root
    told = lab.run(lab.members("mons")[0], ["radosgw-admin", "user", "info", "--uid", root])
    key = json.loads(told)["keys"][0]
    return boto3.Session(key["access_key"], key["secret_key"], region_name="default")


@contextlib.contextmanager
def _bucket(store: Store, kind: str) -> Iterator[Store]:
    """Make a bucket that encrypts in one way, and remove it."""
    own = replace(store, bucket=f"{TENANT}-bench-{KINDS.index(kind)}-{time.time_ns()}")
    s3 = own.client()
    s3.create_bucket(Bucket=own.bucket)
    try:
        if rule := _rule(kind):
            s3.put_bucket_encryption(
                Bucket=own.bucket,
                ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
            )
        yield own
    except BaseException:
        with contextlib.suppress(BotoCoreError, ClientError):  # what went wrong before is the error to tell
            s3.delete_bucket(Bucket=own.bucket)
        raise
    s3.delete_bucket(Bucket=own.bucket)


def _rule(kind: str) -> dict[str, str]:
    if kind == SSE_S3:
        return {"SSEAlgorithm": "AES256"}
    return {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": TENANT} if kind == SSE_KMS else {}
