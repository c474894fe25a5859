"""What an OpenBao server is, may be told and may be done to: decisions without side effects."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

AUDIT_DEVICE = re.compile(r'^audit "file" "([^"]+)" \{\n  options \{\n    file_path = "([^"]+)"', re.M)
"""A device as roles/openbao/templates/audit.hcl.j2 writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What `sys/health` of one server said."""

    initialized: bool
    sealed: bool


def parse_health(answer: Mapping[str, object] | None) -> Server | None:
    """Read the JSON of `sys/health`; None if nobody answered, or not as OpenBao does."""
    try:
        return None if answer is None else Server(initialized=answer["initialized"] is True, sealed=_false(answer))
    except KeyError:
        return None


def _false(answer: Mapping[str, object]) -> bool:
    """Tell whether it is sealed: everything but a plain `false` counts as sealed."""
    return answer["sealed"] is not False


def serves(server: Server | None) -> bool:
    return server is not None and server.initialized and not server.sealed


def restart_refusal(own: Server | None, others: Mapping[str, Server | None]) -> str:
    """Say why this server may not stop now; empty if it may.

    One that does not serve takes nothing away. A lone server has nobody to hand over to: its restart is an
    interruption that its owner has chosen.
    """
    if not serves(own) or not others:
        return ""
    quorum = (len(others) + 1) // 2 + 1
    good = [name for name, server in others.items() if serves(server)]
    if len(good) >= quorum:
        return ""
    bad = ", ".join(f"{name} ({describe(server)})" for name, server in sorted(others.items()) if not serves(server))
    return f"without it {len(good)} of {len(others) + 1} servers would serve, and {quorum} are needed: {bad}"


def describe(server: Server | None) -> str:
    if server is None:
        return "no answer"
    if not server.initialized:
        return "not initialised"
    return "sealed" if server.sealed else "unsealed"


def audit_devices(text: str) -> dict[str, str]:
    """Read the file of audit devices: path by name."""
    return dict(AUDIT_DEVICE.findall(text))


def audit_refusals(present: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Name each device that would be edited: OpenBao refuses to become active with one, on all servers in turn."""
    return [
        f"audit device {name} writes to {present[name]} and would write to {path}: OpenBao lets none be edited, and no "
        f"server would become active. Add a device under a name that none ever had, and drop {name}."
        for name, path in wanted.items()
        if present.get(name, path) != path
    ]


def shared_disks(folders: Sequence[str], devices: Mapping[str, int]) -> list[list[str]]:
    """Group the folders that are on one file system, by device number."""
    groups: dict[int, list[str]] = {}
    for folder in folders:
        groups.setdefault(devices[folder], []).append(folder)
    return [group for group in groups.values() if len(group) > 1]
