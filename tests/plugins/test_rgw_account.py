"""An account is made once, corrected where it differs, and never taken from somebody else."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.module_utils.rgw_account import (
    Account,
    AccountConflictError,
    account_id,
    account_steps,
    active_key,
    quota_diff,
    root_steps,
    seen_account,
    unmanaged,
)

FIRM = Account(name="firm-a", bytes=500 * 1024**3, objects=1_000_000)
ROOT: dict[str, Any] = {
    "account_id": FIRM.id,
    "type": "root",
    "keys": [{"access_key": "AK", "secret_key": "planted", "active": True}],
}


def seen(**quota: object) -> Account:
    """Return what `radosgw-admin account get` of 20.2.4 says, with some of the quota changed."""
    told = {"enabled": True, "check_on_raw": False, "max_size": FIRM.bytes, "max_objects": FIRM.objects, **quota}
    return seen_account({"id": FIRM.id, "tenant": "", "name": FIRM.name, "email": "", "quota": told})


def test_an_id_is_the_same_in_every_run_and_has_17_digits() -> None:
    assert account_id("demo-chambers") == "RGW91612740728743113"
    assert account_id("firm-a") != account_id("firm-b")
    assert all(len(account_id(f"firm-{n}")) == 20 for n in range(2000))


def test_a_new_account_is_made_and_limited() -> None:
    steps = account_steps(FIRM, None)

    assert [step[:2] for step in steps] == [["account", "create"], ["quota", "set"], ["quota", "enable"]]
    assert steps[1][-4:] == ["--max-size", str(500 * 1024**3), "--max-objects", "1000000"]


def test_an_account_as_wanted_needs_nothing() -> None:
    assert account_steps(FIRM, seen()) == []
    assert root_steps(FIRM, ROOT) == []


@pytest.mark.parametrize(
    ("quota", "words"),
    [
        ({"max_size": 1}, [["quota", "set"]]),
        ({"max_objects": -1}, [["quota", "set"]]),
        ({"enabled": False}, [["quota", "enable"]]),
    ],
)
def test_a_quota_that_drifted_is_corrected(quota: dict[str, object], words: list[list[str]]) -> None:
    assert [step[:2] for step in account_steps(FIRM, seen(**quota))] == words


def test_a_killed_run_finds_an_account_without_quota_and_without_root() -> None:
    steps = account_steps(FIRM, seen(enabled=False, max_size=-1, max_objects=-1)) + root_steps(FIRM, None)

    assert [step[:2] for step in steps] == [["quota", "set"], ["quota", "enable"], ["user", "create"]]


def test_a_root_without_a_working_key_gets_one() -> None:
    idle = {**ROOT, "keys": [{**ROOT["keys"][0], "active": False}]}

    assert [step[:2] for step in root_steps(FIRM, idle)] == [["key", "create"]]
    assert active_key(idle) is None


def test_no_call_carries_a_key() -> None:
    calls = account_steps(FIRM, None) + root_steps(FIRM, None) + root_steps(FIRM, {**ROOT, "keys": []})

    words = [word for call in calls for word in call]
    assert "--gen-secret" in words
    assert not {"--secret", "--secret-key", "--access-key"} & set(words)


def test_an_account_of_another_name_is_left_alone() -> None:
    other = seen_account(
        {"name": "firm-z", "quota": {"enabled": True, "max_size": 1, "max_objects": 1}},
    )

    with pytest.raises(AccountConflictError, match=r"is firm-z, not firm-a.*Choose another id"):
        account_steps(FIRM, other)


@pytest.mark.parametrize("fault", [{"account_id": "RGW00000000000000000"}, {"type": "rgw"}])
def test_a_user_that_is_not_the_accounts_root_is_left_alone(fault: dict[str, str]) -> None:
    with pytest.raises(AccountConflictError, match=r"firm-a\.root exists and is not the root"):
        root_steps(FIRM, {**ROOT, **fault})


def test_the_diff_shows_the_quota_and_no_key() -> None:
    assert quota_diff(FIRM, seen(max_size=1, enabled=False)) == (
        f"firm-a: account {FIRM.id}, 1 bytes, 1000000 objects, quota off\n",
        f"firm-a: account {FIRM.id}, 536870912000 bytes, 1000000 objects\n",
    )
    assert quota_diff(FIRM, None)[0] == ""


def test_an_account_without_a_file_is_named() -> None:
    assert unmanaged([FIRM.id, "RGW00000000000000001"], [FIRM]) == ["RGW00000000000000001"]
