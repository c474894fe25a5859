"""Which tokens a node has: what is read, what is refused, and that the message names the file and the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from legalcloud_hsm.errors import PlaceError
from legalcloud_hsm.places import parse, read

ENTRY = {"lib": "/usr/lib/hsm.so", "pin": "/etc/credstore.encrypted/hsm-pin", "token_label": "kms"}


def test_an_hsm_is_read_with_what_the_vendor_needs() -> None:
    place = parse("kms", {**ENTRY, "user": "openbao", "slot": 3, "environment": {"HSM_CONF": "/etc/h"}}, where="x")

    assert place.selector.label == "kms"
    assert place.selector.slot == 3
    assert place.environment == {"HSM_CONF": "/etc/h"}
    assert place.user == "openbao"
    assert place.softhsm_folder is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lib": None}, r"missing \['lib'\]"),
        ({"pin_code": "1234"}, r"unknown \['pin_code'\]"),
        ({"token_label": None}, "any token would do"),
    ],
)
def test_an_entry_that_is_not_whole_is_refused_by_field(change: dict[str, Any], words: str) -> None:
    entry = {name: value for name, value in {**ENTRY, **change}.items() if value is not None}

    with pytest.raises(PlaceError, match=words) as told:
        parse("kms", entry, where="/etc/legalcloud/hsm.json, token kms")

    assert "/etc/legalcloud/hsm.json" in str(told.value)
    assert "1234" not in str(told.value)


def test_a_token_that_this_node_has_not_is_told_with_those_it_has(tmp_path: Path) -> None:
    file = tmp_path / "hsm.json"
    file.write_text(json.dumps({"tokens": {"kms": ENTRY}}))

    assert read("kms", file).library == "/usr/lib/hsm.so"
    with pytest.raises(PlaceError, match="no token 'evidence' on this node; it has: kms"):
        read("evidence", file)


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"other": 1}'])
def test_a_file_that_the_role_did_not_write_is_refused(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "hsm.json"
    if content is not None:
        file.write_text(content)

    with pytest.raises(PlaceError, match=r"hsm\.json"):
        read("kms", file)
