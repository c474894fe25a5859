"""`legalcloud record`: read a signed record, and check it with nothing but the CA's certificate."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from legalcloud.errors import Exit, InputError

if TYPE_CHECKING:
    from legalcloud.commands import Verbs
    from legalcloud.dsse import Signer
    from legalcloud.records.record import Record

BOLD, GREEN, YELLOW, PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[33m", "\x1b[0m"


def add_parser(verbs: Verbs) -> None:
    parser = verbs.add_parser("record", help="read or verify a signed record, such as a certificate of erasure")
    parser.description = "Read or verify a signed record: a key ceremony, a certificate of erasure, a restore drill."
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print what a record says, without asking whether it is authentic")
    show.description = "Print what a record says. It is not verified. Exit code 3: it cannot be read."
    show.add_argument("file", type=Path, metavar="FILE")
    show.set_defaults(run=run_show)
    verify = actions.add_parser("verify", help="check who signed a record, and print what it says")
    verify.description = (
        "Check a record against a CA that you trust: signature, signer's name, and both certificates at the time of "
        "signing. Needs no network and no HSM. Exit code 0: it is authentic; 3: it cannot be read or its date has not "
        "come; 4: it is not authentic."
    )
    verify.add_argument("file", type=Path, metavar="FILE")
    verify.add_argument("--trust", type=Path, required=True, metavar="CA.crt", help="certificate of the CA")
    verify.add_argument(
        "--signer", metavar="NAME", help="common name that the signer must have (default: Legal Cloud evidence)"
    )
    verify.add_argument("--json", action="store_true", help="print signer and record for machines")
    verify.set_defaults(run=run_verify)


def run_show(args: argparse.Namespace) -> Exit:
    from legalcloud.records.record import read  # noqa: PLC0415 -- nodes have no cryptography

    record = read(_bytes(args.file))
    _print(record, "not verified: `legalcloud record verify` asks who signed it", colour=YELLOW)
    return Exit.GOOD


def run_verify(args: argparse.Namespace) -> Exit:
    from legalcloud.records.record import SIGNER, verify  # noqa: PLC0415 -- nodes have no cryptography

    record, signer = verify(
        _bytes(args.file), ca_pem=_bytes(args.trust), now=datetime.now(UTC), signer=args.signer or SIGNER
    )
    if args.json:
        json.dump(_facts(record, signer), sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        verdict = f"authentic: signed by {signer.name}, key {signer.key_id[:16]}…, {signer.curve}"
        _print(record, verdict, colour=GREEN)
    return Exit.GOOD


def _facts(record: Record, signer: Signer) -> dict[str, object]:
    return {
        "authentic": True,
        "signer": {
            "name": signer.name,
            "key_id": signer.key_id,
            "certificate_serial_number": signer.serial_number,
            "valid_from": signer.not_before.isoformat(),
            "valid_until": signer.not_after.isoformat(),
            "curve": signer.curve,
        },
        "record": {
            "kind": record.kind,
            "subject": record.subject,
            "issued_at": record.issued_at.isoformat(),
            "body": record.body,
        },
    }


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="Name a file that is there.") from error


def _print(record: Record, verdict: str, *, colour: str) -> None:
    from legalcloud.records.text import lines  # noqa: PLC0415 -- nodes have no cryptography

    terminal = sys.stdout.isatty()
    title, *rest = lines(record)
    for style, line in ((BOLD, title), *(("", line) for line in rest), ("", ""), (colour, verdict)):
        sys.stdout.write(f"{style}{line}{PLAIN}\n" if terminal and style else f"{line}\n")
