"""The PIN as a systemd credential: on disk only encrypted, never an argument, in the clear only in this process."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from legalcloud_hsm.errors import CredentialError
from legalcloud_kms.errors import PinUnreadableError

Run = Callable[[Sequence[str], bytes], bytes]
"""Runs a program with bytes on its standard input and returns what it printed; raises ProgramError."""
PROGRAM_SECONDS = 60


class ProgramError(Exception):
    """A program ended with an error; the text is its own."""


def run(words: Sequence[str], stdin: bytes = b"") -> bytes:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            words, input=stdin, capture_output=True, timeout=PROGRAM_SECONDS, check=False, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramError(f"{words[0]}: {error}") from None
    if done.returncode != 0:
        raise ProgramError(f"{words[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def read(path: Path, environment: Mapping[str, str], run: Run) -> str:
    """Read the PIN from the service's own credentials, or as root from the encrypted file.

    Raises: PinUnreadableError, also for an empty PIN, which a token would count as a wrong one.
    """
    try:
        raw = _raw(path, environment, run)
        pin = raw.decode().strip()
    except ProgramError as error:
        raise PinUnreadableError(f"{path}: {error}") from None
    except OSError as error:
        raise PinUnreadableError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:  # its text would tell a byte of the PIN
        raise PinUnreadableError(f"{path}: not UTF-8 text") from None
    if not pin:
        raise PinUnreadableError(f"{path}: empty")
    return pin


def _raw(path: Path, environment: Mapping[str, str], run: Run) -> bytes:
    if folder := environment.get("CREDENTIALS_DIRECTORY"):
        served = Path(folder) / path.name
        if served.exists():
            return served.read_bytes()
    path.stat()  # the plain words for a missing file, before systemd-creds finds its own
    return run(["systemd-creds", "decrypt", f"--name={path.name}", str(path), "-"], b"")


def encrypted(pin: str, name: str, run: Run) -> bytes:
    """Encrypt a PIN for this machine alone (its own secret, and its TPM if it has one)."""
    try:
        return run(["systemd-creds", "encrypt", f"--name={name}", "-", "-"], pin.encode())
    except ProgramError as error:
        raise CredentialError(f"cannot encrypt credential {name}: {error}") from None


def place(path: Path, content: bytes) -> None:
    """Put an encrypted credential into its place, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, staged = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    Path(staged).replace(path)
