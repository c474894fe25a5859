"""All that the planner has to say about one inventory, as facts and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from legalcloud.plan import Goal, Plan
from legalcloud.planner.capacity import Capacity, capacity
from legalcloud.planner.choice import Choice, Wish, choose
from legalcloud.planner.crush import Replicas, Rule, crush_rules, replicas
from legalcloud.planner.durability import Durability, durability
from legalcloud.planner.layout import Layout, plan_of
from legalcloud.planner.losses import Loss, losses, promise_problems
from legalcloud.planner.topology import Topology, of_register
from legalcloud.register import Register


@dataclass(frozen=True, slots=True, kw_only=True)
class Drives:
    """What is assumed of every drive."""

    size_bytes: int | None
    afr: float
    repair_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a chosen layout means here."""

    layout: Layout
    plan: Plan
    copies: Replicas
    losses: tuple[Loss, ...]
    capacity: Capacity
    durability: Durability
    rules: tuple[Rule, Rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The answer to one run of `legalcloud plan`."""

    topology: Topology
    choice: Choice
    outcome: Outcome | None
    problems: tuple[str, ...]
    """What breaks the promise although the layout holds it: monitors, gateways."""

    @property
    def good(self) -> bool:
        return self.outcome is not None and not self.problems


def report(wish: Wish, register: Register, drives: Drives) -> Report:
    topology = of_register(register)
    choice = choose(wish, topology)
    if choice.layout is None:
        return Report(topology=topology, choice=choice, outcome=None, problems=())
    return Report(
        topology=topology,
        choice=choice,
        outcome=_outcome(choice.layout, wish.goal, register, topology, drives),
        problems=promise_problems(register, wish.goal),
    )


def _outcome(layout: Layout, goal: Goal, register: Register, topology: Topology, drives: Drives) -> Outcome:
    plan = plan_of(layout, goal, topology)
    copies = replicas(goal, len(topology.sites), layout.shards_per_site)
    return Outcome(
        layout=layout,
        plan=plan,
        copies=copies,
        losses=losses(layout, copies, register, goal),
        capacity=capacity(layout, topology, drives.size_bytes),
        durability=durability(layout, copies, topology, afr=drives.afr, repair_hours=drives.repair_hours),
        rules=crush_rules(plan, len(topology.sites)),
    )


def as_json(report: Report) -> dict[str, Any]:
    """Plain data; keys are only ever added."""
    choice, outcome = report.choice, report.outcome
    return {
        "feasible": report.good,
        "goal": asdict(choice.wish.goal),
        "sites": {site.id: [node.name for node in site.nodes] for site in report.topology.sites},
        "problems": [*choice.reasons, *report.problems],
        "nearest": choice.nearest
        and {"goal": asdict(choice.nearest.goal), **_shape(choice.nearest.layout, report.topology)},
        "growth": choice.growth,
        "layout": outcome and _shape(outcome.layout, report.topology),
        "losses": outcome and [_loss(loss) for loss in outcome.losses],
        "capacity": outcome
        and {
            **asdict(outcome.capacity),
            "raw_bytes": outcome.capacity.raw_bytes,
            "advised_share": outcome.capacity.advised_share,
        },
        "durability": outcome and {**asdict(outcome.durability), "nines": outcome.durability.nines},
        "replicated": outcome
        and {
            "size": outcome.copies.size,
            "min_size": outcome.copies.min_size,
            "per_site": outcome.copies.per_site,
        },
        "crush_rules": outcome
        and {rule.name: {"type": rule.type, "steps": [str(step) for step in rule.steps]} for rule in outcome.rules},
        "cheaper_but_refused": [{"layout": str(one.layout), "reasons": list(one.reasons)} for one in choice.cheaper],
        "alternatives": [_shape(layout, report.topology) for layout in choice.alternatives],
        "variables": outcome and {"legalcloud_plan": asdict(outcome.plan)},
    }


def _shape(layout: Layout, topology: Topology) -> dict[str, Any]:
    return {
        "k": layout.k,
        "m": layout.m,
        "sites": layout.sites,
        "shards_per_site": layout.shards_per_site,
        "min_size": layout.min_size,
        "overhead": float(layout.overhead),
        "heals_after_node_loss": layout.heals(topology),
    }


def _loss(loss: Loss) -> dict[str, Any]:
    return {
        "lost": str(loss),
        "shards_left": loss.shards_left,
        "readable": loss.serves,
        "writable": loss.serves,
        "stopped_by": list(loss.stopped_by),
        "data_lost": loss.data_lost,
    }
