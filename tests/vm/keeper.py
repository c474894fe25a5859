"""An OpenBao on this host that the guest reaches as its host, with the policy and the login that production has."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from plugins.module_utils.openbao import Client, OpenBaoError, trusting

POLICY = Path("roles/openbao_access/files/policies/drive.hcl")
GUEST_SEES = "10.77.200.2"
START_SECONDS = 60


@dataclass(kw_only=True)
class Keeper:
    """One server; it is asked at 127.0.0.1:8200, which is where the guest's requests end."""

    folder: Path
    log: Path
    program: Path
    _process: subprocess.Popen[bytes] | None = None
    _unseal_key: str = field(default="", repr=False)
    _clients: list[Client] = field(default_factory=list, repr=False)
    """All that were made, to be closed in the end."""
    _root_token: str = field(default="", repr=False)

    def make(self) -> None:
        """Make it anew, with a mount for keys of drives and a login for the nodes vm-1 and vm-2."""
        (self.folder / "data").mkdir(parents=True, mode=0o700)
        ca_key, ca = _certificate("Keeper's CA", None)
        key, certificate = _certificate("keeper", (ca_key, ca))
        login_key, login_ca = _certificate("Login CA", None)
        for name, content in {"ca.crt": ca, "server.crt": certificate, "login-ca.crt": login_ca}.items():
            (self.folder / name).write_bytes(content.public_bytes(serialization.Encoding.PEM))
        for name, secret in {"server.key": key, "login-ca.key": login_key}.items():
            (self.folder / name).write_bytes(_pem(secret))
        (self.folder / "bao.hcl").write_text(f"""
            storage "raft" {{
              path = "{self.folder}/data"
              node_id = "keeper"
            }}
            cluster_addr = "https://127.0.0.1:8201"
            listener "tcp" {{
              address = "127.0.0.1:8200"
              tls_cert_file = "{self.folder}/server.crt"
              tls_key_file = "{self.folder}/server.key"
            }}
            api_addr = "https://127.0.0.1:8200"
        """)
        self.start()
        made = self._client().write("sys/init", {"secret_shares": 1, "secret_threshold": 1})
        self._unseal_key = made["keys"][0]
        self._root_token = made["root_token"]
        self._unseal()
        self.root.write("sys/auth/cert", {"type": "cert"})
        self.root.write("sys/mounts/drive-keys", {"type": "kv", "options": {"version": "2"}})
        found = self.root.read("sys/auth")
        assert found is not None
        policy = POLICY.read_text().replace("@cert_accessor@", found["data"]["cert/"]["accessor"])
        self.root.write("sys/policies/acl/drive", {"policy": policy})
        login = {
            "certificate": (self.folder / "login-ca.crt").read_text(),
            "allowed_common_names": ["drive-vm-1", "drive-vm-2"],
            "token_policies": ["drive"],
            "token_ttl": 600,
        }
        self.root.write("auth/cert/certs/drive", login)

    @property
    def root(self) -> Client:
        return self._client(self._root_token)

    def _client(self, token: str = "") -> Client:
        return self._noted(Client("https://127.0.0.1:8200", trusting(str(self.folder / "ca.crt")), token=token))

    def _noted(self, client: Client) -> Client:
        self._clients.append(client)
        return client

    def start(self) -> None:
        with self.log.open("ab") as said:
            self._process = subprocess.Popen(
                [
                    "/usr/bin/setpriv",
                    "--pdeathsig",
                    "KILL",
                    str(self.program),
                    "server",
                    f"-config={self.folder}/bao.hcl",
                ],
                stdout=said,
                stderr=said,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with suppress(OpenBaoError):
                self._client().read("sys/seal-status")
                break
            assert self._process.poll() is None, f"it ended: see {self.log} (is port 8200 taken?)"
            assert time.monotonic() < deadline, f"no answer: see {self.log}"
            time.sleep(0.2)
        if self._unseal_key:
            self._unseal()

    def _unseal(self) -> None:
        self._client().write("sys/unseal", {"key": self._unseal_key})
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(OpenBaoError):
                if (self._client().read("sys/leader") or {}).get("is_self"):
                    return
            time.sleep(0.2)
        raise AssertionError(f"it does not become active: see {self.log}")

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def names(self, owner: str) -> list[str]:
        """Names of the keys that one node keeps."""
        return self.root.keys(f"drive-keys/metadata/{owner}")

    def passphrase(self, owner: str, name: str) -> str:
        found = self.root.read(f"drive-keys/data/{owner}/{name}")
        assert found is not None, name
        return str(found["data"]["data"]["passphrase"])

    def as_node(self, common_name: str) -> Client:
        """Log in with a certificate that this login CA signs for a name."""
        signer = (
            serialization.load_pem_private_key((self.folder / "login-ca.key").read_bytes(), None),
            x509.load_pem_x509_certificate((self.folder / "login-ca.crt").read_bytes()),
        )
        assert isinstance(signer[0], ec.EllipticCurvePrivateKey)
        key, certificate = _certificate(common_name, (signer[0], signer[1]))
        both = self.folder / f"{common_name}.pem"
        both.write_bytes(_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        context = trusting(str(self.folder / "ca.crt"))
        context.load_cert_chain(both)
        client = self._noted(Client("https://127.0.0.1:8200", context))
        client.token = str(client.write("auth/cert/login", {"name": "drive"})["auth"]["client_token"])
        return client


_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def _certificate(common_name: str, issuer: Pair | None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    names = [x509.IPAddress(ip_address(address)) for address in ("127.0.0.1", GUEST_SEES)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    if issuer is None:
        builder = builder.add_extension(_SIGNS, critical=True)
    signer = issuer[0] if issuer else key
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return key, builder.add_extension(authority, critical=False).sign(signer, hashes.SHA256())


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
