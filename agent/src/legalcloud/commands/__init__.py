"""The verbs of `legalcloud`; each module has `add_parser`, which sets `run(args) -> Exit` as a default."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Protocol

from legalcloud.commands import (
    fleet,
    health,
    node,
    plan,
    preflight,
    record,
    register,
)

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


class Command(Protocol):
    """One verb."""

    def add_parser(self, verbs: Verbs) -> None: ...


ALL: tuple[Command, ...] = (
    plan,
    register,
    preflight,
    health,
    node,
    fleet,
    record,
)
"""In the order of --help."""
