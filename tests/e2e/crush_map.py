"""A CRUSH map of a made-up cluster with a second root beside `hk`, and a judge of what is placed on it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Run = Callable[[Sequence[str], bytes], bytes]
"""Runs an argument list with these bytes on standard input and gives its standard output."""

NOWHERE = 2147483647
"""How Ceph writes a shard that found no place (CRUSH_ITEM_NONE)."""
OUTSIDE = "outside"
TYPES = ("osd", "host", "rack", "datacenter", "root")
TUNABLES = {
    "choose_local_tries": 0,
    "choose_local_fallback_tries": 0,
    "choose_total_tries": 50,
    "chooseleaf_descend_once": 1,
    "chooseleaf_vary_r": 1,
    "chooseleaf_stable": 1,
    "straw_calc_version": 1,
    "allowed_bucket_algs": 54,
}
"""Of a new cluster (profile jewel and later)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an OSD is."""

    root: str
    site: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """OSDs in the order of their numbers."""

    places: tuple[Place, ...]

    def osds_of(self, node: str) -> tuple[int, ...]:
        return tuple(osd for osd, place in enumerate(self.places) if place.node == node)


def cluster(nodes_by_site: Sequence[int], drives: int = 2) -> Cluster:
    """Put the sites under `hk`, and as many larger ones under another root, where nothing may land."""
    inside = _places("hk", nodes_by_site, drives)
    outside = _places(OUTSIDE, [nodes + 1 for nodes in nodes_by_site], drives + 1)
    return Cluster(places=(*inside, *outside))


def _places(root: str, nodes_by_site: Sequence[int], drives: int) -> Iterator[Place]:
    for s, nodes in enumerate(nodes_by_site, 1):
        for n in range(1, nodes + 1):
            for _ in range(drives):
                yield Place(root=root, site=f"{root}-s{s}", node=f"{root}-s{s}-{n}")


def map_text(cluster: Cluster, rules: str) -> bytes:
    """Write the map as `crushtool -c` reads it; every node has a rack of its own."""
    lines = [f"tunable {name} {value}" for name, value in TUNABLES.items()]
    lines += [f"device {osd} osd.{osd}" for osd in range(len(cluster.places))]
    lines += [f"type {number} {name}" for number, name in enumerate(TYPES)]
    ids = iter(range(-1, -10_000, -1))

    def bucket(kind: str, name: str, items: dict[str, float]) -> float:
        lines.extend([f"{kind} {name} {{", f"\tid {next(ids)}", "\talg straw2", "\thash 0"])
        lines.extend(f"\titem {item} weight {weight:.3f}" for item, weight in items.items())
        lines.append("}")
        return sum(items.values())

    roots: dict[str, dict[str, dict[str, float]]] = {}
    for place in cluster.places:
        roots.setdefault(place.root, {}).setdefault(place.site, {})
    for node, place in {place.node: place for place in cluster.places}.items():
        weight = bucket("host", node, {f"osd.{osd}": 1.0 for osd in cluster.osds_of(node)})
        roots[place.root][place.site][f"{node}-rack"] = bucket("rack", f"{node}-rack", {node: weight})
    for root, sites in roots.items():
        bucket("root", root, {site: bucket("datacenter", site, racks) for site, racks in sites.items()})
    return ("\n".join(lines) + "\n" + rules).encode()


def placed(run: Run, text: bytes, *, size: int, out: Sequence[int] = (), tries: int = 10_000) -> list[list[int]]:
    """Let crushtool place `tries` placement groups by rule 1; `out` are OSDs marked out."""
    path = run(["mktemp"], b"").decode().strip()
    try:
        run(["tee", path], text)
        weights = [word for osd in out for word in ("--weight", str(osd), "0")]
        words = ["--test", "--rule", "1", "--num-rep", str(size), "--min-x", "0", "--max-x", str(tries - 1)]
        answer = run(["crushtool", "-c", path, *words, *weights, "--show-mappings"], b"").decode()
    finally:
        run(["rm", "-f", path], b"")
    found = re.findall(r"^CRUSH rule 1 x \d+ \[([\d,]*)\]$", answer, flags=re.MULTILINE)
    if len(found) != tries:
        raise AssertionError(f"crushtool placed {len(found)} of {tries} groups: {answer[:500]!r}")
    return [[int(osd) for osd in group.split(",") if osd] for group in found]


def faults(mappings: Sequence[Sequence[int]], cluster: Cluster, *, shards_by_site: Sequence[int]) -> set[str]:
    """Say what is wrong with any group; `shards_by_site` are the shards of each site, in any order."""
    found: set[str] = set()
    wanted = sorted(shards_by_site)
    for group in mappings:
        places = [cluster.places[osd] for osd in group if osd != NOWHERE]
        if len(places) != sum(wanted):
            found.add("a shard without a place")
        if any(place.root != "hk" for place in places):
            found.add("a shard outside hk")
        if len({place.node for place in places}) != len(places):
            found.add("two shards on one node")
        if sorted(Counter(place.site for place in places).values()) != wanted:
            found.add("sites with the wrong number of shards")
    return found
