"""The plan of one inventory as facts, and its file `group_vars/all/plan.yml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from legalcloud.errors import InventoryError

HEADER = "# Written by `legalcloud plan --write`; site.yml checks it against the register and never computes it.\n"
DECIMALS = 4
"""Of `overhead` in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What may be lost: whole sites without a pause in service, nodes without losing data."""

    lose_sites: int
    lose_nodes: int

    def __str__(self) -> str:
        sites = f"lose any {in_words(self.lose_sites, 'whole site')} and go on reading and writing"
        nodes = f"lose any {in_words(self.lose_nodes, 'node')} and lose nothing"
        return (
            "; ".join(words for number, words in ((self.lose_sites, sites), (self.lose_nodes, nodes)) if number)
            or "lose nothing as long as nothing is lost"
        )


DEFAULT_GOAL = Goal(lose_sites=1, lose_nodes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The committed layout."""

    goal: Goal
    k: int
    m: int
    shards_per_site: int
    min_size: int
    overhead: float
    """Raw bytes per stored byte, rounded to `DECIMALS`."""
    heals_after_node_loss: bool
    """True if every site has a node to spare for the shards of a lost one."""


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def in_words(number: int, noun: str) -> str:
    word = {1: "one", 2: "two", 3: "three", 4: "four"}.get(number)
    return f"{word} {noun if number == 1 else noun + 's'}" if word else count(number, noun)


def parse(raw: object, where: str) -> Plan:
    """Read the mapping `legalcloud_plan`; `where` is the file, for messages.

    Only the shape is judged here: whether the plan holds on a register is `planner.agreement.check`.

    Raises:
        InventoryError: a key is missing, unknown or of another type; all of them are named.

    """
    problems: list[str] = []
    plan = _keys(raw, tuple(Plan.__dataclass_fields__), "legalcloud_plan", problems)
    goal = _keys(plan.get("goal", {}), tuple(Goal.__dataclass_fields__), "legalcloud_plan.goal", problems)
    numbers = {
        key: _whole(plan, key, "legalcloud_plan", 1, problems) for key in ("k", "m", "shards_per_site", "min_size")
    }
    losses = {key: _whole(goal, key, "legalcloud_plan.goal", 0, problems) for key in Goal.__dataclass_fields__}
    overhead = plan.get("overhead", 1.0)
    if isinstance(overhead, bool) or not isinstance(overhead, int | float):
        problems.append(f"legalcloud_plan.overhead: {overhead!r} is not a number")
        overhead = 1.0
    heals = plan.get("heals_after_node_loss", False)
    if not isinstance(heals, bool):
        problems.append(f"legalcloud_plan.heals_after_node_loss: {heals!r} is neither true nor false")
    if problems:
        raise InventoryError(
            "\n".join(f"{where}: {problem}" for problem in problems),
            hint="Let `legalcloud plan --write` write this file.",
        )
    return Plan(goal=Goal(**losses), overhead=float(overhead), heals_after_node_loss=bool(heals), **numbers)


def text(plan: Plan) -> str:
    """Write the whole file; the same plan always gives the same bytes."""
    return (
        f"{HEADER}legalcloud_plan:\n"
        f"  goal: {{lose_sites: {plan.goal.lose_sites}, lose_nodes: {plan.goal.lose_nodes}}}\n"
        f"  k: {plan.k}\n"
        f"  m: {plan.m}\n"
        f"  shards_per_site: {plan.shards_per_site}\n"
        f"  min_size: {plan.min_size}\n"
        f"  overhead: {plan.overhead}\n"
        f"  heals_after_node_loss: {str(plan.heals_after_node_loss).lower()}\n"
    )


def _keys(raw: object, wanted: tuple[str, ...], where: str, problems: list[str]) -> Mapping[str, object]:
    if not isinstance(raw, Mapping):
        problems.append(f"{where}: is not a mapping")
        return {}
    problems.extend(f"{where}.{key}: unknown key; remove it" for key in raw if key not in wanted)
    problems.extend(f"{where}.{key}: missing" for key in wanted if key not in raw)
    return raw


def _whole(raw: Mapping[str, object], key: str, where: str, least: int, problems: list[str]) -> int:
    value = raw.get(key, least)  # a missing key has been named already
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        problems.append(f"{where}.{key}: {value!r} is not a whole number of at least {least}")
        return least
    return value
