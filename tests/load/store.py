"""How the harness's clients reach the store: an ordinary S3 client with ordinary retries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

NOT_FOUND = {"404", "NoSuchKey"}
BROKEN_OFF = (IncompleteReadError, ReadTimeoutError, ResponseStreamingError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client waits, and how often it asks again."""

    connect_seconds: float = 5
    read_seconds: float = 5
    """Between two bytes of an answer. A request that a dying gateway has taken whole waits this long: nothing on
    the network tells its client that nobody will answer."""
    attempts: int = 5

    def __str__(self) -> str:
        return (
            f"connect {self.connect_seconds:g} s, read {self.read_seconds:g} s, "
            f"{self.attempts} attempts, botocore's standard retries"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One bucket behind the S3 name, and how to ask for it."""

    session: boto3.Session
    endpoint_url: str
    ca_file: Path
    bucket: str
    patience: Patience = Patience()

    def client(self) -> Any:  # noqa: ANN401 -- boto3
        """Make a client of its own for one thread: botocore's sessions are not to be shared between threads."""
        return self.session.client(
            "s3",
            endpoint_url=self.endpoint_url,
            verify=str(self.ca_file),
            region_name="default",
            config=Config(
                connect_timeout=self.patience.connect_seconds,
                read_timeout=self.patience.read_seconds,
                retries={"mode": "standard", "total_max_attempts": self.patience.attempts},
                s3={"addressing_style": "path"},
                max_pool_connections=2,
            ),
        )


def read(
    s3: Any,  # noqa: ANN401 -- boto3
    store: Store,
    key: str,
    note: Callable[[str], None] = lambda _: None,
) -> bytes | None:
    """Read an object whole; None if it is not there.

    botocore tries again until an answer begins; if it then breaks off, we ask anew, as S3 transfer libraries do.
    Raises what botocore raises once the attempts are used up.
    """
    for attempt in range(1, store.patience.attempts + 1):
        try:
            return bytes(s3.get_object(Bucket=store.bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in NOT_FOUND:
                return None
            raise
        except BROKEN_OFF as error:
            if attempt == store.patience.attempts:
                raise
            note(f"{type(error).__name__} in the body")
    raise AssertionError("unreachable: the last attempt returns or raises")


def on_trouble(s3: Any, note: Callable[[str], None]) -> None:  # noqa: ANN401 -- boto3
    """Have `note` called with the reason whenever an attempt was not enough."""

    def hear(response: Any, caught_exception: Exception | None, **_: Any) -> None:  # noqa: ANN401 -- botocore
        if caught_exception is not None:
            note(type(caught_exception).__name__)
        elif response is not None and response[0].status_code >= 500:
            note(f"HTTP {response[0].status_code}")

    s3.meta.events.register("needs-retry.s3", hear)
