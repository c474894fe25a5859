"""The PKCS#11 library behind PyKCS11: the thin shell. One operation at a time; it is not made for threads."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import PyKCS11
from PyKCS11 import LowLevel

from legalcloud_kms.choice import ObjectFacts, ObjectKind, TokenFacts
from legalcloud_kms.errors import LibraryError, TokenFailedError
from legalcloud_kms.options import KeyIdentity, Mechanism
from legalcloud_kms.pins import Answer

NONCE_BYTES = 12
TAG_BITS = 128
REFUSALS = {
    LowLevel.CKR_PIN_INCORRECT,
    LowLevel.CKR_PIN_INVALID,
    LowLevel.CKR_PIN_LEN_RANGE,
    LowLevel.CKR_PIN_EXPIRED,
}
KINDS = {
    (LowLevel.CKO_SECRET_KEY, LowLevel.CKK_AES): ObjectKind.AES,
    (LowLevel.CKO_PRIVATE_KEY, LowLevel.CKK_RSA): ObjectKind.RSA_PRIVATE,
    (LowLevel.CKO_PUBLIC_KEY, LowLevel.CKK_RSA): ObjectKind.RSA_PUBLIC,
}
OAEP = {
    "sha1": (LowLevel.CKM_SHA_1, LowLevel.CKG_MGF1_SHA1),
    "sha256": (LowLevel.CKM_SHA256, LowLevel.CKG_MGF1_SHA256),
    "sha384": (LowLevel.CKM_SHA384, LowLevel.CKG_MGF1_SHA384),
    "sha512": (LowLevel.CKM_SHA512, LowLevel.CKG_MGF1_SHA512),
}
PADDING = "\0 "


@contextlib.contextmanager
def telling(what: str) -> Iterator[None]:
    """Say what was being done when the library raised an error."""
    try:
        yield
    except PyKCS11.PyKCS11Error as error:
        raise TokenFailedError(f"cannot {what}: {error}") from None


class Library:
    """One PKCS#11 library. It sees tokens as they were at C_Initialize, so `unload` is how to look anew."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._loaded: PyKCS11.PyKCS11Lib | None = None

    @property
    def loaded(self) -> bool:
        return self._loaded is not None

    def _load(self) -> PyKCS11.PyKCS11Lib:
        if self._loaded is None:
            library = PyKCS11.PyKCS11Lib()
            try:
                library.load(self.path)
            except PyKCS11.PyKCS11Error as error:
                raise LibraryError(
                    f"cannot load {self.path}: {error}. Is the vendor's package installed and configured?"
                ) from None
            self._loaded = library
        return self._loaded

    def unload(self) -> None:
        library, self._loaded = self._loaded, None
        if library is not None:
            library.unload()

    def tokens(self) -> list[TokenFacts]:
        """List the tokens that are present; an empty slot that waits to be initialised is none."""
        library = self._load()
        with telling(f"list the tokens of {self.path}"):
            infos = [(slot, library.getTokenInfo(slot)) for slot in library.getSlotList(tokenPresent=True)]
        return [_token_facts(slot, info) for slot, info in infos if info.flags & LowLevel.CKF_TOKEN_INITIALIZED]

    @contextlib.contextmanager
    def session(self, token: TokenFacts, flags: int = 0) -> Iterator[Session]:
        with telling(f"open a session with token {token}"):
            opened = self._load().openSession(token.slot, flags)
        try:
            yield Session(opened, token)
        finally:
            with contextlib.suppress(PyKCS11.PyKCS11Error):  # a token that is gone closed it already
                opened.closeSession()  # and with the last session the token logs us out


class Session:
    """An open session with one token, closed by who opened it."""

    def __init__(self, opened: PyKCS11.Session, token: TokenFacts) -> None:
        self.opened = opened
        self.token = token

    def log_in(self, pin: str) -> Answer:
        try:
            self.opened.login(pin)
        except PyKCS11.PyKCS11Error as error:
            if error.value in REFUSALS:
                return Answer.REFUSED
            if error.value == LowLevel.CKR_PIN_LOCKED:
                return Answer.LOCKED
            if error.value != LowLevel.CKR_USER_ALREADY_LOGGED_IN:
                raise TokenFailedError(f"cannot log in to token {self.token}: {error}") from None
        return Answer.ACCEPTED

    def find(self, wanted: KeyIdentity) -> tuple[list[ObjectFacts], list[object]]:
        """List the objects with this label and id: facts, and the handles that their indices point to."""
        template: list[tuple[int, str | bytes]] = [(LowLevel.CKA_LABEL, wanted.label)] if wanted.label else []
        if wanted.id_hex:
            template.append((LowLevel.CKA_ID, bytes.fromhex(wanted.id_hex)))
        with telling(f"look for key {wanted} on token {self.token}"):
            handles = self.opened.findObjects(template)
            kinds = [
                self.opened.getAttributeValue(handle, [LowLevel.CKA_CLASS, LowLevel.CKA_KEY_TYPE]) for handle in handles
            ]
        facts = [
            ObjectFacts(index=index, kind=KINDS.get((kind[0], kind[1]), ObjectKind.OTHER))
            for index, kind in enumerate(kinds)
        ]
        return facts, list(handles)

    def public_half(self, private: object) -> object | None:
        """Find the one RSA public key that shares the private key's CKA_ID, for tokens that label them differently."""
        with telling(f"look for the public key on token {self.token}"):
            ident = bytes(self.opened.getAttributeValue(private, [LowLevel.CKA_ID])[0] or b"")
            template = [(LowLevel.CKA_CLASS, LowLevel.CKO_PUBLIC_KEY), (LowLevel.CKA_ID, ident)]
            found = self.opened.findObjects(template) if ident else []
        return found[0] if len(found) == 1 else None

    def public_numbers(self, public: object) -> tuple[int, int]:
        """Read modulus and exponent."""
        with telling(f"read the public key on token {self.token}"):
            values = self.opened.getAttributeValue(public, [LowLevel.CKA_MODULUS, LowLevel.CKA_PUBLIC_EXPONENT])
        modulus, exponent = (int.from_bytes(bytes(value), "big") for value in values)
        return modulus, exponent

    def encrypt(self, key: object, mechanism: Mechanism, oaep_hash: str, plaintext: bytes) -> bytes:
        """Encrypt in the token. For AES the result is nonce, ciphertext, tag, with a nonce of the token's."""
        with telling(f"encrypt with CKM_{mechanism.name} on token {self.token}"):
            if mechanism is Mechanism.AES_GCM:
                nonce = bytes(self.opened.generateRandom(NONCE_BYTES))
                return nonce + bytes(self.opened.encrypt(key, plaintext, _gcm(nonce)))
            return bytes(self.opened.encrypt(key, plaintext, PyKCS11.RSAOAEPMechanism(*OAEP[oaep_hash])))

    def decrypt(self, key: object, mechanism: Mechanism, oaep_hash: str, data: bytes) -> bytes:
        with telling(f"decrypt with CKM_{mechanism.name} on token {self.token}"):
            if mechanism is Mechanism.AES_GCM:
                nonce, rest = data[:NONCE_BYTES], data[NONCE_BYTES:]
                return bytes(self.opened.decrypt(key, rest, _gcm(nonce)))
            return bytes(self.opened.decrypt(key, data, PyKCS11.RSAOAEPMechanism(*OAEP[oaep_hash])))


def _gcm(nonce: bytes) -> PyKCS11.AES_GCM_Mechanism:
    return PyKCS11.AES_GCM_Mechanism(nonce, b"", TAG_BITS)


def _token_facts(slot: int, info: PyKCS11.CK_TOKEN_INFO) -> TokenFacts:
    return TokenFacts(
        slot=slot,
        label=info.label.strip(PADDING),
        serial=info.serialNumber.strip(PADDING),
        pin_locked=bool(info.flags & LowLevel.CKF_USER_PIN_LOCKED),
        pin_final_try=bool(info.flags & LowLevel.CKF_USER_PIN_FINAL_TRY),
        manufacturer=info.manufacturerID.strip(PADDING),
        model=info.model.strip(PADDING),
        firmware=".".join(map(str, info.firmwareVersion)),
    )
