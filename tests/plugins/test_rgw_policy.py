"""A firm may handle the data of its buckets; what it may not do is not in its policy, or is denied."""

from __future__ import annotations

from fnmatch import fnmatch

from plugins.module_utils.rgw_key import key_plan
from plugins.module_utils.rgw_policy import revealed_key, tenant_policy

POLICY = tenant_policy(("firm-a-b", "firm-a-a"), "AK1", "firm-a")
ALLOWED = [statement for statement in POLICY["Statement"] if statement["Effect"] == "Allow"]


def test_only_the_buckets_of_the_file_are_named() -> None:
    listing, handling = ALLOWED[1:]

    assert listing["Resource"] == ["arn:aws:s3:::firm-a-a", "arn:aws:s3:::firm-a-b"]
    assert handling["Resource"] == ["arn:aws:s3:::firm-a-a/*", "arn:aws:s3:::firm-a-b/*"]
    assert ALLOWED[0]["Action"] == ["s3:ListAllMyBuckets"]


def test_nothing_that_administers_is_allowed() -> None:
    actions = [action for statement in ALLOWED for action in statement["Action"]]

    forbidden = ("s3:Put[!O]*", "s3:PutObject?*", "s3:Create*", "s3:DeleteBucket*", "s3:Bypass*", "*[*]*", "[!s]*")
    assert [action for action in actions if any(fnmatch(action, pattern) for pattern in forbidden)] == []
    assert "s3:PutObject" in actions


def test_a_firm_without_buckets_has_no_statement_without_a_resource() -> None:
    statements = tenant_policy((), "AK1", "firm-a")["Statement"]

    assert all(statement["Resource"] for statement in statements)
    assert [statement["Sid"] for statement in statements if statement["Effect"] == "Allow"] == ["RevealedAK1"]


def test_every_way_to_put_an_acl_with_an_object_is_denied() -> None:
    denied = {
        key: values
        for statement in POLICY["Statement"]
        if statement["Sid"] == "NoOpenAcl" or statement["Sid"].startswith("NoGrant")
        for key, values in statement["Condition"]["StringLike"].items()
    }

    acls = ("public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read")
    assert all(any(fnmatch(acl, pattern) for pattern in denied["s3:x-amz-acl"]) for acl in acls)
    assert not any(fnmatch("private", pattern) for pattern in denied["s3:x-amz-acl"])
    assert denied["s3:x-amz-grant-read"] == ["*"]
    assert len(denied) == 6


def test_encryption_of_the_clients_own_is_denied_but_the_firms_own_key_is_not() -> None:
    conditions = {statement["Sid"]: statement.get("Condition") for statement in POLICY["Statement"]}
    sse = "s3:x-amz-server-side-encryption"

    assert conditions["NoClearText"] == {"StringEquals": {sse: [""]}}
    assert conditions["NoForeignKey"] == {
        "StringEquals": {sse: ["aws:kms"]},
        "StringNotEquals": {f"{sse}-aws-kms-key-id": ["firm-a"]},
    }
    assert conditions["NoCustomerKey"] == {"StringLike": {f"{sse}-customer-algorithm": ["*"]}}


def test_the_order_of_buckets_does_not_matter() -> None:
    assert tenant_policy(("firm-a-a", "firm-a-b"), "AK1", "firm-a") == POLICY


def test_the_policy_remembers_which_key_was_revealed() -> None:
    assert revealed_key(POLICY) == "AK1"
    assert revealed_key(None) is None
    assert revealed_key({"Statement": []}) is None
    assert revealed_key({"Statement": [{"Sid": "Listing"}]}) is None


def test_a_new_firm_gets_a_key() -> None:
    plan = key_plan(keys=(), revealed=None, rotate=False)

    assert plan.make
    assert plan.remove == ()


def test_the_revealed_key_stays() -> None:
    plan = key_plan(keys=("AK1",), revealed="AK1", rotate=False)

    assert (plan.make, plan.keep, plan.remove) == (False, "AK1", ())


def test_a_run_killed_before_the_policy_makes_another_key_and_removes_the_first() -> None:
    plan = key_plan(keys=("AK1",), revealed=None, rotate=False)

    assert (plan.make, plan.remove) == (True, ("AK1",))


def test_a_rotation_killed_before_the_policy_keeps_the_old_key() -> None:
    plan = key_plan(keys=("AK1", "AK2"), revealed="AK1", rotate=False)

    assert (plan.make, plan.keep, plan.remove) == (False, "AK1", ("AK2",))


def test_a_rotation_killed_after_the_policy_removes_the_old_key() -> None:
    plan = key_plan(keys=("AK1", "AK2"), revealed="AK2", rotate=False)

    assert (plan.make, plan.keep, plan.remove) == (False, "AK2", ("AK1",))


def test_a_rotation_replaces_the_key() -> None:
    plan = key_plan(keys=("AK1",), revealed="AK1", rotate=True)

    assert (plan.make, plan.remove) == (True, ("AK1",))


def test_a_key_that_somebody_deleted_is_made_anew() -> None:
    assert key_plan(keys=(), revealed="AK1", rotate=False).make
