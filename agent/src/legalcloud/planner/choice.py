"""From a wish to a layout, or to the reasons why not and the nearest wish that can be granted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from legalcloud.plan import Goal, count
from legalcloud.planner.layout import (
    LEAST_K,
    LEAST_M,
    MOST_SHARDS,
    Layout,
    feasible,
    layouts_of,
    objections,
    rank,
)
from legalcloud.planner.topology import Topology, of_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person asked for."""

    goal: Goal
    k: int | None = None
    m: int | None = None
    """k and m together: this code and no other."""
    self_healing: bool = False
    most_shards: int = MOST_SHARDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A layout that was looked at and not taken, and why."""

    layout: Layout
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """The nearest wish that can be granted."""

    goal: Goal
    layout: Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The answer to a wish."""

    wish: Wish
    layout: Layout | None
    reasons: tuple[str, ...]
    """Why there is none; empty if there is one."""
    nearest: Nearest | None
    """Only if there is none."""
    growth: str | None
    """What to add so that the wish can be granted; only if there is none."""
    cheaper: tuple[Rejected, ...]
    """Layouts of the same shape that would cost less, and what is wrong with each."""
    alternatives: tuple[Layout, ...]
    """Layouts that would do too, best first."""


def choose(wish: Wish, topology: Topology) -> Choice:
    found = _granted(wish, topology)
    if not found:
        return Choice(
            wish=wish,
            layout=None,
            reasons=_reasons(wish, topology),
            nearest=_nearest(wish, topology),
            growth=_growth(wish, topology),
            cheaper=(),
            alternatives=(),
        )
    return Choice(
        wish=wish,
        layout=found[0],
        reasons=(),
        nearest=None,
        growth=None,
        cheaper=tuple(_cheaper(found[0], wish.goal, topology)),
        alternatives=_alternatives(found[0], wish, topology),
    )


def _granted(wish: Wish, topology: Topology) -> tuple[Layout, ...]:
    if wish.k is None or wish.m is None:
        return feasible(topology, wish.goal, most_shards=wish.most_shards, self_healing=wish.self_healing)
    return tuple(
        layout
        for layout in sorted(layouts_of(wish.k, wish.m, topology), key=lambda layout: rank(layout, topology))
        if not objections(layout, wish.goal, topology) and (layout.heals(topology) or not wish.self_healing)
    )


def _reasons(wish: Wish, topology: Topology) -> tuple[str, ...]:
    """Object to the layout that comes closest."""
    if not topology.sites:
        return ("no site has a node in the group storage",)
    attempts = tuple(_attempts(wish, topology))
    if not attempts:
        spared = ", one of them kept free to heal onto," if wish.self_healing else ""
        return (
            f"{count(len(topology.sites), 'site')} with {count(topology.narrowest, 'node')} in the smallest"
            f"{spared} cannot hold the {LEAST_K + LEAST_M} shards of {LEAST_K}+{LEAST_M}, the smallest code",
        )
    found = min((objections(layout, wish.goal, topology) for layout in attempts), key=len)
    if found:
        return found
    return (
        f"losing one node leaves no other node in its site for its shards: healing by itself needs more than "
        f"{count(min(layout.shards_per_site for layout in attempts), 'node')} in every site",
    )


def _attempts(wish: Wish, topology: Topology) -> Iterator[Layout]:
    if wish.k is not None and wish.m is not None:
        yield from layouts_of(wish.k, wish.m, topology)
        return
    spare = int(wish.self_healing)
    for sites in range(len(topology.sites), 0, -1):
        each = min(topology.narrowest - spare, wish.most_shards // sites)
        if sites * each >= LEAST_K + LEAST_M:
            yield Layout(k=LEAST_K, m=sites * each - LEAST_K, sites=sites, shards_per_site=each)


def _nearest(wish: Wish, topology: Topology) -> Nearest | None:
    """Keep the goal and change the code least; else change the goal least, giving up nodes before sites."""
    same_goal = feasible(topology, wish.goal, most_shards=wish.most_shards)
    if same_goal and wish.k is not None and wish.m is not None:
        k, m = wish.k, wish.m
        layout = min(same_goal, key=lambda one: (abs(one.k - k) + abs(one.m - m), rank(one, topology)))
        return Nearest(goal=wish.goal, layout=layout)
    if same_goal:
        return Nearest(goal=wish.goal, layout=same_goal[0])
    lesser = [
        Goal(lose_sites=sites, lose_nodes=nodes)
        for sites in range(wish.goal.lose_sites + 1)
        for nodes in range(wish.goal.lose_nodes + 1)
    ]
    lesser.sort(key=lambda goal: (goal.lose_sites + goal.lose_nodes, goal.lose_sites), reverse=True)
    for goal in lesser:
        if layouts := feasible(topology, goal, most_shards=wish.most_shards):
            return Nearest(goal=goal, layout=layouts[0])
    return None


def _growth(wish: Wish, topology: Topology) -> str | None:
    """Find the smallest regular cluster, not smaller than this one in any way, that would do.

    Monitors keep their majority through lost sites only in 2n+1 of them.
    """
    most = range(1, MOST_SHARDS + 1)
    least_sites = max(len(topology.sites), 2 * wish.goal.lose_sites + 1)
    sizes = ((sites, nodes) for sites in most for nodes in most if sites >= least_sites)
    larger = (size for size in sizes if size[0] > len(topology.sites) or size[1] > topology.narrowest)
    for sites, nodes in sorted(larger, key=lambda size: (size[0] * size[1], size[0])):
        if found := _granted(wish, of_counts((nodes,) * sites)):
            return f"with {count(sites, 'site')} of {count(nodes, 'node')} or more each it would be {found[0]}"
    return None


def _cheaper(chosen: Layout, goal: Goal, topology: Topology) -> Iterator[Rejected]:
    for k in range(chosen.k + 1, chosen.shards - LEAST_M + 1):
        layout = Layout(k=k, m=chosen.shards - k, sites=chosen.sites, shards_per_site=chosen.shards_per_site)
        if reasons := objections(layout, goal, topology):
            yield Rejected(layout=layout, reasons=reasons)


def _alternatives(chosen: Layout, wish: Wish, topology: Topology) -> tuple[Layout, ...]:
    """Take the best of every shape: the rest of one shape is only dearer."""
    best: dict[tuple[int, int], Layout] = {}
    for layout in feasible(topology, wish.goal, most_shards=wish.most_shards):
        best.setdefault((layout.sites, layout.shards_per_site), layout)
    return tuple(layout for layout in best.values() if layout != chosen)
