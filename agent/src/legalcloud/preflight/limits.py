"""The variables of role `preflight` as facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from legalcloud.errors import InputError

_WAIVER_KEYS = {"check", "subject", "reason", "expires"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A person's word that a finding is accepted until a day."""

    check: str
    subject: str | None
    """None waives the check for all subjects."""
    reason: str
    expires: date
    """Last day on which it holds."""

    def __str__(self) -> str:
        return f"{self.check} of {self.subject}" if self.subject else self.check


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRule:
    """A TCP port that one service needs on each node of a group."""

    port: int
    group: str
    process: str
    """Name of the process that may hold it (`/proc/PID/comm`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is asked of the nodes."""

    package_source: str
    debian_releases: Mapping[str, tuple[str, ...]]
    """Code names by package source."""
    ceph_series: tuple[str, ...]
    ceph_version_planned: str | None
    """What a repository that is not configured yet will give; None to judge what the node offers."""
    memory_per_osd_bytes: int
    memory_reserved_bytes: int
    cores_per_osd: float
    clock_offset_seconds_max: float
    time_sources: tuple[str, ...]
    time_zones: tuple[str, ...]
    hosts_file_managed: bool
    site_follows: bool
    mtu_bytes_min: int
    drive_bytes_min: int
    free_fraction_min: float
    swap_allowed: bool
    python_min: tuple[int, ...]
    systemd_min: int
    ports: tuple[PortRule, ...]
    cluster_fsid: str | None
    moves: tuple[str, ...]
    """Hosts that this run may move to where the register has them."""
    waivers: tuple[Waiver, ...]


def parse(variables: Mapping[str, Any]) -> Limits:
    """Read the options of the role, without their prefix; Ansible has validated their types.

    Raises: InputError naming the variable if a value has no meaning.
    """
    try:
        return Limits(
            package_source=variables["package_source"],
            debian_releases={name: tuple(codes) for name, codes in variables["debian_releases"].items()},
            ceph_series=tuple(variables["ceph_series"]),
            ceph_version_planned=variables["ceph_version_planned"] or None,
            memory_per_osd_bytes=int(variables["memory_per_osd_bytes"]),
            memory_reserved_bytes=int(variables["memory_reserved_bytes"]),
            cores_per_osd=float(variables["cores_per_osd"]),
            clock_offset_seconds_max=float(variables["clock_offset_seconds_max"]),
            time_sources=tuple(variables["time_sources"]),
            time_zones=tuple(variables["time_zones"]),
            hosts_file_managed=bool(variables["hosts_file_managed"]),
            site_follows=bool(variables["site_follows"]),
            mtu_bytes_min=int(variables["mtu_bytes_min"]),
            drive_bytes_min=int(variables["drive_bytes_min"]),
            free_fraction_min=float(variables["free_fraction_min"]),
            swap_allowed=bool(variables["swap_allowed"]),
            python_min=tuple(int(part) for part in str(variables["python_min"]).split(".")),
            systemd_min=int(variables["systemd_min"]),
            ports=tuple(PortRule(**rule) for rule in variables["ports"]),
            cluster_fsid=variables["cluster_fsid"] or None,
            moves=tuple(variables["moves"]),
            waivers=tuple(
                _waiver(f"preflight_waivers[{place}]", raw) for place, raw in enumerate(variables["waivers"])
            ),
        )
    except KeyError as error:
        raise InputError(
            f"preflight_{error.args[0]} is missing", hint="See roles/preflight/defaults/main.yml."
        ) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"a preflight_ variable has a value without meaning: {error}",
            hint="See roles/preflight/meta/argument_specs.yml for types and units.",
        ) from error


def _waiver(where: str, raw: Mapping[str, Any]) -> Waiver:
    """One waiver; it needs a reason of words and a day, since one without either would stand for ever."""
    hint = "Write {check: ID, subject: NODE or NODE/SERIAL, reason: why, expires: YYYY-MM-DD}."
    if strange := sorted(set(raw) - _WAIVER_KEYS):
        raise InputError(f"{where}: unknown key {strange[0]}", hint=hint)
    for key in ("check", "reason", "expires"):
        if not str(raw.get(key) or "").strip():
            raise InputError(f"{where}.{key} is missing or empty", hint=hint)
    try:
        expires = date.fromisoformat(str(raw["expires"]))
    except ValueError as error:
        raise InputError(f"{where}.expires: {raw['expires']!r} is not a day", hint=hint) from error
    return Waiver(check=raw["check"], subject=raw.get("subject") or None, reason=raw["reason"].strip(), expires=expires)
