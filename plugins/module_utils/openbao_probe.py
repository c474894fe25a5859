"""Asks a server what it says to everybody, without a token."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

API_PORT = 8200
HEALTH = "sys/health?standbyok=true&perfstandbyok=true"


def context(ca_path: str, certificate: str = "") -> ssl.SSLContext:
    """Trust the CA and, if a certificate's stem is given, show it: `certificate.crt` and `certificate.key`."""
    made = ssl.create_default_context(cafile=ca_path)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if certificate and Path(f"{certificate}.crt").exists():
        made.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
    return made


def fetch(host: str, port: int, path: str, *, tls: ssl.SSLContext, timeout_seconds: float = 3) -> tuple[int, bytes]:
    """Send one GET; raises OSError, of which ssl.SSLError is one, or http.client.HTTPException."""
    connection = http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=tls)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ask(host: str, path: str, *, tls: ssl.SSLContext, port: int = API_PORT) -> Mapping[str, Any] | None:
    """Return the JSON of an open endpoint whatever its status code; None without an answer that can be read."""
    try:
        _, body = fetch(host, port, f"/v1/{path}", tls=tls)
        found = json.loads(body)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return found if isinstance(found, dict) else None
