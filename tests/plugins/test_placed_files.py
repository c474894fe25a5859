from __future__ import annotations

import pytest
from plugins.module_utils.placed_files import (
    DIFF_LIMIT_BYTES,
    Change,
    ConflictError,
    Kind,
    Observed,
    Wanted,
    diff,
    plan,
)

ABSENT = Observed(kind=Kind.ABSENT)


def wanted(*, content: bytes = b"new\n", mode: int = 0o644, uid: int | None = 0) -> Wanted:
    return Wanted(path="/etc/thing", kind=Kind.FILE, content=content, mode=mode, uid=uid, gid=0)


def observed(*, content: bytes = b"new\n", mode: int = 0o644, uid: int = 0) -> Observed:
    return Observed(kind=Kind.FILE, content=content, mode=mode, uid=uid, gid=0)


def test_a_file_as_wanted_needs_nothing() -> None:
    assert plan(wanted(), observed()) == ()


def test_each_difference_is_named() -> None:
    there = observed(content=b"old\n", mode=0o600, uid=7)

    assert plan(wanted(), there) == (Change.CONTENT, Change.MODE, Change.OWNER)


def test_an_owner_that_is_not_known_yet_is_not_compared() -> None:
    assert plan(wanted(uid=None), observed(uid=7)) == ()


@pytest.mark.parametrize("kind", [Kind.ABSENT, Kind.SYMLINK])
def test_a_missing_file_and_a_link_give_way_to_the_file(kind: Kind) -> None:
    assert plan(wanted(), Observed(kind=kind)) == (Change.CREATED,)


@pytest.mark.parametrize("kind", [Kind.DIRECTORY, Kind.OTHER])
def test_a_folder_or_a_device_in_the_way_of_a_file_is_refused(kind: Kind) -> None:
    with pytest.raises(ConflictError, match=f"/etc/thing is a {kind}, not a file"):
        plan(wanted(), Observed(kind=kind))


def test_a_link_is_not_taken_for_a_folder() -> None:
    with pytest.raises(ConflictError, match="is a symlink, not a directory"):
        plan(Wanted(path="/etc/d", kind=Kind.DIRECTORY, mode=0o755), Observed(kind=Kind.SYMLINK))


def test_only_files_and_links_are_removed() -> None:
    gone = Wanted(path="/etc/thing", kind=Kind.ABSENT)

    assert plan(gone, ABSENT) == ()
    assert plan(gone, observed()) == (Change.REMOVED,)
    assert plan(gone, Observed(kind=Kind.SYMLINK)) == (Change.REMOVED,)
    with pytest.raises(ConflictError, match="only files and links are removed"):
        plan(gone, Observed(kind=Kind.DIRECTORY))


def test_a_diff_shows_both_contents() -> None:
    shown = diff(wanted(), observed(content=b"old\n"), (Change.CONTENT,), secret=False)

    assert (shown["before"], shown["after"]) == ("old\n", "new\n")


def test_a_diff_of_a_mode_shows_modes_and_no_content() -> None:
    shown = diff(wanted(), observed(mode=0o600), (Change.MODE,), secret=False)

    assert shown["before"] == "(mode 0600, uid 0, gid 0)\n"
    assert shown["after"] == "(mode 0644, uid 0, gid 0)\n"


def test_a_secret_shows_in_no_diff_but_its_change_does() -> None:
    for changes in [(Change.CONTENT,), (Change.CREATED,), (Change.CONTENT, Change.MODE)]:
        shown = diff(wanted(content=b"hunter2"), observed(content=b"hunter1"), changes, secret=True)

        assert "hunter" not in str(shown)
        assert shown["before"] != shown["after"]


def test_bytes_and_long_texts_are_described_not_shown() -> None:
    for content in [b"\xff\xfe", b"x" * (DIFF_LIMIT_BYTES + 1)]:
        shown = diff(wanted(content=content), observed(), (Change.CONTENT,), secret=False)

        assert f"({len(content)} bytes, " in shown["after"]
        assert len(shown["after"]) < 100
