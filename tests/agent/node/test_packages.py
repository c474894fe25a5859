from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.node import fuzz
from tests.agent.node.node_sample import HERE, settings, world

from legalcloud.advisories import compared_on, shipped
from legalcloud.errors import ParseError
from legalcloud.node import packages
from legalcloud.node.packages import Packages, Updates
from legalcloud.node.subject import Level

DATA = HERE / "data/packages"
DPKG, APT = (DATA / "dpkg.txt").read_bytes(), (DATA / "apt_upgrade.txt").read_bytes()
TRIXIE = "6.12.57+deb13-amd64"
KERNELS = {f"linux-image-{TRIXIE}": "6.12.57-1", "linux-image-amd64": "6.12.57-1"}
BUILD = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.57-1 (2025-11-05)"
WELL = Packages(
    ceph="20.2.4+ds-2",
    faults=(),
    advisories_age_days=30,
    kernel=TRIXIE,
    kernel_installed=TRIXIE,
    reboot_needed=False,
    updates=Updates(pending=0, security=0),
    lists_age_seconds=3600,
)


def words(facts: Packages, level: Level) -> str:
    return "\n".join(line.words for line in packages.lines(facts) if line.level is level)


def test_a_recorded_node_has_its_packages_and_no_known_fault() -> None:
    found = packages.installed(DPKG)

    assert packages.ceph_version(found) == "20.2.4+ds-2"
    assert packages.judge(found, shipped()) == ()
    assert (len(found), packages.newest_kernel(found)) == (315, None)


def test_a_version_with_known_faults_names_them() -> None:
    faults = packages.judge({"ceph-osd": "18.2.7+ds-1"}, shipped())

    assert faults is not None
    assert {"CVE-2025-30156", "mgr-pyo3-subinterpreters"} <= set(faults)


def test_the_list_of_faults_says_on_which_day_it_was_compared() -> None:
    assert compared_on() == compared_on(b"compared_on: 2026-11-23\nceph: []\n") == date(2026, 11, 23)


@pytest.mark.parametrize(
    "raw", [b"ceph: []", b"compared_on: soon", b"compared_on: 2026-11-23T10:00:00Z", b"[", b"", b"- 1"]
)
def test_a_list_of_faults_without_a_day_is_refused(raw: bytes) -> None:
    with pytest.raises(ParseError):
        compared_on(raw)


def test_a_node_without_ceph_or_with_two_versions_of_it_is_not_free_of_faults() -> None:
    assert packages.judge({}, shipped()) is None
    assert packages.judge({"ceph-osd": "20.2.4-1", "ceph-mon": "20.2.3-1"}, shipped()) is None


def test_a_package_that_was_removed_is_not_installed() -> None:
    assert packages.installed(b"ceph-osd\t20.2.4-1\trc \nchrony\t4.9-2\tii \n") == {"chrony": "4.9-2"}


def test_a_package_on_hold_is_installed_and_its_version_counts() -> None:
    held = packages.installed(b"ceph-osd\t20.2.0-1\thi \nceph-mon\t20.2.9-1\tii \n")

    assert held == {"ceph-osd": "20.2.0-1", "ceph-mon": "20.2.9-1"}
    assert packages.ceph_version(held) is None


@pytest.mark.parametrize("line", [b"chrony 4.9-2 ii\n", b"chrony\t\tii \n", b"chr\xff\t1\tii \n", b"a\tb\tc\td\n"])
def test_a_line_of_another_form_is_refused(line: bytes) -> None:
    with pytest.raises(ParseError):
        packages.installed(line)


@pytest.mark.parametrize(
    ("release", "build", "needed"),
    [
        (TRIXIE, BUILD, False),
        (TRIXIE, BUILD.replace(".57-1 ", ".57-0 "), True),
        (TRIXIE, "#1 SMP of our own", False),
        ("6.12.48+deb13-amd64", BUILD, True),
    ],
)
def test_a_reboot_is_needed_when_another_kernel_or_build_runs(release: str, build: str, needed: bool) -> None:
    assert packages.reboot_needed(KERNELS, release=release, build=build) is needed


def test_in_a_container_nobody_can_say_whether_a_reboot_is_needed() -> None:
    assert packages.reboot_needed({}, release=TRIXIE, build=BUILD) is None


def test_the_newest_kernel_is_found_by_version_and_not_by_letters() -> None:
    releases = ("6.1.0-9-amd64", "6.1.0-28-amd64", "6.1.0-10-amd64", "6.1.0-28-amd64-dbg", "6.1.0-7-amd64-unsigned")

    assert packages.newest_kernel({f"linux-image-{release}": "1" for release in releases}) == "6.1.0-28-amd64"


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.2", "1.10"), ("1.0~rc1", "1.0"), ("1.0", "1.0-1"), ("1.0a", "1.0+"), ("1", "1a"), ("1.0~~", "1.0~a")],
)
def test_versions_are_compared_as_debian_does(older: str, newer: str) -> None:
    assert packages.compare_versions(older, newer) < 0 < packages.compare_versions(newer, older)


@given(st.text("019.+~-ab", max_size=8), st.text("019.+~-ab", max_size=8))
def test_comparing_two_versions_both_ways_agrees(one: str, other: str) -> None:
    forth, back = packages.compare_versions(one, other), packages.compare_versions(other, one)

    assert (forth > 0, forth == 0) == (back < 0, back == 0)


def test_recorded_updates_are_counted_and_those_for_security_apart() -> None:
    assert packages.updates(APT) == Updates(pending=7, security=5)


def test_a_package_that_would_be_new_is_no_update() -> None:
    new = b"Inst linux-image-6.12.58 (6.12.58-1 Debian-Security:13/stable-security [amd64])\n"

    assert packages.updates(new) == Updates(pending=0, security=0)


def test_the_lists_are_as_old_as_the_newest_of_them(tmp_path: Path) -> None:
    folder = tmp_path / packages.LISTS
    assert packages.lists_age_seconds(tmp_path, now=0) is None
    folder.mkdir(parents=True)
    (folder / "mirror_dists_forky_InRelease").touch()
    fetched = (folder / "mirror_dists_forky_InRelease").stat().st_ctime

    assert packages.lists_age_seconds(tmp_path, now=fetched + 60) == pytest.approx(60)


def test_a_node_without_lists_knows_no_updates_and_says_so(tmp_path: Path) -> None:
    answers = {("dpkg-query", "--show"): DPKG, ("apt-get", "--simulate"): b""}

    facts = packages.read(world(settings(), answers, root=tmp_path))

    assert (facts.updates, facts.lists_age_seconds, facts.kernel) == (None, None, os.uname().release)
    assert "nobody knows what updates wait" in words(facts, Level.UNKNOWN)


def test_a_node_that_is_up_to_date_has_good_lines_only() -> None:
    assert {line.level for line in packages.lines(WELL)} == {Level.GOOD}


@pytest.mark.parametrize(
    ("part", "level", "said"),
    [
        ({"faults": ("CVE-2025-30156",)}, Level.FINDING, "has known faults: CVE-2025-30156"),
        ({"advisories_age_days": 31}, Level.UNKNOWN, "none of the faults that were known 31 days ago"),
        ({"advisories_age_days": 31, "faults": ("CVE-2025-30156",)}, Level.FINDING, "has known faults: CVE-2025-30156"),
        ({"faults": None}, Level.UNKNOWN, "nobody knows its faults"),
        ({"reboot_needed": True}, Level.FINDING, "and a newer"),
        ({"updates": Updates(pending=3, security=1)}, Level.FINDING, "3 updates wait, 1 of them for security"),
        ({"lists_age_seconds": 15 * 86400}, Level.UNKNOWN, "by lists of 15 days ago"),
    ],
)
def test_what_is_not_well_is_said(part: dict[str, object], level: Level, said: str) -> None:
    facts = Packages(**{name: getattr(WELL, name) for name in Packages.__slots__} | part)

    assert said in words(facts, level)


@fuzz.lengths
def test_whatever_dpkg_prints_is_facts_or_a_parse_error(mutations: int) -> None:
    known, few = shipped(), b"ceph-mon\t20.2.4+ds-2\tii \nceph-osd\t20.2.4+ds-2\tii \nlinux-image-6.1.0-9\t6.1-1\tii \n"

    def parse(raw: bytes) -> object:
        found = packages.installed(raw)
        return packages.judge(found, known), packages.newest_kernel(found)

    fuzz.facts_or_parse_error(parse, [DPKG, few], mutations)


@fuzz.lengths
def test_whatever_apt_prints_is_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(packages.updates, [APT], mutations)
