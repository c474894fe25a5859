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
    assert wanted_state({**LOCKED, "encryption": "sse-kms"}, NAMES, "firm") == BucketState(
        versioning=True,
        locked=True,
        retention=("GOVERNANCE", 30),
        encryption="aws:kms",
        kms_key="firm",
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
    assert steps("b", None, wanted_state(bucket, NAMES, "firm")) == expected


@pytest.mark.parametrize("bucket", [LOCKED, PLAIN, {**LOCKED, "encryption": "sse-s3"}])
def test_a_bucket_as_wanted_needs_nothing(bucket: dict[str, Any]) -> None:
    wanted = wanted_state(bucket, NAMES, "firm")

    assert steps("b", wanted, wanted) == []


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        ({"closed": False}, ["close"]),
        ({"policy": True}, ["unpolicy"]),
        ({"retention": ("GOVERNANCE", 1)}, ["lock"]),
        ({"retention": None}, ["lock"]),
        ({"tags": ()}, ["tag"]),
        ({"versioning": False, "locked": False, "retention": None}, ["versioning", "lock"]),
    ],
)
def test_drift_is_corrected(drift: dict[str, Any], expected: list[str]) -> None:
    wanted = wanted_state(LOCKED, NAMES, "firm")

    assert steps("b", replace(wanted, **drift), wanted) == expected


def test_versioning_cannot_end_on_a_locked_bucket() -> None:
    with pytest.raises(BucketConflictError, match=r"bucket b: versioning: false, but it has Object Lock"):
        steps("b", wanted_state(LOCKED, NAMES, "firm"), wanted_state(PLAIN, NAMES, "firm"))


def test_encryption_is_never_taken_away() -> None:
    with pytest.raises(BucketConflictError, match=r"bucket b: encryption: null, but it encrypts with AES256"):
        steps("b", wanted_state({**PLAIN, "encryption": "sse-s3"}, NAMES, "firm"), wanted_state(PLAIN, NAMES, "firm"))


LOSSES = [
    pytest.param({**LOCKED, "object_lock": None}, ("GOVERNANCE", 30), "wants null", id="the line is gone"),
    pytest.param(LOCKED, ("COMPLIANCE", 30), r"wants \{mode: GOVERNANCE, days: 30\}", id="a mode that can be lifted"),
    pytest.param(LOCKED, ("GOVERNANCE", 31), r"wants \{mode: GOVERNANCE, days: 30\}", id="a day less"),
    pytest.param(
        {**LOCKED, "object_lock": {"mode": "COMPLIANCE", "days": 30}},
        ("GOVERNANCE", 2557),
        r"wants \{mode: COMPLIANCE, days: 30\}",
        id="stronger but shorter",
    ),
    pytest.param(
        {**LOCKED, "object_lock": {"mode": "GOVERNANCE", "days": 2557}},
        ("COMPLIANCE", 30),
        r"wants \{mode: GOVERNANCE, days: 2557\}",
        id="longer but weaker",
    ),
]


@pytest.mark.parametrize(("bucket", "retention", "says"), LOSSES)
def test_a_retention_is_not_weakened_by_a_file_alone(
    bucket: dict[str, Any], retention: tuple[str, int], says: str
) -> None:
    seen = replace(wanted_state(LOCKED, NAMES, "firm"), retention=retention)
    wanted = wanted_state(bucket, NAMES, "firm")
    mode, days = retention

    with pytest.raises(BucketConflictError, match=says) as refusal:
        steps("b", seen, wanted)

    assert f"bucket b: object_lock: has {{mode: {mode}, days: {days}}}" in str(refusal.value)
    assert "-e tenants_weaken=b" in str(refusal.value)
    assert steps("b", seen, wanted, weaken=True) == ["lock"]


@pytest.mark.parametrize(
    ("retention", "lock"),
    [
        (("GOVERNANCE", 30), {"mode": "COMPLIANCE", "days": 30}),
        (("COMPLIANCE", 30), {"mode": "COMPLIANCE", "days": 31}),
    ],
)
def test_a_retention_is_strengthened_without_asking(retention: tuple[str, int], lock: dict[str, Any]) -> None:
    seen = replace(wanted_state(LOCKED, NAMES, "firm"), retention=retention)

    assert steps("b", seen, wanted_state({**LOCKED, "object_lock": lock}, NAMES, "firm")) == ["lock"]


def test_versioning_is_not_ended_by_a_file_alone() -> None:
    seen, wanted = wanted_state({**PLAIN, "versioning": True}, NAMES, "firm"), wanted_state(PLAIN, NAMES, "firm")

    with pytest.raises(BucketConflictError, match=r"bucket b: versioning: has true.* -e tenants_weaken=b"):
        steps("b", seen, wanted)

    assert steps("b", seen, wanted, weaken=True) == ["versioning"]


@pytest.mark.parametrize("seen", [LOCKED, {**PLAIN, "encryption": "sse-s3"}], ids=["locked", "encrypted"])
def test_a_lock_and_encryption_stay_whoever_asks(seen: dict[str, Any]) -> None:
    with pytest.raises(BucketConflictError):
        steps("b", wanted_state(seen, NAMES, "firm"), wanted_state(PLAIN, NAMES, "firm"), weaken=True)
