"""Messages of the pb.Wrapper service: what bao asks, and how the answers are spelled.

Field numbers: plugin/pb/plugin.proto and types.proto of openbao/go-kms-wrapping (plugin v2.4.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from legalcloud_kms import wire
from legalcloud_kms.errors import WireError

WRAPPER_ID = 1
PAYLOAD = 10
OPTIONS = 20
OPTION_AAD = 20
OPTION_CONFIG = 30
OPTION_NO_ENVIRONMENT = 90
BLOB_CIPHERTEXT, BLOB_IV, BLOB_KEY_INFO = 1, 2, 5
KEY_INFO_ID = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The seal stanza of bao's configuration, without what bao keeps for itself."""

    values: Mapping[str, str] = field(repr=False)
    environment_allowed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Sealed data as bao stores it."""

    data: bytes
    """For AES nonce, ciphertext and tag; for RSA the ciphertext."""
    key_id: str
    """`label:hex`; empty in a blob that does not say."""


def configuration(message: bytes) -> Configuration:
    options = wire.parse(wire.raw(wire.parse(message), OPTIONS))
    return Configuration(
        values=wire.text_map(options, OPTION_CONFIG),
        environment_allowed=not wire.truth(options, OPTION_NO_ENVIRONMENT),
    )


def wrapper_id(message: bytes) -> str:
    return wire.text(wire.parse(message), WRAPPER_ID)


def plaintext(message: bytes) -> bytes:
    fields = wire.parse(message)
    _refuse_associated_data(fields)
    return wire.raw(fields, PAYLOAD)


def blob(message: bytes) -> Blob:
    """Read what shall be opened. Blobs of bao before 2.7 carry the nonce in a field of its own."""
    fields = wire.parse(message)
    _refuse_associated_data(fields)
    sealed = wire.parse(wire.raw(fields, PAYLOAD))
    info = wire.parse(wire.raw(sealed, BLOB_KEY_INFO))
    return Blob(
        data=wire.raw(sealed, BLOB_IV) + wire.raw(sealed, BLOB_CIPHERTEXT),
        key_id=wire.text(info, KEY_INFO_ID),
    )


def _refuse_associated_data(fields: wire.Fields) -> None:
    """Upstream's plugin drops it unseen; what would look authenticated and is not shall not exist here."""
    if wire.raw(wire.parse(wire.raw(fields, OPTIONS)), OPTION_AAD):
        raise WireError("associated data is not supported by PKCS#11 seals; this version of bao needs another plugin")


def configured(instance: str, metadata: Mapping[str, str]) -> bytes:
    return wire.field(WRAPPER_ID, instance) + wire.field(PAYLOAD, wire.mapping(10, metadata))


def payload(value: bytes | str) -> bytes:
    return wire.field(PAYLOAD, value)


def sealed(made: Blob) -> bytes:
    info = wire.field(KEY_INFO_ID, made.key_id)
    return payload(wire.field(BLOB_CIPHERTEXT, made.data) + wire.field(BLOB_KEY_INFO, info))
