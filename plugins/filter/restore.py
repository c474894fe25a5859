"""What a restore drill found, as its record has it and as a person reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

TIME = "%Y-%m-%dT%H:%M:%SZ"


def restore_body(server: Mapping[str, Any], stored: Mapping[str, Any], read: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record's body from the first server's facts and the two looks at the witness."""
    chosen = server["__openbao_restore_used"]
    stopped = int(server["__openbao_restore_stopped_at"])
    before = [one["taken_at"] for one in server["__openbao_restore_before"]["snapshots"]]
    skipped = bool(stored.get("skipped"))
    return {
        "snapshot": {key: chosen[key] for key in ("name", "taken_at", "node", "site", "sha256", "kek_label")},
        "stopped_at": datetime.fromtimestamp(stopped, UTC).strftime(TIME),
        "recovery_point_seconds": _age(chosen["taken_at"], stopped),
        "newest_by_timer_was_old_seconds": _age(max(before), stopped) if before else None,
        "recovery_seconds": int(server["__openbao_restore_seconds"]),
        "all_voters_after_seconds": int(server["__openbao_restore_whole_seconds"]),
        "voters": list(server["__openbao_restore_voters"]["voters"]),
        "witness_read_back": None if skipped else not read.get("failed", False),
        "witness_encryption": None if skipped else str(read["results"][0].get("encryption", "")),
    }


def _age(taken_at: str, now: int) -> int:
    return now - int(datetime.strptime(taken_at, TIME).replace(tzinfo=UTC).timestamp())


def restore_lines(body: Mapping[str, Any], record: str) -> list[str]:
    chosen, lost = body["snapshot"], body["newest_by_timer_was_old_seconds"]
    witness = {None: "no object was stored before", True: "the object stored before was read back, byte for byte"}
    return [
        f"restored from {chosen['name']} of {chosen['node']}, {body['recovery_point_seconds']} s old",
        f"newest snapshot by the timer: {'none' if lost is None else f'{lost} s old'}; that much could have been lost",
        f"served again after {body['recovery_seconds']} s, all {len(body['voters'])} servers vote after "
        f"{body['all_voters_after_seconds']} s",
        witness[body["witness_read_back"]],
        f"the record is {record}",
    ]


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"restore_body": restore_body, "restore_lines": restore_lines}
