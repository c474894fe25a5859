"""The PIN: read at the moment of use, tried once, and never again until it changes.

bao asks every five seconds while it is sealed. Without the latch a wrong PIN would lock a token within a minute.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path

from legalcloud_kms.choice import TokenFacts
from legalcloud_kms.errors import (
    PinFinalTryError,
    PinLatchedError,
    PinLockedError,
    PinUnreadableError,
    PinWrongError,
)


class Answer(Enum):
    """What the token said to a PIN. Any other answer is an error of the token's own, and no verdict on the PIN."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    LOCKED = "locked"


def read(source: str, environment: Mapping[str, str]) -> str:
    """Read the PIN from file:///PATH or env://NAME, without white space around it.

    Raises: PinUnreadableError, also for an empty PIN: a token would count it as a wrong one.
    """
    scheme, _, place = source.partition("://")
    try:
        pin = (Path(place).read_bytes().decode() if scheme == "file" else environment[place]).strip()
    except KeyError:
        raise PinUnreadableError(f"{source}: the environment variable is not set for bao") from None
    except OSError as error:
        raise PinUnreadableError(f"{source}: {error.strerror}. Is the credential loaded into bao's unit?") from None
    except UnicodeDecodeError:  # its text would tell a byte of the PIN
        raise PinUnreadableError(f"{source}: not UTF-8 text. Encrypt the credential anew") from None
    if not pin:
        raise PinUnreadableError(f"{source}: empty. Encrypt the credential anew")
    return pin


class PinLatch:
    """Which PINs which token has refused, as digests under a salt that is never written anywhere."""

    def __init__(self) -> None:
        self._salt = os.urandom(32)
        self._refused: dict[str, set[bytes]] = {}

    def log_in(self, token: TokenFacts, pin: str, source: str, login: Callable[[str], Answer]) -> None:
        """Try the PIN if it may be tried. `token` must have been read just before."""
        digest = hmac.digest(self._salt, pin.encode(), hashlib.sha256)
        refused = self._refused.setdefault(token.serial, set())
        if digest in refused:
            raise PinLatchedError(
                f"token {token} refused the PIN in {source} before; it is not tried again until it changes. "
                "Put the right PIN there; if the token was given this PIN meanwhile, restart bao"
            )
        if token.pin_locked:
            raise PinLockedError(f"token {token} takes no PIN any more; its security officer must unlock it")
        if token.pin_final_try:
            raise PinFinalTryError(
                f"token {token} has one try left, and it is left to a person: log in once with the right PIN by hand"
            )
        answer = login(pin)
        if answer is Answer.LOCKED:
            raise PinLockedError(f"token {token} is locked; its security officer must unlock it")
        if answer is Answer.REFUSED:
            refused.add(digest)
            raise PinWrongError(f"token {token} refused the PIN in {source}. Put the right PIN there; bao then unseals")
        refused.clear()
