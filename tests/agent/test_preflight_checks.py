"""Every check passes on a good fleet, and fails on the one fault that it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
from tests.agent.preflight_sample import FSID, good_case, with_drive, with_facts, with_node

from legalcloud.preflight.facts import Echo, Interface, Listener, NodeFacts, OsdMark, Package, Place, Space, TimeAnswer
from legalcloud.preflight.finding import Case, Check, Outcome
from legalcloud.preflight.judge import BY_ID, CHECKS, judge

CHECKS_ASKED_FOR = 25


class Fault(NamedTuple):
    """One fault and what the check must say about it."""

    check: str
    change: Callable[[Case], Case]
    subject: str
    seen: str
    outcome: Outcome = Outcome.FAILED


def system(**fields: object) -> Callable[[Case], Case]:
    return lambda case: with_facts(case, system=fields)


def clock(**fields: object) -> Callable[[Case], Case]:
    return lambda case: with_facts(case, clock=fields)


def network(**fields: object) -> Callable[[Case], Case]:
    return lambda case: with_facts(case, network=fields)


def drive(**fields: object) -> Callable[[Case], Case]:
    return lambda case: with_drive(case, **fields)


def ceph(installed: str | None, candidate: str | None) -> Callable[[Case], Case]:
    package = Package(installed=installed, candidate=candidate)
    return system(packages={"ceph-mon": package, "ceph-osd": package})


def without_group(name: str, group: str) -> Callable[[Case], Case]:
    def change(case: Case) -> Case:
        here = next(node for node in case.register.nodes if node.name == name)
        return with_node(case, name, groups=here.groups - {group})

    return change


def one_site(case: Case) -> Case:
    nodes = tuple(replace(node, site="tko") for node in case.register.nodes)
    return replace(case, register=replace(case.register, nodes=nodes))


def silent(case: Case) -> Case:
    facts = {name: seen for name, seen in case.facts.items() if name != "tko-1"}
    return replace(case, facts=facts, problems={"tko-1": "Failed to connect"})


def names(case: Case, **changed: str | None) -> dict[str, str | None]:
    return {**case.facts["tko-1"].network.reverse, **{key.replace("_", "-"): v for key, v in changed.items()}}


def echo(*, small: bool = True, full: bool = True, problem: str | None = None) -> Callable[[Case], Case]:
    def change(case: Case) -> Case:
        echoes = case.facts["tko-1"].network.echoes or {}
        answer = Echo(small=small, full=full, problem=problem)
        return with_facts(case, network={"echoes": {**echoes, "cwn-2": answer}})

    return change


def bare(case: Case) -> dict[str, NodeFacts]:
    """Return the nodes as they were before site.yml."""
    return {
        name: replace(facts, crush=None, system=replace(facts.system, cluster_fsid=None))
        for name, facts in case.facts.items()
    }


def nowhere(case: Case) -> Case:
    return with_facts(case, node={"crush": {"sht-2": Place(path=(), osds=1)}})


def same_device(case: Case) -> Case:
    return with_drive(case, device="/dev/vdb")


def waiver(**fields: str) -> Callable[[Case], Case]:
    raw = {"check": "swap", "reason": "encrypted swap", "expires": "2027-01-31"} | fields
    return lambda _case: good_case(waivers=[raw])


OTHER = "11111111-2222-3333-4444-555555555555"
STRANGER = TimeAnswer(addresses=(), offset_seconds=None, problem="timed out")
V6 = Interface(name="host0", mtu_bytes=1500, addresses=("10.77.1.11", "2001:db8::1"))
SERIAL = "tko-1/LAB-tko-1-2"

FAULTS = (
    Fault("waivers", waiver(expires="2026-11-22"), "preflight_waivers[0]", "expired on 2026-11-22"),
    Fault("waivers", waiver(check="clock"), "preflight_waivers[0]", "no such check"),
    Fault("waivers", waiver(check="drive-not-system"), "preflight_waivers[0]", "cannot be waived"),
    Fault("waivers", waiver(check="drive-empty"), "preflight_waivers[0]", "name the one subject"),
    Fault("waivers", waiver(check="node-answers"), "preflight_waivers[0]", "name the one subject"),
    Fault("waivers", waiver(check="drive-present"), "preflight_waivers[0]", "name the one subject"),
    Fault("example-replaced", lambda case: replace(case, placeholders=("x[0].y",)), "x[0].y", "inventories/example"),
    Fault("sites", one_site, "storage", "1 sites: tko"),
    Fault("mons-odd", without_group("sht-1", "mons"), "mons", "2 voters: tko-1, cwn-1"),
    Fault("kms-odd", without_group("sht-1", "kms"), "kms", "2 voters"),
    Fault("voters-spread", one_site, "mons", "tko, has 3 of 3"),
    Fault("mgrs", without_group("cwn-1", "mgrs"), "mgrs", "tko-1 in 1 sites"),
    Fault("gateway-per-site", without_group("sht-1", "gateways"), "sht", "none"),
    Fault("racks", lambda case: with_node(case, "tko-2", rack="r1"), "tko", "2 nodes in 1 racks"),
    Fault("sites-even", lambda case: with_node(case, "tko-2", drives=()), "storage", "tko 2, cwn 4"),
    Fault("monitoring-spread", one_site, "monitoring", "in 1 sites"),
    Fault("plan", lambda case: replace(case, plan=None), "legalcloud_plan", "no plan"),
    Fault("plan", one_site, "legalcloud_plan", "does not hold its goal"),
    Fault("node-answers", silent, "tko-1", "Failed to connect", Outcome.UNKNOWN),
    Fault("debian-release", system(os_codename="bookworm"), "tko-1", "debian bookworm"),
    Fault("debian-release", system(os_id="ubuntu"), "tko-1", "ubuntu"),
    Fault("debian-release", system(os_codename=None), "tko-1", "no release", Outcome.UNKNOWN),
    Fault("architecture", system(machine="aarch64"), "tko-1", "aarch64"),
    Fault("python-version", system(python=(3, 9, 2)), "tko-1", "3.9.2"),
    Fault("systemd-version", system(systemd=247), "tko-1", "systemd 247"),
    Fault("systemd-version", system(systemd=None), "tko-1", "no version", Outcome.UNKNOWN),
    Fault("machine-id", system(machine_id=f"{2:032x}"), "tko-1", "shared with tko-2"),
    Fault("machine-id", system(machine_id=None), "tko-1", "missing", Outcome.UNKNOWN),
    Fault("memory-per-osd", system(memory_bytes=10 * 2**30), "tko-1", "10.0 GiB; 2 OSDs want 11.0 GiB"),
    Fault("memory-per-osd", system(memory_bytes=None), "tko-1", "no total", Outcome.UNKNOWN),
    Fault("cores-per-osd", lambda _case: good_case(cores_per_osd=1.5), "tko-1", "2 cores; 2 OSDs want 3"),
    Fault("free-space", system(var_lib=Space(size_bytes=1000, free_bytes=199)), "tko-1", "20% of"),
    Fault("swap", system(swaps=("/dev/sda2",)), "tko-1", "/dev/sda2"),
    Fault("swap", system(swaps=None), "tko-1", "cannot be read", Outcome.UNKNOWN),
    Fault("time-zone", system(time_zone="Asia/Tokyo"), "tko-1", "Asia/Tokyo"),
    Fault("time-zone", system(time_zone="Asia/Hong_Kong"), "all nodes", "Asia/Hong_Kong, Etc/UTC"),
    Fault("entropy", system(entropy_bits=12), "tko-1", "12 bits"),
    Fault("clock-synchronised", clock(synchronised=False), "tko-1", "not synchronised"),
    Fault("clock-synchronised", clock(chrony_problem="no daemon"), "tko-1", "no daemon", Outcome.UNKNOWN),
    Fault("clock-offset", clock(offset_seconds=-0.0501), "tko-1", "-50.100 ms by chrony"),
    Fault(
        "clock-offset",
        clock(synchronised=False, answers={"10.79.0.11": STRANGER}),
        "tko-1",
        "neither chrony nor",
        Outcome.UNKNOWN,
    ),
    Fault("clock-source", clock(sources=("203.0.113.7",)), "tko-1", "203.0.113.7"),
    Fault("clock-source", clock(sources=()), "tko-1", "no source"),
    Fault("clock-source-answers", clock(answers={"10.79.0.11": STRANGER}), "tko-1", "timed out"),
    Fault("hostname", system(hostname="debian"), "tko-1", "debian"),
    Fault(
        "name-forward",
        lambda case: with_facts(
            case, network={"forward": {**case.facts["tko-1"].network.forward, "cwn-2": ("203.0.113.7",)}}
        ),
        "tko-1",
        "cwn-2 is 203.0.113.7 instead of 10.77.2.12",
    ),
    Fault(
        "name-reverse",
        lambda case: with_facts(case, network={"reverse": names(case, cwn_2="old-name.example")}),
        "tko-1",
        "10.77.2.12 is old-name.example instead of cwn-2",
    ),
    Fault(
        "name-reverse",
        lambda case: with_facts(case, network={"reverse": names(case, cwn_2=None)}),
        "tko-1",
        "no name for 10.77.2.12",
    ),
    Fault("address-present", network(interfaces=()), "tko-1", "no interface carries 10.77.1.11"),
    Fault(
        "mtu-equal",
        network(interfaces=(replace(V6, mtu_bytes=9000),)),
        "tko-1",
        "9000 bytes; most nodes 1500",
    ),
    Fault("mtu-equal", lambda _case: good_case(mtu_bytes_min=9000), "cwn-1", "at least 9000 asked"),
    Fault("peers-answer", echo(small=False), "tko-1", "no answer from cwn-2"),
    Fault("peers-answer", network(echoes=None), "tko-1", "could not send", Outcome.UNKNOWN),
    Fault("mtu-path", echo(full=False, problem="Message too long"), "tko-1", "cwn-2 (Message too long)"),
    Fault(
        "ports",
        network(listeners=(Listener(port=443, process="nginx"),)),
        "tko-1",
        "443 for haproxy is held by nginx",
    ),
    Fault("ports", network(listeners=(Listener(port=3300, process=None),)), "tko-1", "an unknown process"),
    Fault("ipv6-registered", network(interfaces=(V6,)), "tko-1", "2001:db8::1 on host0"),
    Fault("drive-present", drive(device=None, claimed_by=()), SERIAL, "no device"),
    Fault("drive-present", drive(device=None, claimed_by=("/dev/sda", "/dev/sdb")), SERIAL, "both carry"),
    Fault("drive-distinct", same_device, "tko-1", "/dev/vdb"),
    Fault("drive-empty", drive(signatures=("gpt",)), SERIAL, "/dev/vdc holds gpt"),
    Fault(
        "drive-empty",
        drive(signatures=("ceph_bluestore",), marks=(OsdMark(cluster_fsid=OTHER, osd="3"),)),
        SERIAL,
        OTHER,
    ),
    Fault(
        "drive-empty",
        drive(signatures=("ceph_bluestore",), marks=(OsdMark(cluster_fsid=None, osd=None),)),
        SERIAL,
        "unknown",
    ),
    Fault(
        "drive-empty",
        drive(signatures=("ext4",), marks=(OsdMark(cluster_fsid=FSID, osd="3"),)),
        SERIAL,
        "ext4",
    ),
    Fault("drive-empty", drive(signatures=("ext4",), begun=True), SERIAL, "ext4"),
    Fault("drive-empty", drive(problem="Input/output error"), SERIAL, "Input/output error", Outcome.UNKNOWN),
    Fault("drive-size", drive(size_bytes=5_999_999_999), SERIAL, "5.6 GiB; at least"),
    Fault(
        "drive-not-system",
        lambda case: with_facts(case, node={"system_disks": frozenset({"/dev/vdc"})}),
        SERIAL,
        "operating system",
    ),
    Fault("drive-unused", drive(mounts=("/srv",)), SERIAL, "/srv"),
    Fault("drive-unused", system(swaps=("/dev/vdc1",)), SERIAL, "[SWAP]"),
    Fault("ceph-advisories", ceph(None, "18.2.7+ds-1+deb13u1"), "tko-1", "CVE-2026-50152"),
    Fault("ceph-advisories", ceph(None, None), "tko-1", "no package source offers", Outcome.UNKNOWN),
    Fault("ceph-advisories", system(packages=None), "tko-1", "no answer", Outcome.UNKNOWN),
    Fault("ceph-advisories", ceph("quincy", "quincy"), "tko-1", "not a version", Outcome.UNKNOWN),
    Fault("ceph-series", ceph("19.2.6-1", "19.2.6-1"), "tko-1", "19.2.6-1; accepted: 20.2"),
    Fault("ceph-same-version", ceph("20.2.5+ds-1", "20.2.5+ds-1"), "all nodes", "20.2.5+ds-1: tko-1"),
    Fault("ceph-upgrade-pending", ceph("20.2.4+ds-2", "20.2.5+ds-1"), "tko-1", "offered 20.2.5+ds-1"),
    Fault("cluster-fsid", system(cluster_fsid=OTHER), "tko-1", "other clusters"),
    Fault("cluster-fsid", lambda _case: good_case(cluster_fsid=OTHER), "cwn-1", f"instead of {OTHER}"),
    Fault("crush-place", lambda case: with_node(case, "cwn-2", rack="r7"), "cwn-2", "2 OSDs at root=hk datacenter=cwn"),
    Fault("crush-place", lambda case: with_node(case, "cwn-2", site="sht"), "cwn-2", "datacenter=sht rack=sht-r2"),
    Fault("crush-place", nowhere, "sht-2", "1 OSDs at no place"),
    Fault("crush-place", lambda case: with_facts(case, node={"crush": None}), "sht-2", "no monitor", Outcome.UNKNOWN),
)


def test_there_are_as_many_checks_as_asked_for_and_each_has_an_id_of_its_own() -> None:
    assert len(CHECKS) >= CHECKS_ASKED_FOR
    assert len(BY_ID) == len(CHECKS)


def test_every_check_has_a_fault_that_it_must_find() -> None:
    assert {fault.check for fault in FAULTS} == set(BY_ID)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_good_fleet_passes(check: Check) -> None:
    case = good_case(waivers=[{"check": "swap", "reason": "encrypted swap", "expires": "2026-11-23"}])

    results = judge(case, [check])

    assert results
    assert {result.outcome for result in results} == {Outcome.OK}, [result.seen for result in results]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.check}: {fault.seen}")
def test_a_fault_is_found_named_and_counted(fault: Fault) -> None:
    results = judge(fault.change(good_case()), [BY_ID[fault.check]])

    found = [result for result in results if result.subject == fault.subject and fault.seen in result.seen]
    assert {result.outcome for result in found} == {fault.outcome}, results
    assert all(result.refuses or result.warns for result in found)
    assert all(result.remedy for result in found)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_fleet_of_which_nothing_is_known_never_reads_as_good_for_a_node(check: Check) -> None:
    case = replace(good_case(), facts={})

    answers = [result for result in judge(case, [check]) if result.subject.split("/")[0] in good_case().facts]

    assert not [result for result in answers if result.outcome is not Outcome.UNKNOWN]


@pytest.mark.parametrize(
    "change",
    [
        lambda _case: with_node(good_case(moves=["cwn-2"]), "cwn-2", rack="r7"),
        lambda case: with_facts(case, node={"crush": {"cwn-2": Place(path=("root=default",), osds=0)}}),
        lambda case: with_facts(case, node={"crush": {}}),
        lambda case: replace(case, facts=bare(case)),
    ],
    ids=["named", "without OSDs", "not in the cluster", "no cluster"],
)
def test_a_node_may_stand_elsewhere_if_nothing_moves_or_the_operator_says_so(change: Callable[[Case], Case]) -> None:
    results = judge(change(good_case()), [BY_ID["crush-place"]])

    assert {result.outcome for result in results} == {Outcome.OK}, results


def test_while_no_monitor_answers_site_yml_may_repair() -> None:
    case = with_facts(good_case(site_follows=True), node={"crush": None})

    assert {result.outcome for result in judge(case, [BY_ID["crush-place"]])} == {Outcome.DEFERRED}
