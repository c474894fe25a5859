"""Wraps an OpenPGP message in text (RFC 9580, section 6); GnuPG 2.2 wants the checksum, although it is optional."""

from __future__ import annotations

import base64
import textwrap

COLUMNS = 64
CRC24_START, CRC24_POLYNOMIAL, CRC24_TOP = 0xB704CE, 0x1864CFB, 0x1000000


def armored(message: bytes) -> str:
    """Return the text that `gpg --decrypt` takes from a file."""
    lines = textwrap.wrap(base64.b64encode(message).decode(), COLUMNS)
    checksum = base64.b64encode(_crc24(message).to_bytes(3, "big")).decode()
    return "\n".join(["-----BEGIN PGP MESSAGE-----", "", *lines, f"={checksum}", "-----END PGP MESSAGE-----", ""])


def _crc24(data: bytes) -> int:
    crc = CRC24_START
    for octet in data:
        crc ^= octet << 16
        for _ in range(8):
            crc <<= 1
            if crc & CRC24_TOP:
                crc ^= CRC24_POLYNOMIAL
    return crc
