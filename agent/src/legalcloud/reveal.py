"""Hand a secret to one person: a file that only the holder of an age identity can open."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pyrage

from legalcloud import durable
from legalcloud.errors import InputError, NotAuthenticError

FOLDER_MODE = 0o700


def reveal(path: Path, *, recipient: str, document: Mapping[str, object]) -> None:
    """Write a document as JSON, encrypted to an age recipient: the file is whole, mode 0600, or not there.

    The plain text touches no drive. When this returns, the file is on the drive, not only in the cache.
    Raises: InputError if the recipient cannot be used, OSError if the folder cannot be written.
    """
    try:
        key = pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError as error:
        raise InputError(
            "reveal_to is not an age recipient",
            hint="Paste the public half, age1..., that `age-keygen -y` prints.",
        ) from error
    plain = json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True).encode()
    write_whole(path, pyrage.encrypt(plain, [key], armored=True))


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file at once; its folder is made, 0700, if it is missing."""
    path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    durable.replace(path, data)


def open_revealed(path: Path, *, identity: str) -> dict[str, object]:
    """Open such a file with an age identity (`AGE-SECRET-KEY-1...`).

    Raises: NotAuthenticError if the file was encrypted to another identity, or was altered.
    """
    try:
        plain = pyrage.decrypt(path.read_bytes(), [pyrage.x25519.Identity.from_str(identity.strip())])
    except (pyrage.DecryptError, pyrage.IdentityError) as error:
        raise NotAuthenticError(
            f"{path} does not open with this identity",
            hint="Use the identity whose public half is the tenant's reveal_to, or rotate the key.",
        ) from error
    document: dict[str, object] = json.loads(plain)
    return document
