"""Installed packages against known faults, the running kernel against the installed one, updates that wait."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cmp_to_key
from itertools import zip_longest
from pathlib import Path

from legalcloud.advisories import Advisory, compared_on, shipped
from legalcloud.errors import ParseError
from legalcloud.node.subject import Level, Line, Metric, Subject, World, gauge

LISTS = Path("var/lib/apt/lists")
_DAY_SECONDS = 86400
OLD_LISTS_SECONDS = 14 * _DAY_SECONDS
"""A count of updates from lists as old as this says little: Debian's security team publishes every few days."""
OLD_ADVISORIES_DAYS = 30
"""After a month without a look at Ceph's release notes, "none of the known faults" is no longer good news."""
_LIMIT_SECONDS = 60
_CEPH = ("ceph-mon", "ceph-osd", "ceph-mgr", "radosgw", "ceph-base")
_KERNEL = re.compile(r"linux-image-(\d[\w.+~-]*)")
_BUILD = re.compile(r"\bDebian (\S+)")
"""In the version of a kernel of Debian's, such as `#1 SMP PREEMPT_DYNAMIC Debian 6.12.57-1 (2025-11-05)`."""
_NAME, _VERSION = re.compile(r"[a-z0-9][a-z0-9+.-]+"), re.compile(r"(?:\d+:)?[A-Za-z0-9.+~-]+")
_INSTALL = re.compile(r"^Inst \S+ \[\S+\] \((\S+) (.+?) \[\S+\]\)", re.MULTILINE)
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Updates:
    """What apt would replace, by the lists that it fetched last; nothing is fetched for it."""

    pending: int
    security: int
    """... of which so many come from a security suite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """How the node's software stands."""

    ceph: str | None
    """Version of Ceph's packages; None if none is installed, or not all are of one version."""
    faults: tuple[str, ...] | None
    """Ids of the known faults of that version; None if there is none to be judged."""
    advisories_age_days: int
    """Since a person compared the list of faults that came with this agent with Ceph's release notes."""
    kernel: str
    """Release that runs, as `uname -r` says."""
    kernel_installed: str | None
    """Newest release that is installed as a package; None if there is none, as in a container."""
    reboot_needed: bool | None
    """Whether another kernel runs than that one, or an older build of it; None if there is none."""
    updates: Updates | None
    """None if apt could not tell."""
    lists_age_seconds: float | None
    """Since apt's lists were fetched; None if there are none."""


def installed(raw: bytes) -> Mapping[str, str]:
    """Parse `dpkg-query --show` with a package, its version and its status, tab between, for each line.

    Give the version of each that is installed. Raises: ParseError.
    """
    found: dict[str, str] = {}
    for line in raw.decode(errors="replace").split("\n")[:-1]:
        name, *rest = line.split("\t")
        if len(rest) != 2 or not _NAME.fullmatch(name) or len(line) > _LONGEST:  # noqa: PLR2004 -- as asked for
            raise ParseError(f"`dpkg-query --show` said {line[:60]!r}")
        version, status = rest
        if status[1:2] == "i":  # whatever is wanted of it: a package on hold is `hi`
            if not _VERSION.fullmatch(version):
                raise ParseError(f"`dpkg-query --show`: {name} has the version {version[:40]!r}")
            found[name] = version
    return found


def updates(raw: bytes) -> Updates:
    """Parse `apt-get --simulate dist-upgrade`, apt 2.6 to 3.3: `Inst NAME [OLD] (NEW ORIGIN [ARCH])`.

    A line without OLD brings a package that the node has not had, and is no update.
    """
    origins = [origin for _, origin in _INSTALL.findall(raw.decode(errors="replace"))]
    return Updates(pending=len(origins), security=sum("security" in origin.lower() for origin in origins))


def ceph_version(packages: Mapping[str, str]) -> str | None:
    versions = {packages[name] for name in _CEPH if name in packages}
    return versions.pop() if len(versions) == 1 else None


def newest_kernel(packages: Mapping[str, str]) -> str | None:
    releases = [found[1] for name in packages if (found := _KERNEL.fullmatch(name)) and not name.endswith("-dbg")]
    signed = {release.removesuffix("-unsigned") for release in releases}
    return max(signed, key=cmp_to_key(compare_versions), default=None)


def reboot_needed(packages: Mapping[str, str], *, release: str, build: str) -> bool | None:
    """Compare `uname -r` and `uname -v` with the packages: a new build may keep the release, and says so in `-v`."""
    newest = newest_kernel(packages)
    if newest is None:
        return None
    built, package = _BUILD.search(build), packages.get(f"linux-image-{newest}")
    return release != newest or bool(built and package and built[1] != package)


def compare_versions(one: str, other: str) -> int:
    """Compare as deb-version(7) does, without epochs: negative if `one` is the older."""
    parts = re.compile(r"(\D*)(\d*)")
    for (text, number), (text_, number_) in zip_longest(parts.findall(one), parts.findall(other), fillvalue=("", "")):
        if text != text_:
            ranks, ranks_ = ([*map(_rank, word), 0] for word in (text, text_))
            if ranks != ranks_:
                return -1 if ranks < ranks_ else 1
        if (difference := int(number or 0) - int(number_ or 0)) != 0:
            return difference
    return 0


def _rank(letter: str) -> int:
    """Order: tilde, the end of the text (0), letters, everything else."""
    return -1 if letter == "~" else ord(letter) + (0 if letter.isalpha() else 256)


def judge(packages: Mapping[str, str], advisories: Sequence[Advisory]) -> tuple[str, ...] | None:
    """Name the known faults of the installed Ceph. Raises: ParseError if its version is none."""
    version = ceph_version(packages)
    return None if version is None else tuple(one.id for one in advisories if one.affects(version))


def read(world: World) -> Packages:
    asked = ["dpkg-query", "--show", r"--showformat=${Package}\t${Version}\t${db:Status-Abbrev}\n"]
    packages = installed(world.run(asked, seconds=_LIMIT_SECONDS).good("dpkg-query"))
    runs = os.uname()
    age = lists_age_seconds(world.root, now=time.time())
    simulated = world.run(["apt-get", "--simulate", "--quiet=2", "dist-upgrade"], seconds=_LIMIT_SECONDS)
    return Packages(
        ceph=ceph_version(packages),
        faults=judge(packages, shipped()),
        advisories_age_days=(datetime.now(UTC).date() - compared_on()).days,
        kernel=runs.release,
        kernel_installed=newest_kernel(packages),
        reboot_needed=reboot_needed(packages, release=runs.release, build=runs.version),
        updates=None if simulated.exit_code or age is None else updates(simulated.output),
        lists_age_seconds=age,
    )


def lists_age_seconds(root: Path, *, now: float) -> float | None:
    """Tell how old the newest list of a suite is, by when this node fetched it."""
    try:
        fetched = [path.stat().st_ctime for path in (root / LISTS).glob("*Release")]
    except OSError:
        return None
    return max(0.0, now - max(fetched)) if fetched else None


METRICS: tuple[Metric[Packages], ...] = (
    Metric(
        name="legalcloud_ceph_info",
        help="Version of Ceph's packages; no series if none is installed, or not all are of one version.",
        labels=("version",),
        samples=lambda facts: () if facts.ceph is None else (((facts.ceph,), 1),),
    ),
    gauge(
        "legalcloud_advisories_open",
        "Known faults of the installed Ceph, by the advisory file that came with this agent.",
        lambda facts: None if facts.faults is None else len(facts.faults),
    ),
    gauge(
        "legalcloud_advisories_age_seconds",
        "Time since that file was compared with Ceph's release notes.",
        lambda facts: facts.advisories_age_days * _DAY_SECONDS,
        unit="seconds",
    ),
    gauge(
        "legalcloud_reboot_needed",
        "Whether another kernel runs than the newest that is installed; no series if none is a package.",
        lambda facts: facts.reboot_needed,
    ),
    gauge(
        "legalcloud_updates_pending",
        "Packages that apt would replace, by the lists that it has.",
        lambda facts: None if facts.updates is None else facts.updates.pending,
    ),
    gauge(
        "legalcloud_updates_security_pending",
        "... of which so many come from a security suite.",
        lambda facts: None if facts.updates is None else facts.updates.security,
    ),
    gauge(
        "legalcloud_package_lists_age_seconds",
        "Age of apt's lists, and so of the counts of updates.",
        lambda facts: facts.lists_age_seconds,
        unit="seconds",
    ),
)


def lines(facts: Packages) -> Iterator[Line]:
    if facts.faults is None:
        words = "Ceph is not installed, or its packages are of several versions: nobody knows its faults"
        yield Line(level=Level.UNKNOWN, words=words, remedy="`dpkg-query --list 'ceph*'`; run playbooks/site.yml.")
    elif facts.faults:
        words = f"Ceph {facts.ceph} has known faults: {', '.join(facts.faults)}"
        yield Line(level=Level.FINDING, words=words, remedy="Upgrade Ceph; `legalcloud preflight` says to what.")
    elif facts.advisories_age_days > OLD_ADVISORIES_DAYS:
        words = f"Ceph {facts.ceph} has none of the faults that were known {facts.advisories_age_days} days ago"
        yield Line(level=Level.UNKNOWN, words=words, remedy="Run site.yml of a newer release: it brings a newer list.")
    else:
        yield Line(level=Level.GOOD, words=f"Ceph {facts.ceph} has none of the known faults")
    if facts.reboot_needed:
        words = f"kernel {facts.kernel} runs, and a newer {facts.kernel_installed} is installed"
        yield Line(level=Level.FINDING, words=words, remedy="Restart the node when the cluster allows it.")
    elif facts.reboot_needed is None:
        yield Line(level=Level.GOOD, words=f"kernel {facts.kernel} runs, and is no package of this node")
    if facts.updates is None or facts.lists_age_seconds is None:
        words = "nobody knows what updates wait: apt has no lists, or could not read them"
        yield Line(level=Level.UNKNOWN, words=words, remedy="`apt-get update`.")
    else:
        days = f"by lists of {facts.lists_age_seconds / _DAY_SECONDS:.0f} days ago"
        words = f"{facts.updates.pending} updates wait, {facts.updates.security} of them for security, {days}"
        old = facts.lists_age_seconds > OLD_LISTS_SECONDS
        level = Level.FINDING if facts.updates.security else Level.UNKNOWN if old else Level.GOOD
        remedy = "`apt-get update`, then a rolling upgrade." if level is not Level.GOOD else ""
        yield Line(level=level, words=words, remedy=remedy)


SUBJECT = Subject(name="packages", every_seconds=21600, deadline_seconds=130, read=read, metrics=METRICS, lines=lines)
