"""Every error that the plugin raises on purpose; `reason` is the word that a log or a playbook looks for.

The tree has one level: nothing catches a group of them but the edge, which catches all.
"""

from __future__ import annotations


class KmsError(Exception):
    """Something that a person can act on. Its text is what bao logs: the reason, what is wrong, the remedy."""

    reason = "kms"

    def __str__(self) -> str:
        return f"{self.reason}: {super().__str__()}"


class RefusalError(KmsError):
    """Not started by bao, or without mutual TLS."""

    reason = "refused"


class WireError(KmsError):
    """A message of the protocol that we cannot read."""

    reason = "protocol"


class ConfigError(KmsError):
    """A parameter of the seal is missing, unknown or wrong."""

    reason = "configuration"


class LibraryError(KmsError):
    """The PKCS#11 library cannot be loaded."""

    reason = "library"


class TokenAbsentError(KmsError):
    """No token matches; passes by itself when the token is back."""

    reason = "token-absent"


class TokenAmbiguousError(KmsError):
    """More than one token matches."""

    reason = "token-ambiguous"


class TokenFailedError(KmsError):
    """The token answered with an error of its own."""

    reason = "token-failed"


class PinUnreadableError(KmsError):
    """There is no PIN where the configuration says it is."""

    reason = "pin-unreadable"


class PinWrongError(KmsError):
    """The token refused the PIN just now."""

    reason = "pin-wrong"


class PinLatchedError(KmsError):
    """The token refused this same PIN before, so it was not tried again."""

    reason = "pin-latched"


class PinLockedError(KmsError):
    """The token takes no PIN any more."""

    reason = "pin-locked"


class PinFinalTryError(KmsError):
    """One try is left, and it is not ours to spend."""

    reason = "pin-final-try"


class KeyMissingError(KmsError):
    """No key matches."""

    reason = "key-missing"


class KeyAmbiguousError(KmsError):
    """More than one key matches."""

    reason = "key-ambiguous"


class KeyUnfitError(KmsError):
    """The key is of a kind that cannot seal."""

    reason = "key-unfit"


class BlobError(KmsError):
    """The sealed data is damaged, or another kind of seal made it."""

    reason = "blob"


class RoundTripError(KmsError):
    """The token cannot open what was just sealed, so nothing was sealed."""

    reason = "round-trip"
