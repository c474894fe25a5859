"""What a tenant's key in OpenBao must be, and what becomes of one that is not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

WISH: Mapping[str, Any] = {"type": "aes256-gcm96", "derived": True}
"""What is asked for. It cannot leave OpenBao: neither `exportable` nor a plaintext backup, which are off by default."""
FIXED: Mapping[str, Any] = {**WISH, "exportable": False, "allow_plaintext_backup": False}
"""What it then is, and stays: OpenBao changes none of these, except that the last two can be switched on."""


class KeyConflictError(Exception):
    """A key of this name is there and is not what a tenant's key must be."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Name:
    """Where a key is."""

    mount: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.mount}/keys/{self.name}"

    def __str__(self) -> str:
        return f"{self.mount}/{self.name}"


def check(name: Name, seen: Mapping[str, Any] | None) -> bool:
    """Tell whether the key must be made; `seen` is `data` of its path. Raises: KeyConflictError."""
    if seen is None:
        return True
    wrong = [f"{key} is {seen.get(key)!r}, not {value!r}" for key, value in FIXED.items() if seen.get(key) != value]
    if wrong:
        msg = (
            f"key {name}: {'; '.join(wrong)}. A gateway makes such a key when it stores for an account that was not "
            "onboarded; a person may have made it too. It was left alone, since objects may need it. Give the tenant "
            "another id, or move its objects away and delete the key as playbooks/shred_tenant.yml does."
        )
        raise KeyConflictError(msg)
    return False


def unknown(found: Mapping[str, Collection[str]], wanted: Collection[Name]) -> list[str]:
    """Name the keys, by mount, that nobody asked for."""
    names = {Name(mount=mount, name=name) for mount, listed in found.items() for name in listed}
    return [str(name) for name in sorted(names - set(wanted))]
