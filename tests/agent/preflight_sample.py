"""A fleet on which every check of preflight passes, made of recorded answers; tests break it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import yaml

from legalcloud import advisories
from legalcloud.plan import Goal, Plan
from legalcloud.preflight import limits, parse
from legalcloud.preflight.facts import DriveSeen, Echo, Interface, NodeFacts
from legalcloud.preflight.finding import Case
from legalcloud.preflight.parse_crush import places
from legalcloud.register import Drive, DriveUse, Node, Register, Site, Text

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data/preflight"
TODAY = date(2026, 11, 23)
FSID = "6a7bb2f4-0d52-4d0a-9d5b-1d3f7d7c1a01"
"""Of the recorded cluster."""
TIME_SOURCE = "10.79.0.11"
"""As in the recorded answers."""


def answer(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DATA / f"{name}.json").read_bytes())
    return content


def variables(**changes: object) -> dict[str, Any]:
    """Read the role's defaults, without their prefix, with the lab's small machines in mind."""
    defaults = yaml.safe_load((ROOT / "roles/preflight/defaults/main.yml").read_text())
    small = {
        "memory_reserved_bytes": 2**30,
        "cores_per_osd": 0.5,
        "drive_bytes_min": 6 * 10**9,
        "free_fraction_min": 0.2,
        "time_sources": [TIME_SOURCE],
    }
    return {name.removeprefix("preflight_"): value for name, value in defaults.items()} | small | changes


def site(name: str, number: int) -> Site:
    text = Text(en=name, zh_hant=name)
    return Site(
        id=name,
        name=text,
        district=text,
        address=text,
        operator="Lab",
        latitude=22.3,
        longitude=114.2,
        subnets=(ip_network(f"10.77.{number}.0/24"),),
        border_waiver=None,
    )


def node(name: str, place: str, address: str, *groups: str) -> Node:
    return Node(
        name=name,
        address=ip_address(address),
        site=place,
        rack=f"r{name[-1]}",
        drives=(
            Drive(serial=f"LAB-{name}-1", use=DriveUse.OSD),
            Drive(serial=f"LAB-{name}-2", use=DriveUse.OSD),
        ),
        groups=frozenset({"storage", *groups}),
    )


SITES = ("tko", "cwn", "sht")
REGISTER = Register(
    sites=tuple(site(name, number) for number, name in enumerate(SITES, 1)),
    nodes=tuple(
        node(f"{name}-{place}", name, f"10.77.{number}.1{place}", *groups)
        for number, name in enumerate(SITES, 1)
        for place, groups in (
            (1, ("mons", "gateways", "kms", *(("mgrs",) if name != "sht" else ()))),
            (2, ("monitoring",)),
        )
    ),
)
PLAN = Plan(
    goal=Goal(lose_sites=1, lose_nodes=2),
    k=3,
    m=3,
    shards_per_site=2,
    min_size=4,
    overhead=2.0,
    heals_after_node_loss=False,
)


def facts_of(number: int, here: Node) -> NodeFacts:
    """One node: the recorded one with the names, addresses and drives of another."""
    seen = parse.node_facts(answer("provisioned"))
    names = [other.name for other in REGISTER.nodes]
    drives = list((seen.drives or {}).values())
    return replace(
        seen,
        node=here.name,
        crush=places((DATA / "crush_tree.json").read_text()) if here.name == "tko-1" else None,
        system=replace(seen.system, hostname=here.name, machine_id=f"{number:032x}"),
        clock=replace(seen.clock, sources=(TIME_SOURCE,)),
        network=replace(
            seen.network,
            interfaces=(Interface(name="host0", mtu_bytes=1500, addresses=(str(here.address),)),),
            forward={other.name: (str(other.address),) for other in REGISTER.nodes},
            reverse={other.name: other.name for other in REGISTER.nodes},
            echoes={name: Echo(small=True, full=True, problem=None) for name in names if name != here.name},
        ),
        drives={drive.serial: replace(drives[place], serial=drive.serial) for place, drive in enumerate(here.drives)},
    )


def good_case(**changes: object) -> Case:
    """Return the fleet; `changes` are variables of the role, without prefix."""
    return Case(
        register=REGISTER,
        plan=PLAN,
        facts={here.name: facts_of(number, here) for number, here in enumerate(REGISTER.nodes, 1)},
        problems={},
        limits=limits.parse(variables(**changes)),
        advisories=advisories.shipped(),
        placeholders=(),
        today=TODAY,
    )


def with_facts(case: Case, **parts: dict[str, Any]) -> Case:
    """Change tko-1's facts, as by `system={"memory_bytes": 1}`; `node={...}` changes the whole."""
    facts = case.facts["tko-1"]
    for part, fields in parts.items():
        if part == "node":
            facts = replace(facts, **fields)
        else:
            facts = replace(facts, **{part: replace(getattr(facts, part), **fields)})
    return replace(case, facts={**case.facts, "tko-1": facts})


def with_drive(case: Case, **fields: Any) -> Case:  # noqa: ANN401 -- any field of DriveSeen
    drives: dict[str, DriveSeen] = dict(case.facts["tko-1"].drives or {})
    serial = "LAB-tko-1-2"
    drives[serial] = replace(drives[serial], **fields)
    return with_facts(case, node={"drives": drives})


def with_node(case: Case, name: str, **fields: Any) -> Case:  # noqa: ANN401 -- any field of Node
    nodes = tuple(replace(here, **fields) if here.name == name else here for here in case.register.nodes)
    return replace(case, register=replace(case.register, nodes=nodes))
