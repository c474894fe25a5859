#!/usr/bin/python3
"""Stands in for `legalcloud-hsm certificate kms login-ca`: signs with a key in a file, which production never has."""

import json
import sys
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

parser = ArgumentParser()
parser.add_argument("words", nargs=3)
parser.add_argument("--ca", type=Path, required=True)
parser.add_argument("--common-name", required=True)
parser.add_argument("--days", type=int, required=True)
asked = parser.parse_args()
assert asked.words == ["certificate", "kms", "login-ca"]
request = x509.load_pem_x509_csr(sys.stdin.buffer.read())
assert [name.value for name in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [asked.common_name]
ca = x509.load_pem_x509_certificate(asked.ca.read_bytes())
key = serialization.load_pem_private_key(asked.ca.with_suffix(".key").read_bytes(), None)
assert isinstance(key, ec.EllipticCurvePrivateKey)
now = datetime.now(UTC)
builder = (
    x509.CertificateBuilder()
    .subject_name(request.subject)
    .issuer_name(ca.subject)
    .public_key(request.public_key())
    .serial_number(x509.random_serial_number())
    .not_valid_before(now - timedelta(minutes=5))
    .not_valid_after(now + timedelta(days=asked.days))
    .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
)
for extension in request.extensions:
    builder = builder.add_extension(extension.value, critical=extension.critical)
certificate = builder.sign(key, hashes.SHA256())
json.dump({"certificate": certificate.public_bytes(serialization.Encoding.PEM).decode()}, sys.stdout)
