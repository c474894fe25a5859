"""Drives below LUKS: OpenBao keeps each passphrase, the drive's header names it, a pipe carries it to cryptsetup.

Used by the module that makes OSDs, and by the program that opens drives at boot, which has Python's own library only.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.module_utils.drive_contents import LUKS_OURS, LUKS_TOKEN
from ansible.module_utils.openbao import Client, OpenBaoError, trusting

SETTINGS = "/etc/legalcloud/drive-keys.json"
MOUNT = "drive-keys"
PASSPHRASE_BYTES = 32
OPEN_SECONDS = 300
"""A busy machine took more than 60 s; nothing but the drive waits."""
RUNBOOK = "docs/runbooks/drive-locked.md says what to do."

Pipe = Callable[[Sequence[str], bytes], None]
"""Runs a command with bytes on its standard input. Raises: DriveKeyError."""


class DriveKeyError(Exception):
    """A drive stays locked; the text says which one, why, and what to do."""


Dial = Callable[[str], Client]
"""Connects to one server. Its client raises: OpenBaoError."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Who this node is and whom it asks: the content of `SETTINGS`, no secret."""

    owner: str
    """Common name of the node's certificate; also the folder of its keys in OpenBao."""
    servers: Sequence[str]
    """Addresses of all OpenBao servers, as URLs."""
    ca: str
    certificate: str
    key: str

    @classmethod
    def read(cls, path: str = SETTINGS) -> Settings:
        return cls(**json.loads(Path(path).read_bytes()))

    def dial(self) -> Dial:
        context = trusting(self.ca)
        context.load_cert_chain(self.certificate, self.key)
        return lambda address: Client(address, context)


class Keys:
    """The keys of one node's drives. A key is made once, and nothing of this node can change or delete it."""

    def __init__(self, client: Client, owner: str) -> None:
        self._client = client
        self.owner = owner

    def make(self, serial: str) -> tuple[str, bytes]:
        """Keep a new passphrase, read it back, and return its name and itself: only then may a drive depend on it."""
        name, passphrase = str(uuid.uuid4()), secrets.token_bytes(PASSPHRASE_BYTES)
        data = {"passphrase": base64.b64encode(passphrase).decode(), "serial": serial}
        self._client.write(self._path(name), {"options": {"cas": 0}, "data": data})
        if self.fetch(name) != passphrase:
            raise DriveKeyError(f"{serial}: OpenBao did not give back what it was given to keep. Nothing was written.")
        return name, passphrase

    def fetch(self, name: str) -> bytes | None:
        """Return a passphrase, or None if this node has no key of that name."""
        answer = self._client.read(self._path(name))
        try:
            return None if answer is None else base64.b64decode(answer["data"]["data"]["passphrase"])
        except (KeyError, TypeError, ValueError) as error:
            raise DriveKeyError(f"what OpenBao keeps at {self._path(name)} is no passphrase of ours.") from error

    def _path(self, name: str) -> str:
        return f"{MOUNT}/data/{self.owner}/{name}"


@contextmanager
def logged_in(settings: Settings, dial: Dial | None = None) -> Iterator[Keys]:
    """Log in at the first server that answers; the token ends with the block.

    Raises: DriveKeyError with what each server said.
    """
    dial = dial or settings.dial()
    said = []
    for address in settings.servers:
        client = dial(address)
        try:
            client.token = str(client.write("auth/cert/login", {"name": "drive"})["auth"]["client_token"])
        except OpenBaoError as error:
            client.close()
            said.append(str(error).rstrip("."))
            continue
        try:
            yield Keys(client, settings.owner)
        finally:
            with suppress(OpenBaoError):  # an earlier error is the one to tell; the token ends by itself in minutes
                client.write("auth/token/revoke-self")
            client.close()
        return
    raise DriveKeyError(
        f"no OpenBao server lets {settings.owner} in: {'; '.join(said)}. Locked drives stay locked until one does."
    )


def mapper(serial: str) -> Path:
    """Path of the opened drive."""
    return Path("/dev/mapper") / ("osd-" + re.sub(r"[^A-Za-z0-9.-]", "_", serial))


def seal(serial: str, device: str, fsid: str, keys: Keys, pipe: Pipe) -> None:
    """Put a new LUKS header on an empty drive. Interrupted, it leaves half a header and a key that nothing needs."""
    name, passphrase = keys.make(serial)
    # The passphrase is 256 random bits: stretching it would protect nothing and cost a gigabyte of memory a boot.
    pipe(
        ["cryptsetup", "luksFormat", "--type", "luks2", "--batch-mode", "--key-file=-", "--pbkdf", "pbkdf2",
         "--pbkdf-force-iterations", "1000", "--label", fsid, "--subsystem", LUKS_OURS, device],
        passphrase,
    )  # fmt: skip
    token = {"type": LUKS_TOKEN, "keyslots": ["0"], "key": name}
    pipe(["cryptsetup", "token", "import", device], json.dumps(token).encode())


def unlock(serial: str, device: str, names: Sequence[str], keys: Keys, pipe: Pipe) -> Path:
    """Open a drive by any of the keys that its header names. Raises: DriveKeyError, and nothing of OpenBao's."""
    opened = mapper(serial)
    try:
        for name in names:
            passphrase = keys.fetch(name)
            if passphrase is not None:
                pipe(["cryptsetup", "open", "--type", "luks2", "--key-file=-", device, opened.name], passphrase)
                return opened
    except (DriveKeyError, OpenBaoError) as error:
        raise DriveKeyError(f"{serial} ({device}) stays locked: {str(error).rstrip('.')}. {RUNBOOK}") from error
    raise DriveKeyError(
        f"{serial} ({device}): OpenBao keeps no key {' or '.join(names) or '(none is named)'} for {keys.owner}. "
        f"Was the drive moved from another node, or its key destroyed? {RUNBOOK}"
    )


def locked(drives: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Pick, by serial, the drives of ours that are not open, from what `drive_contents.look` says of each.

    A header that names no key is not among them: it was never finished, and nothing was ever opened by it.
    """
    return {
        serial: seen
        for serial, seen in drives.items()
        if seen["luks"] and seen["luks"]["keys"] and not mapper(serial).exists()
    }


def pipe_into(argv: Sequence[str], text: bytes) -> None:
    """Run a command with a secret on its standard input; neither shows in what it raises."""
    try:
        done = subprocess.run(argv, input=text, capture_output=True, timeout=OPEN_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DriveKeyError(f"{' '.join(argv[:2])} {argv[-1]}: {type(error).__name__}") from error
    if done.returncode != 0:
        raise DriveKeyError(f"`{' '.join(argv)}` ended with {done.returncode}: {done.stderr.decode().strip()}")
