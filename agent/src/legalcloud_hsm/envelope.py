"""A token on its way to another node: CMS for that node's certificate alone, so that who carries it cannot read it."""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from legalcloud_hsm.credential import ProgramError, Run
from legalcloud_hsm.errors import EnvelopeError

MEMBER = re.compile(r"[0-9a-f-]+/[0-9a-z-]+(\.[a-z]+)?")
"""SoftHSM's own names: token, then object. Nothing that leads elsewhere."""
SEAL = ["openssl", "cms", "-encrypt", "-binary", "-aes-256-gcm", "-outform", "DER"]
DERIVATION = ["-keyopt", "ecdh_kdf_md:sha256"]
OPEN = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """All of a SoftHSM token."""

    pin: str
    files: Mapping[str, bytes]

    def pack(self) -> bytes:
        files = {name: base64.b64encode(content).decode() for name, content in self.files.items()}
        return json.dumps({"pin": self.pin, "files": files}).encode()

    @classmethod
    def unpack(cls, raw: bytes) -> Clone:
        """Read what `pack` wrote; a message never repeats any of it."""
        try:
            told = json.loads(raw)
            files = {str(name): base64.b64decode(content, validate=True) for name, content in told["files"].items()}
            pin = str(told["pin"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise EnvelopeError("the envelope holds no clone of a token") from None
        if strange := [name for name in files if not MEMBER.fullmatch(name)]:
            raise EnvelopeError(f"the envelope holds {strange[0]!r}, which is no file of a SoftHSM token")
        return cls(pin=pin, files=files)


def recipient(certificate: bytes, authority: bytes, name: str) -> x509.Certificate:
    """Read the certificate of the node that shall get the clone; it must be that node's, by our CA."""
    try:
        leaf, issuer = x509.load_pem_x509_certificate(certificate), x509.load_pem_x509_certificate(authority)
        leaf.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise EnvelopeError(f"the certificate of {name} is not by this fleet's CA: {error}") from None
    names = [attribute.value for attribute in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [name]:
        raise EnvelopeError(f"the certificate is of {names}, and the clone is for {name}")
    return leaf


def seal(clone: Clone, leaf: x509.Certificate, run: Run) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".crt") as file:
        file.write(leaf.public_bytes(Encoding.PEM))
        file.flush()
        try:
            return run([*SEAL, "-recip", file.name, *DERIVATION], clone.pack())
        except ProgramError as error:
            raise EnvelopeError(f"cannot seal to {leaf.subject.rfc4514_string()}: {error}") from None


def unseal(envelope: bytes, *, key: Path, certificate: Path, run: Run) -> Clone:
    try:
        return Clone.unpack(run([*OPEN, "-inkey", str(key), "-recip", str(certificate)], envelope))
    except ProgramError as error:
        raise EnvelopeError(f"cannot open the envelope with {key}; was it sealed for this node? {error}") from None
