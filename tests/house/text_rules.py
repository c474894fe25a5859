"""Rules about what must not be written anywhere, or not in some folder."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import texts

REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("ftp", "debian", "org"),
        ("security", "debian", "org"),
        ("galaxy", "ansible", "com"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
    )
)
"""In pieces, so that this file does not break its own rule."""

MACHINE_PATH = re.compile(r"(?<![\w/.}-])/(?:" + "work" + r"|tmp/uvv)(?:/|\b(?![-\w]))")
FORCE = re.compile(r"--force\b|--yes-i-really")
UNFINISHED = re.compile(r"\b(TODO|FIXME|TBD|XXX)\b")

LAB_IDENTITY = "inventories/lab/lab-age-identity.txt"
"""The one private key in the repository: it opens what the lab's own tenants are given, and nothing else."""
KNOWN_SECRETS = re.compile(
    r"AGE-SECRET-KEY-1|PRIVATE KEY-----|\bAQ[A-Za-z0-9+/]{36}==|\bhv[sbr]\.\w{20,}|\bAKIA[0-9A-Z]{16}\b"
)
PUBLIC = re.compile(r"\bage1[a-z0-9]{58}\b|\bssh-(ed25519|rsa) \S+|\bsha256:[0-9a-f]{64}\b|-----BEGIN CERTIFICATE-----")
LONG_WORD = re.compile(r"[A-Za-z0-9+/=_-]{24,}")
RANDOM_BITS_PER_CHARACTER = 4.1  # 24 random characters of base64 have 4.3 on average; hex has at most 4.0, words 3.5


def no_registry_is_named(root: Path) -> list[str]:
    hosts = re.compile("|".join(re.escape(host) for host in REGISTRIES))
    return [
        f"{where}: names the package registry {found}; the source is the operator's variable"
        for where, found in _matches(root, hosts)
    ]


def no_path_of_one_machine(root: Path) -> list[str]:
    return [
        f"{where}: {found} is a path of one machine; name it from the repository's root or by a variable"
        for where, found in _matches(root, MACHINE_PATH)
    ]


def nothing_is_forced(root: Path) -> list[str]:
    return [
        f"{where}: passes {found}; refuse instead, and say what a person must do"
        for where, found in _matches(root, FORCE, "roles", "playbooks", "plugins", "agent")
    ]


def runbooks_are_finished(root: Path) -> list[str]:
    return [
        f"{where}: {found}; a runbook is read at night" for where, found in _matches(root, UNFINISHED, "docs/runbooks")
    ]


def inventories_hold_no_secret(root: Path) -> list[str]:
    faults = []
    for name, text in texts(root, "inventories"):
        if name == LAB_IDENTITY or text.startswith("$ANSIBLE_VAULT;"):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            rest = PUBLIC.sub("", line)
            if KNOWN_SECRETS.search(rest) or any(_looks_random(word) for word in LONG_WORD.findall(rest)):
                faults.append(f"{name}:{number}: looks like a secret; keep it in a file of ansible-vault")
    return faults


def _looks_random(word: str) -> bool:
    kinds = (str.islower, str.isupper, str.isdigit)
    if not all(any(kind(character) for character in word) for kind in kinds):
        return False
    counts = Counter(word).values()
    return -sum(n / len(word) * math.log2(n / len(word)) for n in counts) > RANDOM_BITS_PER_CHARACTER


def _matches(root: Path, pattern: re.Pattern[str], *folders: str) -> Iterator[tuple[str, str]]:
    """Where (file and line) and what, outside comments for the folders of code."""
    for name, text in texts(root, *folders):
        for number, line in enumerate(text.splitlines(), 1):
            if folders and line.lstrip().startswith("#") and not name.endswith(".md"):
                continue
            if found := pattern.search(line):
                yield f"{name}:{number}", found.group(0)
