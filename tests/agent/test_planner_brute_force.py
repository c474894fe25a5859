"""The planner's promises against brute force that shares no code with it: it places, removes and counts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations, product

import pytest

from legalcloud.plan import Goal
from legalcloud.planner.choice import Wish, choose
from legalcloud.planner.crush import replicas
from legalcloud.planner.layout import candidates
from legalcloud.planner.topology import of_counts

Cluster = tuple[int, ...]
Lost = frozenset[tuple[int, int]]
Spread = tuple[int, ...]
"""Shards in each site that is used."""

MOST_NODES = 12
GOALS = [(sites, nodes) for sites in range(3) for nodes in range(4)]


def sites_and_nodes(goal: tuple[int, int]) -> str:
    return f"{goal[0]}-sites-{goal[1]}-nodes"


def clusters(nodes: int = MOST_NODES, largest: int = MOST_NODES) -> Iterator[Cluster]:
    """Every way to put up to `nodes` nodes into sites, the order of the sites aside."""
    for site in range(1, min(nodes, largest) + 1):
        yield (site,)
        for others in clusters(nodes - site, site):
            yield (*others, site)


def lost_sites(cluster: Cluster, many: int) -> Iterator[Lost]:
    for gone in combinations(range(len(cluster)), min(many, len(cluster))):
        yield frozenset((site, node) for site in gone for node in range(cluster[site]))


def lost_nodes(cluster: Cluster, many: int) -> Iterator[Lost]:
    nodes = [(site, node) for site in range(len(cluster)) for node in range(cluster[site])]
    for gone in combinations(nodes, min(many, len(nodes))):
        yield frozenset(gone)


def fewest_left(cluster: Cluster, lost: Lost, spread: Spread) -> int:
    """Let an adversary choose sites and nodes for the shards so that most of them stand on what is lost."""
    gone = [sum((site, node) in lost for node in range(cluster[site])) for site in range(len(cluster))]
    if len(set(spread)) == 1:
        left = sorted(spread[0] - min(spread[0], many) for many in gone)
        return sum(left[: len(spread)])
    return min(
        sum(each - min(each, gone[site]) for each, site in zip(spread, order, strict=True))
        for order in permutations(range(len(cluster)), len(spread))
    )


def survives(cluster: Cluster, goal: tuple[int, int], spread: Spread, *, serve: int, keep: int) -> bool:
    go_on = all(fewest_left(cluster, lost, spread) >= serve for lost in lost_sites(cluster, goal[0]))
    intact = all(fewest_left(cluster, lost, spread) >= keep for lost in lost_nodes(cluster, goal[1]))
    return go_on and intact


def surviving(cluster: Cluster, goal: tuple[int, int]) -> Iterator[tuple[Spread, int]]:
    """Every spread and k that hold the goal, with k of at least 2 and m of at least 2."""
    for used_sites in range(1, len(cluster) + 1):
        for each in range(1, min(cluster) + 1):
            spread = (each,) * used_sites
            for k in range(2, sum(spread) - 1):
                if survives(cluster, goal, spread, serve=k + 1, keep=k):
                    yield spread, k


@pytest.mark.parametrize("goal", GOALS, ids=sites_and_nodes)
def test_every_layout_holds_its_promise_and_every_refusal_is_right(goal: tuple[int, int]) -> None:
    granted = refused = 0
    for cluster in clusters():
        wish = Wish(goal=Goal(lose_sites=goal[0], lose_nodes=goal[1]))
        layout = choose(wish, of_counts(cluster)).layout
        if layout is None:
            refused += 1
            assert not any(surviving(cluster, goal)), f"{cluster} was refused"
        else:
            granted += 1
            spread = (layout.shards_per_site,) * layout.sites
            assert layout.m >= 2
            assert layout.k + layout.m == sum(spread)
            assert layout.shards_per_site <= min(cluster)
            assert layout.sites <= len(cluster)
            assert survives(cluster, goal, spread, serve=layout.min_size, keep=layout.k), f"{cluster}: {layout}"

    assert granted
    assert refused


@pytest.mark.parametrize("goal", GOALS, ids=sites_and_nodes)
def test_the_copies_of_the_index_hold_the_goal_wherever_a_layout_does(goal: tuple[int, int]) -> None:
    wish = Goal(lose_sites=goal[0], lose_nodes=goal[1])
    for cluster in clusters():
        layout = choose(Wish(goal=wish), of_counts(cluster)).layout
        if layout is None:
            continue
        copies = replicas(wish, len(cluster), layout.shards_per_site)
        full, rest = divmod(copies.size, copies.per_site)
        spread = (copies.per_site,) * full + (rest,) * bool(rest)
        assert copies.size >= 3
        assert max(spread) <= min(cluster)
        assert survives(cluster, goal, spread, serve=copies.min_size, keep=1), f"{cluster}: {copies}"


@pytest.mark.parametrize("cluster", [(2, 2, 2), (3, 3, 3), (2, 3, 3), (4, 4, 4), (3, 3, 3, 3), (1, 2, 3, 4)], ids=str)
@pytest.mark.parametrize("goal", GOALS[4:8], ids=sites_and_nodes)
def test_no_layout_that_survives_costs_less_than_the_chosen_one(cluster: Cluster, goal: tuple[int, int]) -> None:
    layout = choose(Wish(goal=Goal(lose_sites=goal[0], lose_nodes=goal[1])), of_counts(cluster)).layout

    cheapest = min((sum(spread) / k for spread, k in surviving(cluster, goal)), default=None)

    assert (None if layout is None else float(layout.overhead)) == cheapest


@pytest.mark.parametrize("cluster", [(2, 2, 2), (2, 3, 3), (3, 3, 3), (4, 4, 4), (3, 4)], ids=str)
def test_what_is_left_after_a_loss_is_what_the_worst_placement_leaves(cluster: Cluster) -> None:
    topology = of_counts(cluster)
    for layout in candidates(topology):
        spread = (layout.shards_per_site,) * layout.sites
        for sites, nodes in product(range(3), range(3)):
            left = min(
                fewest_left(cluster, one | other, spread)
                for one in lost_sites(cluster, sites)
                for other in lost_nodes(cluster, nodes)
            )
            assert layout.left_after(sites, nodes) == left, f"{layout} without {sites} sites, {nodes} nodes"


def test_the_adversary_of_this_test_can_win() -> None:
    assert survives((2, 2, 2), (1, 2), (2, 2, 2), serve=4, keep=3)
    assert not survives((2, 2, 2), (1, 0), (2, 2, 2), serve=5, keep=4)  # 4+2 stops serving without a site
    assert not survives((2, 2, 2), (0, 3), (2, 2, 2), serve=5, keep=4)  # and is lost with three nodes
    assert not survives((2, 2, 2), (1, 0), (2, 1), serve=2, keep=1)
