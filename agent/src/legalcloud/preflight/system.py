"""Checks of the machine and its operating system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from legalcloud.preflight.facts import NodeFacts
from legalcloud.preflight.finding import (
    NODE_ANSWERS,
    Answer,
    Case,
    Check,
    Severity,
    Waivable,
    each_node,
    failed,
    holds,
    ok,
    unknown,
)
from legalcloud.register import Node

_GIB = 2**30
_ENTROPY_BITS_MIN = 256
"""What a kernel since 5.18 says once its generator is ready."""


def _answered(case: Case) -> Iterator[Answer]:
    for node in case.register.nodes:
        if node.name in case.facts:
            yield ok(node.name, "answered")
        else:
            yield unknown(node.name, case.problems.get(node.name, "unreachable, or its facts were not gathered"))


def _release(case: Case, node: Node, facts: NodeFacts) -> Answer:
    wanted = case.limits.debian_releases.get(case.limits.package_source, ())
    seen = f"{facts.system.os_id} {facts.system.os_codename}"
    if facts.system.os_id is None or facts.system.os_codename is None:
        return unknown(node.name, "/etc/os-release names no release")
    fits = facts.system.os_id == "debian" and facts.system.os_codename in wanted
    return holds(
        fits,
        node.name,
        f"{seen}; package source {case.limits.package_source} goes with {', '.join(wanted) or 'none'}",
    )


def _architecture(_case: Case, node: Node, facts: NodeFacts) -> Answer:
    return holds(facts.system.machine == "x86_64", node.name, facts.system.machine)


def _python(case: Case, node: Node, facts: NodeFacts) -> Answer:
    return holds(facts.system.python >= case.limits.python_min, node.name, ".".join(map(str, facts.system.python)))


def _systemd(case: Case, node: Node, facts: NodeFacts) -> Answer:
    if facts.system.systemd is None:
        return unknown(node.name, "`systemctl --version` gave no version")
    return holds(facts.system.systemd >= case.limits.systemd_min, node.name, f"systemd {facts.system.systemd}")


def _machine_id(case: Case, node: Node, facts: NodeFacts) -> Answer:
    own = facts.system.machine_id
    if own is None:
        return unknown(node.name, "/etc/machine-id is missing or empty")
    shared = Counter(other.system.machine_id for other in case.facts.values())
    twins = sorted(name for name, other in case.facts.items() if other.system.machine_id == own and name != node.name)
    return holds(shared[own] == 1, node.name, f"shared with {', '.join(twins)}" if twins else "its own")


def _memory(case: Case, node: Node, facts: NodeFacts) -> Answer:
    if facts.system.memory_bytes is None:
        return unknown(node.name, "/proc/meminfo names no total")
    wanted = case.limits.memory_reserved_bytes + len(node.drives) * case.limits.memory_per_osd_bytes
    return holds(
        facts.system.memory_bytes >= wanted,
        node.name,
        f"{facts.system.memory_bytes / _GIB:.1f} GiB; {len(node.drives)} OSDs want {wanted / _GIB:.1f} GiB",
    )


def _cores(case: Case, node: Node, facts: NodeFacts) -> Answer:
    wanted = len(node.drives) * case.limits.cores_per_osd
    return holds(
        facts.system.cores >= wanted,
        node.name,
        f"{facts.system.cores} cores; {len(node.drives)} OSDs want {wanted:g}",
    )


def _free_space(case: Case, node: Node, facts: NodeFacts) -> Answer:
    space = facts.system.var_lib
    if space.size_bytes == 0:
        return unknown(node.name, "the file system of /var/lib tells no size")
    fraction = space.free_bytes / space.size_bytes
    return holds(
        fraction >= case.limits.free_fraction_min,
        node.name,
        f"/var/lib: {fraction:.0%} of {space.size_bytes / _GIB:.0f} GiB free; "
        f"at least {case.limits.free_fraction_min:.0%} asked",
    )


def _swap(case: Case, node: Node, facts: NodeFacts) -> Answer:
    if facts.system.swaps is None:
        return unknown(node.name, "/proc/swaps cannot be read")
    if not facts.system.swaps:
        return ok(node.name, "none")
    seen = f"swaps to {', '.join(facts.system.swaps)}"
    return holds(case.limits.swap_allowed, node.name, seen)


def _time_zone(case: Case) -> Iterator[Answer]:
    for node in case.register.nodes:
        facts = case.facts.get(node.name)
        zone = facts.system.time_zone if facts else None
        if zone is None:
            yield unknown(node.name, "the node names no time zone")
        else:
            yield holds(zone in case.limits.time_zones, node.name, zone)
    zones = sorted({facts.system.time_zone or "unknown" for facts in case.facts.values()})
    if len(zones) > 1:
        yield failed("all nodes", f"the nodes keep {', '.join(zones)}")


def _entropy(_case: Case, node: Node, facts: NodeFacts) -> Answer:
    if facts.system.entropy_bits is None:
        return unknown(node.name, "the kernel tells no entropy")
    return holds(facts.system.entropy_bits >= _ENTROPY_BITS_MIN, node.name, f"{facts.system.entropy_bits} bits")


CHECKS = (
    Check(
        id=NODE_ANSWERS,
        title="Every node of the register answers",
        why="A node that cannot be asked cannot be judged.",
        remedy="Try `ansible NODE -m ping`; correct the address, the key or the host key, or start the node. "
        'docs/operating.md, "When a node is down", says how to go on without it.',
        judge=_answered,
        waivable=Waivable.BY_SUBJECT,
    ),
    Check(
        id="debian-release",
        title="Debian release goes with the package source",
        why="Ceph's packages are built for one release; another mixes libraries.",
        remedy="Install a release that goes with preflight_package_source (see preflight_debian_releases).",
        judge=each_node(_release),
    ),
    Check(
        id="architecture",
        title="Processor is amd64",
        why="The binaries that the controller carries are built for amd64.",
        remedy="Take the node out of the inventory and use an amd64 machine.",
        judge=each_node(_architecture),
        waivable=Waivable.NO,
    ),
    Check(
        id="python-version",
        title="Python is recent enough",
        why="Our modules and the agent are written for it.",
        remedy="Install python3 from Debian 12 or later.",
        judge=each_node(_python),
    ),
    Check(
        id="systemd-version",
        title="systemd is recent enough",
        why="Units use credentials and sandboxing that older versions ignore in silence.",
        remedy="Install systemd from Debian 12 or later.",
        judge=each_node(_systemd),
    ),
    Check(
        id="machine-id",
        title="Machine id is the node's own",
        why="Cloned machines with one id take each other's addresses and mix their logs.",
        remedy="On the clone: rm /etc/machine-id && systemd-machine-id-setup, then reboot.",
        judge=each_node(_machine_id),
    ),
    Check(
        id="memory-per-osd",
        title="Memory is enough for the OSDs",
        why="An OSD that is killed for memory while data is recovered takes the next one with it.",
        remedy="Add memory, or take drives off the node in hosts.yml.",
        judge=each_node(_memory),
    ),
    Check(
        id="cores-per-osd",
        title="Cores are enough for the OSDs",
        why="Starved OSDs miss heartbeats and are marked down.",
        remedy="Use a larger processor, or take drives off the node in hosts.yml.",
        judge=each_node(_cores),
    ),
    Check(
        id="free-space",
        title="/var/lib has room",
        why="A monitor warns below 30 % and stops at 5 %; a full audit log stops the key manager.",
        remedy="Remove what fills the file system of /var/lib, or enlarge it.",
        judge=each_node(_free_space),
    ),
    Check(
        id="swap",
        title="Node does not swap",
        why="Swap writes keys and clients' bytes to a disk in the clear, and slows OSDs into time-outs.",
        remedy="swapoff --all and remove swap from /etc/fstab.",
        judge=each_node(_swap),
    ),
    Check(
        id="time-zone",
        title="Time zone is an accepted one, the same everywhere",
        why="An auditor reads logs of several nodes side by side.",
        remedy="timedatectl set-timezone with one of preflight_time_zones.",
        judge=_time_zone,
        severity=Severity.WARN,
    ),
    Check(
        id="entropy",
        title="Random generator is ready",
        why="Keys made before that can be guessed.",
        remedy="Wait, or give the machine a hardware generator (virtio-rng, rng-tools).",
        judge=each_node(_entropy),
        severity=Severity.WARN,
    ),
)
