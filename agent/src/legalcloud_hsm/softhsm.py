"""The lab's token: made, and cloned to another node, in place of what an HSM's vendor gives for that.

A token that is there is never initialised again. A new one is made whole beside its place (with its keys, and its PIN
already encrypted for this node) and then renamed, so that a killed run leaves either nothing or all of it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import PyKCS11
from PyKCS11 import LowLevel

from legalcloud_hsm import credential, keys
from legalcloud_hsm.credential import Run
from legalcloud_hsm.envelope import Clone
from legalcloud_hsm.errors import SoftHsmError
from legalcloud_hsm.places import TokenPlace
from legalcloud_hsm.token import session
from legalcloud_kms.pkcs11 import telling

PIN_DIGITS = 24
PIN_FILE = "pin.credential"
"""The encrypted PIN beside the token's objects, from when they are put in place until `settle` moves it."""


def folder_of(place: TokenPlace) -> Path:
    if place.softhsm_folder is None:
        raise SoftHsmError(f"token {place.name} is no SoftHSM token; make and clone keys by the vendor's means")
    return place.softhsm_folder


def settle(place: TokenPlace) -> None:
    """Move the encrypted PIN of a token that was just put in place to where it is looked for; a killed run left it."""
    if place.softhsm_folder is None or os.geteuid() != 0:
        return
    for waiting in place.softhsm_folder.glob(f"*/{PIN_FILE}"):
        credential.place(place.credential, waiting.read_bytes())
        waiting.unlink()


def make(place: TokenPlace, wanted: Mapping[str, keys.Kind], run: Run) -> None:
    """Make a token with its keys and a PIN that nobody has seen."""
    folder = folder_of(place)
    if present := _tokens(folder):
        raise SoftHsmError(f"{present[0]} is there already; a token is never made twice. Move it away if it is dead")
    pin = "".join(secrets.choice("0123456789") for _ in range(PIN_DIGITS))
    with _beside(folder) as staged:
        with _library_sees(staged):
            _initialise(place, pin)
            with session(place, lambda: pin, writing=True) as opened:
                for label, kind in wanted.items():
                    keys.make(opened, label, kind)
        _put(place, staged, pin, run)
    settle(place)


def export(place: TokenPlace, pin: str) -> Clone:
    """Read the token's files and PIN, to be sealed to one other node."""
    folder = folder_of(place)
    with session(place, lambda: pin) as opened:  # what cannot be opened is not worth cloning
        keys.describe(opened)
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != PIN_FILE]
    return Clone(pin=pin, files={str(path.relative_to(folder)): path.read_bytes() for path in paths})


def install(place: TokenPlace, clone: Clone, run: Run) -> None:
    """Put a clone into its place. A token that is there must be an older state of it, with no key of its own."""
    folder = folder_of(place)
    present = {str(path.relative_to(folder)) for path in folder.glob("*/*.object")}
    if own := sorted(present - clone.files.keys()):
        raise SoftHsmError(
            f"{folder} has {len(own)} objects that the clone has not ({own[0]}...); keys would be lost. "
            "Clone in the other direction, or move the token away if its keys are not needed"
        )
    with _beside(folder) as staged:
        for name, content in clone.files.items():
            path = staged / name
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.write_bytes(content)
        with _library_sees(staged), session(place, lambda: clone.pin) as opened:
            keys.describe(opened)
        _put(place, staged, clone.pin, run)
    settle(place)


def _tokens(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_dir())


def _initialise(place: TokenPlace, pin: str) -> None:
    library = PyKCS11.PyKCS11Lib()
    with telling(f"initialise token {place.selector.label}"):
        library.load(place.library)
        (slot,) = library.getSlotList()
        officer = secrets.token_hex(16)  # kept nowhere: nobody shall be able to initialise the token again
        library.initToken(slot, officer, place.selector.label)
        slot = library.getSlotList(tokenPresent=True)[0]
        opened = library.openSession(slot, LowLevel.CKF_RW_SESSION)
        opened.login(officer, LowLevel.CKU_SO)
        opened.initPin(pin)
        opened.logout()
        opened.closeSession()
        library.unload()


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside the token's; what a killed run left there is removed."""
    staged = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(staged, ignore_errors=True)
    folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    staged.mkdir(mode=0o700)
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)


@contextlib.contextmanager
def _library_sees(folder: Path) -> Iterator[None]:
    """Point SoftHSM at a folder; the library must not be loaded yet."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(f"directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\n")
        file.flush()
        os.environ["SOFTHSM2_CONF"] = file.name
        yield


def _put(place: TokenPlace, staged: Path, pin: str, run: Run) -> None:
    """Move the one staged token into its folder, with its encrypted PIN, its owner right and safe on the drive.

    The folder itself stays what it is: a unit that has it as a mount of its own goes on seeing what is in it.
    """
    folder, account = folder_of(place), pwd.getpwnam(place.user)
    (token,) = _tokens(staged)
    (token / PIN_FILE).write_bytes(credential.encrypted(pin, place.credential.name, run))
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, account.pw_uid, account.pw_gid)
    for path in [token, *token.iterdir()]:
        os.chown(path, account.pw_uid, account.pw_gid)
        path.chmod(0o700 if path.is_dir() else 0o600)
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
    if (folder / token.name).exists():
        (folder / token.name).rename(staged / f"{token.name}.old")
    token.rename(folder / token.name)
