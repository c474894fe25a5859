"""How much room a file system has."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """One file system."""

    size_bytes: int
    free_bytes: int
    """For users other than root (`f_bavail`)."""
    inodes: int
    """0 where the file system makes them as it needs them."""
    free_inodes: int


def room(path: Path) -> Room | None:
    """Look at what is mounted there; None if nothing is, for the room of what lies below it would be another's."""
    try:
        if not path.is_mount():
            return None
        seen = os.statvfs(path)
    except OSError:
        return None
    return Room(
        size_bytes=seen.f_blocks * seen.f_frsize,
        free_bytes=seen.f_bavail * seen.f_frsize,
        inodes=seen.f_files,
        free_inodes=seen.f_favail,
    )
