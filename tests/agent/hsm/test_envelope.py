"""A token on its way: sealed to one node's certificate by the real openssl, opened there and nowhere else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from legalcloud_hsm import envelope
from legalcloud_hsm.credential import run
from legalcloud_hsm.envelope import Clone
from legalcloud_hsm.errors import EnvelopeError

CLONE = Clone(
    pin="482915", files={"ab-1/token.object": b"\x00\x01", "ab-1/0b-2.object": b"key", "ab-1/generation": b"1"}
)


class Node:
    """A node's key and certificate, as files."""

    def __init__(self, folder: Path, name: str, ca: Node | None = None) -> None:
        self.secret = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        self.certificate: x509.Certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca.certificate.subject if ca else subject)
            .public_key(self.secret.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
            .sign(ca.secret if ca else self.secret, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(Encoding.PEM)
        self.crt, self.key = folder / f"{name}.crt", folder / f"{name}.key"
        self.crt.write_bytes(self.pem)
        self.key.write_bytes(self.secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def ca(tmp_path: Path) -> Node:
    return Node(tmp_path, "ca")


def test_a_clone_opens_at_the_node_it_is_for_and_nowhere_else(tmp_path: Path, ca: Node) -> None:
    target, other = Node(tmp_path, "cwn-1", ca), Node(tmp_path, "sht-1", ca)

    sealed = envelope.seal(CLONE, envelope.recipient(target.pem, ca.pem, "cwn-1"), run)

    assert envelope.unseal(sealed, key=target.key, certificate=target.crt, run=run) == CLONE
    with pytest.raises(EnvelopeError, match="sealed for this node"):
        envelope.unseal(sealed, key=other.key, certificate=other.crt, run=run)
    assert b"482915" not in sealed
    assert b"token.object" not in sealed


@pytest.mark.parametrize("place", [-1, -20, -200])
def test_a_changed_byte_is_noticed(tmp_path: Path, ca: Node, place: int) -> None:
    target = Node(tmp_path, "cwn-1", ca)
    sealed = bytearray(envelope.seal(CLONE, target.certificate, run))
    sealed[place] ^= 1

    with pytest.raises(EnvelopeError):
        envelope.unseal(bytes(sealed), key=target.key, certificate=target.crt, run=run)


def test_only_the_named_node_s_certificate_by_our_ca_gets_a_clone(tmp_path: Path, ca: Node) -> None:
    target, stranger = Node(tmp_path, "cwn-1", ca), Node(tmp_path, "sht-1")

    with pytest.raises(EnvelopeError, match=r"of \['cwn-1'\], and the clone is for sht-1"):
        envelope.recipient(target.pem, ca.pem, "sht-1")
    with pytest.raises(EnvelopeError, match="not by this fleet's CA"):
        envelope.recipient(stranger.pem, ca.pem, "sht-1")
    with pytest.raises(EnvelopeError, match="not by this fleet's CA"):
        envelope.recipient(b"garbage", ca.pem, "sht-1")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "ab/../x", "ab", "ab/x/y", "ab/X"])
def test_a_file_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(EnvelopeError, match="no file of a SoftHSM token"):
        Clone.unpack(Clone(pin="1", files={name: b""}).pack())


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"pin": "482915", "files": 1}', b'{"pin":"482915","files":{"a/b":"%"}}']
)
def test_what_is_no_clone_is_refused_without_repeating_it(raw: bytes) -> None:
    with pytest.raises(EnvelopeError, match="holds no clone") as told:
        Clone.unpack(raw)

    assert "482915" not in str(told.value)


def test_a_clone_packs_to_json_that_names_its_files() -> None:
    assert set(json.loads(CLONE.pack())) == {"pin", "files"}
    assert Clone.unpack(CLONE.pack()) == CLONE
