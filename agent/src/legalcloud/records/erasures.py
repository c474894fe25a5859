"""Where the erasure of a tenant stands, by the notes of a run that was killed and by earlier certificates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from legalcloud.canonical import Json
from legalcloud.errors import ParseError
from legalcloud.records.record import Record
from legalcloud.reveal import write_whole


class Phase(StrEnum):
    """What a run has to do."""

    DESTROY = "destroy"
    """There are keys."""
    CERTIFY = "certify"
    """The keys are gone, but a run was killed before it wrote the certificate."""
    FINISH = "finish"
    """There is a certificate that is not final."""
    FINAL = "final"
    NOTHING = "nothing"
    """No key, no notes, no certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known before a run."""

    phase: Phase
    notes: Mapping[str, Json] | None
    """Written before the first key was destroyed."""
    certificate: Record | None
    path: Path | None
    """Of that certificate."""


def standing(folder: Path, tenant: str, *, keys: bool, check: Callable[[bytes], Record]) -> Standing:
    """Find out where the erasure of a tenant stands; `check` reads a certificate that is authentic.

    Raises: NotAuthenticError if the newest certificate does not hold, ParseError if it or the notes cannot be read.
    """
    notes = _notes(notes_path(folder, tenant))
    path = max(folder.glob(f"*-erasure-{tenant}.json"), default=None)
    certificate = check(path.read_bytes()) if path else None
    if keys:
        phase = Phase.DESTROY
    elif notes is not None:
        phase = Phase.CERTIFY
    elif certificate is None:
        phase = Phase.NOTHING
    else:
        phase = Phase.FINAL if certificate.body.get("final") is True else Phase.FINISH
    return Standing(phase=phase, notes=notes, certificate=certificate, path=path)


def notes_path(folder: Path, tenant: str) -> Path:
    return folder / "unfinished" / f"erasure-{tenant}.json"


def take_notes(folder: Path, tenant: str, notes: Mapping[str, Json]) -> None:
    """Write down what will be destroyed, 0600: names of objects are among it."""
    write_whole(notes_path(folder, tenant), json.dumps(notes, ensure_ascii=False, indent=1).encode())


def drop_notes(folder: Path, tenant: str) -> None:
    notes_path(folder, tenant).unlink(missing_ok=True)


def _notes(path: Path) -> Mapping[str, Json] | None:
    try:
        found: Mapping[str, Json] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ParseError(
            f"{path} is not JSON: {error}", hint="Move it away; the certificate then says less."
        ) from error
    return found
