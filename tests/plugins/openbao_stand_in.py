"""An OpenBao of a test's own, behind TLS, and the CA that stands for the HSM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """A CA in this process; stands for the HSM."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self.issue(name("CA"), self.key.public_key(), ca=True)
        self.asked: list[Sequence[str]] = []

    def issue(
        self,
        subject: x509.Name,
        public: Any,  # noqa: ANN401 -- any key
        *,
        ca: bool = False,
        client: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name("CA"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(minutes=5))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier(identifier.digest, None, None), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        if not ca:
            purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False).add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
            )
        return builder.sign(self.key, hashes.SHA256())

    def sign(self, words: Sequence[str], request: bytes) -> dict[str, str]:
        """Answer as `legalcloud-hsm certificate` does."""
        self.asked.append(words)
        wish = x509.load_pem_x509_csr(request)
        return {"certificate": pem(self.issue(wish.subject, wish.public_key(), client=True)).decode()}


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


class Bao(ThreadingHTTPServer):
    """Answers from `answers`, by method and path, and notes method, path, token and the caller's common name."""

    answers: dict[str, tuple[int, Any]]
    seen: list[tuple[str, str, str]]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 -- as in the base class
        """Say nothing: a refused handshake is what some tests want."""


class Answer(BaseHTTPRequestHandler):
    """One call."""

    protocol_version = "HTTP/1.1"
    server: Bao

    def answer(self) -> None:
        what = f"{self.command} {self.path.removeprefix('/v1/')}"
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        peer: Any = self.connection
        subject = dict(pair[0] for pair in (peer.getpeercert() or {}).get("subject", ()))
        self.server.seen.append((what, self.headers.get("X-Vault-Token", ""), subject.get("commonName", "")))
        status, body = self.server.answers.get(what, (404, {"errors": []}))
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_DELETE = do_LIST = answer  # noqa: N815 -- the base class looks for these names

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
