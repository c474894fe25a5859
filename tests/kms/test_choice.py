"""Which token and which key: exactly one, or an error that says how many there are and what tells them apart."""

from __future__ import annotations

import pytest

from legalcloud_kms.choice import ObjectFacts, ObjectKind, TokenFacts, choose_key, choose_token
from legalcloud_kms.errors import (
    KeyAmbiguousError,
    KeyMissingError,
    KeyUnfitError,
    TokenAbsentError,
    TokenAmbiguousError,
)
from legalcloud_kms.options import KeyIdentity, Mechanism, TokenSelector

KEK = KeyIdentity(label="kek", id_hex="")
AES, PRIVATE, PUBLIC, OTHER = ObjectKind.AES, ObjectKind.RSA_PRIVATE, ObjectKind.RSA_PUBLIC, ObjectKind.OTHER


def token(slot: int = 0, label: str = "kms", serial: str = "aa") -> TokenFacts:
    return TokenFacts(slot=slot, label=label, serial=serial, pin_locked=False, pin_final_try=False)


def wanted(slot: int | None = None, label: str = "", serial: str = "") -> TokenSelector:
    return TokenSelector(slot=slot, label=label, serial=serial)


def objects(*kinds: ObjectKind) -> list[ObjectFacts]:
    return [ObjectFacts(index=index, kind=kind) for index, kind in enumerate(kinds)]


TOKENS = [token(), token(slot=1, serial="bb"), token(slot=2, label="evidence", serial="cc")]


@pytest.mark.parametrize(
    ("selector", "serial"),
    [
        (wanted(label="evidence"), "cc"),
        (wanted(serial="bb"), "bb"),
        (wanted(label="kms", serial="aa"), "aa"),
        (wanted(slot=0), "aa"),
    ],
)
def test_all_that_is_set_must_match(selector: TokenSelector, serial: str) -> None:
    assert choose_token(TOKENS, selector).serial == serial


@pytest.mark.parametrize("selector", [wanted(label="kms", serial="cc"), wanted(slot=9), wanted(label="km")])
def test_an_absent_token_is_told_with_those_present(selector: TokenSelector) -> None:
    with pytest.raises(TokenAbsentError, match=r"'evidence' \(serial cc, slot 2\)"):
        choose_token(TOKENS, selector)


def test_no_token_at_all_is_said_in_a_word() -> None:
    with pytest.raises(TokenAbsentError, match="present: none"):
        choose_token([], wanted(label="kms"))


def test_two_tokens_with_one_label_are_refused_with_both_serials() -> None:
    with pytest.raises(TokenAmbiguousError, match=r"2 tokens .*serial aa.*serial bb.*Set serial"):
        choose_token(TOKENS, wanted(label="kms"))


def test_an_aes_key_seals_and_opens_itself() -> None:
    choice = choose_key(objects(AES), KEK, None, token())

    assert (choice.mechanism, choice.opening, choice.sealing) == (Mechanism.AES_GCM, 0, 0)


def test_a_pair_seals_with_the_public_and_opens_with_the_private_half() -> None:
    choice = choose_key(objects(PUBLIC, OTHER, PRIVATE), KEK, None, token())

    assert (choice.mechanism, choice.opening, choice.sealing) == (Mechanism.RSA_PKCS_OAEP, 2, 0)


def test_a_private_key_whose_public_half_has_another_label_is_still_a_key() -> None:
    assert choose_key(objects(PRIVATE), KEK, None, token()).sealing is None


@pytest.mark.parametrize("kinds", [(AES, AES), (AES, PRIVATE), (PRIVATE, PRIVATE), (PRIVATE, PUBLIC, PUBLIC)])
def test_more_than_one_key_is_refused(kinds: tuple[ObjectKind, ...]) -> None:
    with pytest.raises(KeyAmbiguousError, match="more than one key kek:"):
        choose_key(objects(*kinds), KEK, None, token())


def test_no_key_is_told_from_a_key_of_another_kind() -> None:
    with pytest.raises(KeyMissingError, match="no key kek: on token 'kms'"):
        choose_key([], KEK, None, token())
    with pytest.raises(KeyUnfitError, match="found: RSA public key, other object"):
        choose_key(objects(OTHER, PUBLIC), KEK, None, token())


@pytest.mark.parametrize(("kind", "mechanism"), [(AES, Mechanism.RSA_PKCS_OAEP), (PRIVATE, Mechanism.AES_GCM)])
def test_a_pinned_mechanism_must_fit_the_key(kind: ObjectKind, mechanism: Mechanism) -> None:
    with pytest.raises(KeyUnfitError, match=f"asks for CKM_{mechanism.name}"):
        choose_key(objects(kind), KEK, mechanism, token())
