"""Takes one snapshot of OpenBao, encrypted to people whose keys are on no node, and removes those that are too old.

A snapshot counts once its manifest is beside it. Nothing is removed before a new one is whole. The log and the status
say when the last good one was taken.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import http.client
import io
import json
import os
import ssl
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SETTINGS = Path("/etc/legalcloud/openbao-backup.json")
TIME = "%Y-%m-%dT%H:%M:%SZ"
STAMP = "%Y%m%dT%H%M%SZ"
PREFIX, SUFFIX = "openbao-", ".cms"
OPENSSL = "/usr/bin/openssl"
SECONDS = 300


class SnapshotError(Exception):
    """No snapshot was kept; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the role has written."""

    folder: Path
    status: Path
    site: str
    node: str
    keep_days: int
    keep_count: int
    recipients: tuple[str, ...]
    """Certificates of EC keys, as files."""
    kek_label: str
    """The key in the HSM that wraps the root key: without it, the snapshot is of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A snapshot that is whole, by its manifest's name."""

    name: str
    taken_at: datetime


def settings(path: Path) -> Settings:
    found = json.loads(path.read_bytes())
    found |= {"folder": Path(found["folder"]), "status": Path(found["status"])}
    return Settings(**{**found, "recipients": tuple(found["recipients"])})


def too_old(kept: Iterable[Kept], *, now: datetime, keep_days: int, keep_count: int) -> list[Kept]:
    """Choose what goes: the newest `keep_count` stay, then the last one of each day, and none beyond `keep_days`.

    The newest of all stays, however old it is.
    """
    newest_first = sorted(kept, key=lambda one: one.taken_at, reverse=True)
    going, days = [], set()
    for number, one in enumerate(newest_first):
        expired = now - one.taken_at > timedelta(days=keep_days)
        day = one.taken_at.date()
        if number and (expired or (number >= keep_count and day in days)):
            going.append(one)
        days.add(day)
    return going


def manifests(folder: Path) -> list[Kept]:
    """List the whole snapshots; a manifest that cannot be read counts as none."""
    found = []
    for path in folder.glob(f"{PREFIX}*{SUFFIX}.json"):
        with suppress(ValueError, KeyError, TypeError):
            taken_at = datetime.strptime(json.loads(path.read_bytes())["taken_at"], TIME).replace(tzinfo=UTC)
            if path.with_suffix("").exists():
                found.append(Kept(name=path.name, taken_at=taken_at))
    return found


def check(raw: bytes) -> Mapping[str, Any]:
    """Read the snapshot's own sums and return its meta data. Raises: SnapshotError if it is not whole."""
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as tar:
            files = {member.name: tar.extractfile(member) for member in tar.getmembers()}
            contents = {name: file.read() for name, file in files.items() if file}
        lines = [line.split() for line in contents["SHA256SUMS"].decode().splitlines()]
        wrong = [name for digest, name in lines if hashlib.sha256(contents[name]).hexdigest() != digest]
        if wrong or not {"meta.json", "state.bin"} <= {name for _, name in lines}:
            raise SnapshotError(f"the snapshot's own sums do not hold: {', '.join(wrong) or 'too few files'}")
        return dict(json.loads(contents["meta.json"]))
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, KeyError, ValueError) as error:
        raise SnapshotError(f"OpenBao sent no whole snapshot: {type(error).__name__} {error}") from error


def encrypt(raw: bytes, recipients: Sequence[str]) -> bytes:
    """Return CMS AuthEnvelopedData, AES-256-GCM: each recipient's key opens it, and none of them is on a node."""
    words = [word for path in recipients for word in ("-recip", path, "-keyopt", "ecdh_kdf_md:sha384")]
    command = [OPENSSL, "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm", *words]
    done = subprocess.run(command, input=raw, capture_output=True, timeout=SECONDS, check=False)
    if done.returncode != 0 or not done.stdout:
        raise SnapshotError(f"openssl did not encrypt: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def place(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: a full disk leaves nothing behind."""
    handle, name = tempfile.mkstemp(prefix=".part-", dir=path.parent)  # 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise SnapshotError(f"{path}: {error.strerror}. Free space there; nothing was removed.") from error


def keep(raw: bytes, wanted: Settings, now: datetime) -> str:
    """Check, encrypt and place a snapshot; the manifest comes last. Return the snapshot's name."""
    meta = check(raw)
    sealed = encrypt(raw, wanted.recipients)
    path = wanted.folder / f"{PREFIX}{now.strftime(STAMP)}{SUFFIX}"
    manifest = {
        "taken_at": now.strftime(TIME),
        "node": wanted.node,
        "site": wanted.site,
        "raft_index": meta.get("Index"),
        "kek_label": wanted.kek_label,
        "bytes": len(sealed),
        "sha256": hashlib.sha256(sealed).hexdigest(),
        "snapshot_sha256": hashlib.sha256(raw).hexdigest(),
        "recipients": [hashlib.sha256(Path(one).read_bytes()).hexdigest() for one in wanted.recipients],
    }
    place(path, sealed)
    place(path.with_name(f"{path.name}.json"), json.dumps(manifest, indent=1).encode() + b"\n")
    return path.name


def tidy(wanted: Settings, now: datetime) -> list[str]:
    """Remove what is too old, and what a killed run left."""
    kept = manifests(wanted.folder)
    going = {one.name for one in too_old(kept, now=now, keep_days=wanted.keep_days, keep_count=wanted.keep_count)}
    staying = {one.name for one in kept} - going
    files = staying | {name.removesuffix(".json") for name in staying}
    removed = []
    for path in sorted([*wanted.folder.glob(f"{PREFIX}*"), *wanted.folder.glob(".part-*")]):
        if path.name not in files:
            path.unlink()
            removed.append(path.name)
    return removed


def download() -> bytes | None:
    """Get a snapshot from the active node as the role `snapshot`; None while OpenBao is not initialised."""
    import openbao  # type: ignore[import-not-found]  # noqa: PLC0415 -- lies beside this file on a node only

    try:
        if not (openbao.Client(openbao.HERE, openbao.trusting()).read("sys/seal-status") or {}).get("initialized"):
            return None
        with openbao.as_role("snapshot") as client:
            return get(client.address, client.token, openbao.trusting())
    except openbao.OpenBaoError as error:
        raise SnapshotError(str(error)) from error


def get(address: str, token: str, context: ssl.SSLContext) -> bytes:
    where = urlsplit(address)
    connection = http.client.HTTPSConnection(where.hostname or "", where.port, timeout=SECONDS, context=context)
    try:
        connection.request("GET", "/v1/sys/storage/raft/snapshot", headers={"X-Vault-Token": token})
        answer = connection.getresponse()
        raw = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise SnapshotError(f"{address} broke off while it sent the snapshot: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise SnapshotError(f"{address} refuses a snapshot: {answer.status} {raw[:200].decode(errors='replace')}")
    return raw


def run(wanted: Settings, raw: bytes | None, now: datetime) -> dict[str, Any]:
    """Do all of it with a snapshot in hand; return the new status."""
    if raw is None:
        return {"state": "waiting", "message": "OpenBao is not initialised: there is nothing to save"}
    name = keep(raw, wanted, now)
    removed = tidy(wanted, now)
    return {"state": "good", "message": f"{name} was taken, {len(removed)} files were removed", "newest": name}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="default: %(default)s")
    wanted = settings(parser.parse_args().settings)
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        status = run(wanted, download(), now)
    except SnapshotError as error:
        status = {"state": "failed", "message": str(error)}
    kept = manifests(wanted.folder)
    last = max((one.taken_at for one in kept), default=None)
    status |= {
        "tried_at": now.strftime(TIME),
        "last_good_at": last.strftime(TIME) if last else None,
        "oldest_at": min(one.taken_at for one in kept).strftime(TIME) if kept else None,
        "count": len(kept),
    }
    print(f"{status['state']}: {status['message']}", flush=True)  # noqa: T201 -- the journal
    try:
        place(wanted.status, json.dumps(status, indent=1).encode() + b"\n")
        wanted.status.chmod(0o644)
    except SnapshotError as error:
        print(f"the status could not be written: {error}", file=sys.stderr)  # noqa: T201 -- the journal
        return 1
    return 1 if status["state"] == "failed" else 0


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))  # python3 -I leaves it out
    sys.exit(main())
