"""Ask each OSD of this node on its admin socket, and find the drives behind it; needs root or the user ceph.

The socket obeys every command, harmful ones too, and only its owner may write to it (ceph, mode 0755; the group may
not). So this runs in the privileged helper, and asks three questions that only read. Without the `ceph` command each
takes a third of a millisecond of the OSD's time.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from legalcloud.errors import CommandError, SourceError, SourceTimeoutError

QUESTIONS: Mapping[str, Mapping[str, str]] = {
    "status": {"prefix": "status"},
    "counters": {"prefix": "perf dump", "logger": "osd"},
    "blocked": {"prefix": "dump_blocked_ops_count"},
}
LINKS = {"data": "block", "db": "block.db", "wal": "block.wal"}
OSD_SECONDS = 5.0
"""For all questions to one OSD; the OSDs are asked at the same time."""
MOST_BYTES = 1 << 18
"""Of one answer; the longest, `perf dump` of one logger, has 9 kB."""
_MOST_AT_ONCE = 32
_FOLDER = re.compile(r"ceph-(\d{1,5})")
_LENGTH_BYTES = 4


def look(
    root: Path = Path("/"), *, number: Callable[[Path], str] | None = None, seconds: float = OSD_SECONDS
) -> dict[str, dict[str, object]]:
    """Return the answers of each OSD that has a folder, by its number, as JSON can hold them.

    An answer is the OSD's own text. `drives` has the numbers (`8:0`) of the drives behind each link: null if there is
    no such link, empty if it leads nowhere. `problem` says why answers are missing.
    """
    number = number or device_number
    folders = {found[1]: folder for folder in _osd_folders(root) if (found := _FOLDER.fullmatch(folder.name))}

    def one(osd: str) -> dict[str, object]:
        links = {use: _drives(folders[osd] / name, root, number) for use, name in LINKS.items()}
        return {**_answers(root / f"run/ceph/ceph-osd.{osd}.asok", seconds), "drives": links}

    with ThreadPoolExecutor(max_workers=_MOST_AT_ONCE) as pool:
        return dict(zip(folders, pool.map(one, folders), strict=True))


def _osd_folders(root: Path) -> list[Path]:
    folder = root / "var/lib/ceph/osd"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _answers(path: Path, seconds: float) -> dict[str, object]:
    end = time.monotonic() + seconds
    answers: dict[str, object] = {}
    try:
        for name, question in QUESTIONS.items():
            answers[name] = ask(path, question, end=end).decode(errors="replace")
    except (FileNotFoundError, ConnectionRefusedError):
        return {"stopped": True}
    except OSError as error:
        return {**answers, "problem": f"its admin socket: {error.strerror or error}"}
    except SourceError as error:
        return {**answers, "problem": str(error)}
    return answers


def ask(path: Path, question: Mapping[str, str], *, end: float) -> bytes:
    """Ask one question before the moment `end` of the monotonic clock: JSON and a NUL, answered by length and text.

    Raises: OSError if the socket is not there or not ours; SourceTimeoutError; CommandError if the answer is cut
    short or longer than `MOST_BYTES`.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.settimeout(_left(end))
            connection.connect(str(path))
            connection.sendall(json.dumps(question).encode() + b"\0")
            length = int.from_bytes(_take(connection, _LENGTH_BYTES, end), "big")
            if length > MOST_BYTES:
                raise CommandError(f"`{question['prefix']}` gives {length} bytes; more than {MOST_BYTES} are not read")
            return _take(connection, length, end)
        except TimeoutError as error:
            raise SourceTimeoutError(f"`{question['prefix']}` was not answered in time") from error


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _take(connection: socket.socket, length: int, end: float) -> bytes:
    taken = bytearray()
    while len(taken) < length:
        connection.settimeout(_left(end))
        piece = connection.recv(length - len(taken))
        if not piece:
            raise CommandError(f"the answer ended after {len(taken)} of {length} bytes")
        taken += piece
    return bytes(taken)


def device_number(path: Path) -> str:
    """Return `8:0` of a block device. Raises: OSError if nothing is there."""
    device = path.stat().st_rdev
    return f"{os.major(device)}:{os.minor(device)}"


def _drives(link: Path, root: Path, number: Callable[[Path], str]) -> list[str] | None:
    if not link.is_symlink() and not link.exists():
        return None
    try:
        return sorted(whole_drives(number(link), root))
    except OSError:
        return []


def whole_drives(number: str, root: Path = Path("/")) -> set[str]:
    """Go down from an opened LUKS volume, an LVM volume or a partition to the drives that carry it, by /sys.

    Raises: OSError if the kernel knows no such device.
    """
    device = (root / "sys/dev/block" / number).resolve(strict=True)
    below = list((device / "slaves").iterdir()) if (device / "slaves").is_dir() else []
    if below:
        return {drive for each in below for drive in whole_drives((each / "dev").read_text().strip(), root)}
    if (device / "partition").exists():
        return {(device.parent / "dev").read_text().strip()}
    return {number}
