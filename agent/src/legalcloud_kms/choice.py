"""Which token and which key is meant: exactly one of each, or an error that says how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from legalcloud_kms.errors import (
    KeyAmbiguousError,
    KeyMissingError,
    KeyUnfitError,
    TokenAbsentError,
    TokenAmbiguousError,
)
from legalcloud_kms.options import KeyIdentity, Mechanism, TokenSelector


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFacts:
    """One token that is present, from C_GetTokenInfo, without the padding."""

    slot: int
    label: str
    serial: str
    pin_locked: bool
    """CKF_USER_PIN_LOCKED."""
    pin_final_try: bool
    """CKF_USER_PIN_FINAL_TRY."""
    manufacturer: str = ""
    model: str = ""
    firmware: str = ""

    def __str__(self) -> str:
        return f"{self.label!r} (serial {self.serial}, slot {self.slot})"


class ObjectKind(Enum):
    """CKA_CLASS and CKA_KEY_TYPE together, as far as a seal can use them."""

    AES = "AES key"
    RSA_PRIVATE = "RSA private key"
    RSA_PUBLIC = "RSA public key"
    OTHER = "other object"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFacts:
    """One object on the token that has the wanted label and id."""

    index: int
    """Its place in what the token listed."""
    kind: ObjectKind


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChoice:
    """The objects that seal and open; for AES they are one."""

    mechanism: Mechanism
    opening: int
    sealing: int | None
    """None: a private key whose public half does not carry its label and id."""


def choose_token(tokens: Sequence[TokenFacts], wanted: TokenSelector) -> TokenFacts:
    found = [
        token
        for token in tokens
        if wanted.slot in (None, token.slot)
        and wanted.serial in ("", token.serial)
        and wanted.label in ("", token.label)
    ]
    if not found:
        present = ", ".join(map(str, tokens)) or "none"
        raise TokenAbsentError(f"no token with {wanted}; present: {present}. Connect it; bao then unseals by itself")
    if len(found) > 1:
        raise TokenAmbiguousError(
            f"{len(found)} tokens with {wanted}: {', '.join(map(str, found))}. Set serial beside token_label"
        )
    return found[0]


def choose_key(
    objects: Sequence[ObjectFacts], wanted: KeyIdentity, mechanism: Mechanism | None, token: TokenFacts
) -> KeyChoice:
    """Choose among the objects that carry the wanted label and id. A public key never stands alone."""
    secret = [entry.index for entry in objects if entry.kind is ObjectKind.AES]
    private = [entry.index for entry in objects if entry.kind is ObjectKind.RSA_PRIVATE]
    public = [entry.index for entry in objects if entry.kind is ObjectKind.RSA_PUBLIC]
    name = f"key {wanted} on token {token}"
    if len(secret) + len(private) > 1 or len(public) > 1:
        counts = f"{len(secret)} AES keys, {len(private)} private and {len(public)} public RSA keys"
        raise KeyAmbiguousError(f"more than one {name}: {counts}. Set key_id beside key_label, or remove the others")
    if not (secret or private):
        if objects:
            kinds = ", ".join(sorted({entry.kind.value for entry in objects}))
            raise KeyUnfitError(f"{name} is no AES key and no RSA private key (found: {kinds})")
        raise KeyMissingError(f"no {name}. Check key_label and key_id, and that this is the token the key was made in")
    fitting = Mechanism.AES_GCM if secret else Mechanism.RSA_PKCS_OAEP
    if mechanism not in (None, fitting):
        raise KeyUnfitError(f"{name} works with CKM_{fitting.name}, and the seal stanza asks for CKM_{mechanism.name}")
    if secret:
        return KeyChoice(mechanism=fitting, opening=secret[0], sealing=secret[0])
    return KeyChoice(mechanism=fitting, opening=private[0], sealing=public[0] if public else None)
