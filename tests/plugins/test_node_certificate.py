from __future__ import annotations

import importlib
import os
import pwd
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from grp import getgrgid
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from plugins.filter.certificate import certificate_refusals, certificate_wish
from plugins.module_utils.certificate_state import PURPOSES, Certificate, Wish, reasons
from tests.plugins.node_module import run

NOW = datetime(2026, 11, 23, tzinfo=UTC)
NAMES = ["DNS:tko-1", "IP:10.77.1.11"]
WISH = Wish(common_name="tko-1", names=frozenset(NAMES), renew_before=timedelta(days=30))


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """A CA as the controller has one."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, request: str, *, days: float = 90) -> str:
        csr, now = x509.load_pem_x509_csr(request.encode()), datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(csr.subject)
            .issuer_name(self.certificate.subject)
            .public_key(csr.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=days))
        )
        for extension in csr.extensions:
            builder = builder.add_extension(extension.value, critical=extension.critical)
        return builder.sign(self.key, hashes.SHA384()).public_bytes(serialization.Encoding.PEM).decode()


def authority() -> Authority:
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW - timedelta(days=9999))
    builder = builder.not_valid_after(NOW + timedelta(days=9999))
    return Authority(key=key, certificate=builder.sign(key, hashes.SHA384()))


@pytest.fixture(scope="module")
def ca() -> Authority:
    return authority()


class Node:
    """The module on one node, with its answers."""

    def __init__(self, folder: Path, ca: Authority, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.ca, self.capsys = folder, ca, capsys
        owner, group = pwd.getpwuid(os.getuid()).pw_name, getgrgid(os.getgid()).gr_name
        self.wish = {"name": "node", "common_name": "tko-1", "names": NAMES, "owner": owner, "group": group}

    def keep(self, *, signed: str | None = None, check: bool = False, **wish: Any) -> dict[str, Any]:  # noqa: ANN401
        arguments = {
            "folder": str(self.folder),
            "ca_certificate": self.ca.pem,
            "renew_before_days": 30,
            "certificates": [self.wish | wish],
            "signed": {"node": signed} if signed else {},
        }
        return run(self.capsys, "node_certificate", arguments, check=check)

    def request(self, **wish: Any) -> str:  # noqa: ANN401 -- any option
        return str(self.keep(**wish)["requests"][0]["request"])

    def file(self, suffix: str) -> Path:
        return self.folder / f"node{suffix}"


@pytest.fixture
def node(tmp_path: Path, ca: Authority, capsys: pytest.CaptureFixture[str]) -> Node:
    if os.getuid() != 0:
        pytest.skip("the module gives public files to root")
    importlib.import_module("plugins.modules.node_certificate")
    return Node(tmp_path, ca, capsys)


def test_a_key_is_made_once_and_the_signed_certificate_is_installed(node: Node, ca: Authority) -> None:
    request = node.request()
    key = node.file(".key").read_bytes()

    installed = node.keep(signed=ca.sign(request))
    again = node.keep()

    assert node.file(".key").read_bytes() == key
    assert installed["changed_paths"] == [str(node.file(".crt"))]
    assert (again["changed"], again["requests"]) == (False, [])
    assert node.file(".key").stat().st_mode & 0o777 == 0o600


def test_the_key_is_in_no_answer(node: Node, ca: Authority) -> None:
    first = node.keep()
    second = node.keep(signed=ca.sign(first["requests"][0]["request"]), combined=True)

    body = node.file(".key").read_text().splitlines()[1]
    assert body not in str(first) + str(second)


def test_the_combined_file_is_certificate_then_key_with_the_keys_mode(node: Node, ca: Authority) -> None:
    node.keep(signed=ca.sign(node.request()), combined=True, key_mode="0640")

    text = node.file(".pem").read_text()
    assert text == node.file(".crt").read_text() + node.file(".key").read_text()
    assert node.file(".pem").stat().st_mode & 0o777 == 0o640


def test_check_mode_makes_no_key_and_says_that_it_would(node: Node) -> None:
    result = node.keep(check=True)

    assert result["changed"] is True
    assert result["requests"] == [{"name": "node", "request": "", "reasons": ["there is no key"]}]
    assert list(node.folder.iterdir()) == []


@pytest.mark.parametrize(("days", "asks"), [(29, True), (31, False)])
def test_a_certificate_is_renewed_in_its_last_thirty_days(node: Node, ca: Authority, days: int, asks: bool) -> None:
    signed = ca.sign(node.request(), days=days)
    node.file(".crt").write_text(signed)

    assert bool(node.keep()["requests"]) is asks


def test_other_names_ask_for_another_certificate_with_the_same_key(node: Node, ca: Authority) -> None:
    node.keep(signed=ca.sign(node.request()))
    key = node.file(".key").read_bytes()

    result = node.keep(names=["DNS:tko-1", "DNS:*.s3.lab.test"])

    assert "missing: DNS:*.s3.lab.test; extra: IP:10.77.1.11" in result["requests"][0]["reasons"][0]
    assert node.file(".key").read_bytes() == key


def test_a_certificate_of_another_ca_is_not_installed(node: Node) -> None:
    result = node.keep(signed=authority().sign(node.request()))

    assert "it is not from the present CA" in result["msg"]
    assert not node.file(".crt").exists()


def test_a_certificate_for_another_key_is_not_installed(node: Node, ca: Authority) -> None:
    signed = ca.sign(node.request())
    node.file(".key").unlink()

    assert "it is not for this node's key" in node.keep(signed=signed)["msg"]


def test_garbage_in_place_of_a_certificate_is_replaced_and_of_a_key_refused(node: Node) -> None:
    node.keep()
    node.file(".crt").write_text("not a certificate")
    assert node.keep()["requests"][0]["reasons"] == ["there is no certificate"]

    node.file(".key").write_text("not a key")
    assert "Move it away" in node.keep()["msg"]
    assert node.file(".key").read_text() == "not a key"


def test_a_name_of_neither_kind_is_refused(node: Node) -> None:
    assert "'tko-1' is neither DNS:name nor IP:address" in node.keep(names=["tko-1"])["msg"]


def test_a_certificate_for_signing_says_so_and_has_no_names(node: Node, ca: Authority) -> None:
    request = node.request(purpose="signing", names=[])

    installed = node.keep(signed=ca.sign(request), purpose="signing", names=[])

    assert installed["requests"] == []
    made = x509.load_pem_x509_certificate(node.file(".crt").read_bytes())
    purposes = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [purpose.dotted_string for purpose in purposes] == ["1.3.6.1.5.5.7.3.36"]
    with pytest.raises(x509.ExtensionNotFound):
        made.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_a_certificate_for_tls_is_replaced_when_it_shall_sign(node: Node, ca: Authority) -> None:
    node.keep(signed=ca.sign(node.request()))

    assert "it is not for signing" in node.keep(purpose="signing", names=[])["requests"][0]["reasons"]


def certificate(**changes: Any) -> Certificate:  # noqa: ANN401 -- any field
    facts: dict[str, Any] = {
        "not_before": NOW - timedelta(days=1),
        "not_after": NOW + timedelta(days=60),
        "common_name": "tko-1",
        "names": frozenset(NAMES),
        "purposes": PURPOSES["tls"],
        "is_for_key": True,
        "is_from_ca": True,
    }
    return Certificate(**{**facts, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"not_after": NOW + timedelta(days=30)}, None),
        ({"not_after": NOW + timedelta(days=29, hours=23)}, "it ends at 2026-12-22 23:00 UTC"),
        ({"not_after": NOW - timedelta(days=1)}, "it ends at"),
        ({"not_before": NOW + timedelta(hours=1)}, "it begins only at 2026-11-23 01:00 UTC"),
        ({"is_from_ca": False}, "not from the present CA"),
        ({"common_name": "tko-2"}, "its common name is tko-2, not tko-1"),
        ({"purposes": PURPOSES["signing"]}, "it is not for tls"),
        ({"purposes": frozenset()}, "it is not for tls"),
        ({"purposes": frozenset({"1.3.6.1.5.5.7.3.2"})}, None),
    ],
)
def test_each_reason_for_a_new_certificate_is_said(changes: dict[str, Any], said: str | None) -> None:
    found = reasons(certificate(**changes), WISH, now=NOW)

    assert [said in reason for reason in found] == [True] if said else found == ()


DESCRIBED = {
    "signature_valid": True,
    "subject": {"commonName": "tko-1"},
    "subject_alt_name": ["DNS:tko-1", "IP:10.77.1.11"],
    "basic_constraints": ["CA:FALSE"],
    "key_usage": ["Digital Signature"],
    "extended_key_usage": ["TLS Web Client Authentication", "TLS Web Server Authentication"],
    "public_key_type": "ECC",
    "public_key_data": {"curve": "secp256r1"},
}
WANTED = certificate_wish({"name": "node", "names": None}, "tko-1", NAMES)


def test_what_a_request_leaves_out_is_the_nodes_own() -> None:
    assert WANTED == {"name": "node", "common_name": "tko-1", "names": NAMES, "purpose": "tls"}


def test_a_request_for_signing_has_no_names_of_the_node() -> None:
    wish = certificate_wish({"name": "statement", "purpose": "signing"}, "tko-1", NAMES)

    assert wish["names"] == []


def test_a_request_as_the_inventory_says_may_be_signed() -> None:
    assert certificate_refusals(DESCRIBED, WANTED) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"subject": {"commonName": "tko-2"}}, "its subject is"),
        ({"subject": {"commonName": "tko-1", "organizationName": "x"}}, "its subject is"),
        ({"subject_alt_name": ["DNS:tko-1", "IP:10.77.1.11", "DNS:cwn-1"]}, "its names are"),
        ({"subject_alt_name": None}, "its names are"),
        ({"basic_constraints": ["CA:TRUE"]}, "CA:FALSE"),
        ({"basic_constraints": None}, "CA:FALSE"),
        ({"key_usage": ["Certificate Sign"]}, "key usage"),
        ({"signature_valid": False}, "signature"),
        ({"extended_key_usage": ["1.3.6.1.5.5.7.3.36"]}, "not for tls"),
        ({"extended_key_usage": None}, "it is for any, not for tls"),
        ({"public_key_type": "RSA", "public_key_data": {}}, "EC P-256"),
    ],
)
def test_a_request_for_more_is_not_signed(changes: dict[str, Any], said: str) -> None:
    (refusal,) = certificate_refusals({**DESCRIBED, **changes}, WANTED)

    assert said in refusal
