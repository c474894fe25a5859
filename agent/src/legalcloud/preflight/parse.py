"""What module `preflight_facts` returned (its format 1), to facts; samples in tests/agent/data/preflight/."""

from __future__ import annotations

import re
from collections.abc import Mapping

from legalcloud import chrony
from legalcloud.errors import ParseError
from legalcloud.preflight.facts import (
    Clock,
    Echo,
    Interface,
    Listener,
    Network,
    NodeFacts,
    Package,
    Space,
    System,
    TimeAnswer,
)
from legalcloud.preflight.parse_crush import places
from legalcloud.preflight.parse_drives import drives, system_disks
from legalcloud.tree import Tree

FORMAT = 1
_KIB = 1024


def node_facts(raw: object) -> NodeFacts:
    """Parse the whole answer of one node.

    Raises: ParseError naming the place if something is missing, has another type or another format.
    """
    tree = Tree(raw, "facts")
    if tree["format"].integer() != FORMAT:
        raise ParseError(f"facts.format is {tree['format'].value!r}; this program reads {FORMAT}")
    found = tree["drives"]
    problem = found.problem()
    return NodeFacts(
        node=tree["node"].text(),
        system=_system(tree),
        clock=_clock(tree),
        network=_network(tree["network"]),
        drives=None if problem else drives(found, tree["files"]["/proc/self/mounts"].text_or_none()),
        drives_problem=problem,
        system_disks=frozenset() if problem else system_disks(found["lsblk"]),
        crush=None if (tree_ := tree["commands"]["crush_tree"]).problem() else places(tree_.text()),
    )


def _system(tree: Tree) -> System:
    files = tree["files"]
    release = os_release(files["/etc/os-release"].text_or_none() or "")
    swaps = files["/proc/swaps"].text_or_none()
    entropy = files["/proc/sys/kernel/random/entropy_avail"].text_or_none()
    systemd, packages = tree["commands"]["systemd"], tree["commands"]["ceph_packages"]
    return System(
        os_id=release.get("ID"),
        os_codename=release.get("VERSION_CODENAME"),
        machine=tree["machine"].text(),
        python=_numbers(tree["python"]),
        systemd=None if systemd.problem() else systemd_version(systemd.text()),
        machine_id=(files["/etc/machine-id"].text_or_none() or "").strip() or None,
        hostname=tree["hostname"].text(),
        time_zone=tree["time_zone"].text_or_none(),
        memory_bytes=memory(files["/proc/meminfo"].text_or_none() or ""),
        cores=tree["cores"].integer(),
        entropy_bits=int(entropy) if entropy and entropy.strip().isdigit() else None,
        swaps=None if swaps is None else tuple(line.split()[0] for line in swaps.splitlines()[1:] if line.strip()),
        var_lib=Space(
            size_bytes=tree["var_lib"]["size_bytes"].integer(),
            free_bytes=tree["var_lib"]["free_bytes"].integer(),
        ),
        packages=None if packages.problem() else apt_policy(packages.text()),
        cluster_fsid=tree["cluster_fsid"].text_or_none(),
    )


def _numbers(version: Tree) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version.text())
    if found is None:
        raise ParseError(f"{version.path} is {version.value!r}, not a version")
    return tuple(int(part) for part in found[0].split("."))


def os_release(text: str) -> dict[str, str]:
    """Parse /etc/os-release (os-release(5)) without its escapes, which Debian does not use."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key: value.strip().strip("\"'") for key, value in pairs}


def memory(meminfo: str) -> int | None:
    found = re.search(r"^MemTotal:\s+(\d+) kB$", meminfo, re.MULTILINE)
    return int(found[1]) * _KIB if found else None


def systemd_version(text: str) -> int | None:
    found = re.match(r"systemd (\d+)", text)
    return int(found[1]) if found else None


def apt_policy(text: str) -> dict[str, Package]:
    """Parse `apt-cache policy PACKAGE...` of apt 2.6 to 3.1 with LC_ALL=C."""
    found: dict[str, Package] = {}
    for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE):
        name, _colon, rest = block.partition(":")
        values = dict(re.findall(r"^  (Installed|Candidate): (.+)$", rest, re.MULTILINE))
        if len(values) == len(("Installed", "Candidate")):
            found[name] = Package(installed=_version(values["Installed"]), candidate=_version(values["Candidate"]))
    return found


def _version(text: str) -> str | None:
    return None if text == "(none)" else text


def _clock(tree: Tree) -> Clock:
    answers = {name: _time_answer(answer) for name, answer in tree["network"]["time"].items()}
    tracking, sources = tree["commands"]["chrony_tracking"], tree["commands"]["chrony_sources"]
    problem = tracking.problem() or sources.problem()
    if problem:
        return Clock(answers=answers, chrony_problem=problem, synchronised=False, offset_seconds=None, sources=())
    followed = chrony.tracking(tracking.text())
    return Clock(
        answers=answers,
        chrony_problem=None,
        synchronised=followed.synchronised,
        offset_seconds=followed.behind_seconds,
        sources=tuple(one.address for one in chrony.sources(sources.text()) if not one.reference_clock),
    )


def _time_answer(tree: Tree) -> TimeAnswer:
    value: Mapping[str, object] = tree.value if isinstance(tree.value, dict) else {}
    return TimeAnswer(
        addresses=tree["addresses"].texts() if "addresses" in value else (),
        offset_seconds=None if tree.problem() else tree["offset_seconds"].number(),
        problem=tree.problem(),
    )


def _network(tree: Tree) -> Network:
    return Network(
        interfaces=tuple(
            Interface(name=name, mtu_bytes=seen["mtu_bytes"].integer(), addresses=seen["addresses"].addresses())
            for name, seen in tree["interfaces"].items()
        ),
        forward={name: None if answer.problem() else answer.addresses() for name, answer in tree["forward"].items()},
        reverse={name: None if answer.problem() else answer.text() for name, answer in tree["reverse"].items()},
        echoes=None
        if tree["echo"].problem()
        else {
            name: Echo(small=answer["small"].flag(), full=answer["full"].flag(), problem=answer.problem())
            for name, answer in tree["echo"].items()
        },
        listeners=tuple(
            Listener(port=listener["port"].integer(), process=listener["process"].text_or_none())
            for listener in tree["listeners"].elements()
        ),
    )
