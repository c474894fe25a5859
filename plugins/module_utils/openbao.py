"""Calls OpenBao as a role that the HSM vouches for: no credential of an administrator is kept anywhere."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

HERE = "https://127.0.0.1:8200"
CA = "/usr/local/share/ca-certificates/legalcloud.crt"
LOGIN_CA = "/etc/legalcloud/hsm/login-ca.crt"
TOOL = "/usr/local/sbin/legalcloud-hsm"
CERTIFICATE_MINUTES = 10
CALL_SECONDS = 30
SIGN_SECONDS = 60
NOT_FOUND = 404
FIRST_ERROR = 400

Ask = Callable[[Sequence[str], bytes], Mapping[str, Any]]
"""Runs `legalcloud-hsm` with words and bytes on its standard input; returns the JSON that it printed."""


class OpenBaoError(Exception):
    """A call was refused or got no answer; the text says which call, the answer and what to do."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """Of HTTP; None if there was no answer."""


class Client:
    """One connection to one OpenBao, with a token or without."""

    def __init__(self, address: str, context: ssl.SSLContext, *, token: str = "") -> None:
        where = urlsplit(address)
        self.address = address
        self.token = token
        self._connection = http.client.HTTPSConnection(
            where.hostname or "", where.port or 443, timeout=CALL_SECONDS, context=context
        )

    def __repr__(self) -> str:
        return f"Client({self.address!r})"

    def read(self, path: str) -> dict[str, Any] | None:
        """Return the answer, or None if there is nothing at this path."""
        return self._call("GET", path)

    def keys(self, path: str) -> list[str]:
        """List the names below a path; none if it does not exist."""
        answer = self._call("LIST", path)
        return [] if answer is None else sorted(answer["data"]["keys"])

    def write(self, path: str, body: object = None) -> dict[str, Any]:
        return self._call("POST", path, body) or {}

    def delete(self, path: str) -> None:
        self._call("DELETE", path)

    def close(self) -> None:
        self._connection.close()

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any] | None:
        headers = {"X-Vault-Request": "true"} | ({"X-Vault-Token": self.token} if self.token else {})
        what = f"{method} {path} at {self.address}"
        try:
            self._connection.request(method, f"/v1/{path}", None if body is None else json.dumps(body), headers)
            answer = self._connection.getresponse()
            text = answer.read()
            found = json.loads(text) if text else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            msg = f"{what}: no answer ({error}). Look at `systemctl status openbao` there."
            raise OpenBaoError(msg) from error
        if answer.status == NOT_FOUND and not found.get("errors"):
            return None
        if answer.status >= FIRST_ERROR:
            said = "; ".join(" ".join(str(one).split()) for one in found.get("errors") or []) or answer.reason
            raise OpenBaoError(f"{what}: {answer.status}: {said}", status=answer.status)
        return dict(found)


def trusting(ca_file: str = CA) -> ssl.SSLContext:
    """Make the TLS of a caller without a certificate."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def leader(address: str = HERE, *, ca_file: str = CA) -> str:
    """Return the address of the active node: a standby answers reads by itself, a moment late."""
    with closing(Client(address, trusting(ca_file))) as client:
        found = client.read("sys/leader") or {}
    if not found.get("leader_address"):
        msg = (
            f"{address} knows no active OpenBao. Is a majority of its nodes up and unsealed? Run playbooks/verify.yml."
        )
        raise OpenBaoError(msg)
    return str(found["leader_address"])


def ask_hsm(words: Sequence[str], stdin: bytes) -> dict[str, Any]:
    """Run `legalcloud-hsm`. Raises: OpenBaoError with its own reason and remedy."""
    try:
        done = subprocess.run([TOOL, *words], input=stdin, capture_output=True, timeout=SIGN_SECONDS, check=False)
        answer = dict(json.loads(done.stdout))
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        msg = f"`{TOOL} {' '.join(words[:3])}`: {error}. The role hsm of site.yml places it."
        raise OpenBaoError(msg) from error
    if done.returncode != 0:
        said = " ".join(str(answer[key]) for key in ("reason", "message", "remedy") if answer.get(key))
        raise OpenBaoError(f"the HSM did not sign: {said}")
    return answer


@contextmanager
def as_role(
    role: str, *, address: str = HERE, ca_file: str = CA, login_ca: str = LOGIN_CA, ask: Ask = ask_hsm
) -> Iterator[Client]:
    """Log in at the active node with a certificate made for this moment; the token ends with the block.

    Key and token exist in this process's memory only. Raises: OpenBaoError, also if the HSM does not sign.
    """
    key, csr = _request(role)
    words = ("--ca", login_ca, "--common-name", role, "--minutes", str(CERTIFICATE_MINUTES))
    certificate = ask(["certificate", "kms", "login-ca", *words], csr)["certificate"]
    context = trusting(ca_file)
    _present(context, key + b"\n" + certificate.encode())
    with closing(Client(leader(address, ca_file=ca_file), context)) as client:
        answer = client.write("auth/cert/login", {"name": role})
        client.token = str(answer["auth"]["client_token"])
        try:
            yield client
        finally:
            with suppress(OpenBaoError):  # an earlier error is the one to tell; the token ends by itself in minutes
                client.write("auth/token/revoke-self")
            client.token = ""


def steward(**words: Any) -> Any:  # noqa: ANN401 -- what as_role takes and gives
    """Log in as the role that keeps engines, policies, logins and transit keys, and reads no data."""
    return as_role("steward", **words)


def _request(common_name: str) -> tuple[bytes, bytes]:
    """Make an EC P-256 key and the request for its certificate, both PEM."""
    from cryptography import x509  # noqa: PLC0415 -- a caller without a login needs no python3-cryptography
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 -- as above
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 -- as above
    from cryptography.x509.oid import NameOID  # noqa: PLC0415 -- as above

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, csr.public_bytes(serialization.Encoding.PEM)


def _present(context: ssl.SSLContext, pem: bytes) -> None:
    """Give the context a key and its certificate through memory: Python's ssl reads them from a file only."""
    handle = os.memfd_create("login")
    try:
        os.write(handle, pem)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
