"""The client against a TLS server of its own: what it says, whom it believes, and that nothing of a login stays."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import openbao
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.plugins.openbao_stand_in import Answer, Authority, Bao, name, pem

TOKEN = "s.of-a-test"  # noqa: S105 -- stands for one


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def bao(authority: Authority, tmp_path: Path) -> Iterator[Bao]:
    key = ec.generate_private_key(ec.SECP256R1())
    plain = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(plain + pem(authority.issue(name("bao"), key.public_key())))
    (tmp_path / "ca.crt").write_bytes(pem(authority.certificate))
    server = Bao(("127.0.0.1", 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    context.load_verify_locations(tmp_path / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    server.socket = context.wrap_socket(server.socket, server_side=True)
    address = f"https://127.0.0.1:{server.server_port}"
    server.seen = []
    server.answers = {
        "GET sys/leader": (200, {"leader_address": address}),
        "POST auth/cert/login": (200, {"auth": {"client_token": TOKEN}}),
        "POST auth/token/revoke-self": (204, b""),
    }
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def words(bao: Bao, authority: Authority, tmp_path: Path) -> dict[str, Any]:
    """Return what as_role takes to reach the server of this test."""
    return {
        "address": f"https://127.0.0.1:{bao.server_port}",
        "ca_file": str(tmp_path / "ca.crt"),
        "login_ca": "/login-ca.crt",
        "ask": authority.sign,
    }


@pytest.fixture
def client(words: dict[str, Any]) -> Iterator[openbao.Client]:
    with closing(openbao.Client(words["address"], openbao.trusting(words["ca_file"]), token=TOKEN)) as made:
        yield made


def test_nothing_at_a_path_is_none_and_an_empty_list(client: openbao.Client) -> None:
    assert client.read("sys/nothing") is None
    assert client.keys("transit-s3/keys") == []


def test_an_answer_is_its_json_and_no_answer_is_empty(bao: Bao, client: openbao.Client) -> None:
    bao.answers["GET sys/mounts"] = (200, {"data": {"sys/": {}}})
    bao.answers["POST sys/seal"] = (204, b"")
    bao.answers["LIST transit-s3/keys"] = (200, {"data": {"keys": ["b", "a"]}})

    assert client.read("sys/mounts") == {"data": {"sys/": {}}}
    assert client.write("sys/seal") == {}
    assert client.keys("transit-s3/keys") == ["a", "b"]
    assert {token for _, token, _ in bao.seen} == {TOKEN}


def test_a_refusal_carries_baos_own_words_the_call_and_the_status(bao: Bao, client: openbao.Client) -> None:
    bao.answers["GET sys/policies/acl/root"] = (403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]})

    with pytest.raises(openbao.OpenBaoError, match=r"GET sys/policies/.* at .*: 403: .* permission denied$") as said:
        client.read("sys/policies/acl/root")

    assert said.value.status == 403
    assert TOKEN not in str(said.value)
    assert TOKEN not in repr(client)


def test_a_404_with_words_is_a_refusal_and_not_an_absence(bao: Bao, client: openbao.Client) -> None:
    bao.answers["GET sys/nonsense"] = (404, {"errors": ["unsupported path"]})

    with pytest.raises(openbao.OpenBaoError, match="unsupported path"):
        client.read("sys/nonsense")


def test_what_is_not_json_is_told_as_no_answer(bao: Bao, client: openbao.Client) -> None:
    bao.answers["GET sys/mounts"] = (502, b"<html>")

    with pytest.raises(openbao.OpenBaoError, match="no answer"):
        client.read("sys/mounts")


def test_a_server_of_another_ca_is_not_believed(words: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "other.crt").write_bytes(pem(Authority().certificate))

    with pytest.raises(openbao.OpenBaoError, match="certificate verify failed"):
        openbao.leader(words["address"], ca_file=str(tmp_path / "other.crt"))


def test_a_login_shows_a_certificate_for_its_role_and_ends_its_token(
    bao: Bao, words: dict[str, Any], authority: Authority
) -> None:
    with openbao.as_role("snapshot", **words) as found:
        assert found.token == TOKEN

    assert found.token == ""
    assert bao.seen == [
        ("GET sys/leader", "", ""),
        ("POST auth/cert/login", "", "snapshot"),
        ("POST auth/token/revoke-self", TOKEN, "snapshot"),
    ]
    assert authority.asked[-1] == [
        "certificate", "kms", "login-ca", "--ca", "/login-ca.crt", "--common-name", "snapshot", "--minutes", "10",
    ]  # fmt: skip


def test_the_token_ends_after_an_error_too_and_the_error_is_the_one_that_is_told(
    bao: Bao, words: dict[str, Any]
) -> None:
    bao.answers["POST auth/token/revoke-self"] = (500, {"errors": ["no audit"]})

    with pytest.raises(ZeroDivisionError), openbao.steward(**words):
        raise ZeroDivisionError

    assert bao.seen[-1][0] == "POST auth/token/revoke-self"


def test_without_an_active_node_nobody_logs_in(bao: Bao, words: dict[str, Any]) -> None:
    bao.answers["GET sys/leader"] = (200, {"leader_address": ""})

    with pytest.raises(openbao.OpenBaoError, match="no active OpenBao"), openbao.steward(**words):
        pass

    assert [what for what, _, _ in bao.seen] == ["GET sys/leader"]


def test_what_the_hsm_says_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "legalcloud-hsm"
    words = '{"reason": "pin-wrong", "message": "refused.", "remedy": "Keep it."}'
    tool.write_text(f"#!/bin/sh\necho '{words}'\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setattr(openbao, "TOOL", str(tool))

    with pytest.raises(openbao.OpenBaoError, match=r"the HSM did not sign: pin-wrong refused\. Keep it\."):
        openbao.ask_hsm(["certificate", "kms", "login-ca"], b"")


def test_a_node_without_the_tool_is_told_which_role_places_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openbao, "TOOL", "/nonexistent/legalcloud-hsm")

    with pytest.raises(openbao.OpenBaoError, match="role hsm"):
        openbao.ask_hsm(["certificate", "kms", "login-ca"], b"")
