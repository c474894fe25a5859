"""What the facts mean: every problem by name, with what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from legalcloud.health.facts import Cluster, Problem, RoundTrip
from legalcloud.health.locks import REFUSED
from legalcloud.register import Register


def judge(cluster: Cluster, trip: RoundTrip | None, register: Register) -> tuple[Problem, ...]:
    """Compare what is with what the register says shall be; nobody having looked is a problem, too."""
    return (*_cluster(cluster), *_register(cluster, register), *_trip(trip))


def _cluster(cluster: Cluster) -> Iterator[Problem]:
    for code, message in sorted(cluster.checks.items()):
        yield Problem(subject=code, what=message, remedy="`ceph health detail` on a monitor says where.")
    if cluster.status != "HEALTH_OK" and not cluster.checks:
        yield Problem(subject="cluster", what=cluster.status, remedy="`ceph health detail` on a monitor.")
    for state, count in sorted(cluster.placement_groups.items()):
        if not {"active", "clean"} <= set(state.split("+")):
            yield Problem(
                subject="placement groups",
                what=f"{count} are {state}",
                remedy="`ceph pg dump_stuck` on a monitor.",
            )
    if len(cluster.versions) > 1:
        yield Problem(
            subject="versions",
            what=f"{', '.join(cluster.versions)} run side by side",
            remedy="Finish the upgrade.",
        )


def _register(cluster: Cluster, register: Register) -> Iterator[Problem]:
    yield from _missing("monitor", "ceph-mon@NAME", _names(register, "mons"), cluster.mons_in_quorum)
    yield from _missing("gateway", "ceph-radosgw@rgw.NAME", _names(register, "gateways"), cluster.gateways)
    seen = {site.name: site for site in cluster.sites}
    for site in register.sites:
        drives = sum(len(node.drives) for node in register.nodes if node.site == site.id)
        up = seen[site.id].osds_up if site.id in seen else 0
        if up < drives:
            yield Problem(
                subject=f"site {site.id}",
                what=f"{up} of {drives} registered drives have an OSD that is up",
                remedy="`ceph osd tree down` on a monitor; then `systemctl status ceph-osd@N` on the node it names.",
            )
    for name in sorted(set(seen) - {site.id for site in register.sites}):
        yield Problem(
            subject=f"site {name}",
            what="the cluster has OSDs there, and the register has no such site",
            remedy="Find out who added them: `ceph osd tree`. Data may lie outside the register.",
        )


def _names(register: Register, group: str) -> tuple[str, ...]:
    return tuple(node.name for node in register.group(group))


def _missing(what: str, unit: str, wanted: Sequence[str], found: Sequence[str]) -> Iterator[Problem]:
    for name in sorted(set(wanted) - set(found)):
        yield Problem(
            subject=name,
            what=f"its {what} is not there",
            remedy=f"`systemctl status {unit.replace('NAME', name)}`.",
        )


def _trip(trip: RoundTrip | None) -> Iterator[Problem]:
    if trip is None:
        yield Problem(
            subject="S3 endpoint",
            what="unknown: nobody stored and read back an object",
            remedy="Set verify_bucket and the tenant's key (docs/operating.md), and run playbooks/verify.yml.",
        )
    elif not trip.same:
        yield Problem(
            subject="S3 endpoint",
            what=f"an object of {trip.size_bytes} bytes in {trip.bucket} came back changed",
            remedy="Stop writing to the store and look at `ceph health detail` for scrub errors.",
        )
    elif trip.lock_status != REFUSED:
        yield Problem(
            subject="S3 endpoint",
            what=f"it answers {trip.lock_status} instead of {REFUSED} to a client's own Object Lock",
            remedy="Run playbooks/site.yml --tags ceph_gateway,ingress, and this again.",
        )
