"""Sealing and opening with one key of one token. The sealed data is spelled as upstream's plugin spells it."""

from __future__ import annotations

import hmac
import logging
import os
import signal
from collections.abc import Callable, Mapping
from typing import TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from legalcloud_kms.choice import KeyChoice, choose_key, choose_token
from legalcloud_kms.errors import (
    BlobError,
    KeyMissingError,
    KeyUnfitError,
    KmsError,
    RoundTripError,
    TokenAbsentError,
    TokenFailedError,
)
from legalcloud_kms.messages import Blob
from legalcloud_kms.options import KeyIdentity, Mechanism, SealOptions
from legalcloud_kms.pins import PinLatch
from legalcloud_kms.pkcs11 import NONCE_BYTES, TAG_BITS, Library, Session

log = logging.getLogger(__name__)

STALE = (TokenAbsentError, TokenFailedError, KeyMissingError)
"""What a library that was initialised before the token changed may say without good cause."""
HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
ROOT_KEY_BYTES = 32
HANG_SECONDS = 60
"""Longer than a network HSM takes to fail over, shorter than a person takes to notice."""
T = TypeVar("T")


class Seal:
    """The token is asked at each operation and not before: with it away bao starts, stays sealed and tries again."""

    def __init__(self, options: SealOptions, *, library: Library, latch: PinLatch, pin: Callable[[], str]) -> None:
        self.options = options
        self._library = library
        self._latch = latch
        self._pin = pin

    def encrypt(self, plaintext: bytes) -> Blob:
        """Seal, and open again before anything is handed out.

        An RSA hash that the token does not know shows only when it decrypts, after bao has thrown away the old key or
        the only copy. Hence the round trip, each time; bao seals at initialisation, rotation and health checks only.
        """

        def operation(session: Session) -> bytes:
            choice, key, public = self._key(session, self.options.key)
            data = self._encrypt_with(session, choice, key, public, plaintext)
            try:
                opened = session.decrypt(key, choice.mechanism, self.options.oaep_hash, data)
            except TokenFailedError as error:
                raise RoundTripError(
                    f"the token cannot open what was just sealed: {error}. {self._advice(choice)}"
                ) from None
            if not hmac.compare_digest(opened, plaintext):
                raise RoundTripError(f"the token opens what was just sealed to something else. {self._advice(choice)}")
            return data

        return Blob(data=self._with_token(operation), key_id=str(self.options.key))

    def prove(self) -> None:
        """Seal and open a random block the size of a root key."""
        self.encrypt(os.urandom(ROOT_KEY_BYTES))

    def decrypt(self, blob: Blob) -> bytes:
        wanted = KeyIdentity.parse(blob.key_id) if blob.key_id else self.options.key

        def operation(session: Session) -> bytes:
            choice, key, _ = self._key(session, wanted)
            if choice.mechanism is Mechanism.AES_GCM and len(blob.data) < NONCE_BYTES + TAG_BITS // 8:
                raise BlobError(f"{len(blob.data)} bytes are too few for nonce and tag; the stored data is damaged")
            return session.decrypt(key, choice.mechanism, self.options.oaep_hash, blob.data)

        return self._with_token(operation)

    def _with_token(self, operation: Callable[[Session], T]) -> T:
        """Run before the alarm: a library that hangs ends the process, and bao starts a new one for its next call."""
        signal.alarm(HANG_SECONDS)
        try:
            return self._at_most_twice(operation)
        finally:
            signal.alarm(0)

    def _at_most_twice(self, operation: Callable[[Session], T]) -> T:
        """Run in a session of its own. A library loaded earlier that fails is loaded anew, once."""
        fresh = not self._library.loaded
        try:
            return self._once(operation)
        except STALE as error:
            self._library.unload()
            if fresh:
                raise
            log.info(
                "loading the PKCS#11 library anew", extra={"fields": {"reason": error.reason, "error": str(error)}}
            )
        try:
            return self._once(operation)
        except KmsError:
            self._library.unload()
            raise

    def _once(self, operation: Callable[[Session], T]) -> T:
        token = choose_token(self._library.tokens(), self.options.token)
        source = self.options.pin_source
        with self._library.session(token) as session:
            self._latch.log_in(token, self._pin(), source, session.log_in)
            return operation(session)

    def _key(self, session: Session, wanted: KeyIdentity) -> tuple[KeyChoice, object, object | None]:
        facts, handles = session.find(wanted)
        choice = choose_key(facts, wanted, self.options.mechanism, session.token)
        key = handles[choice.opening]
        public = session.public_half(key) if choice.sealing is None else handles[choice.sealing]
        return choice, key, public

    def _encrypt_with(
        self, session: Session, choice: KeyChoice, key: object, public: object | None, plaintext: bytes
    ) -> bytes:
        if choice.mechanism is Mechanism.AES_GCM:
            return session.encrypt(key, choice.mechanism, self.options.oaep_hash, plaintext)
        if public is None:
            raise KeyUnfitError(
                f"no public key beside {self.options.key} on token {session.token}; import it with the same id"
            )
        if not self.options.software_encryption:
            return session.encrypt(public, choice.mechanism, self.options.oaep_hash, plaintext)
        modulus, exponent = session.public_numbers(public)
        digest = HASHES[self.options.oaep_hash]
        oaep = padding.OAEP(padding.MGF1(digest()), digest(), None)
        return rsa.RSAPublicNumbers(exponent, modulus).public_key().encrypt(plaintext, oaep)

    def _advice(self, choice: KeyChoice) -> str:
        if choice.mechanism is Mechanism.AES_GCM:
            return "Nothing was sealed; check that the key may encrypt and decrypt"
        return f"Nothing was sealed; set rsa_oaep_hash (now {self.options.oaep_hash}) to one that the token knows"
