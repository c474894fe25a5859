"""What must change on a node so that its files are as wanted: a comparison without side effects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DIFF_LIMIT_BYTES = 200_000
"""Beyond this a diff says only that the content differs."""


class Kind(StrEnum):
    """What is, or should be, at a path."""

    FILE = "file"
    DIRECTORY = "directory"
    ABSENT = "absent"
    SYMLINK = "symlink"
    """Only observed; a wanted file replaces it, anything else refuses."""
    OTHER = "other"
    """Device, socket or pipe; only observed, never replaced."""


class Change(StrEnum):
    """One way in which a path differs from what is wanted."""

    CREATED = "created"
    CONTENT = "content"
    MODE = "mode"
    OWNER = "owner"
    REMOVED = "removed"


class ConflictError(Exception):
    """Something is in the way that a module should not remove by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One entry of the task, with names resolved on the node."""

    path: str
    kind: Kind
    content: bytes | None = None
    mode: int | None = None
    uid: int | None = None
    """None: leave it as it is, or the name is not known yet (check mode before an installation)."""
    gid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What `lstat` and a read said about one path."""

    kind: Kind
    content: bytes | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


def plan(wanted: Wanted, observed: Observed) -> tuple[Change, ...]:
    """Name the changes that lead from what is there to what is wanted.

    Raises: ConflictError if that would mean to remove something of another kind.
    """
    if wanted.kind is Kind.ABSENT:
        return _plan_absence(wanted, observed)
    replaceable = {Kind.ABSENT, Kind.SYMLINK} if wanted.kind is Kind.FILE else {Kind.ABSENT}
    if observed.kind in replaceable:
        return (Change.CREATED,)
    if observed.kind is not wanted.kind:
        msg = f"{wanted.path} is a {observed.kind}, not a {wanted.kind}. Move it away and run again."
        raise ConflictError(msg)
    changes = []
    if wanted.kind is Kind.FILE and observed.content != wanted.content:
        changes.append(Change.CONTENT)
    if wanted.mode is not None and observed.mode != wanted.mode:
        changes.append(Change.MODE)
    if _differs(wanted.uid, observed.uid) or _differs(wanted.gid, observed.gid):
        changes.append(Change.OWNER)
    return tuple(changes)


def _plan_absence(wanted: Wanted, observed: Observed) -> tuple[Change, ...]:
    if observed.kind is Kind.ABSENT:
        return ()
    if observed.kind in {Kind.DIRECTORY, Kind.OTHER}:
        msg = f"{wanted.path} is a {observed.kind}; only files and links are removed. Remove it by hand."
        raise ConflictError(msg)
    return (Change.REMOVED,)


def _differs(wanted: int | None, observed: int | None) -> bool:
    return wanted is not None and wanted != observed


def shown(content: bytes | None, *, secret: bool) -> str:
    """Say what a diff may show of a content: text, or one line about it."""
    if content is None:
        return ""
    if secret:
        return "(secret, not shown)\n"
    if len(content) > DIFF_LIMIT_BYTES:
        return f"({len(content)} bytes, too long to show)\n"
    try:
        return content.decode()
    except UnicodeDecodeError:
        return f"({len(content)} bytes, not text)\n"


def diff(wanted: Wanted, observed: Observed, changes: tuple[Change, ...], *, secret: bool) -> dict[str, str]:
    """Describe the changes of one path in the form that Ansible prints."""
    before = _attributes(observed.mode, observed.uid, observed.gid) if Change.CREATED not in changes else ""
    after = _attributes(wanted.mode, wanted.uid, wanted.gid) if Change.REMOVED not in changes else ""
    if not {Change.CREATED, Change.MODE, Change.OWNER} & set(changes):
        before = after = ""
    if {Change.CONTENT, Change.CREATED, Change.REMOVED} & set(changes):
        old, new = shown(observed.content, secret=secret), shown(wanted.content, secret=secret)
        if secret and Change.CONTENT in changes:
            new = "(another secret, not shown)\n"
        before, after = before + old, after + new
    return {
        "before_header": f"{wanted.path} (before)",
        "after_header": f"{wanted.path} ({', '.join(changes)})",
        "before": before,
        "after": after,
    }


def _attributes(mode: int | None, uid: int | None, gid: int | None) -> str:
    parts = []
    if mode is not None:
        parts.append(f"mode {mode:04o}")
    if uid is not None:
        parts.append(f"uid {uid}")
    if gid is not None:
        parts.append(f"gid {gid}")
    return f"({', '.join(parts)})\n" if parts else ""
