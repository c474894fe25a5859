"""Keys of a token: what they are, how they are made (in the token, never to leave it), and how one is found."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import PyKCS11
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from PyKCS11 import LowLevel

from legalcloud_hsm.errors import KeyExistsError
from legalcloud_kms.errors import KeyAmbiguousError, KeyMissingError, KeyUnfitError, TokenFailedError
from legalcloud_kms.pkcs11 import Session, telling

P384 = bytes.fromhex("06052b81040022")
"""The curve's object identifier, as CKA_EC_PARAMS holds it."""
FINGERPRINT_BLOCK = hashlib.sha256(b"legalcloud key fingerprint").digest()[:16]
"""What an AES key encrypts to show which key it is. Never the block of zeros: that is GCM's own secret."""
OCTET_STRING = b"\x04"
SECRET_USES = ("ENCRYPT", "DECRYPT", "SIGN", "VERIFY", "WRAP", "UNWRAP", "DERIVE")
PRIVATE_USES = ("DECRYPT", "SIGN", "UNWRAP", "DERIVE")
HIDDEN = (LowLevel.CKO_SECRET_KEY, LowLevel.CKO_PRIVATE_KEY)
TYPES = {LowLevel.CKK_AES: "aes", LowLevel.CKK_RSA: "rsa", LowLevel.CKK_EC: "ec"}
FLAGS = {
    "sensitive": LowLevel.CKA_SENSITIVE,
    "always_sensitive": LowLevel.CKA_ALWAYS_SENSITIVE,
    "extractable": LowLevel.CKA_EXTRACTABLE,
    "never_extractable": LowLevel.CKA_NEVER_EXTRACTABLE,
    "local": LowLevel.CKA_LOCAL,
}


class Kind(Enum):
    """The keys that this appliance makes."""

    AES_256 = "aes-256"
    EC_P384 = "ec-p384"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """A secret or private key, as the token itself describes it; None is what the token would not say."""

    label: str
    id: str
    type: str
    sensitive: bool | None
    always_sensitive: bool | None
    extractable: bool | None
    never_extractable: bool | None
    local: bool | None
    """Whether it was generated in a token. A clone that the vendor's means made may say so or not."""
    fingerprint: str | None
    """The same for every clone of a key and telling nothing of it; None if the token refuses the mechanism."""


def describe(session: Session) -> list[KeyFacts]:
    """List the keys that must not leave the token, by label."""
    opened = session.opened
    with telling(f"list the keys of token {session.token}"):
        handles = [handle for kind in HIDDEN for handle in opened.findObjects([(LowLevel.CKA_CLASS, kind)])]
    return sorted((_facts(session, handle) for handle in handles), key=lambda facts: (facts.label, facts.id))


def _facts(session: Session, handle: object) -> KeyFacts:
    with telling(f"read a key's attributes on token {session.token}"):
        label, ident, kind = session.opened.getAttributeValue(
            handle, [LowLevel.CKA_LABEL, LowLevel.CKA_ID, LowLevel.CKA_KEY_TYPE]
        )
        values = session.opened.getAttributeValue(handle, list(FLAGS.values()))
    id_bytes = bytes(ident or b"")
    return KeyFacts(
        label=label or "",
        id=id_bytes.hex(),
        type=TYPES.get(kind, "other"),
        fingerprint=_fingerprint(session, handle, kind, id_bytes),
        **dict(zip(FLAGS, (None if value is None else bool(value) for value in values), strict=True)),
    )


def _fingerprint(session: Session, handle: object, kind: int, ident: bytes) -> str | None:
    try:
        if kind == LowLevel.CKK_AES:
            with telling("encrypt one block"):
                ecb = PyKCS11.Mechanism(LowLevel.CKM_AES_ECB, None)
                shown = bytes(session.opened.encrypt(handle, FINGERPRINT_BLOCK, ecb))
        elif kind == LowLevel.CKK_EC:
            shown = public_key(session, ident).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            return None
    except (TokenFailedError, KeyMissingError, KeyUnfitError):
        return None
    return hashlib.sha256(shown).hexdigest()


def find(session: Session, label: str, key_class: int) -> object:
    """Find the one key of this class with this label."""
    with telling(f"look for key {label} on token {session.token}"):
        found = session.opened.findObjects([(LowLevel.CKA_CLASS, key_class), (LowLevel.CKA_LABEL, label)])
    if not found:
        raise KeyMissingError(f"no key {label} on token {session.token}")
    if len(found) > 1:
        raise KeyAmbiguousError(f"{len(found)} keys {label} on token {session.token}")
    return found[0]


def signing_key(session: Session, label: str) -> tuple[object, ec.EllipticCurvePublicKey]:
    """Find the one EC P-384 private key with this label, and its public half."""
    handle = find(session, label, LowLevel.CKO_PRIVATE_KEY)
    with telling(f"read key {label} on token {session.token}"):
        kind, ident = session.opened.getAttributeValue(handle, [LowLevel.CKA_KEY_TYPE, LowLevel.CKA_ID])
    if kind != LowLevel.CKK_EC:
        raise KeyUnfitError(f"key {label} on token {session.token} is no EC key")
    return handle, public_key(session, bytes(ident or b""))


def public_key(session: Session, ident: bytes) -> ec.EllipticCurvePublicKey:
    """Read the public half that shares a private key's CKA_ID."""
    template = [(LowLevel.CKA_CLASS, LowLevel.CKO_PUBLIC_KEY), (LowLevel.CKA_ID, ident)]
    with telling(f"look for the public key with id {ident.hex()} on token {session.token}"):
        found = session.opened.findObjects(template) if ident else []
        if len(found) != 1:
            raise KeyMissingError(
                f"{len(found)} public keys with id {ident.hex() or 'none'} on token {session.token}, not one"
            )
        values = session.opened.getAttributeValue(found[0], [LowLevel.CKA_EC_PARAMS, LowLevel.CKA_EC_POINT])
    params, point = (bytes(value or b"") for value in values)
    if params != P384:
        raise KeyUnfitError(f"the public key with id {ident.hex()} on token {session.token} is not EC P-384")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP384R1(), _unwrapped(point))


def _unwrapped(point: bytes) -> bytes:
    """Take the point out of its DER octet string; P-384 needs one byte of length."""
    if point[:1] == OCTET_STRING and len(point) > 1 and point[1] == len(point) - 2:  # tag and length
        return point[2:]
    return point


def signer(session: Session, private: object, public: ec.EllipticCurvePublicKey) -> Callable[[bytes], bytes]:
    """Sign in the token, ECDSA over SHA-384 to DER; what does not verify is not handed out."""

    def sign(message: bytes) -> bytes:
        digest = hashlib.sha384(message).digest()
        with telling(f"sign on token {session.token}"):
            raw = bytes(session.opened.sign(private, digest, PyKCS11.Mechanism(LowLevel.CKM_ECDSA, None)))
        half = len(raw) // 2
        signature = encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
        try:
            public.verify(signature, message, ec.ECDSA(hashes.SHA384()))
        except InvalidSignature:
            raise TokenFailedError(f"token {session.token} signed what its public key does not verify") from None
        return signature

    return sign


def make(session: Session, label: str, kind: Kind) -> None:
    """Generate a key in the token: it stays there, and may do one thing only."""
    with telling(f"look for key {label} on token {session.token}"):
        if session.opened.findObjects([(LowLevel.CKA_LABEL, label)]):
            raise KeyExistsError(f"token {session.token} has an object {label} already; nothing was made")
    common = [(LowLevel.CKA_LABEL, label), (LowLevel.CKA_ID, os.urandom(16)), (LowLevel.CKA_TOKEN, True)]
    hidden = [
        *common,
        (LowLevel.CKA_PRIVATE, True),
        (LowLevel.CKA_SENSITIVE, True),
        (LowLevel.CKA_EXTRACTABLE, False),
        (LowLevel.CKA_MODIFIABLE, False),
    ]
    with telling(f"make key {label} on token {session.token}"):
        if kind is Kind.AES_256:
            uses = _uses(("ENCRYPT", "DECRYPT"), of=SECRET_USES)
            session.opened.generateKey([*hidden, *uses, (LowLevel.CKA_VALUE_LEN, 32)])
        else:
            public = [*common, (LowLevel.CKA_VERIFY, True), (LowLevel.CKA_EC_PARAMS, P384)]
            mechanism = PyKCS11.Mechanism(LowLevel.CKM_EC_KEY_PAIR_GEN, None)
            session.opened.generateKeyPair(public, [*hidden, *_uses(("SIGN",), of=PRIVATE_USES)], mechanism)


def _uses(allowed: tuple[str, ...], *, of: tuple[str, ...]) -> list[tuple[int, bool]]:
    """Say of each use whether the key is for it; left out, SoftHSM would allow it."""
    return [(getattr(LowLevel, f"CKA_{use}"), use in allowed) for use in of]


def destroy(session: Session, label: str) -> int:
    """Destroy every object with this label; returns how many there were."""
    with telling(f"destroy key {label} on token {session.token}"):
        found = session.opened.findObjects([(LowLevel.CKA_LABEL, label)])
        for handle in found:
            session.opened.destroyObject(handle)
    if not found:
        raise KeyMissingError(f"no key {label} on token {session.token}")
    return len(found)
