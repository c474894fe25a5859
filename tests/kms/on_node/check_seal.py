"""Sealing and opening in a real SoftHSM, in this process: what is chosen, what is refused, and with which reason."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.kms.on_node.bao_server import KEY, TOKEN
from tests.kms.on_node.softhsm import LIBRARY, PIN, SoftHsm

from legalcloud_kms import errors, options
from legalcloud_kms.messages import Blob
from legalcloud_kms.pins import PinLatch, read
from legalcloud_kms.pkcs11 import Library
from legalcloud_kms.seal import Seal

SECRET = b"root key of 32 bytes, as bao's.."

Make = Callable[..., Seal]


@pytest.fixture
def make(hsm: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Make seals on the SoftHSM; parameters by name, the rest as in the lab."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(hsm.configuration))
    (tmp_path / "pin").write_text(PIN)
    library, latch = Library(LIBRARY), PinLatch()

    def seal(**parameters: str) -> Seal:
        values = {"lib": LIBRARY, "token_label": TOKEN, "key_label": KEY, "pin": f"file://{tmp_path}/pin"} | parameters
        chosen = options.parse({name: value for name, value in values.items() if value}, {})
        pin = partial(read, chosen.pin_source, {"WRONG": "000000", "RIGHT": PIN})
        return Seal(chosen, library=library, latch=latch, pin=pin)

    yield seal
    library.unload()


def test_what_an_aes_key_seals_it_opens_and_no_two_are_alike(make: Make) -> None:
    seal = make()

    first, second = seal.encrypt(SECRET), seal.encrypt(SECRET)

    assert seal.decrypt(first) == seal.decrypt(second) == SECRET
    assert first.data != second.data
    assert len(first.data) == 12 + len(SECRET) + 16
    assert first.key_id == f"{KEY}:"


def test_sealed_data_is_nonce_ciphertext_tag(make: Make, hsm: SoftHsm) -> None:
    raw = os.urandom(32)
    hsm.import_aes_key(TOKEN, "known", raw)

    sealed = make(key_label="known").encrypt(SECRET)

    assert AESGCM(raw).decrypt(sealed.data[:12], sealed.data[12:], None) == SECRET


@pytest.mark.parametrize("inside", ["true", "false"])
def test_what_an_rsa_key_seals_it_opens(make: Make, hsm: SoftHsm, inside: str) -> None:
    hsm.add_rsa_key(TOKEN, "rsa")
    seal = make(key_label="rsa", rsa_oaep_hash="sha1", disable_software_encryption=inside)

    assert seal.decrypt(seal.encrypt(SECRET)) == SECRET


def test_an_oaep_hash_unknown_to_the_token_seals_nothing(make: Make, hsm: SoftHsm) -> None:
    hsm.add_rsa_key(TOKEN, "rsa")

    with pytest.raises(errors.RoundTripError, match=r"set rsa_oaep_hash \(now sha256\)"):
        make(key_label="rsa").encrypt(SECRET)


def test_a_blob_names_the_key_that_opens_it(make: Make, hsm: SoftHsm) -> None:
    sealed = make().encrypt(SECRET)
    hsm.add_aes_key(TOKEN, "next", "0b")

    assert make(key_label="next", key_id="0b").decrypt(sealed) == SECRET


@pytest.mark.parametrize("data", [b"", b"short", os.urandom(60)])
def test_damaged_data_is_an_error_and_never_a_plaintext(make: Make, data: bytes) -> None:
    with pytest.raises((errors.BlobError, errors.TokenFailedError)):
        make().decrypt(Blob(data=data, key_id=f"{KEY}:"))


def test_an_absent_token_is_told_from_an_absent_key(make: Make) -> None:
    with pytest.raises(errors.TokenAbsentError, match=f"serial '0000', token_label '{TOKEN}'; present: '{TOKEN}'"):
        make(serial="0000").encrypt(SECRET)
    with pytest.raises(errors.KeyMissingError, match="no key nowhere:"):
        make(key_label="nowhere").encrypt(SECRET)


def test_two_keys_with_one_label_are_refused_until_the_id_is_given(make: Make, hsm: SoftHsm) -> None:
    hsm.add_aes_key(TOKEN, KEY, "09")

    with pytest.raises(errors.KeyAmbiguousError, match="2 AES keys"):
        make().encrypt(SECRET)
    assert make(key_id="0x09").encrypt(SECRET).key_id == f"{KEY}:09"


def test_two_tokens_with_one_label_are_refused_until_the_serial_is_given(make: Make, hsm: SoftHsm) -> None:
    (serial,) = hsm.serials()
    hsm.add_token(TOKEN)

    with pytest.raises(errors.TokenAmbiguousError, match="2 tokens"):
        make().encrypt(SECRET)
    make(serial=serial).prove()


def test_a_key_that_cannot_seal_is_named_by_its_kind(make: Make, hsm: SoftHsm) -> None:
    hsm.add_ec_key(TOKEN, "elliptic")

    with pytest.raises(errors.KeyUnfitError, match="found: other object"):
        make(key_label="elliptic").encrypt(SECRET)
    with pytest.raises(errors.KeyUnfitError, match="asks for CKM_RSA_PKCS_OAEP"):
        make(mechanism="CKM_RSA_PKCS_OAEP").encrypt(SECRET)


def test_a_token_that_went_and_came_back_is_seen_without_a_restart(make: Make, hsm: SoftHsm) -> None:
    seal = make()
    sealed = seal.encrypt(SECRET)
    hsm.take_away()

    with pytest.raises(errors.TokenAbsentError, match="present: none"):
        seal.decrypt(sealed)
    hsm.bring_back()

    assert seal.decrypt(sealed) == SECRET


def test_a_wrong_pin_reaches_the_token_once_even_by_another_seal(make: Make) -> None:
    with pytest.raises(errors.PinWrongError):
        make(pin="env://WRONG").encrypt(SECRET)
    with pytest.raises(errors.PinLatchedError, match=re.escape("env://WRONG")):
        make(pin="env://WRONG").encrypt(SECRET)

    make(pin="env://RIGHT").prove()


def test_a_token_that_hangs_ends_the_process_and_not_the_patience_of_bao(hsm: SoftHsm, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hanging")  # SoftHSM waits for ever for its configuration, inside C_Initialize
    program = f"""
from legalcloud_kms import check, seal
seal.HANG_SECONDS = 1
check.check(["lib={LIBRARY}", "token_label={TOKEN}", "key_label={KEY}", "pin=env://PIN"], {{}})
"""
    environment = os.environ | {"SOFTHSM2_CONF": str(tmp_path / "hanging")}

    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=30, check=False)

    assert done.returncode == -signal.SIGALRM


def test_a_library_that_is_not_there_is_named(hsm: SoftHsm) -> None:
    with pytest.raises(errors.LibraryError, match=r"cannot load /nowhere\.so"):
        Library("/nowhere.so").tokens()
