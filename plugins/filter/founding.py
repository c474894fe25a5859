"""Filters that tell whether a run may found a cluster; run on the controller."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

UNKNOWN = "unknown"
"""Begins each entry of `seen_fsids` that is no cluster but a hole in what is known."""


def seen_fsids(hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Give the clusters whose OSDs preflight saw on the drives of these hosts, and in words what it could not see."""
    found: set[str] = set()
    for host in hosts:
        answer = hostvars[host].get("preflight_node") or {}
        drives = (answer.get("facts") or {}).get("drives")
        found.update(_on_node(host, drives) if drives else [f"{UNKNOWN}: preflight did not ask {host} in this run"])
    return sorted(found)


def _on_node(host: str, drives: Mapping[str, Any]) -> Iterator[str]:
    volumes = drives.get("volumes", [])
    for problem in (drives.get("problem"), volumes.get("problem") if isinstance(volumes, Mapping) else None):
        if problem:
            yield f"{UNKNOWN}: drives of {host}: {problem}"
    told = [volume for volume in volumes if volume["ceph_fsid"]] if not isinstance(volumes, Mapping) else []
    yield from (volume["ceph_fsid"] for volume in told)
    for serial, seen in drives.get("seen", {}).items():
        if seen["device"] is None and not seen["claimed_by"]:
            continue  # the drive is not there; whether that is accepted is for preflight to say
        if seen["device"] is None or seen.get("problem"):
            yield f"{UNKNOWN}: {host}/{serial}: {seen.get('problem') or 'two devices carry this serial'}"
        elif seen["bluestore"]:
            yield seen["bluestore"]["ceph_fsid"] or f"{UNKNOWN}: {host}/{serial}: a label that names no cluster"
        elif seen["luks"]:
            yield seen["luks"]["ceph_fsid"]
        elif "LVM2_member" in seen["signatures"] and seen["device"] not in {volume["device"] for volume in told}:
            yield f"{UNKNOWN}: {host}/{serial}: volumes that cannot be read"


def key_holders(answers: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Group the monitors that have a store by the key that they hold; the keys themselves are left out."""
    groups: dict[str, list[str]] = {}
    for host, answer in sorted(answers.items()):
        if answer["exists"]:
            groups.setdefault(answer["mon_key"], []).append(host)
    return list(groups.values())


def founding_doubts(
    answers: Mapping[str, Mapping[str, Any]], members: Collection[str], fsid: str, seen: Sequence[str]
) -> list[str]:
    """Say why a run may not invent the keys of a cluster; empty if it may, or need not."""
    if any(answer["exists"] for answer in answers.values()):
        return []
    if absent := sorted(set(members) - set(answers)):
        return [f"{', '.join(absent)} took no part and may have a store"]
    doubts = [f"drives of the fleet hold OSDs of {fsid}"] if fsid in seen else []
    return doubts + [entry for entry in seen if entry.startswith(UNKNOWN)]


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Any]:
        return {"seen_fsids": seen_fsids, "key_holders": key_holders, "founding_doubts": founding_doubts}
