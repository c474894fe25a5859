"""A secret reaches the one who holds the identity, and nobody and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pyrage
import pytest

from legalcloud.errors import InputError, NotAuthenticError
from legalcloud.reveal import open_revealed, reveal, write_whole

SECRET = "planted-secret-0123456789"  # noqa: S105 -- planted, to be looked for


@pytest.fixture
def identity() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


def test_the_holder_of_the_identity_reads_what_was_written(tmp_path: Path, identity: pyrage.x25519.Identity) -> None:
    path = tmp_path / "firm.age"

    reveal(path, recipient=str(identity.to_public()), document={"name": "甲律師事務所", "secret": SECRET})

    assert open_revealed(path, identity=f"{identity}\n") == {"name": "甲律師事務所", "secret": SECRET}


def test_the_file_is_for_its_owner_alone_and_hides_the_secret(tmp_path: Path, identity: pyrage.x25519.Identity) -> None:
    path = tmp_path / "revealed" / "firm.age"
    before = os.umask(0)
    try:
        reveal(path, recipient=str(identity.to_public()), document={"secret": SECRET})
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert SECRET.encode() not in path.read_bytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["firm.age"]


def test_another_identity_does_not_open_it(tmp_path: Path, identity: pyrage.x25519.Identity) -> None:
    path = tmp_path / "firm.age"
    reveal(path, recipient=str(identity.to_public()), document={"secret": SECRET})

    with pytest.raises(NotAuthenticError, match=r"firm\.age does not open"):
        open_revealed(path, identity=str(pyrage.x25519.Identity.generate()))


def test_a_secret_half_given_as_recipient_is_refused_and_not_quoted(
    tmp_path: Path, identity: pyrage.x25519.Identity
) -> None:
    path = tmp_path / "firm.age"

    with pytest.raises(InputError) as refusal:
        reveal(path, recipient=str(identity), document={"secret": SECRET})

    assert str(identity) not in str(refusal.value)
    assert not path.exists()


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "firm.age"
    path.mkdir()  # a folder cannot be replaced by a file

    with pytest.raises(OSError, match=r"firm\.age"):
        write_whole(path, b"new")

    assert [entry.name for entry in tmp_path.iterdir()] == ["firm.age"]
