"""One token, one deed, one JSON object on standard output; exit 0 if it was done, 1 if it was refused."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from legalcloud_hsm import credential, deeds, places, softhsm, token
from legalcloud_hsm.errors import REMEDIES
from legalcloud_hsm.keys import Kind
from legalcloud_kms.answers import reserve
from legalcloud_kms.errors import KmsError

NODE_FILES = Path("/etc/legalcloud/pki")


def main(arguments: Sequence[str] | None = None) -> int:
    # A PIN passes through this process: no core file may hold it, and no file of ours is for others.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    asked = parser().parse_args(arguments)
    out = reserve()
    try:
        place = places.read(asked.token, asked.configuration)
        softhsm.settle(place)
        pin = token.kept(partial(credential.read, place.credential, os.environ, credential.run))
        answer = asked.deed(deeds.Desk(place=place, pin=pin, run=credential.run, read=sys.stdin.buffer.read), asked)
    except KmsError as error:
        answer = {"reason": error.reason, "message": str(error)}
        if remedy := REMEDIES.get(error.reason):
            answer["remedy"] = remedy
    else:
        answer = {"reason": "good", **answer}
    print(json.dumps(answer, indent=2), file=out, flush=True)
    return 0 if answer["reason"] == "good" else 1


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="legalcloud-hsm", description=__doc__)
    top.add_argument(
        "--configuration", type=Path, default=places.CONFIGURATION, help="where the tokens are (%(default)s)"
    )
    verbs = top.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, deed: deeds.Deed, text: str, *, label: bool = True) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.add_argument("token", metavar="TOKEN", help="the token's name in the configuration, such as kms")
        if label:
            added.add_argument("label", metavar="LABEL", help="the key's label")
        added.set_defaults(deed=deed)
        return added

    verb("describe", deeds.describe, "the token and its keys, with what each key may do", label=False)
    verb("check", deeds.check, "encrypt and decrypt, or sign and verify, with one key")
    made = verb("make-key", deeds.make_key, "generate a key in the token; it can never leave it")
    made.add_argument("kind", choices=[kind.value for kind in Kind])
    verb("destroy-key", deeds.destroy_key, "destroy a key; what only it could open is lost for ever")
    verb("sign", deeds.sign, "sign standard input with ECDSA P-384 and SHA-384")
    verb("public-key", deeds.public_key, "a signing key's public half as PEM")
    issued = verb("ca-certificate", deeds.ca_certificate, "a self-signed CA certificate for a signing key")
    issued.add_argument("--common-name", required=True)
    issued.add_argument("--days", type=_positive, required=True)
    issued = verb("certificate", deeds.certificate, "a client certificate for the request on standard input")
    issued.add_argument("--ca", type=Path, required=True, help="the certificate of the CA whose key LABEL is")
    issued.add_argument("--common-name", required=True, help="the only subject that is accepted")
    life = issued.add_mutually_exclusive_group(required=True)
    life.add_argument("--days", type=_positive)
    life.add_argument("--minutes", type=_positive)
    asking = verb("request", deeds.request, "a signing request for the token's own key")
    asking.add_argument("--common-name", required=True)
    verb("keep-pin", deeds.keep_pin, "try the PIN on standard input once, and keep it as a credential", label=False)

    made = verb("softhsm-make", deeds.softhsm_make, "the lab only: make the token with its keys", label=False)
    made.add_argument("keys", nargs="+", metavar="LABEL=KIND", type=_wish)
    sent = verb("softhsm-export", deeds.softhsm_export, "the lab only: clone to a node's certificate", label=False)
    sent.add_argument("--to", required=True, metavar="NODE", help="whose certificate standard input must be")
    sent.add_argument("--ca", type=Path, default=NODE_FILES / "ca.crt", help="who signed it (%(default)s)")
    taken = verb("softhsm-import", deeds.softhsm_import, "the lab only: take in a clone", label=False)
    taken.add_argument("--key", type=Path, default=NODE_FILES / "node.key", help="this node's key (%(default)s)")
    taken.add_argument("--certificate", type=Path, default=NODE_FILES / "node.crt", help="and its certificate")
    return top


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _wish(text: str) -> tuple[str, Kind]:
    label, _, kind = text.partition("=")
    try:
        return label, Kind(kind)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not LABEL={'|'.join(kind.value for kind in Kind)}") from None
