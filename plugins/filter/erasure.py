"""What each server of the key manager has that could bring a destroyed key back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def erasure_servers(
    snapshots: Sequence[Mapping[str, Any]], tokens: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Join the two loops over all servers: snapshots of each, and the labels of the keys in its token."""
    labels = {one["item"]: [key["label"] for key in json.loads(one["stdout"])["keys"]] for one in tokens}
    return [
        {name: one[name] for name in ("snapshots", "broken", "aside")}
        | {"node": one["item"], "kek_labels": labels[one["item"]]}
        for one in snapshots
    ]


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"erasure_servers": erasure_servers}
