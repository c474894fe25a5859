"""Which of a firm's keys stays, and whether it needs a new one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlan:
    """What happens to the keys of one firm."""

    keep: str | None
    """The key that was revealed and stays; None if a new one is made."""
    remove: tuple[str, ...]
    """Keys that go, once the new one has been revealed and named in the policy."""

    @property
    def make(self) -> bool:
        return self.keep is None


def key_plan(*, keys: Collection[str], revealed: str | None, rotate: bool) -> KeyPlan:
    """Keep the key that the policy names as revealed; any other is of a run that was killed, or made by hand.

    The policy is the one place that says so, and it is written after the file with the secret. A key that no
    file was ever made for is therefore never kept, and losing the controller's files changes no firm's key.
    """
    keep = revealed if revealed in keys and not rotate else None
    return KeyPlan(keep=keep, remove=tuple(sorted(set(keys) - {keep})))
