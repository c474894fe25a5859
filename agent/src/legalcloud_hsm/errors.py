"""What this tool refuses by itself; what tokens and PINs refuse stands in legalcloud_kms.errors."""

from __future__ import annotations

from legalcloud_kms.errors import KmsError


class PlaceError(KmsError):
    """The configuration names no such token, or cannot be read."""

    reason = "configuration"


class KeyExistsError(KmsError):
    """A key of that label is there already; two of one label would serve nobody."""

    reason = "key-exists"


class RequestError(KmsError):
    """A signing request, or the CA that should sign it, is not what it should be."""

    reason = "request"


class CredentialError(KmsError):
    """systemd-creds cannot keep the PIN."""

    reason = "credential"


class SoftHsmError(KmsError):
    """The lab's token cannot be made, cloned or replaced as asked."""

    reason = "softhsm"


class EnvelopeError(KmsError):
    """A clone cannot be sealed to its node, or opened there."""

    reason = "envelope"


REMEDIES = {
    "library": "Install the HSM's client package and compare hsm_library with the path of its PKCS#11 module.",
    "token-absent": "Connect or start the HSM. If it is lost: docs/runbooks/hsm-lost.md.",
    "token-ambiguous": "Set the serial of the one that is meant in hsm_kms_token or hsm_evidence_token.",
    "token-failed": "Read the HSM's own log; then docs/runbooks/hsm-lost.md.",
    "pin-unreadable": "Run playbooks/hsm_pin.yml, which encrypts the PIN for this node: docs/runbooks/pin-lost.md.",
    "pin-wrong": "Run playbooks/hsm_pin.yml with the right PIN: docs/runbooks/pin-lost.md.",
    "pin-locked": "The HSM's security officer must unlock it: docs/runbooks/pin-lost.md.",
    "pin-final-try": "A person logs in once with the right PIN by the vendor's tool: docs/runbooks/pin-lost.md.",
    "key-missing": "Clone the key from another node's HSM, by the vendor's means: docs/runbooks/hsm-lost.md.",
    "key-ambiguous": "Remove the key that is not meant by its id, with the vendor's tool.",
}
"""What to do next on this appliance, by reason; the message itself says what is wrong and where."""
