"""Reads the answers of Ceph that were recorded on the lab; data/ceph/VERSION says of which version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "data/ceph"


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def answer(name: str) -> Any:  # noqa: ANN401 -- JSON
    return json.loads(text(f"{name}.json"))
