"""One record: what it says of itself, how it is signed, and how it is checked."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from legalcloud import canonical, dsse
from legalcloud.errors import InputError, ParseError, SourceError

TYPE = "https://legalcloud.hk/records/v1"
PAYLOAD_TYPE = "application/vnd.legalcloud.record+json"
SIGNER = "Legal Cloud evidence"
"""Common name of the certificate that signs records, if the role hsm was told no other."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
CLOCK_DIFFERENCE = timedelta(minutes=5)
TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What happened, to what, when."""

    kind: str
    """Such as `key-ceremony` or `erasure`."""
    subject: str
    """What it is about: a tenant's id, a service, a key."""
    issued_at: datetime
    """UTC, whole seconds; by the clock of the controller."""
    body: Mapping[str, canonical.Json]

    @property
    def file_name(self) -> str:
        return f"{self.issued_at:%Y%m%dT%H%M%SZ}-{self.kind}-{self.subject}.json"


def to_payload(record: Record) -> bytes:
    """Return the bytes to sign. Raises: InputError if a word or a value cannot stand in a record."""
    for what, word in (("kind", record.kind), ("subject", record.subject)):
        if not NAME.fullmatch(word):
            raise InputError(f"the {what} {word!r} of a record is not of [a-z0-9-]", hint="Use another word.")
    return canonical.canonical(
        {
            "_type": TYPE,
            "kind": record.kind,
            "subject": record.subject,
            "issued_at": shown(record.issued_at),
            "body": record.body,
        }
    )


def from_payload(raw: bytes) -> Record:
    """Read what was signed. Raises: ParseError."""
    match canonical.read(raw, what="the record"):
        case {
            "_type": str(kind_of_file),
            "kind": str(kind),
            "subject": str(subject),
            "issued_at": str(issued_at),
            "body": dict(body),
            **others,
        } if kind_of_file == TYPE and not others:
            return Record(kind=kind, subject=subject, issued_at=moment(issued_at), body=body)
    raise ParseError(
        f"this is not a record of the form {TYPE}", hint="It may be of a later version: use that version's command."
    )


def moment(text: str) -> datetime:
    """Read a time as records have it. Raises: ParseError."""
    try:
        return datetime.strptime(text, TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise ParseError(f"{text!r} is not a time like 2026-12-01T09:00:00Z") from error


def shown(time: datetime) -> str:
    return time.astimezone(UTC).strftime(TIME)


def sign(record: Record, *, certificate_pem: bytes, signature: dsse.Sign) -> bytes:
    """Return the file of a record; `signature` asks the HSM."""
    return dsse.seal(to_payload(record), PAYLOAD_TYPE, certificate_pem=certificate_pem, sign=signature)


def read(raw: bytes) -> Record:
    """Read a record without asking whether it is authentic. Raises: ParseError."""
    return from_payload(_of_our_type(dsse.from_file(raw)).payload)


def verify(raw: bytes, *, ca_pem: bytes, now: datetime, signer: str = SIGNER) -> tuple[Record, dsse.Signer]:
    """Return a record and who signed it.

    Raises: NotAuthenticError if it does not hold, ParseError if it is no record, SourceError if its date has not come.
    """
    envelope = _of_our_type(dsse.from_file(raw))
    by = dsse.verify(envelope, ca_pem=ca_pem, signer=signer, signed_at=lambda payload: from_payload(payload).issued_at)
    record = from_payload(envelope.payload)
    if record.issued_at > now + CLOCK_DIFFERENCE:
        raise SourceError(
            f"the signature holds, but the record is of {shown(record.issued_at)}, and this machine's clock says "
            f"{shown(now)}",
            hint="Correct this machine's clock, then verify again. If it is right, ask how the record was made.",
        )
    return record, by


def _of_our_type(envelope: dsse.Envelope) -> dsse.Envelope:
    if envelope.payload_type != PAYLOAD_TYPE:
        raise ParseError(
            f"the file holds {envelope.payload_type!r}, not {PAYLOAD_TYPE}", hint="Use the command for such files."
        )
    return envelope


def keep(folder: Path, record: Record, raw: bytes) -> Path:
    """Put the file into a folder, whole and 0644; a record that is there already is never replaced.

    Raises: InputError if it is there, OSError.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    path = folder / record.file_name
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError as error:
        raise InputError(
            f"{path} is there already, and a record is never replaced", hint="Wait a second and run it again."
        ) from error
    finally:
        Path(name).unlink(missing_ok=True)
    return path
