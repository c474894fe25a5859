"""Everything that the agent watches, in the order of its status and its exposition. A new subject is a line here."""

from __future__ import annotations

from typing import Any

from legalcloud.node import (
    certificates,
    clock,
    cluster_watch,
    drives,
    filling,
    hsm,
    keys,
    packages,
    pressure,
    ruleset,
    storage,
    units,
)
from legalcloud.node.probe import Probe
from legalcloud.node.settings import Pace
from legalcloud.node.subject import Subject, World

ALL: tuple[Subject[Any], ...] = (
    units.SUBJECT,
    drives.SUBJECT,
    storage.SUBJECT,
    filling.SUBJECT,
    cluster_watch.SUBJECT,
    keys.SUBJECT,
    hsm.SUBJECT,
    certificates.SUBJECT,
    clock.SUBJECT,
    ruleset.SUBJECT,
    packages.SUBJECT,
    pressure.SUBJECT,
)
NAMES = tuple(subject.name for subject in ALL)


def probes(world: World) -> tuple[Probe[object], ...]:
    """Bind each subject to the world, at the pace that the settings give it."""
    return tuple(_probe(subject, world) for subject in ALL)


def _probe(subject: Subject[Any], world: World) -> Probe[object]:
    pace = world.settings.probes.get(subject.name, Pace(every_seconds=None, deadline_seconds=None))
    return Probe(
        name=subject.name,
        every_seconds=pace.every_seconds or subject.every_seconds,
        deadline_seconds=pace.deadline_seconds or subject.deadline_seconds,
        read=lambda: subject.read(world),
    )
