"""The PIN as a credential: where it is read, that a failure names the place, and that nothing repeats the PIN."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from legalcloud_hsm import credential
from legalcloud_hsm.credential import ProgramError
from legalcloud_hsm.errors import CredentialError
from legalcloud_kms.errors import PinUnreadableError


class Program:
    """A systemd-creds of the test's: what it was asked and was given, and a fixed answer."""

    def __init__(self, answer: bytes | ProgramError = b"") -> None:
        self.answer = answer
        self.calls: list[tuple[Sequence[str], bytes]] = []

    def __call__(self, words: Sequence[str], stdin: bytes) -> bytes:
        self.calls.append((words, stdin))
        if isinstance(self.answer, ProgramError):
            raise self.answer
        return self.answer


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "credstore.encrypted" / "hsm-pin"
    credential.place(path, b"encrypted")
    return path


def test_a_service_reads_the_credential_that_systemd_gave_it(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "hsm-pin").write_text("4829\n")
    program = Program()

    assert credential.read(kept, {"CREDENTIALS_DIRECTORY": str(tmp_path / "given")}, program) == "4829"
    assert program.calls == []


def test_root_reads_the_encrypted_file_and_the_credential_has_the_name_of_the_file(kept: Path) -> None:
    program = Program(b"4829")

    assert credential.read(kept, {}, program) == "4829"
    assert program.calls == [(["systemd-creds", "decrypt", "--name=hsm-pin", str(kept), "-"], b"")]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"\n", "empty"),
        (b"\xff\xfe9", "not UTF-8 text"),
        (ProgramError("systemd-creds: Bad message"), "Bad message"),
    ],
)
def test_a_credential_that_cannot_be_read_is_told_by_its_place(
    kept: Path, answer: bytes | ProgramError, words: str
) -> None:
    with pytest.raises(PinUnreadableError, match=words) as told:
        credential.read(kept, {}, Program(answer))

    assert str(kept) in str(told.value)
    assert "0xff" not in str(told.value)


def test_a_missing_credential_is_told_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(PinUnreadableError, match="No such file"):
        credential.read(tmp_path / "none", {}, Program(b"4829"))


def test_a_pin_goes_to_systemd_creds_by_standard_input_and_on_no_command_line() -> None:
    program = Program(b"sealed")

    assert credential.encrypted("739215", "hsm-pin", program) == b"sealed"

    (words, stdin) = program.calls[0]
    assert stdin == b"739215"
    assert "739215" not in " ".join(words)


def test_a_failure_to_encrypt_does_not_repeat_the_pin() -> None:
    with pytest.raises(CredentialError, match="hsm-pin") as told:
        credential.encrypted("739215", "hsm-pin", Program(ProgramError("systemd-creds: no host key")))

    assert "739215" not in str(told.value)


def test_a_credential_is_placed_whole_for_root_alone_and_leaves_nothing_beside_it(kept: Path) -> None:
    credential.place(kept, b"another")

    assert kept.read_bytes() == b"another"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in kept.parent.iterdir()] == ["hsm-pin"]


def test_a_program_that_is_not_there_or_fails_says_so_in_its_own_words() -> None:
    with pytest.raises(ProgramError, match="no-such-program"):
        credential.run(["no-such-program"])
    with pytest.raises(ProgramError, match="sh: broken"):
        credential.run(["sh", "-c", "echo broken >&2; exit 3"])
