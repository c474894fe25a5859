"""Checks of drives: the only ones that stand between a playbook and somebody's data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from legalcloud.preflight.facts import OUR_LOCK, DriveSeen, NodeFacts
from legalcloud.preflight.finding import (
    DRIVE_PRESENT,
    Answer,
    Case,
    Check,
    Judge,
    Waivable,
    each_node,
    failed,
    holds,
    ok,
    unknown,
)
from legalcloud.register import Node

_GIB = 2**30
_CEPH_SIGNATURES = {"ceph_bluestore", "LVM2_member", OUR_LOCK}


def _each_drive(judge: Callable[[Case, NodeFacts, str, DriveSeen], Answer]) -> Judge:
    """Ask about every drive of the register whose device is known; one that is not found is unknown."""

    def judge_node(case: Case, node: Node, facts: NodeFacts) -> Iterator[Answer]:
        for drive in node.drives:
            subject = f"{node.name}/{drive.serial}"
            seen = (facts.drives or {}).get(drive.serial)
            if seen is None:
                yield unknown(subject, facts.drives_problem or "the node was not asked about this drive")
            elif seen.device is None:
                yield unknown(subject, "no single device carries this serial")
            elif seen.problem:
                yield unknown(subject, f"{seen.device}: {seen.problem}")
            else:
                yield judge(case, facts, subject, seen)

    return each_node(judge_node)


def _present(_case: Case, node: Node, facts: NodeFacts) -> Iterator[Answer]:
    for drive in node.drives:
        subject = f"{node.name}/{drive.serial}"
        seen = (facts.drives or {}).get(drive.serial)
        if seen is None:
            yield unknown(subject, facts.drives_problem or "the node was not asked about this drive")
        elif seen.device is not None:
            yield ok(subject, seen.device)
        elif seen.claimed_by:
            yield failed(subject, f"{' and '.join(seen.claimed_by)} both carry this serial")
        else:
            yield failed(subject, "no device carries this serial")


def _distinct(_case: Case, node: Node, facts: NodeFacts) -> Answer:
    if facts.drives is None:
        return unknown(node.name, facts.drives_problem or "the node was not asked about its drives")
    devices = Counter(seen.device for seen in facts.drives.values() if seen.device is not None)
    shared = sorted(device for device, times in devices.items() if times > 1)
    return holds(not shared, node.name, f"two serials lead to {', '.join(shared)}" if shared else "one device a serial")


def _empty(case: Case, _facts: NodeFacts, subject: str, seen: DriveSeen) -> Answer:
    signatures = set(seen.signatures or ())
    if not signatures and not seen.marks:
        return ok(subject, f"{seen.device}: empty")
    if seen.begun and signatures <= _CEPH_SIGNATURES:
        return ok(subject, f"{seen.device}: an OSD that an interrupted run left half made; site.yml makes it anew")
    holds_what = f"{seen.device} holds {', '.join(sorted(signatures)) or 'an OSD'}"
    if not seen.marks or signatures - _CEPH_SIGNATURES:
        return failed(subject, holds_what)
    ours = case.cluster_fsid()
    strangers = sorted({mark.cluster_fsid or "unknown" for mark in seen.marks if mark.cluster_fsid != ours})
    if ours is None or strangers:
        named = ", ".join(strangers) or "unknown"
        return failed(subject, f"{holds_what} of cluster {named}, which is not {ours or 'known to be ours'}")
    return ok(subject, f"{seen.device}: our OSD {', '.join(sorted(mark.osd or 'in its lock' for mark in seen.marks))}")


def _large_enough(case: Case, _facts: NodeFacts, subject: str, seen: DriveSeen) -> Answer:
    if seen.size_bytes is None:
        return unknown(subject, f"{seen.device} tells no size")
    return holds(
        seen.size_bytes >= case.limits.drive_bytes_min,
        subject,
        f"{seen.size_bytes / _GIB:.1f} GiB; at least {case.limits.drive_bytes_min / _GIB:.1f} GiB asked",
    )


def _not_system(_case: Case, facts: NodeFacts, subject: str, seen: DriveSeen) -> Answer:
    if seen.device in facts.system_disks:
        return failed(subject, f"{seen.device} carries the operating system")
    return ok(subject, f"the system is on {', '.join(sorted(facts.system_disks)) or 'no disk of the node'}")


def _unused(_case: Case, facts: NodeFacts, subject: str, seen: DriveSeen) -> Answer:
    uses = list(seen.mounts)
    if facts.system.swaps is None:
        return unknown(subject, "/proc/swaps cannot be read")
    uses.extend("[SWAP]" for swap in facts.system.swaps if seen.device and swap.startswith(seen.device))
    return holds(
        not uses,
        subject,
        f"{seen.device} is in use as {', '.join(uses)}" if uses else f"{seen.device}: not mounted",
    )


CHECKS = (
    Check(
        id=DRIVE_PRESENT,
        title="Registered drives are there",
        why="The register is what the auditor counts; a serial that is absent or doubled is nobody's.",
        remedy="Correct legalcloud_drives in hosts.yml, or fit the drive: lsblk -o PATH,SERIAL.",
        judge=each_node(_present),
        waivable=Waivable.BY_SUBJECT,
    ),
    Check(
        id="drive-distinct",
        title="Each serial is a device of its own",
        why="Two OSDs on one device would destroy each other.",
        remedy="Correct legalcloud_drives in hosts.yml.",
        judge=each_node(_distinct),
        waivable=Waivable.NO,
    ),
    Check(
        id="drive-empty",
        title="Drives are empty, or already ours",
        why="Making an OSD destroys what is on the drive.",
        remedy="If nobody needs the data, wipe that one drive by hand (wipefs --all DEVICE): we never do.",
        judge=_each_drive(_empty),
        waivable=Waivable.BY_SUBJECT,
    ),
    Check(
        id="drive-size",
        title="Drives are large enough",
        why="A small OSD fills first and stops the whole cluster.",
        remedy="Fit a larger drive, or lower preflight_drive_bytes_min with its consequences in mind.",
        judge=_each_drive(_large_enough),
    ),
    Check(
        id="drive-not-system",
        title="Drives are not the system's",
        why="Making an OSD there destroys the node.",
        remedy="Take this serial out of legalcloud_drives in hosts.yml.",
        judge=_each_drive(_not_system),
        waivable=Waivable.NO,
    ),
    Check(
        id="drive-unused",
        title="Drives are neither mounted nor swap",
        why="What is mounted is somebody's.",
        remedy="Unmount it (or swapoff) and take it out of /etc/fstab, or take the serial out of hosts.yml.",
        judge=_each_drive(_unused),
        waivable=Waivable.NO,
    ),
)
