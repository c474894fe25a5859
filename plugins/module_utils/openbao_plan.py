"""Compares what OpenBao has with what it should have: engines, policies, logins and the rotation of its keyring."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MINUTE = 60
BUILT_IN_MOUNTS = frozenset({"cubbyhole/", "identity/", "sys/"})
BUILT_IN_POLICIES = frozenset({"default", "root"})
ACCESSOR = "@cert_accessor@"
"""Stands in a policy for the accessor of the certificate login, by which a template finds the caller's name."""


class ConflictError(Exception):
    """OpenBao has something under a name of ours that cannot become what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What OpenBao answered."""

    mounts: Mapping[str, Mapping[str, Any]]
    """`data` of sys/mounts, by path with its slash."""
    login: Mapping[str, Any]
    """The entry of the certificate login in sys/auth."""
    policies: Mapping[str, str]
    logins: Mapping[str, Mapping[str, Any]]
    """`data` of auth/cert/certs/NAME, by name."""
    keyring: Mapping[str, Any]
    """`data` of sys/rotate/keyring/config."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What it should have."""

    engines: Mapping[str, Mapping[str, Any]]
    """`type`, `description` and `options`, by path without its slash."""
    policies: Mapping[str, str]
    logins: Mapping[str, Mapping[str, Any]]
    """Fields of auth/cert/certs/NAME, by name."""
    keyring: Mapping[str, Any]
    longest_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call; a body of None deletes."""

    title: str
    path: str
    body: Mapping[str, Any] | None
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do, and what nobody asked for."""

    steps: tuple[Step, ...]
    unknown: tuple[str, ...]
    """What OpenBao has and the wish does not name, in words."""


def plan(state: State, wanted: Wanted, *, remove_unknown: bool = False) -> Plan:
    """Compare only what we were asked about. Engines are never deleted, whoever asks.

    Raises: ConflictError.
    """
    accessor = str(state.login.get("accessor", ""))
    policies = {name: text.replace(ACCESSOR, accessor) for name, text in wanted.policies.items()}
    extra_policies = sorted(state.policies.keys() - policies.keys() - BUILT_IN_POLICIES)
    extra_logins = sorted(state.logins.keys() - wanted.logins.keys())
    extra_mounts = sorted(state.mounts.keys() - {f"{path}/" for path in wanted.engines} - BUILT_IN_MOUNTS)
    unknown = [f"engine {path}" for path in extra_mounts]
    steps = [*_engines(state, wanted), *_policies(state, policies), *_tuning(state, wanted), *_logins(state, wanted)]
    steps += _keyring(state, wanted)
    if remove_unknown:
        steps += [_removal(f"login {name}", f"auth/cert/certs/{name}") for name in extra_logins]
        steps += [_removal(f"policy {name}", f"sys/policies/acl/{name}") for name in extra_policies]
    else:
        unknown += [f"login {name}" for name in extra_logins] + [f"policy {name}" for name in extra_policies]
    return Plan(steps=tuple(steps), unknown=tuple(unknown))


def _engines(state: State, wanted: Wanted) -> Iterator[Step]:
    for path, wish in sorted(wanted.engines.items()):
        body = {"type": wish["type"], "description": wish["description"], "options": dict(wish["options"])}
        found = state.mounts.get(f"{path}/")
        if found is None:
            yield Step(title=f"engine {path}/", path=f"sys/mounts/{path}", body=body, before="", after=_text(body))
            continue
        kept = {key: (found.get("options") or {}).get(key) for key in wish["options"]}
        if found["type"] != wish["type"] or kept != dict(wish["options"]):
            msg = (
                f"{path}/ is an engine {found['type']} {kept or ''}, not {wish['type']} {dict(wish['options']) or ''}. "
                "It may hold keys, so nothing was changed. Look at it with a person who knows why it is there."
            )
            raise ConflictError(msg)
        yield from _difference(
            f"description of engine {path}/",
            f"sys/mounts/{path}/tune",
            {"description": found["description"]},
            {"description": wish["description"]},
        )


def _policies(state: State, policies: Mapping[str, str]) -> Iterator[Step]:
    for name, text in sorted(policies.items()):
        before = state.policies.get(name, "")
        if before.strip() != text.strip():
            body = {"policy": text}
            yield Step(title=f"policy {name}", path=f"sys/policies/acl/{name}", body=body, before=before, after=text)


def _tuning(state: State, wanted: Wanted) -> Iterator[Step]:
    seconds = wanted.longest_minutes * MINUTE
    found = state.login.get("config", {})
    wish = {"default_lease_ttl": seconds, "max_lease_ttl": seconds}
    yield from _difference(
        "lifetime of tokens by certificate", "sys/auth/cert/tune", {key: found.get(key) for key in wish}, wish
    )


def _logins(state: State, wanted: Wanted) -> Iterator[Step]:
    for name, wish in sorted(wanted.logins.items()):
        found = state.logins.get(name)
        before = None if found is None else {key: _canonical(key, found.get(key)) for key in wish}
        after = {key: _canonical(key, value) for key, value in wish.items()}
        yield from _difference(f"login {name}", f"auth/cert/certs/{name}", before, after)


def _keyring(state: State, wanted: Wanted) -> Iterator[Step]:
    before = {key: state.keyring.get(key) for key in wanted.keyring}
    yield from _difference("rotation of the keyring", "sys/rotate/keyring/config", before, dict(wanted.keyring))


def _difference(title: str, path: str, before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Iterator[Step]:
    if before != after:
        shown = "" if before is None else _text(before)
        yield Step(title=title, path=path, body=after, before=shown, after=_text(after))


def _removal(title: str, path: str) -> Step:
    return Step(title=f"no {title}", path=path, body=None, before=f"{title}\n", after="")


def _canonical(key: str, value: Any) -> Any:  # noqa: ANN401 -- JSON
    """Bring a field to the spelling that OpenBao gives back."""
    if key == "token_bound_cidrs":
        return sorted(str(ipaddress.ip_network(one)) for one in value or [])
    if key == "certificate":
        return str(value or "").strip()
    return sorted(value) if isinstance(value, list) else value


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True) + "\n"
