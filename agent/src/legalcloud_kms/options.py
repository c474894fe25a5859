"""Parameters of `seal "pkcs11"`, named and read as upstream's plugin does, so that either can follow the other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from legalcloud_kms.errors import BlobError, ConfigError

NAMES = (
    "lib",
    "slot",
    "serial",
    "token_label",
    "pin",
    "key_id",
    "key_label",
    "mechanism",
    "rsa_oaep_hash",
    "disable_software_encryption",
)
SHOWN = ("lib", "slot", "serial", "token_label", "mechanism", "rsa_oaep_hash")
"""What bao prints when it starts."""
ENVIRONMENT_PREFIX = "BAO_HSM_"
HASHES = ("sha1", "sha256", "sha384", "sha512")
TRUTHS = {"1": True, "t": True, "true": True, "": False, "0": False, "f": False, "false": False}


class Mechanism(Enum):
    """How a key seals, with its number in PKCS#11."""

    AES_GCM = 0x1087
    RSA_PKCS_OAEP = 0x0009


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSelector:
    """All that are set must match."""

    slot: int | None
    serial: str
    label: str

    def __str__(self) -> str:
        wanted = {"slot": self.slot, "serial": self.serial or None, "token_label": self.label or None}
        return ", ".join(f"{name} {value!r}" for name, value in wanted.items() if value is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyIdentity:
    """CKA_LABEL and CKA_ID of a key; at least one is set."""

    label: str
    id_hex: str

    def __str__(self) -> str:
        return f"{self.label}:{self.id_hex}"

    @classmethod
    def parse(cls, text: str) -> KeyIdentity:
        """Read the key id that stands in a blob. A label may hold colons, the hexadecimal id does not."""
        label, colon, id_hex = text.rpartition(":")
        if not colon or not (label or id_hex) or not _is_hex(id_hex):
            raise BlobError(f"key id {text!r} is not LABEL:HEX; the data was sealed by another kind of seal")
        return cls(label=label, id_hex=id_hex)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealOptions:
    """The stanza, checked."""

    library: str
    token: TokenSelector
    pin_source: str
    """file:///PATH or env://NAME; never the PIN itself."""
    key: KeyIdentity
    mechanism: Mechanism | None
    """None: the one that goes with the key's type."""
    oaep_hash: str
    software_encryption: bool
    """Whether RSA encrypts with the public key outside the token, as upstream does unless told otherwise."""
    shown: Mapping[str, str]


def parse(values: Mapping[str, str], environment: Mapping[str, str]) -> SealOptions:
    """Read and check the parameters; BAO_HSM_* of the environment win over the stanza. The token is not touched.

    Raises: ConfigError, which names the parameter.
    """
    if unknown := sorted(set(values) - set(NAMES)):
        raise ConfigError(f"unknown seal parameters {', '.join(unknown)}; known are {', '.join(NAMES)}")
    overrides = {name: environment.get(ENVIRONMENT_PREFIX + name.upper(), "") for name in NAMES}
    given = {name: overrides[name] or values.get(name, "") for name in NAMES}
    if not given["lib"]:
        raise ConfigError("lib is missing; name the PKCS#11 library's file")
    return SealOptions(
        library=given["lib"],
        token=_token(given),
        pin_source=_pin_source(given["pin"]),
        key=_key(given),
        mechanism=_mechanism(given["mechanism"]),
        oaep_hash=_oaep_hash(given["rsa_oaep_hash"]),
        software_encryption=not _truth("disable_software_encryption", given["disable_software_encryption"]),
        shown={name: given[name] for name in SHOWN if given[name]},
    )


def _token(given: Mapping[str, str]) -> TokenSelector:
    if not (given["slot"] or given["serial"] or given["token_label"]):
        raise ConfigError("none of slot, serial and token_label is set; without one any token would do")
    slot = _number(given["slot"])
    if given["slot"] and slot is None:
        raise ConfigError(f"slot {given['slot']!r} is not a decimal or 0x number")
    return TokenSelector(slot=slot, serial=given["serial"], label=given["token_label"])


def _key(given: Mapping[str, str]) -> KeyIdentity:
    id_hex = given["key_id"].removeprefix("0x")
    if not (id_hex or given["key_label"]):
        raise ConfigError("neither key_label nor key_id is set; name the key that seals")
    if not _is_hex(id_hex):
        raise ConfigError(f"key_id {given['key_id']!r} is not pairs of hexadecimal digits")
    return KeyIdentity(label=given["key_label"], id_hex=id_hex)


def _pin_source(value: str) -> str:
    scheme, _, rest = value.partition("://")
    if scheme not in ("file", "env") or not rest:
        raise ConfigError("pin is not file:///PATH or env://NAME; a PIN does not belong into a configuration file")
    return value


def _mechanism(value: str) -> Mechanism | None:
    if not value:
        return None
    number, name = _number(value), value.removeprefix("CKM_")
    for mechanism in Mechanism:
        if name == mechanism.name or number == mechanism.value:
            return mechanism
    raise ConfigError(f"mechanism {value!r} is neither CKM_AES_GCM nor CKM_RSA_PKCS_OAEP")


def _oaep_hash(value: str) -> str:
    name = value.lower() or "sha256"
    if name not in HASHES:
        raise ConfigError(f"rsa_oaep_hash {value!r} is not one of {', '.join(HASHES)}")
    return name


def _truth(name: str, value: str) -> bool:
    if value.lower() not in TRUTHS:
        raise ConfigError(f"{name} {value!r} is neither true nor false")
    return TRUTHS[value.lower()]


def _number(value: str) -> int | None:
    if not re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", value):
        return None
    return int(value, 16 if value[:2].lower() == "0x" else 10)


def _is_hex(text: str) -> bool:
    return re.fullmatch(r"([0-9a-fA-F]{2})*", text) is not None
