"""How bao and a plugin find each other: a cookie, certificates made for this one conversation, and one line on stdout.

Source: hashicorp/go-plugin 1.8, docs/guide-plugin-write-non-go.md and client.go (AutoMTLS).
"""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from legalcloud_kms.errors import RefusalError

COOKIE_NAME = "OPENBAO_KMS_PLUGIN"
COOKIE_VALUE = "39704a18-7da7-4bda-9a2d-f7c488d70328"
"""Public: it tells bao from a person at a shell, and nothing else."""
CORE_PROTOCOL, PLUGIN_PROTOCOL = 1, 1
CLOCK_TOLERANCE = timedelta(minutes=5)
LIFETIME = timedelta(days=3650)
"""Longer than a process runs; the certificate dies with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What bao hands to a plugin that it starts."""

    client_certificate: str
    """PEM; the only client that may connect."""
    socket_folder: Path | None
    """A folder that bao removes itself, even after it had to kill us; None: ours to make."""


def invitation(environment: Mapping[str, str]) -> Invitation:
    """Read the invitation, or refuse to serve."""
    if environment.get(COOKIE_NAME) != COOKIE_VALUE:
        raise RefusalError('this is an OpenBao KMS plugin; bao starts it by itself (plugin "kms" "pkcs11" {...})')
    versions = environment.get("PLUGIN_PROTOCOL_VERSIONS", str(PLUGIN_PROTOCOL))
    if str(PLUGIN_PROTOCOL) not in versions.split(","):
        raise RefusalError(f"bao speaks plugin protocol {versions}, this plugin {PLUGIN_PROTOCOL}; use a matching pair")
    certificate = environment.get("PLUGIN_CLIENT_CERT", "")
    if not certificate:
        raise RefusalError("no client certificate (PLUGIN_CLIENT_CERT); the root key is served over mutual TLS only")
    folder = environment.get("PLUGIN_UNIX_SOCKET_DIR")
    return Invitation(client_certificate=certificate, socket_folder=Path(folder) if folder else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Key and certificate of this process."""

    pem: bytes
    certificate_der: bytes


def make_identity(now: datetime) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Identity(
        pem=key_pem + certificate.public_bytes(serialization.Encoding.PEM),
        certificate_der=certificate.public_bytes(serialization.Encoding.DER),
    )


def tls(identity: Identity, client_certificate: str) -> ssl.SSLContext:
    """Accept one client, the one that holds the key of this certificate. Our own key touches no file system."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    try:
        context.load_verify_locations(cadata=client_certificate)
    except (ssl.SSLError, ValueError):
        raise RefusalError("PLUGIN_CLIENT_CERT is no certificate; was the environment of bao's unit changed?") from None
    memory = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(memory, identity.pem)
        context.load_cert_chain(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)
    return context


def line(socket: Path, identity: Identity) -> str:
    """Write the one line that bao waits for. Its certificate has no padding: go-plugin reads raw base64."""
    certificate = base64.b64encode(identity.certificate_der).decode().rstrip("=")
    return f"{CORE_PROTOCOL}|{PLUGIN_PROTOCOL}|unix|{socket}|grpc|{certificate}"
