"""Keeps the token with which this node's gateway asks OpenBao for keys, in the file where the gateway looks each time.

The token is renewed, and replaced as soon as OpenBao refuses it. It is asked about at each look, because nothing tells
its holder that it was revoked. A token that a new one replaces is revoked once no request can still carry it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

LOGIN = "gateway"
TOKEN = Path("/run/rgw-kms/token")
GRACE_SECONDS = 10
"""A request that read the old token has asked OpenBao by then: the gateway gives up after 10 s."""
CONFIRM_SECONDS = 10
RETRY_SECONDS = 2
"""Between two looks without a token, with which every request waits for us."""
REFUSED = (400, 403)
"""400: the certificate is not the one that the token was given to."""


class OpenBao(Protocol):
    """What is used of `openbao.Client`."""

    token: str

    def read(self, path: str) -> dict[str, Any] | None: ...
    def write(self, path: str, body: object = None) -> dict[str, Any]: ...


@dataclass(slots=True, kw_only=True)
class Keeper:
    """The token, and when it is renewed."""

    client: OpenBao
    path: Path
    error: type[Exception]
    """`openbao.OpenBaoError`; its `status` is that of HTTP, or None without an answer."""
    say: Callable[[str], None]
    now: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep
    renew_at: float = 0.0
    trouble: str = ""
    """What the last look was about to say; the same again is not worth a line."""

    def look(self, every_seconds: float) -> float:
        """Take one look, and return the seconds until the next.

        If OpenBao does not answer, the token stays: it may outlive the absence.
        """
        try:
            if self.client.token and self._is_good():
                self._place()
            else:
                self._replace()
        except self.error as error:
            if str(error) != self.trouble:
                self.say(f"{error} The token stays as it is; the next look tries again.")
            self.trouble = str(error)
        else:
            self.trouble = ""
        return every_seconds if self.client.token else min(every_seconds, RETRY_SECONDS)

    def _is_good(self) -> bool:
        try:
            if self.now() < self.renew_at:
                self.client.read("auth/token/lookup-self")
            else:
                self._lives(self.client.write("auth/token/renew-self"))
        except self.error as error:
            if getattr(error, "status", None) not in REFUSED:
                raise
            self.say(f"the token is refused ({error}); logging in again")
            self.client.token = ""
            return False
        return True

    def _replace(self) -> None:
        """Log in, wait until the server that we are led to knows the token, and only then give it to the gateway."""
        self.client.token = ""
        answer = self.client.write("auth/cert/login", {"name": LOGIN})
        self.client.token = str(answer["auth"]["client_token"])
        self._lives(answer)
        self._confirm()
        old = self._placed()
        self._place()
        self.say(f"logged in; the token lives {answer['auth']['lease_duration']} s and is renewed before")
        if old and old != self.client.token:
            self.wait(GRACE_SECONDS)
            self._revoke(old)

    def _confirm(self) -> None:
        """Wait until a standby that we may be led to has heard of the new token, which it refuses until then."""
        deadline = self.now() + CONFIRM_SECONDS
        while True:
            try:
                self.client.read("auth/token/lookup-self")
            except self.error as error:
                if getattr(error, "status", None) not in REFUSED or self.now() > deadline:
                    self.client.token = ""
                    raise
                self.wait(0.1)
            else:
                return

    def _revoke(self, old: str) -> None:
        fresh, self.client.token = self.client.token, old
        try:
            self.client.write("auth/token/revoke-self")
        except self.error as error:
            if getattr(error, "status", None) not in REFUSED:  # or else it has ended already
                self.say(f"the token before this one was not revoked ({error}); it ends by itself")
        finally:
            self.client.token = fresh

    def _lives(self, answer: dict[str, Any]) -> None:
        self.renew_at = self.now() + int(answer["auth"]["lease_duration"]) / 3

    def _placed(self) -> str:
        return self.path.read_text(encoding="ascii") if self.path.exists() else ""

    def _place(self) -> None:
        """Write the file if it does not hold the token; the gateway refuses one that others may read."""
        if self._placed() == self.client.token:
            return
        handle, name = tempfile.mkstemp(dir=self.path.parent)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(self.client.token)
        Path(name).replace(self.path)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True, help="where OpenBao is, as https://HOST:PORT")
    parser.add_argument("--ca", required=True, help="file with the CA of its certificate")
    parser.add_argument("--look-seconds", type=float, required=True)
    asked = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))  # python3 -I leaves it out
    import openbao  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 -- lies beside this file on a node only

    credentials = Path(os.environ["CREDENTIALS_DIRECTORY"])
    context = openbao.trusting(asked.ca)
    context.load_cert_chain(credentials / "gateway.crt", credentials / "gateway.key")
    client = openbao.Client(asked.address, context)
    keeper = Keeper(client=client, path=TOKEN, error=openbao.OpenBaoError, say=say)
    while True:
        time.sleep(keeper.look(asked.look_seconds))


if __name__ == "__main__":
    main()
