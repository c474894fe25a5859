from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.plugins.node_module import run

END = datetime(2027, 11, 23, 18, 58, 40, tzinfo=UTC)


def test_each_certificate_says_when_it_ends_and_others_why_nobody_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, END - timedelta(days=365), END)
    good, junk, none = tmp_path / "good.crt", tmp_path / "junk.crt", tmp_path / "none.crt"
    good.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    junk.write_text("no certificate\n")

    found = run(capsys, "certificate_expiry", {"paths": [str(good), str(junk), str(none)]}, check=True)

    ends, problems = ({p: one[field] for p, one in found["certificates"].items()} for field in ("not_after", "problem"))
    assert datetime.fromisoformat(ends[str(good)]) == END
    assert (ends[str(junk)], ends[str(none)], problems[str(good)]) == ("", "", "")
    assert "openssl ended with 1: " in problems[str(junk)]
    assert "none.crt" in problems[str(none)]
    assert found["changed"] is False
