"""From what Ceph prints to facts; Ceph 20.2, samples in tests/agent/data/health/."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import cast

from legalcloud.errors import ParseError
from legalcloud.health.facts import Cluster, Site

Node = Mapping[str, object]


def cluster(status: bytes, df: bytes, tree: bytes, versions: bytes, *, data_pool: str) -> Cluster:
    """Parse `ceph status`, `ceph df`, `ceph osd tree` and `ceph versions`, each with `--format json`.

    Raises: ParseError if a text is not JSON, or a field that we rely on is missing.
    """
    try:
        s, d, t, v = (json.loads(text) for text in (status, df, tree, versions))
        pool = next((p["stats"] for p in d["pools"] if p["name"] == data_pool), None)
        if pool is None:
            raise ParseError(f"`ceph df` names no pool {data_pool}", hint="Run playbooks/site.yml; it makes the pool.")
        gateways = s["servicemap"]["services"].get("rgw", {}).get("daemons", {})
        return Cluster(
            status=str(s["health"]["status"]),
            checks={code: str(check["summary"]["message"]) for code, check in s["health"]["checks"].items()},
            mons=int(s["monmap"]["num_mons"]),
            mons_in_quorum=tuple(s["quorum_names"]),
            gateways=tuple(sorted(g["metadata"]["hostname"] for key, g in gateways.items() if key != "summary")),
            placement_groups={row["state_name"]: int(row["count"]) for row in s["pgmap"]["pgs_by_state"]},
            sites=_sites(t["nodes"]),
            raw_bytes=int(d["stats"]["total_bytes"]),
            raw_used_bytes=int(d["stats"]["total_used_raw_bytes"]),
            stored_bytes=int(pool["stored"]),
            available_bytes=int(pool["max_avail"]),
            versions=tuple(sorted(version.split()[2] for version in v["overall"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ParseError(f"Ceph's answer cannot be read: {type(error).__name__} {error}") from error


def _sites(nodes: list[dict[str, object]]) -> tuple[Site, ...]:
    by_id = {node["id"]: node for node in nodes}

    def below(node: Node, wanted: Callable[[Node], bool]) -> int:
        children = [by_id[child] for child in cast("list[int]", node.get("children", []))]
        return int(wanted(node)) + sum(below(child, wanted) for child in children)

    return tuple(
        Site(
            name=str(node["name"]),
            osds=below(node, lambda n: n["type"] == "osd"),
            osds_up=below(node, lambda n: n["type"] == "osd" and n["status"] == "up"),
        )
        for node in sorted(nodes, key=lambda n: str(n["name"]))
        if node["type"] == "datacenter"
    )
