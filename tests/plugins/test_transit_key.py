"""A tenant's key is made once as it must be, and never one that is not taken for it."""

from __future__ import annotations

import pytest
from plugins.module_utils.transit_key import FIXED, KeyConflictError, Name, check, unknown

KEY = Name(mount="transit-kms", name="firm-a")


def test_a_key_that_is_not_there_is_made() -> None:
    assert check(KEY, None)


def test_a_key_as_it_must_be_stays() -> None:
    assert not check(KEY, {**FIXED, "latest_version": 3, "deletion_allowed": True})


@pytest.mark.parametrize(
    "drift",
    [{"type": "chacha20-poly1305"}, {"derived": False}, {"exportable": True}, {"allow_plaintext_backup": True}],
)
def test_a_key_that_could_leave_or_is_of_another_kind_is_refused_by_name(drift: dict[str, object]) -> None:
    with pytest.raises(KeyConflictError, match=rf"key transit-kms/firm-a: {next(iter(drift))} is "):
        check(KEY, {**FIXED, **drift})


def test_a_field_that_is_missing_counts_as_wrong() -> None:
    with pytest.raises(KeyConflictError, match="exportable is None"):
        check(KEY, {key: value for key, value in FIXED.items() if key != "exportable"})


def test_keys_that_nobody_asked_for_are_named() -> None:
    found = {"transit-s3": ["RGW1", "RGW2"], "transit-kms": ["firm-a"]}

    assert unknown(found, [KEY, Name(mount="transit-s3", name="RGW1")]) == ["transit-s3/RGW2"]
