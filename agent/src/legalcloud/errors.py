"""Every error that this package raises on purpose, as one tree.

LegalcloudError
├── InputError            what a person wrote is wrong            exit 2
│   └── InventoryError    ... in the inventory: file, key, remedy
├── SourceError           a source of facts gave no answer        exit 3
│   ├── ParseError        ... or one we cannot read
│   ├── SourceTimeoutError
│   └── CommandError
└── NotAuthenticError     a signature does not hold               exit 4
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `legalcloud`."""

    GOOD = 0
    FINDINGS = 1
    USAGE = 2
    UNKNOWN = 3
    NOT_AUTHENTIC = 4


class LegalcloudError(Exception):
    """Something went wrong that a person can act on."""

    hint = "Run the same command with --help."
    exit_code = Exit.UNKNOWN

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class InputError(LegalcloudError):
    """What a person wrote is wrong; nothing was done."""

    exit_code = Exit.USAGE


class InventoryError(InputError):
    """The inventory is wrong: one or more problems, each with file, key and remedy."""

    hint = "Correct the keys named above and run the same command again."


class SourceError(LegalcloudError):
    """A source of facts gave no answer."""

    hint = "Run the command named above by hand on that machine."


class ParseError(SourceError):
    """A source gave an answer that we cannot read."""

    hint = "The format may have changed with a new version; compare it with the recorded sample."


class SourceTimeoutError(SourceError):
    """A command did not finish in time."""


class CommandError(SourceError):
    """A command failed."""


class NotAuthenticError(LegalcloudError):
    """A signature does not hold."""

    hint = "Do not rely on this file; ask for it again from its author."
    exit_code = Exit.NOT_AUTHENTIC
