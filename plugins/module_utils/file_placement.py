"""Looks at paths and replaces files atomically; what to do with them is decided elsewhere."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ansible.module_utils.placed_files import Kind, Observed


def observe(path: Path) -> Observed:
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Observed(kind=Kind.ABSENT)
    mode, uid, gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    if stat.S_ISLNK(status.st_mode):
        return Observed(kind=Kind.SYMLINK)
    if stat.S_ISDIR(status.st_mode):
        return Observed(kind=Kind.DIRECTORY, mode=mode, uid=uid, gid=gid)
    if not stat.S_ISREG(status.st_mode):
        return Observed(kind=Kind.OTHER)
    return Observed(kind=Kind.FILE, content=path.read_bytes(), mode=mode, uid=uid, gid=gid)


def stage(path: Path, content: bytes, *, folder: Path) -> Path:
    """Write a content to a new file that only its owner can read, safe on the drive when this returns.

    The name begins with a dot and ends in `.new`, so that no daemon that reads a folder takes it for its own.
    """
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.", suffix=".new")
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    return Path(name)


def own(path: Path, *, mode: int | None, uid: int | None, gid: int | None) -> None:
    os.chown(path, -1 if uid is None else uid, -1 if gid is None else gid, follow_symlinks=False)
    if mode is not None:
        path.chmod(mode)  # after chown, which clears the set-id bits


def commit(staged: Path, path: Path) -> None:
    staged.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
