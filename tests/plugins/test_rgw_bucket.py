"""A bucket is led to what its file says, and never loses a protection that it has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from plugins.module_utils.rgw_bucket import BucketConflictError, BucketState, steps, wanted_state

NAMES = {"en": "Firm A", "zh_hant": "甲律師事務所"}
LOCKED: dict[str, Any] = {
    "name": "firm-a-matters",
    "versioning": True,
    "object_lock": {"mode": "GOVERNANCE", "days": 30},
    "encryption": None,
}
PLAIN: dict[str, Any] = {**LOCKED, "versioning": False, "object_lock": None}


def test_the_file_becomes_a_state_with_the_names_in_both_languages() -> None:
    assert wanted_state({**LOCKED, "encryption": "sse-kms"}, NAMES) == BucketState(
        versioning=True,
        locked=True,
        retention=("GOVERNANCE", 30),
        encryption="aws:kms",
        tags=(("firm-en", "Firm A"), ("firm-zh-hant", "甲律師事務所")),
    )


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [
        (LOCKED, ["create", "close", "versioning", "lock", "tag"]),
        (PLAIN, ["create", "close", "tag"]),
        ({**PLAIN, "encryption": "sse-s3"}, ["create", "close", "encrypt", "tag"]),
    ],
    ids=["locked", "plain", "encrypted"],
)
def test_a_new_bucket_is_closed_to_the_public_before_anything_else(bucket: dict[str, Any], expected: list[str]) -> None:
    assert steps("b", None, wanted_state(bucket, NAMES)) == expected


@pytest.mark.parametrize("bucket", [LOCKED, PLAIN, {**LOCKED, "encryption": "sse-s3"}])
def test_a_bucket_as_wanted_needs_nothing(bucket: dict[str, Any]) -> None:
    wanted = wanted_state(bucket, NAMES)

    assert steps("b", wanted, wanted) == []


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        ({"closed": False}, ["close"]),
        ({"policy": True}, ["unpolicy"]),
        ({"retention": ("GOVERNANCE", 1)}, ["lock"]),
        ({"retention": ("COMPLIANCE", 30)}, ["lock"]),
        ({"tags": ()}, ["tag"]),
        ({"versioning": False, "locked": False, "retention": None}, ["versioning", "lock"]),
    ],
)
def test_drift_is_corrected(drift: dict[str, Any], expected: list[str]) -> None:
    wanted = wanted_state(LOCKED, NAMES)

    assert steps("b", replace(wanted, **drift), wanted) == expected


def test_versioning_cannot_end_on_a_locked_bucket() -> None:
    with pytest.raises(BucketConflictError, match=r"bucket b: versioning: false, but it has Object Lock"):
        steps("b", wanted_state(LOCKED, NAMES), wanted_state(PLAIN, NAMES))


def test_encryption_is_never_taken_away() -> None:
    with pytest.raises(BucketConflictError, match=r"bucket b: encryption: null, but it encrypts with AES256"):
        steps("b", wanted_state({**PLAIN, "encryption": "sse-s3"}, NAMES), wanted_state(PLAIN, NAMES))
