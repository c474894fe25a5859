"""Reads back every object of a ledger and says what the store made of it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from tests.load.ledger import ABSENT, Content, Expected
from tests.load.store import Store, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Keys, by what is wrong with them."""

    checked: int
    lost: tuple[str, ...]
    """Acknowledged and not there."""
    corrupt: tuple[str, ...]
    """There with bytes that the key must not hold, each with what they are."""
    unreadable: tuple[str, ...]
    """The store gave no answer, each with why: neither lost nor whole, and never to be counted as whole."""

    @property
    def faults(self) -> tuple[str, ...]:
        return self.lost + self.corrupt + self.unreadable


def judge(expected: Mapping[str, Expected], found: Mapping[str, Content | Exception]) -> Findings:
    """Compare what the ledger allows with what was read; a key that was not read at all is unreadable."""
    lost, corrupt, unreadable = [], [], []
    for key, one in sorted(expected.items()):
        actual = found.get(key, LookupError("not read"))
        if isinstance(actual, Exception):
            unreadable.append(f"{key}: {type(actual).__name__}: {actual}")
        elif actual in one.allowed:
            continue
        elif actual is ABSENT:
            lost.append(key)
        elif ABSENT in one.allowed:
            corrupt.append(f"{key}: deleted, and back again")
        else:
            corrupt.append(f"{key}: {'former content' if actual in one.past else 'never written'}")
    return Findings(checked=len(expected), lost=tuple(lost), corrupt=tuple(corrupt), unreadable=tuple(unreadable))


def read_back(store: Store, expected: Mapping[str, Expected], *, threads: int = 6) -> Findings:
    own = threading.local()

    def look(key: str) -> Content | Exception:
        try:
            if not hasattr(own, "s3"):
                own.s3 = store.client()
            body = read(own.s3, store, key)
        except (BotoCoreError, ClientError) as error:
            return error
        return ABSENT if body is None else hashlib.sha256(body).hexdigest()

    with ThreadPoolExecutor(threads) as pool:
        return judge(expected, dict(zip(expected, pool.map(look, expected), strict=True)))


def clear(store: Store, prefix: str) -> None:
    """Delete everything below a prefix."""
    s3: Any = store.client()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=store.bucket, Prefix=prefix):
        keys = [{"Key": item["Key"]} for item in page.get("Contents", [])]
        if keys:
            s3.delete_objects(Bucket=store.bucket, Delete={"Objects": keys, "Quiet": True})
