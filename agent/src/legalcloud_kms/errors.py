"""Every error that the plugin raises on purpose; `reason` is the word that a log or a playbook looks for.

KmsError
├── RefusalError          not started by bao, or without mutual TLS
├── WireError             a message of the protocol that we cannot read
├── ConfigError           a parameter of the seal is missing, unknown or wrong
├── LibraryError          the PKCS#11 library cannot be loaded
├── TokenAbsentError      no token matches          (passes by itself when the token is back)
├── TokenAmbiguousError   more than one token matches
├── TokenFailedError      the token answered with an error of its own
├── PinUnreadableError    no PIN where the configuration says it is
├── PinWrongError         the token refused the PIN just now
├── PinLatchedError       ... or refused this same PIN before: it was not tried again
├── PinLockedError        the token takes no PIN any more
├── PinFinalTryError      one try is left, and it is not ours to spend
├── KeyMissingError       no key matches
├── KeyAmbiguousError     more than one key matches
├── KeyUnfitError         the key is of a kind that cannot seal
├── BlobError             the sealed data was not made by this kind of seal
└── RoundTripError        the token cannot open what was just sealed: nothing was sealed
"""

from __future__ import annotations


class KmsError(Exception):
    """Something that a person can act on. The text is what bao logs: the reason, what is wrong, the remedy."""

    reason = "kms"

    def __str__(self) -> str:
        return f"{self.reason}: {super().__str__()}"


class RefusalError(KmsError):
    reason = "refused"


class WireError(KmsError):
    reason = "protocol"


class ConfigError(KmsError):
    reason = "configuration"


class LibraryError(KmsError):
    reason = "library"


class TokenAbsentError(KmsError):
    reason = "token-absent"


class TokenAmbiguousError(KmsError):
    reason = "token-ambiguous"


class TokenFailedError(KmsError):
    reason = "token-failed"


class PinUnreadableError(KmsError):
    reason = "pin-unreadable"


class PinWrongError(KmsError):
    reason = "pin-wrong"


class PinLatchedError(KmsError):
    reason = "pin-latched"


class PinLockedError(KmsError):
    reason = "pin-locked"


class PinFinalTryError(KmsError):
    reason = "pin-final-try"


class KeyMissingError(KmsError):
    reason = "key-missing"


class KeyAmbiguousError(KmsError):
    reason = "key-ambiguous"


class KeyUnfitError(KmsError):
    reason = "key-unfit"


class BlobError(KmsError):
    reason = "blob"


class RoundTripError(KmsError):
    reason = "round-trip"
