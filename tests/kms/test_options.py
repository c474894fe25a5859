"""The parameters of the seal stanza: what is read, what is refused, and that the message names the parameter."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legalcloud_kms import options
from legalcloud_kms.errors import BlobError, ConfigError
from legalcloud_kms.options import KeyIdentity, Mechanism

GOOD = {"lib": "/usr/lib/hsm.so", "token_label": "kms", "key_label": "kek", "pin": "file:///run/credentials/pin"}


def test_a_usual_stanza_is_read() -> None:
    read = options.parse(GOOD | {"key_id": "0x0aFF", "slot": "0x1f"}, {})

    assert str(read.key) == "kek:0aFF"
    assert (read.token.slot, read.token.label, read.token.serial) == (31, "kms", "")
    assert (read.mechanism, read.oaep_hash, read.software_encryption) == (None, "sha256", True)
    assert read.shown == {"lib": "/usr/lib/hsm.so", "slot": "0x1f", "token_label": "kms"}


def test_the_environment_wins_over_the_stanza() -> None:
    read = options.parse(GOOD, {"BAO_HSM_TOKEN_LABEL": "other", "BAO_HSM_KEY_LABEL": "", "HSM_LIB": "/no"})

    assert (read.token.label, read.key.label, read.library) == ("other", "kek", GOOD["lib"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lib": ""}, "lib is missing"),
        ({"token_label": ""}, "none of slot, serial and token_label"),
        ({"key_label": ""}, "neither key_label nor key_id"),
        ({"key_id": "xyz"}, "key_id 'xyz'"),
        ({"key_id": "abc"}, "key_id 'abc'"),
        ({"slot": "first"}, "slot 'first'"),
        ({"slot": "-1"}, "slot '-1'"),
        ({"pin": ""}, "pin is not file"),
        ({"pin": "file://"}, "pin is not file"),
        ({"mechanism": "CKM_RSA_PKCS"}, "mechanism 'CKM_RSA_PKCS'"),
        ({"rsa_oaep_hash": "md5"}, "rsa_oaep_hash 'md5'"),
        ({"disable_software_encryption": "perhaps"}, "disable_software_encryption 'perhaps'"),
        ({"key_lable": "kek", "libb": "x"}, "unknown seal parameters key_lable, libb"),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(change: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        options.parse(GOOD | change, {})


def test_a_pin_in_the_configuration_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError) as told:
        options.parse(GOOD | {"pin": "73921"}, {})

    assert "73921" not in str(told.value)


@pytest.mark.parametrize(
    ("spelled", "meant"),
    [
        ("CKM_AES_GCM", Mechanism.AES_GCM),
        ("AES_GCM", Mechanism.AES_GCM),
        ("0x1087", Mechanism.AES_GCM),
        ("9", Mechanism.RSA_PKCS_OAEP),
        ("CKM_RSA_PKCS_OAEP", Mechanism.RSA_PKCS_OAEP),
    ],
)
def test_a_mechanism_may_be_spelled_as_upstream_spells_it(spelled: str, meant: Mechanism) -> None:
    assert options.parse(GOOD | {"mechanism": spelled}, {}).mechanism is meant


@given(st.dictionaries(st.sampled_from(options.NAMES), st.text()))
def test_no_values_do_more_than_raise_an_error_of_the_configuration(values: dict[str, str]) -> None:
    with contextlib.suppress(ConfigError):
        options.parse(values, {})


@given(st.text(), st.binary(max_size=20))
def test_a_key_identity_survives_being_written_into_a_blob(label: str, raw: bytes) -> None:
    if label or raw:
        wanted = KeyIdentity(label=label, id_hex=raw.hex())

        assert KeyIdentity.parse(str(wanted)) == wanted


@pytest.mark.parametrize("text", ["kek", "", ":", "kek:0", "kek:zz"])
def test_a_key_id_of_another_kind_of_seal_is_refused(text: str) -> None:
    with pytest.raises(BlobError, match="another kind of seal"):
        KeyIdentity.parse(text)
