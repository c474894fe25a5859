"""How bao and the plugin find each other, and that nobody else does: pure parts, and a real TLS handshake in memory."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from legalcloud_kms import handshake
from legalcloud_kms.errors import RefusalError
from legalcloud_kms.handshake import Identity

COOKIE = {handshake.COOKIE_NAME: handshake.COOKIE_VALUE}
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def pem(identity: Identity) -> str:
    return ssl.DER_cert_to_PEM_cert(identity.certificate_der)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "bao starts it by itself"),
        ({handshake.COOKIE_NAME: "another"}, "bao starts it by itself"),
        (COOKIE, "mutual TLS only"),
        (COOKIE | {"PLUGIN_CLIENT_CERT": ""}, "mutual TLS only"),
        (COOKIE | {"PLUGIN_CLIENT_CERT": "x", "PLUGIN_PROTOCOL_VERSIONS": "2,11"}, "plugin protocol 2,11"),
    ],
)
def test_it_refuses_to_serve_anyone_else(environment: dict[str, str], words: str) -> None:
    with pytest.raises(RefusalError, match=words):
        handshake.invitation(environment)


def test_an_invitation_may_name_a_folder_that_bao_clears() -> None:
    invited = handshake.invitation(
        COOKIE | {"PLUGIN_CLIENT_CERT": "x", "PLUGIN_PROTOCOL_VERSIONS": "1", "PLUGIN_UNIX_SOCKET_DIR": "/run/x"}
    )

    assert (invited.client_certificate, invited.socket_folder) == ("x", Path("/run/x"))


def test_a_certificate_that_is_none_is_refused() -> None:
    with pytest.raises(RefusalError, match="no certificate"):
        handshake.tls(handshake.make_identity(NOW), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----")
    with pytest.raises(RefusalError, match="no certificate"):
        handshake.tls(handshake.make_identity(NOW), "nonsense")


def test_the_certificate_is_valid_a_little_before_now_for_localhost() -> None:
    certificate = x509.load_der_x509_certificate(handshake.make_identity(NOW).certificate_der)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]


def test_the_line_has_six_fields_and_a_certificate_without_padding() -> None:
    identity = handshake.make_identity(NOW)

    fields = handshake.line(Path("/run/x/s"), identity).split("|")

    assert fields[:5] == ["1", "1", "unix", "/run/x/s", "grpc"]
    assert not fields[5].endswith("=")
    assert base64.b64decode(fields[5] + "=" * (-len(fields[5]) % 4)) == identity.certificate_der


def shake(client: Identity, expected: Identity, tmp_path: Path) -> ssl.SSLObject:
    """Run a TLS handshake between a client and a plugin that was invited by `expected`."""
    server_identity = handshake.make_identity(datetime.now(UTC))
    (tmp_path / "client.pem").write_bytes(client.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem(server_identity))
    context.load_cert_chain(tmp_path / "client.pem")
    context.set_alpn_protocols(["h2"])
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = context.wrap_bio(down, up, server_hostname="localhost")
    far = handshake.tls(server_identity, pem(expected)).wrap_bio(up, down, server_side=True)
    for _ in range(4):
        for side in (near, far):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return far


def test_the_invited_client_is_served_over_tls_1_3_and_http_2(tmp_path: Path) -> None:
    client = handshake.make_identity(datetime.now(UTC))

    far = shake(client, client, tmp_path)

    assert (far.version(), far.selected_alpn_protocol()) == ("TLSv1.3", "h2")
    assert far.getpeercert(binary_form=True) == client.certificate_der


def test_any_other_client_is_turned_away(tmp_path: Path) -> None:
    now = datetime.now(UTC)

    with pytest.raises(ssl.SSLError, match=r"(?i)certificate"):
        shake(handshake.make_identity(now), handshake.make_identity(now), tmp_path)
