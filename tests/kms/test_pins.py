"""The PIN: where it is read, that a wrong one reaches the token once, and that the last try is a person's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from legalcloud_kms import pins
from legalcloud_kms.choice import TokenFacts
from legalcloud_kms.errors import (
    PinFinalTryError,
    PinLatchedError,
    PinLockedError,
    PinUnreadableError,
    PinWrongError,
    TokenFailedError,
)
from legalcloud_kms.pins import Answer, PinLatch

TOKEN = TokenFacts(slot=0, label="kms", serial="aa", pin_locked=False, pin_final_try=False)
SOURCE = "file:///run/credentials/pin"


class Tries:
    """What the token was asked, and a fixed answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.pins: list[str] = []

    def __call__(self, pin: str) -> Answer:
        self.pins.append(pin)
        return self.answer


def enter(latch: PinLatch, pin: str, login: Callable[[str], Answer], token: TokenFacts = TOKEN) -> None:
    latch.log_in(token, pin, SOURCE, login)


def test_a_refused_pin_is_not_tried_again_and_another_one_is() -> None:
    latch, tries = PinLatch(), Tries(Answer.REFUSED)

    with pytest.raises(PinWrongError, match=SOURCE):
        enter(latch, "1", tries)
    for _ in range(3):
        with pytest.raises(PinLatchedError):
            enter(latch, "1", tries)
    with pytest.raises(PinWrongError):
        enter(latch, "2", tries)
    with pytest.raises(PinLatchedError):
        enter(latch, "1", tries)

    assert tries.pins == ["1", "2"]


def test_a_pin_refused_by_one_token_may_be_tried_on_another() -> None:
    latch, tries = PinLatch(), Tries(Answer.REFUSED)

    for serial in ("aa", "bb"):
        with pytest.raises(PinWrongError):
            enter(latch, "1", tries, replace(TOKEN, serial=serial))

    assert tries.pins == ["1", "1"]


def test_after_a_good_pin_one_that_was_refused_earlier_may_be_tried_again() -> None:
    latch = PinLatch()
    with pytest.raises(PinWrongError):
        enter(latch, "1", Tries(Answer.REFUSED))
    enter(latch, "2", Tries(Answer.ACCEPTED))

    again = Tries(Answer.ACCEPTED)
    enter(latch, "1", again)

    assert again.pins == ["1"]


@pytest.mark.parametrize(
    ("token", "error"),
    [(replace(TOKEN, pin_final_try=True), PinFinalTryError), (replace(TOKEN, pin_locked=True), PinLockedError)],
)
def test_the_last_try_and_a_locked_token_are_left_to_a_person(token: TokenFacts, error: type[Exception]) -> None:
    tries = Tries(Answer.ACCEPTED)

    with pytest.raises(error):
        enter(PinLatch(), "1", tries, token)

    assert tries.pins == []


def test_a_token_that_turns_out_to_be_locked_is_no_verdict_on_the_pin() -> None:
    latch = PinLatch()
    with pytest.raises(PinLockedError):
        enter(latch, "1", Tries(Answer.LOCKED))

    enter(latch, "1", Tries(Answer.ACCEPTED))


def test_an_error_of_the_token_is_no_verdict_on_the_pin() -> None:
    def broken(_pin: str) -> Answer:
        raise TokenFailedError("CKR_DEVICE_ERROR")

    latch, tries = PinLatch(), Tries(Answer.ACCEPTED)
    with pytest.raises(TokenFailedError):
        enter(latch, "1", broken)
    enter(latch, "1", tries)

    assert tries.pins == ["1"]


def test_no_error_repeats_the_pin() -> None:
    latch, told = PinLatch(), []
    for _ in range(2):
        with pytest.raises((PinWrongError, PinLatchedError)) as raised:
            enter(latch, "739215", Tries(Answer.REFUSED))
        told.append(str(raised.value))

    assert [text for text in told if "739215" in text] == []
    assert "739215" not in str(vars(latch))


def test_a_pin_is_read_from_a_file_or_the_environment_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "pin").write_text(" 1234\n")

    assert pins.read(f"file://{tmp_path}/pin", {}) == "1234"
    assert pins.read("env://HSM_PIN", {"HSM_PIN": "5678"}) == "5678"


def test_a_pin_that_cannot_be_read_is_told_by_its_place_and_costs_no_try(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe9")
    wrong = {
        f"file://{tmp_path}/none": "No such file",
        f"file://{tmp_path}/empty": "empty",
        f"file://{tmp_path}/binary": "not UTF-8 text",
        "env://NONE": "not set",
    }

    for source, words in wrong.items():
        with pytest.raises(PinUnreadableError, match=words) as raised:
            pins.read(source, {})
        assert source in str(raised.value)
        assert "0xff" not in str(raised.value)
