"""Where the cluster has its hosts: `ceph osd crush tree --format json`, Ceph 20.2."""

from __future__ import annotations

import json

from legalcloud.errors import ParseError
from legalcloud.preflight.facts import Place
from legalcloud.tree import Tree


def places(text: str) -> dict[str, Place]:
    """Return the place of each host by its name; a host that hangs below nothing has an empty path."""
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ParseError(f"`ceph osd crush tree` gave no JSON: {error}") from error
    nodes = {node["id"].integer(): node for node in Tree(document, "crush_tree")["nodes"].elements()}
    parents = {
        child.integer(): node for node in nodes.values() if _is_bucket(node) for child in node["children"].elements()
    }
    return {
        node["name"].text(): Place(
            path=_path(node, parents),
            osds=sum(1 for child in node["children"].elements() if child.integer() >= 0),
        )
        for node in nodes.values()
        if node["type"].text() == "host"
    }


def _is_bucket(node: Tree) -> bool:
    return node["id"].integer() < 0


def _path(node: Tree, parents: dict[int, Tree]) -> tuple[str, ...]:
    path: list[str] = []
    above = parents.get(node["id"].integer())
    while above is not None:
        if len(path) > len(parents):
            raise ParseError("`ceph osd crush tree` has a circle")
        path.insert(0, f"{above['type'].text()}={above['name'].text()}")
        above = parents.get(above["id"].integer())
    return tuple(path)
