"""What a node says of itself to one who asks, signed with its own key: facts, identity, counter and the asker's nonce.

Made and signed in a process that ends (this imports cryptography), by root, who alone can read the key: an agent that
was broken into can lie about facts, but can neither sign nor count.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from legalcloud import canonical, dsse, durable
from legalcloud.errors import InputError, NotAuthenticError, ParseError
from legalcloud.node.identity import Identity
from legalcloud.node.status import Part
from legalcloud.records.record import moment, shown

TYPE = "https://legalcloud.hk/node-statement/v1"
PAYLOAD_TYPE = "application/vnd.legalcloud.node-statement+json"
NONCE = re.compile(r"[0-9a-f]{32,128}")
"""16 to 64 random bytes."""
NO_SERIAL = "none"
"""Stands where the firmware has no serial."""
CLOCK_DIFFERENCE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one node said at one moment."""

    node: str
    nonce: str
    """The asker's, in hex."""
    counter: int
    """One more than in the node's last statement, or more if one was never finished."""
    issued_at: datetime
    """UTC, whole seconds, by the node's own clock; the probe `clock` says how good that is."""
    identity: Identity
    running: bool
    """Whether the daemon told it; False if it was away, and its probes were run once for this statement."""
    probes: Mapping[str, canonical.Json]
    """By name: `success`, `stale`, `age_seconds`, `duration_seconds`, `problem`, `facts`. Fractions stand as text.

    `success` is null while a probe's first run goes on. Once a run is past its deadline it is false, and
    `duration_seconds` is how long it has gone on.
    """


def probes(parts: tuple[Part, ...]) -> Mapping[str, canonical.Json]:
    """Say what every probe saw and how it went, without its lines: who reads facts judges by rules of their own."""
    return {
        part.name: {
            "success": part.success,
            "stale": part.stale,
            "age_seconds": exact(part.age_seconds),
            "duration_seconds": exact(part.duration_seconds),
            "problem": part.problem,
            "facts": exact(part.facts),
        }
        for part in parts
    }


def exact(value: object) -> canonical.Json:
    """Write fractions and counts beyond 2^53, which have no canonical form here, as text."""
    match value:
        case float():
            return repr(value)
        case int() if abs(value) > canonical.LARGEST:
            return str(value)
        case Mapping():
            return {key: exact(item) for key, item in value.items()}
        case list() | tuple():
            return [exact(item) for item in value]
    return cast("canonical.Json", value)


def to_payload(statement: Statement) -> bytes:
    """Return the bytes to sign. Raises: InputError if the nonce is none."""
    if not NONCE.fullmatch(statement.nonce):
        raise InputError(
            f"the nonce {statement.nonce[:20]!r} is not 32 to 128 digits of 0-9a-f",
            hint="Make one with `openssl rand -hex 32`.",
        )
    identity = {**asdict(statement.identity), "dmi_serial": statement.identity.dmi_serial or NO_SERIAL}
    return canonical.canonical(
        {
            "_type": TYPE,
            "node": statement.node,
            "nonce": statement.nonce,
            "counter": statement.counter,
            "issued_at": shown(statement.issued_at),
            "identity": identity,
            "running": statement.running,
            "probes": statement.probes,
        }
    )


def from_payload(raw: bytes) -> Statement:
    """Read what was signed. Raises: ParseError."""
    match canonical.read(raw, what="the statement"):
        case {
            "_type": str(kind),
            "node": str(node),
            "nonce": str(nonce),
            "counter": int(counter),
            "issued_at": str(issued_at),
            "identity": {"machine_id": str(machine_id), "dmi_serial": str(serial), "boot_id": str(boot_id), **beside},
            "running": bool(running),
            "probes": dict(found),
            **others,
        } if kind == TYPE and not isinstance(counter, bool) and counter > 0 and not beside and not others:
            return Statement(
                node=node,
                nonce=nonce,
                counter=counter,
                issued_at=moment(issued_at),
                identity=Identity(
                    machine_id=machine_id, dmi_serial=None if serial == NO_SERIAL else serial, boot_id=boot_id
                ),
                running=running,
                probes=found,
            )
    raise ParseError(f"this is not a statement of the form {TYPE}", hint="It may be of another version.")


def sign(statement: Statement, *, key_pem: bytes, certificate_pem: bytes) -> bytes:
    """Return the file of a statement. Raises: InputError if the key is not EC, or not the certificate's."""
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise InputError(f"the node's key for statements cannot be read: {error}", hint=_KEY) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InputError("the node's key for statements is not an EC key", hint=_KEY)
    return dsse.seal(
        to_payload(statement),
        PAYLOAD_TYPE,
        certificate_pem=certificate_pem,
        sign=lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())),
    )


_KEY = "Run playbooks/site.yml --tags certificate,agent."


def verify(raw: bytes, *, ca_pem: bytes, nonce: str, node: str, received_at: datetime) -> tuple[Statement, dsse.Signer]:
    """Check a statement that `node` gave to whoever chose `nonce`; return it and who signed it.

    `received_at` is the asker's clock as the answer came in: otherwise a node whose certificate has ended could name
    an earlier time. Raises: NotAuthenticError if it does not hold, ParseError if it is no statement.
    """
    envelope = dsse.from_file(raw)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise ParseError(f"the file holds {envelope.payload_type!r}, not {PAYLOAD_TYPE}", hint="Name a statement.")
    signer = dsse.verify(
        envelope, ca_pem=ca_pem, signer=node, signed_at=lambda payload: from_payload(payload).issued_at
    )
    statement = from_payload(envelope.payload)
    if statement.node != node:
        raise NotAuthenticError(f"{node} signed it, but it speaks for {statement.node!r}")
    if statement.nonce != nonce:
        raise NotAuthenticError("it answers another nonce: it was made for someone else, or earlier")
    if abs(received_at - statement.issued_at) > CLOCK_DIFFERENCE:
        raise NotAuthenticError(
            f"it says that it was made at {shown(statement.issued_at)}, and came in at {shown(received_at)}",
            hint="Correct the clock of the node or of this machine, and ask again.",
        )
    return statement, signer


def count(path: Path) -> int:
    """Take the next number, and keep it before anyone can use it: one killed here loses a number, and repeats none.

    Raises: InputError if the file is damaged or cannot be written.
    """
    try:
        with (path.parent / f".{path.name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            text = path.read_bytes() if path.exists() else b"0\n"
            if not re.fullmatch(rb"\d{1,15}\n", text):
                raise InputError(
                    f"{path} holds {text[:20]!r}, not a number",
                    hint="Write into it a number above that of this node's last statement.",
                )
            number = int(text) + 1
            durable.replace(path, f"{number}\n".encode())
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}", hint="Run this as root.") from error
    return number
