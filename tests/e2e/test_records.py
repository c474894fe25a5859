"""Records of the lab are signed in the evidence token, and no other key of the lab can sign one."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.e2e.nodes import Lab, Node, tool

from legalcloud import dsse
from legalcloud.cli import main
from legalcloud.errors import InputError, NotAuthenticError
from legalcloud.records.record import Record, sign, verify

pytestmark = pytest.mark.ci

NOW = datetime.now(UTC).replace(microsecond=0)
RECORD = Record(kind="trial", subject="lab", issued_at=NOW, body={"案": [1, True, None]})
CERTIFICATE = "/etc/legalcloud/hsm/evidence.crt"


@pytest.fixture(scope="module")
def trust(lab: Lab) -> Path:
    return Path(lab.variables["ca_dir"]) / "ca.crt"


@pytest.fixture(scope="module")
def evidence(lab: Lab) -> Node:
    """Return the host of the evidence token."""
    for node in lab.nodes.values():
        if node.run(["ls", CERTIFICATE], good=(0, 2)):
            return node
    pytest.fail("no node has an evidence certificate: run playbooks/site.yml", pytrace=False)


def in_hsm(node: Node) -> dsse.Sign:
    def ask(data: bytes) -> bytes:
        answer = json.loads(node.run(["/usr/local/sbin/legalcloud-hsm", "sign", "evidence", "evidence"], data))
        return base64.b64decode(answer["signature"])

    return ask


def test_a_record_that_the_evidence_token_signed_holds(evidence: Node, trust: Path) -> None:
    raw = sign(RECORD, certificate_pem=evidence.run(["cat", CERTIFICATE]), signature=in_hsm(evidence))

    found, signer = verify(raw, ca_pem=trust.read_bytes(), now=datetime.now(UTC))

    assert found == RECORD
    assert signer.curve == "secp384r1"


def test_openssl_alone_can_check_a_record(evidence: Node, trust: Path, tmp_path: Path) -> None:
    """An auditor needs none of our code: base64, the standard's bytes and openssl."""
    raw = sign(RECORD, certificate_pem=evidence.run(["cat", CERTIFICATE]), signature=in_hsm(evidence))
    document = json.loads(raw)
    signature, payload = document["signatures"][0], base64.b64decode(document["payload"])
    kind = document["payloadType"].encode()
    (tmp_path / "signed").write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
    (tmp_path / "sig").write_bytes(base64.b64decode(signature["sig"]))
    (tmp_path / "crt").write_bytes(base64.b64decode(signature["certificate"]))

    for name in ("signed", "sig", "crt"):
        evidence.run(["tee", f"/run/record-{name}"], (tmp_path / name).read_bytes())
    extract = "openssl x509 -inform DER -in /run/record-crt -pubkey -noout -out /run/record-pub"
    evidence.run(extract.split())
    check = "openssl dgst -sha384 -verify /run/record-pub -signature /run/record-sig /run/record-signed"
    said = evidence.text(*check.split())
    evidence.run(["rm", *(f"/run/record-{name}" for name in ("signed", "sig", "crt", "pub"))])

    assert said.strip() == "Verified OK"


def test_the_key_of_a_nodes_listener_signs_no_record(lab: Lab, trust: Path) -> None:
    """The same CA vouches for it, and root on that node can use it."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 -- only here
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 -- only here
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 -- only here

    node = lab.admin()
    key = load_pem_private_key(node.run(["cat", "/etc/legalcloud/pki/node.key"]), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    certificate = node.run(["cat", "/etc/legalcloud/pki/node.crt"])
    raw = sign(RECORD, certificate_pem=certificate, signature=lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())))

    with pytest.raises(NotAuthenticError, match=f"signed by '{node.name}'"):
        verify(raw, ca_pem=trust.read_bytes(), now=datetime.now(UTC))


def test_a_token_and_a_certificate_that_do_not_belong_together_sign_nothing(evidence: Node, lab: Lab) -> None:
    other = lab.admin().run(["cat", "/etc/legalcloud/pki/node.crt"])

    with pytest.raises(InputError, match="does not match the signer's certificate"):
        sign(RECORD, certificate_pem=other, signature=in_hsm(evidence))


def test_the_lab_has_a_record_of_its_ceremony(lab: Lab, trust: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path, *_) = (lab.state_dir / "controller/records").glob("*-key-ceremony-*.json")

    code = main(["record", "verify", str(path), "--trust", str(trust)])

    assert code == 0, capsys.readouterr()
    assert "密鑰儀式紀錄" in capsys.readouterr().out


def test_a_task_writes_a_record_and_refuses_what_has_no_one_form(
    lab: Lab, evidence: Node, trust: Path, tmp_path: Path
) -> None:

    def write(body: str) -> tuple[int, str]:
        words = f'{{"kind": "trial", "subject": "lab", "folder": "{tmp_path}", "ca_file": "{trust}", "body": {body}}}'
        done = tool("ansible", evidence.name, "-i", str(lab.inventory), "-b", "-m", "signed_record", "-a", words)
        return done.returncode, done.stdout + done.stderr

    code, output = write('{"words": "香港", "count": 3}')
    refused, reason = write('{"share": {"of": [0.5]}}')

    assert code == 0, output
    (path,) = tmp_path.glob("*.json")
    found, _ = verify(path.read_bytes(), ca_pem=trust.read_bytes(), now=datetime.now(UTC))
    assert found.body == {"words": "香港", "count": 3}
    assert hashlib.sha256(path.read_bytes()).hexdigest() in output
    assert refused != 0
    assert "$.body.share.of[0] 0.5 is not a whole number" in reason
