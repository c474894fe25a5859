"""The little of Protocol Buffers that the plugin's messages use: varints and length-delimited fields."""

from __future__ import annotations

from collections.abc import Mapping

from legalcloud_kms.errors import WireError

Fields = Mapping[int, list[int | bytes]]
"""Values by field number, in the order in which they came. Fixed-width values stay raw bytes."""

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
WIDTHS = {FIXED64: 8, FIXED32: 4}
CONTINUED = 0x80
VARINT_MAX = 2**64 - 1
VARINT_BYTES = 10
FIELD_MAX = 2**29 - 1


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= CONTINUED:
        out.append(number & 0x7F | CONTINUED)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, value: bytes | str) -> bytes:
    """Encode one bytes, string or message field; an empty one is left out, as proto3 does."""
    raw = value.encode() if isinstance(value, str) else value
    return _delimited(number, raw) if raw else b""


def flag(number: int, *, value: bool) -> bytes:
    return varint(number << 3 | VARINT) + b"\x01" if value else b""


def mapping(number: int, values: Mapping[str, str]) -> bytes:
    return b"".join(_delimited(number, field(1, key) + field(2, value)) for key, value in values.items())


def _delimited(number: int, raw: bytes) -> bytes:
    return varint(number << 3 | LENGTH) + varint(len(raw)) + raw


def parse(message: bytes) -> Fields:
    """Parse a whole message.

    Source: the Protocol Buffers encoding guide; groups (wire types 3 and 4) are not used by proto3.
    Raises: WireError, and nothing else, whatever the bytes.
    """
    fields: dict[int, list[int | bytes]] = {}
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        if not 1 <= number <= FIELD_MAX:
            raise WireError(f"field number {number} at byte {at} is out of range")
        value: int | bytes
        if kind == VARINT:
            value, at = _read_varint(message, at)
        elif kind == LENGTH:
            length, at = _read_varint(message, at)
            value, at = _read_bytes(message, at, length)
        elif kind in WIDTHS:
            value, at = _read_bytes(message, at, WIDTHS[kind])
        else:
            raise WireError(f"wire type {kind} of field {number} is not one of proto3")
        fields.setdefault(number, []).append(value)
    return fields


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for place, byte in enumerate(message[at : at + VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * place
        if byte < CONTINUED and number <= VARINT_MAX:
            return number, at + place + 1
    raise WireError(f"the varint at byte {at} is cut off or longer than 64 bits")


def _read_bytes(message: bytes, at: int, length: int) -> tuple[bytes, int]:
    if length > len(message) - at:
        raise WireError(f"a field of {length} bytes at byte {at} runs past the end at {len(message)}")
    return message[at : at + length], at + length


def raw(fields: Fields, number: int) -> bytes:
    """Last value of a bytes or message field; empty if it was not sent."""
    value = fields.get(number, [b""])[-1]
    if not isinstance(value, bytes):
        raise WireError(f"field {number} is a number where bytes are due")
    return value


def text(fields: Fields, number: int) -> str:
    try:
        return raw(fields, number).decode()
    except UnicodeDecodeError:
        raise WireError(f"field {number} is not UTF-8") from None


def truth(fields: Fields, number: int) -> bool:
    value = fields.get(number, [0])[-1]
    if not isinstance(value, int):
        raise WireError(f"field {number} is bytes where a number is due")
    return bool(value)


def text_map(fields: Fields, number: int) -> dict[str, str]:
    """Read a map field: repeated messages of key (1) and value (2); a later entry wins."""
    entries: dict[str, str] = {}
    for entry in fields.get(number, []):
        if not isinstance(entry, bytes):
            raise WireError(f"field {number} is a number where a map's entry is due")
        pair = parse(entry)
        entries[text(pair, 1)] = text(pair, 2)
    return entries
