"""The packet filter as the kernel has it: a digest that changes with the rules only, and what was dropped."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from legalcloud.canonical import canonical
from legalcloud.errors import InputError, ParseError
from legalcloud.node.subject import Kind, Level, Line, Metric, Subject, World, gauge
from legalcloud.tree import Tree
from legalcloud.tree import parse as parse_json

TABLE = ("inet", "legalcloud")
"""Which role firewall writes."""
COUNTERS = ("egress_dropped", "ingress_dropped", "forward_dropped", "invalid_dropped")
"""Its named counters. `invalid_dropped` counts both directions: packets that belong to no known connection."""
RECORDED = Path("var/lib/legalcloud/ruleset.sha256")
"""Where role firewall leaves `table_sha256` of what it loaded: 64 hex digits and a newline."""
_PASSING = frozenset({"handle", "packets", "bytes", "expires", "used", "last"})
"""What the kernel numbers and counts: it differs between two nodes with the same rules."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruleset:
    """The whole of it."""

    sha256: str
    """Of the canonical JSON of all tables, without handles and counts."""
    table_sha256: str
    """Likewise of our table alone, which is all that role firewall loads."""
    recorded: str | None
    """What `table_sha256` was when our table was loaded; None if nobody recorded it."""
    tables: tuple[str, ...]
    """All of them, as `family name`: one that is not ours was put there by somebody else."""
    egress_denied: bool
    """Whether a chain of our table drops whatever leaves the node unless a rule allows it."""
    ingress_denied: bool
    """Likewise for what comes in."""
    dropped: Mapping[str, int | None]
    """Packets since the rules were loaded, by counter; None if our table has no such counter."""

    @property
    def as_recorded(self) -> bool | None:
        """Whether our table is as it was loaded; another table is told apart, by its name in `tables`."""
        return None if self.recorded is None else self.table_sha256 == self.recorded


def parse(raw: bytes, *, recorded: str | None = None) -> Ruleset:
    """Parse `nft --json list ruleset` (libnftables-json(5), schema 1; nftables 1.0.6 to 1.1.7). Raises: ParseError.

    Role firewall feeds it `nft --json list table` of the table that it wants, and records its `table_sha256`.
    """
    listed = [_object(entry) for entry in parse_json(raw, "`nft list ruleset`")["nftables"].elements()]
    if not any(kind == "metainfo" for kind, _ in listed):
        raise ParseError("`nft list ruleset` does not begin with its version")
    objects = [(kind, one) for kind, one in listed if kind != "metainfo"]
    ours = [item for item in objects if _owner(item) == TABLE]
    chains = [one for kind, one in ours if kind == "chain"]
    return Ruleset(
        sha256=_digest(objects),
        table_sha256=_digest(ours),
        recorded=recorded,
        tables=tuple(sorted(" ".join(_owner(item)) for item in objects if item[0] == "table")),
        egress_denied=any(_denies(chain, "output") for chain in chains),
        ingress_denied=any(_denies(chain, "input") for chain in chains),
        dropped={name: _packets(ours, name) for name in COUNTERS},
    )


def _object(entry: Tree) -> tuple[str, Tree]:
    pairs = list(entry.items())
    if len(pairs) != 1:
        raise ParseError(f"{entry.path} is not one object of nft")
    return pairs[0]


def _owner(item: tuple[str, Tree]) -> tuple[str, str]:
    """Family and name of the table that an object belongs to; a table is its own."""
    kind, one = item
    return one["family"].word(), one["name" if kind == "table" else "table"].word()


def _denies(chain: Tree, hook: str) -> bool:
    return (chain.maybe("hook", read=Tree.text), chain.maybe("policy", read=Tree.text)) == (hook, "drop")


def _packets(ours: list[tuple[str, Tree]], name: str) -> int | None:
    for kind, one in ours:
        if kind == "counter" and one["name"].word() == name:
            return one["packets"].count()
    return None


def _digest(objects: list[tuple[str, Tree]]) -> str:
    """Rules keep their order, which has a meaning; tables, chains and sets are put in one."""

    def place(item: tuple[str, Tree]) -> tuple[str, ...]:
        kind, one = item
        return *_owner(item), kind, one["chain" if kind == "rule" else "name"].word()

    try:
        return hashlib.sha256(
            canonical([[kind, _lasting(one.value)] for kind, one in sorted(objects, key=place)])
        ).hexdigest()
    except (InputError, RecursionError) as error:
        raise ParseError(f"`nft list ruleset` has no canonical form: {error}") from error


def _lasting(value: object) -> object:
    """Leave out what the kernel numbers and counts, and keep everything that a rule says."""
    if isinstance(value, dict):
        return {key: _lasting(below) for key, below in value.items() if key not in _PASSING}
    return [_lasting(below) for below in value] if isinstance(value, list) else value


def recorded_digest(root: Path) -> str | None:
    """Read the digest that was left on the node; None if there is none. Raises: ParseError if it is another thing."""
    try:
        text = (root / RECORDED).read_text(errors="replace").strip()
    except OSError:
        return None
    if not _DIGEST.fullmatch(text):
        raise ParseError(f"/{RECORDED} is not 64 hex digits")
    return text


def read(world: World) -> Ruleset:
    return parse(world.ask("ruleset").good("nft list ruleset"), recorded=recorded_digest(world.root))


METRICS: tuple[Metric[Ruleset], ...] = (
    Metric(
        name="legalcloud_ruleset_info",
        help="Digest of all packet filter rules, without handles and counts.",
        labels=("sha256",),
        samples=lambda facts: (((facts.sha256,), 1),),
    ),
    gauge(
        "legalcloud_ruleset_as_recorded",
        "Whether our table is as it was loaded; no series if nobody recorded how that was.",
        lambda facts: facts.as_recorded,
    ),
    gauge(
        "legalcloud_ruleset_egress_denied",
        "Whether what leaves the node is dropped unless a rule allows it.",
        lambda facts: facts.egress_denied,
    ),
    gauge(
        "legalcloud_ruleset_ingress_denied",
        "Whether what comes in is dropped unless a rule allows it.",
        lambda facts: facts.ingress_denied,
    ),
    gauge("legalcloud_ruleset_tables", "Tables in the kernel; ours is one.", lambda facts: len(facts.tables)),
    Metric(
        name="legalcloud_ruleset_dropped_packets_total",
        kind=Kind.COUNTER,
        help="Packets dropped since the rules were loaded; `egress_dropped` are those outside the allow-list.",
        labels=("counter",),
        samples=lambda facts: (((name,), count) for name, count in facts.dropped.items()),
    ),
)


def lines(facts: Ruleset) -> Iterator[Line]:
    site = "Run playbooks/site.yml --tags firewall."
    for denied, what in ((facts.egress_denied, "leaves the node"), (facts.ingress_denied, "comes in")):
        if not denied:
            yield Line(level=Level.FINDING, words=f"what {what} is not dropped by default", remedy=site)
    if strange := [name for name in facts.tables if name != " ".join(TABLE)]:
        words = f"tables of the packet filter that are not ours: {', '.join(strange)}"
        yield Line(level=Level.FINDING, words=words, remedy="`nft list ruleset`: find out who made them.")
    if facts.as_recorded is False:
        words = "the rules are not as they were loaded: somebody changed one by hand, or nft was upgraded since"
        yield Line(level=Level.FINDING, words=words, remedy=f"Find out who. {site}")
    if facts.as_recorded is None:
        words = "nobody recorded which rules were loaded, so that one that was added by hand is not seen"
        yield Line(level=Level.UNKNOWN, words=words, remedy=site)
    if missing := [name for name, count in facts.dropped.items() if count is None]:
        words = f"nobody counts {', '.join(missing)}"
        yield Line(level=Level.UNKNOWN, words=words, remedy=site)
    elif facts.egress_denied:
        count = facts.dropped["egress_dropped"]
        words = f"egress is denied by default; {count} packets outside the allow-list were dropped"
        yield Line(level=Level.GOOD, words=words)


SUBJECT = Subject(name="ruleset", every_seconds=60, deadline_seconds=15, read=read, metrics=METRICS, lines=lines)
