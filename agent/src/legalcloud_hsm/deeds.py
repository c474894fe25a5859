"""What each verb of the command line does. Everything that needs root is read before root is given up."""

from __future__ import annotations

import base64
import hmac
import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from legalcloud_hsm import credential, envelope, keys, signing, softhsm, token
from legalcloud_hsm.credential import Run
from legalcloud_hsm.errors import RequestError
from legalcloud_hsm.places import TokenPlace
from legalcloud_kms.errors import KeyMissingError, PinUnreadableError
from legalcloud_kms.options import KeyIdentity, SealOptions
from legalcloud_kms.pins import PinLatch
from legalcloud_kms.pkcs11 import Library, Session
from legalcloud_kms.seal import Seal

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The token in question and what a deed works with."""

    place: TokenPlace
    pin: Callable[[], str]
    """Answers after root was given up too."""
    run: Run
    read: Callable[[], bytes]
    """Standard input."""

    @contextmanager
    def session(self, *, writing: bool = False) -> Iterator[Session]:
        token.prepare(self.place)
        token.become(self.place.user)
        with token.session(self.place, self.pin, writing=writing) as opened:
            yield opened


Deed = Callable[[Desk, Namespace], Answer]


def read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path}: {error.strerror}") from None


def describe(desk: Desk, _asked: Namespace) -> Answer:
    with desk.session() as opened:
        facts = opened.token
        told = {
            "label": facts.label,
            "serial": facts.serial,
            "manufacturer": facts.manufacturer,
            "model": facts.model,
            "firmware": facts.firmware,
        }
        return {"token": told, "keys": [asdict(key) for key in keys.describe(opened)]}


def check(desk: Desk, asked: Namespace) -> Answer:
    """Do with the key what it is for. A key that seals is tried by the code that the seal itself runs."""
    with desk.session() as opened:
        found = [facts.type for facts in keys.describe(opened) if facts.label == asked.label]
        if found == ["ec"]:
            keys.signer(opened, *keys.signing_key(opened, asked.label))(os.urandom(32))
            return {"message": f"key {asked.label} signs, and its public half verifies"}
        if not found:
            raise KeyMissingError(f"no key {asked.label} on token {opened.token}")
    place = desk.place
    options = SealOptions(
        library=place.library,
        token=place.selector,
        pin_source=str(place.credential),
        key=KeyIdentity(label=asked.label, id_hex=""),
        mechanism=None,
        oaep_hash=place.oaep_hash,
        software_encryption=True,
        shown={},
    )
    Seal(options, library=Library(place.library), latch=PinLatch(), pin=desk.pin).prove()
    return {"message": f"key {asked.label} seals and opens"}


def make_key(desk: Desk, asked: Namespace) -> Answer:
    with desk.session(writing=True) as opened:
        keys.make(opened, asked.label, keys.Kind(asked.kind))
        return {"message": f"key {asked.label} was made on token {opened.token}"}


def destroy_key(desk: Desk, asked: Namespace) -> Answer:
    with desk.session(writing=True) as opened:
        count = keys.destroy(opened, asked.label)
        return {"message": f"{count} objects {asked.label} were destroyed on token {opened.token}", "objects": count}


def sign(desk: Desk, asked: Namespace) -> Answer:
    message = desk.read()
    with desk.session() as opened:
        signature = keys.signer(opened, *keys.signing_key(opened, asked.label))(message)
        return {"signature": base64.b64encode(signature).decode(), "algorithm": "ecdsa-p384-sha384"}


def public_key(desk: Desk, asked: Namespace) -> Answer:
    with desk.session() as opened:
        _, public = keys.signing_key(opened, asked.label)
        return {"public_key": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()}


def ca_certificate(desk: Desk, asked: Namespace) -> Answer:
    with desk.session() as opened:
        handle, public = keys.signing_key(opened, asked.label)
        signed = keys.signer(opened, handle, public)
        made = signing.authority(public, signed, name=asked.common_name, days=asked.days, now=datetime.now(UTC))
        return {"certificate": made.decode()}


def certificate(desk: Desk, asked: Namespace) -> Answer:
    wish, issuer = signing.load_request(desk.read(), asked.common_name), signing.load_authority(read_file(asked.ca))
    life = timedelta(days=asked.days) if asked.days else timedelta(minutes=asked.minutes)
    with desk.session() as opened:
        signed = keys.signer(opened, *keys.signing_key(opened, asked.label))
        made = signing.client_certificate(wish, issuer, signed, life=life, now=datetime.now(UTC))
        return {"certificate": made.decode()}


def request(desk: Desk, asked: Namespace) -> Answer:
    with desk.session() as opened:
        handle, public = keys.signing_key(opened, asked.label)
        made = signing.signing_request(public, keys.signer(opened, handle, public), name=asked.common_name)
        return {"request": made.decode()}


def keep_pin(desk: Desk, _asked: Namespace) -> Answer:
    """Keep only a PIN that the token takes: a wrong one in the credential would cost a try at each start of bao."""
    pin, place = desk.read().decode(errors="replace").strip(), desk.place
    if not pin:
        raise PinUnreadableError("standard input: empty")
    try:
        known = hmac.compare_digest(desk.pin().encode(), pin.encode())
    except PinUnreadableError:
        known = False
    token.prepare(place)
    with token.briefly(place.user), token.session(place, lambda: pin, source="standard input") as opened:
        name = str(opened.token)
    if not known:
        credential.place(place.credential, credential.encrypted(pin, place.credential.name, desk.run))
    return {"message": f"token {name} takes the PIN that {place.credential} holds", "changed": not known}


def softhsm_make(desk: Desk, asked: Namespace) -> Answer:
    softhsm.make(desk.place, dict(asked.keys), desk.run)
    return {"message": f"token {desk.place.name} was made with {', '.join(label for label, _ in asked.keys)}"}


def softhsm_export(desk: Desk, asked: Namespace) -> Answer:
    leaf = envelope.recipient(desk.read(), read_file(asked.ca), asked.to)
    token.prepare(desk.place)
    token.become(desk.place.user)
    sealed = envelope.seal(softhsm.export(desk.place, desk.pin()), leaf, desk.run)
    return {"envelope": base64.b64encode(sealed).decode()}


def softhsm_import(desk: Desk, asked: Namespace) -> Answer:
    clone = envelope.unseal(base64.b64decode(desk.read()), key=asked.key, certificate=asked.certificate, run=desk.run)
    softhsm.install(desk.place, clone, desk.run)
    return {"message": f"token {desk.place.name} is in place"}
