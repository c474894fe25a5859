"""Checks of Ceph's packages and of what a node already knows about its cluster."""

from __future__ import annotations

from collections.abc import Iterator

from legalcloud.advisories import parse_version
from legalcloud.errors import ParseError
from legalcloud.preflight.facts import NodeFacts, Place
from legalcloud.preflight.finding import Answer, Case, Check, Severity, deferred, each_node, failed, holds, ok, unknown
from legalcloud.register import Node

_PACKAGES = ("ceph-mon", "ceph-osd")


def versions(case: Case, facts: NodeFacts) -> set[str]:
    """Versions that the node runs; where none is installed, those it will get."""
    packages = facts.system.packages or {}
    seen = [packages[name] for name in _PACKAGES if name in packages]
    installed = {package.installed for package in seen if package.installed is not None}
    if installed:
        return installed
    if case.limits.ceph_version_planned:
        return {case.limits.ceph_version_planned}
    if case.limits.package_source != "debian":
        return set()
    return {package.candidate for package in seen if package.candidate is not None}


def _no_version(case: Case, node: Node, facts: NodeFacts) -> Answer:
    if facts.system.packages is None:
        return unknown(node.name, "`apt-cache policy` gave no answer")
    if case.limits.package_source != "debian":
        return unknown(node.name, "not installed, and preflight_ceph_version_planned names no version")
    return unknown(node.name, "not installed, and no package source offers ceph-mon and ceph-osd")


def _known(case: Case, node: Node, facts: NodeFacts) -> Iterator[Answer]:
    found = versions(case, facts)
    if not found:
        yield _no_version(case, node, facts)
    for version in sorted(found):
        try:
            faults = [advisory for advisory in case.advisories if advisory.affects(version)]
        except ParseError as error:
            yield unknown(node.name, str(error))
            continue
        if not faults:
            yield ok(node.name, f"{version}: no known fault")
            continue
        fixed = sorted({release for fault in faults for release in fault.fixed_in})
        named = "; ".join(f"{fault.id} ({fault.component}: {fault.summary})" for fault in faults)
        yield failed(node.name, f"{version} has {named}. Fixed in {', '.join(fixed)}")


def _series(case: Case, node: Node, facts: NodeFacts) -> Iterator[Answer]:
    found = versions(case, facts)
    if not found:
        yield _no_version(case, node, facts)
    for version in sorted(found):
        try:
            major, minor, _patch = parse_version(version)
        except ParseError as error:
            yield unknown(node.name, str(error))
            continue
        accepted = ", ".join(case.limits.ceph_series)
        yield holds(f"{major}.{minor}" in case.limits.ceph_series, node.name, f"{version}; accepted: {accepted}")


def _same(case: Case) -> Iterator[Answer]:
    found: dict[str, list[str]] = {}
    for name, facts in sorted(case.facts.items()):
        for version in versions(case, facts):
            found.setdefault(version, []).append(name)
    if not found:
        yield unknown("all nodes", "no node names a version")
    elif len(found) == 1:
        yield ok("all nodes", next(iter(found)))
    else:
        yield failed("all nodes", "; ".join(f"{version}: {', '.join(names)}" for version, names in found.items()))


def _pending(_case: Case, node: Node, facts: NodeFacts) -> Answer:
    if facts.system.packages is None:
        return unknown(node.name, "`apt-cache policy` gave no answer")
    newer = [
        f"{name} {package.installed}, offered {package.candidate}"
        for name, package in sorted(facts.system.packages.items())
        if package.installed and package.candidate != package.installed
    ]
    return holds(not newer, node.name, "; ".join(newer) or "nothing newer is offered")


def _fsid(case: Case) -> Iterator[Answer]:
    wanted = case.cluster_fsid()
    known = {name: facts.system.cluster_fsid for name, facts in sorted(case.facts.items())}
    if not any(known.values()):
        yield ok("all nodes", "no node belongs to a cluster yet")
        return
    for name, fsid in known.items():
        if fsid is None:
            yield ok(name, "belongs to no cluster yet")
        elif wanted is None:
            yield failed(name, f"{fsid}, and other nodes name other clusters")
        else:
            yield holds(fsid == wanted, name, fsid if fsid == wanted else f"{fsid} instead of {wanted}")


def _place(case: Case) -> Iterator[Answer]:
    seen = next((facts.crush for facts in case.facts.values() if facts.crush is not None), None)
    for node in case.register.group("storage"):
        facts = case.facts.get(node.name)
        if facts is None:
            yield unknown(node.name, "the node gave no facts")
        elif seen is None:
            yield _no_tree(case, node, facts)
        elif node.name not in seen:
            yield ok(node.name, "not in the cluster yet")
        else:
            yield _placed(case, node, seen[node.name])


def _no_tree(case: Case, node: Node, facts: NodeFacts) -> Answer:
    if not any(other.provisioned for other in case.facts.values()):
        return ok(node.name, "there is no cluster yet")
    return (deferred if case.may_lack(facts) else unknown)(node.name, "no monitor says where the cluster has it")


def _placed(case: Case, node: Node, place: Place) -> Answer:
    wanted = ("root=hk", f"datacenter={node.site}", f"rack={node.site}-{node.rack}")
    if place.path == wanted:
        return ok(node.name, " ".join(wanted))
    if node.name in case.limits.moves or not place.osds:
        return ok(node.name, f"moves to {' '.join(wanted)}")
    there = " ".join(place.path) or "no place"
    return failed(node.name, f"{place.osds} OSDs at {there}; the register says {' '.join(wanted)}")


CHECKS = (
    Check(
        id="ceph-advisories",
        title="Ceph version has no known fault",
        why="These faults let a client take keys or stop the manager.",
        remedy="Take Ceph 20.2.4 (Debian 14, or Ceph's own repository by preflight_package_source), or "
        "19.2.6; a waiver needs a reason and a day on which it ends.",
        judge=each_node(_known),
    ),
    Check(
        id="ceph-series",
        title="Ceph series is one that we test",
        why="Other series read our settings in other ways.",
        remedy="Correct the package source; preflight_ceph_series lists what is tested.",
        judge=each_node(_series),
    ),
    Check(
        id="ceph-same-version",
        title="All nodes get the same Ceph",
        why="Mixed versions are for the hour of an upgrade.",
        remedy="Give all nodes one package source, run apt-get update, or finish the upgrade.",
        judge=_same,
    ),
    Check(
        id="ceph-upgrade-pending",
        title="No newer Ceph waits",
        why="A fix that waits does not protect.",
        remedy="Plan an upgrade; site.yml does not change the version of a running cluster.",
        judge=each_node(_pending),
        severity=Severity.WARN,
    ),
    Check(
        id="cluster-fsid",
        title="Nodes belong to one cluster",
        why="A node of another cluster has another's data.",
        remedy="Correct the inventory, or clear the node by hand after its data is safe.",
        judge=_fsid,
    ),
    Check(
        id="crush-place",
        title="Cluster has each node where the register has it",
        why="An OSD that starts moves its node to what ceph.conf says, and with it its data.",
        remedy="Correct legalcloud_site or legalcloud_rack in hosts.yml. If the machine was moved, name it: "
        '-e \'{"ceph_cluster_moves": ["NODE"]}\', one at a time.',
        judge=_place,
    ),
)
