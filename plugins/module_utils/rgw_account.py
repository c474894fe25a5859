"""What a firm's account, quota and root user should be, decided without asking anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

ROOT_NAME = "operator"
"""User name of the account's root; the gateway allows [A-Za-z0-9_+=,.@-] only, so no firm's name fits."""


class AccountConflictError(Exception):
    """The cluster holds something under the same name that is not what we would have made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account with its quota."""

    name: str
    """The tenant's id."""
    bytes: int
    """User bytes, before erasure coding; -1 for no limit."""
    objects: int
    """-1 for no limit."""
    quota_enabled: bool = True

    @property
    def id(self) -> str:
        return account_id(self.name)

    @property
    def root(self) -> str:
        """Return the root's uid; a tenant's id has no dot, so no other uid of ours is like it."""
        return f"{self.name}.root"


def account_id(name: str) -> str:
    """Derive the id, RGW and 17 digits, so that a killed run finds the account it was making."""
    return f"RGW{int.from_bytes(sha256(name.encode()).digest()) % 10**17:017d}"


def seen_account(answer: Mapping[str, Any]) -> Account:
    """Read `radosgw-admin account get`, Ceph 20.2."""
    quota = answer["quota"]
    return Account(
        name=answer["name"],
        bytes=quota["max_size"],
        objects=quota["max_objects"],
        quota_enabled=quota["enabled"],
    )


def account_steps(wanted: Account, seen: Account | None) -> list[list[str]]:
    """List the calls of radosgw-admin that lead from `seen` to `wanted`; none carries a secret."""
    if seen is not None and seen.name != wanted.name:
        raise AccountConflictError(
            f"account {wanted.id} is {seen.name}, not {wanted.name}: both ids lead to the same number. "
            f"Choose another id for the tenant {wanted.name}."
        )
    named = ["--account-id", wanted.id]
    steps = [] if seen else [["account", "create", *named, "--account-name", wanted.name]]
    scope = ["--quota-scope", "account", *named]
    if seen is None or (seen.bytes, seen.objects) != (wanted.bytes, wanted.objects):
        limits = ["--max-size", str(wanted.bytes), "--max-objects", str(wanted.objects)]
        steps.append(["quota", "set", *scope, *limits])
    if seen is None or not seen.quota_enabled:
        steps.append(["quota", "enable", *scope])
    return steps


def root_steps(wanted: Account, seen: Mapping[str, Any] | None) -> list[list[str]]:
    """Do the same for the root user, as `radosgw-admin user info` shows it; the gateway makes up the key."""
    uid, generate = ["--uid", wanted.root], ["--gen-access-key", "--gen-secret"]
    if seen is None:
        named = ["--display-name", ROOT_NAME, "--account-id", wanted.id, "--account-root"]
        return [["user", "create", *uid, *named, *generate]]
    if (seen["account_id"], seen["type"]) != (wanted.id, "root"):
        raise AccountConflictError(
            f"user {wanted.root} exists and is not the root of account {wanted.id}. Find out who made it "
            f"(`radosgw-admin user info --uid {wanted.root}`) and rename it."
        )
    return [] if active_key(seen) else [["key", "create", *uid, "--key-type", "s3", *generate]]


def active_key(user: Mapping[str, Any]) -> dict[str, str] | None:
    """Pick a key that works; the one with the lowest name, so that runs agree."""
    keys = sorted((key["access_key"], key["secret_key"]) for key in user["keys"] if key.get("active", True))
    return {"access_key": keys[0][0], "secret_key": keys[0][1]} if keys else None


def quota_diff(wanted: Account, seen: Account | None) -> tuple[str, str]:
    """Return one line for what is and one for what will be."""
    return tuple(  # type: ignore[return-value]  # two in, two out
        f"{item.name}: account {item.id}, {item.bytes} bytes, {item.objects} objects"
        f"{'' if item.quota_enabled else ', quota off'}\n"
        if item
        else ""
        for item in (seen, wanted)
    )


def unmanaged(known_ids: Sequence[str], wanted: Sequence[Account]) -> list[str]:
    """Name the accounts that no tenant file speaks of."""
    return sorted(set(known_ids) - {account.id for account in wanted})
