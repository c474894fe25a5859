from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible.module_utils.openbao_plan import ConflictError, State, Wanted, plan

LOGIN: Mapping[str, Any] = {
    "certificate": "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n",
    "allowed_common_names": ["gateway-b", "gateway-a"],
    "token_policies": ["gateway"],
    "token_period": 3600,
    "token_bound_cidrs": ["10.0.0.2", "127.0.0.1/32"],
}
WANTED = Wanted(
    engines={
        "transit-s3": {"type": "transit", "description": "Keys", "options": {}},
        "drive-keys": {"type": "kv", "description": "Drives", "options": {"version": "2"}},
    },
    policies={"gateway": 'path "a" { capabilities = ["read"] }\n', "drive": 'path "{{@cert_accessor@.name}}" {}'},
    logins={"gateway": LOGIN},
    keyring={"enabled": True, "interval": "2160h0m0s", "max_operations": 10},
    longest_minutes=60,
)
# As bao 2.7.2 gave them back, shortened.
KEPT = State(
    mounts={
        "transit-s3/": {"type": "transit", "description": "Keys", "options": None},
        "drive-keys/": {"type": "kv", "description": "Drives", "options": {"version": "2"}},
        "sys/": {"type": "system", "description": "", "options": None},
        "identity/": {"type": "identity", "description": "", "options": None},
        "cubbyhole/": {"type": "cubbyhole", "description": "", "options": None},
    },
    login={"accessor": "auth_cert_1", "config": {"default_lease_ttl": 3600, "max_lease_ttl": 3600, "token_type": "x"}},
    policies={
        "default": "anything",
        "gateway": 'path "a" { capabilities = ["read"] }',
        "drive": 'path "{{auth_cert_1.name}}" {}',
    },
    logins={
        "gateway": {
            **LOGIN,
            "allowed_common_names": ["gateway-a", "gateway-b"],
            "token_bound_cidrs": ["127.0.0.1", "10.0.0.2"],
            "ocsp_enabled": False,
        }
    },
    keyring={"enabled": True, "interval": "2160h0m0s", "max_operations": 10},
)
EMPTY = State(
    mounts={"sys/": {"type": "system"}},
    login={"accessor": "auth_cert_1", "config": {"default_lease_ttl": 0, "max_lease_ttl": 0}},
    policies={"default": ""},
    logins={},
    keyring={"enabled": True, "interval": 0, "max_operations": 10},
)


def test_what_openbao_gives_back_needs_nothing() -> None:
    found = plan(KEPT, WANTED)

    assert found.steps == ()
    assert found.unknown == ()


def test_a_fresh_openbao_gets_engines_before_policies_and_policies_before_logins() -> None:
    titles = [step.title for step in plan(EMPTY, WANTED).steps]

    assert titles == [
        "engine drive-keys/",
        "engine transit-s3/",
        "policy drive",
        "policy gateway",
        "lifetime of tokens by certificate",
        "login gateway",
        "rotation of the keyring",
    ]


def test_a_policy_gets_the_accessor_of_the_certificate_login() -> None:
    (step,) = [step for step in plan(EMPTY, WANTED).steps if step.title == "policy drive"]

    assert step.body == {"policy": 'path "{{auth_cert_1.name}}" {}'}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("allowed_common_names", ["gateway-a"]),
        ("token_policies", ["gateway", "steward"]),
        ("token_period", 7200),
        ("token_bound_cidrs", []),
        ("certificate", "another"),
    ],
)
def test_each_field_of_a_login_that_somebody_changed_is_put_back(field: str, value: object) -> None:
    changed = replace(KEPT, logins={"gateway": {**KEPT.logins["gateway"], field: value}})

    (step,) = plan(changed, WANTED).steps

    assert step.path == "auth/cert/certs/gateway"
    assert step.body is not None
    assert set(step.body) == set(LOGIN)


def test_a_policy_that_somebody_widened_is_put_back_and_the_diff_shows_both() -> None:
    changed = replace(KEPT, policies={**KEPT.policies, "gateway": 'path "*" { capabilities = ["sudo"] }'})

    (step,) = plan(changed, WANTED).steps

    assert step.path == "sys/policies/acl/gateway"
    assert "sudo" in step.before
    assert "sudo" not in step.after


def test_what_nobody_asked_for_is_named_and_left() -> None:
    more = replace(
        KEPT,
        mounts={**KEPT.mounts, "secret/": {"type": "kv"}},
        policies={**KEPT.policies, "mine": "x"},
        logins={**KEPT.logins, "mine": LOGIN},
    )

    found = plan(more, WANTED)

    assert found.steps == ()
    assert found.unknown == ("engine secret/", "login mine", "policy mine")


def test_asked_to_it_removes_logins_and_policies_and_never_an_engine() -> None:
    more = replace(
        KEPT,
        mounts={**KEPT.mounts, "secret/": {"type": "kv"}},
        policies={**KEPT.policies, "mine": "x"},
        logins={**KEPT.logins, "mine": LOGIN},
    )

    found = plan(more, WANTED, remove_unknown=True)

    assert [(step.path, step.body) for step in found.steps] == [
        ("auth/cert/certs/mine", None),
        ("sys/policies/acl/mine", None),
    ]
    assert found.unknown == ("engine secret/",)


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("transit-s3/", {"type": "kv", "description": "Keys", "options": {"version": "2"}}),
        ("drive-keys/", {"type": "kv", "description": "Drives", "options": {"version": "1"}}),
    ],
)
def test_an_engine_of_another_kind_under_our_name_is_refused(path: str, entry: Mapping[str, Any]) -> None:
    other = replace(KEPT, mounts={**KEPT.mounts, path: entry})

    with pytest.raises(ConflictError, match="nothing was changed"):
        plan(other, WANTED)


def test_a_description_is_tuned_and_the_engine_is_not_made_again() -> None:
    other = replace(KEPT, mounts={**KEPT.mounts, "transit-s3/": {**KEPT.mounts["transit-s3/"], "description": "old"}})

    (step,) = plan(other, WANTED).steps

    assert step.path == "sys/mounts/transit-s3/tune"
    assert step.body == {"description": "Keys"}
