"""What still fits into a cluster, against Ceph's own word, the plan's arithmetic, and filling it up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.agent.node import fuzz

from legalcloud.errors import ParseError, SourceError
from legalcloud.node.capacity import ClusterCapacity
from legalcloud.node.cluster import of_cluster
from legalcloud.node.osds import Ratios
from legalcloud.node.usage import ClusterUsage, NodeUsage, OsdUsage, SiteUsage, cluster_usage
from legalcloud.planner.capacity import capacity, chances
from legalcloud.planner.layout import Layout
from legalcloud.planner.topology import StorageNode, StorageSite, Topology

SAMPLES = Path(__file__).parent / "samples/osds"
DF_TREE, OSD_DUMP = ((SAMPLES / f"{name}.json").read_bytes() for name in ("osd_df_tree", "osd_dump"))
POOL = "hk.rgw.buckets.data"
GIB = 1 << 30


def cut(k: int, m: int, shards_per_site: int) -> Layout:
    return Layout(k=k, m=m, sites=(k + m) // shards_per_site, shards_per_site=shards_per_site)


def cluster(sites: list[list[list[int]]], drive_bytes: int = 100 * GIB) -> ClusterUsage:
    """Make a cluster of equal drives from the used bytes of each, by site and node."""
    number = iter(range(1000))
    return ClusterUsage(
        sites=tuple(
            SiteUsage(
                name=f"s{s}",
                nodes=tuple(
                    NodeUsage(
                        name=f"s{s}-{n}",
                        osds=tuple(
                            OsdUsage(
                                number=next(number), up=True, weight=6553, used_bytes=used, total_bytes=drive_bytes
                            )
                            for used in drives
                        ),
                    )
                    for n, drives in enumerate(nodes, 1)
                ),
            )
            for s, nodes in enumerate(sites, 1)
        ),
        ratios=Ratios(),
    )


def test_of_the_recorded_cluster_as_much_fits_as_ceph_itself_says() -> None:
    (pool,) = (pool for pool in json.loads((SAMPLES / "df.json").read_bytes())["pools"] if pool["name"] == POOL)
    usage = cluster_usage(DF_TREE, OSD_DUMP)
    found = of_cluster(usage, cut(3, 3, 2))

    assert [(site.name, [node.name for node in site.nodes]) for site in usage.sites] == [
        ("cwn", ["cwn-1", "cwn-2"]),
        ("sht", ["sht-1", "sht-2"]),
        ("tko", ["tko-1", "tko-2"]),
    ]
    assert found.until_full_bytes == pytest.approx(pool["stats"]["max_avail"], rel=1e-6)
    assert (found.fullest_osd, found.reserve_bytes, found.limited_by) == (10, 0, "osd.10")
    assert found.raw_bytes == 12 * 8 * GIB


sizes = st.lists(st.lists(st.integers(1, 4), min_size=2, max_size=4), min_size=3, max_size=3)


@given(sizes, st.sampled_from([(3, 3, 2), (2, 2, 2), (4, 2, 2)]))
def test_an_empty_cluster_holds_what_the_plan_promised(drives: list[list[int]], km: tuple[int, int, int]) -> None:
    layout = cut(*km)
    topology = Topology(
        sites=tuple(
            StorageSite(
                id=f"s{s}",
                nodes=tuple(StorageNode(name=f"s{s}-{n}", rack="r", drives=count) for n, count in enumerate(nodes, 1)),
            )
            for s, nodes in enumerate(drives, 1)
        )
    )
    promised = capacity(layout, topology, 100 * GIB)
    raw = promised.raw_bytes or 0

    found = of_cluster(cluster([[[0] * count for count in nodes] for nodes in drives]), layout)

    assert found.advised_bytes == pytest.approx(promised.advised_share * raw, abs=2)
    assert found.reserve_bytes == pytest.approx(promised.reserve_share * raw, abs=2)


filled = st.lists(
    st.lists(st.lists(st.integers(0, 40 * GIB), min_size=1, max_size=3), min_size=2, max_size=4), min_size=3, max_size=3
)


def stored(usage: ClusterUsage, bytes_: int, layout: Layout) -> ClusterUsage:
    """Store so much the way CRUSH spreads it."""
    sites = chances(tuple(site.weight for site in usage.sites), 3)
    return replace(
        usage,
        sites=tuple(
            replace(
                site,
                nodes=tuple(
                    replace(
                        node,
                        osds=tuple(
                            replace(
                                each,
                                used_bytes=round(
                                    each.used_bytes + bytes_ * at_site * at_node / layout.k * each.weight / node.weight
                                ),
                            )
                            for each in node.osds
                        ),
                    )
                    for node, at_node in zip(
                        site.nodes, chances(tuple(n.weight for n in site.nodes), layout.shards_per_site), strict=True
                    )
                ),
            )
            for site, at_site in zip(usage.sites, sites, strict=True)
        ),
    )


def fullest_share(usage: ClusterUsage) -> float:
    return max(each.used_bytes / each.total_bytes for site in usage.sites for node in site.nodes for each in node.osds)


@given(filled)
def test_storing_what_still_fits_fills_the_fullest_osd_to_the_ratio_and_no_further(used: list[list[list[int]]]) -> None:
    before, layout = cluster(used), cut(3, 3, 2)
    found = of_cluster(before, layout)

    assert fullest_share(stored(before, found.until_full_bytes, layout)) == pytest.approx(0.95, abs=1e-6)
    assert fullest_share(stored(before, found.advised_bytes, layout)) <= 0.85 + 1e-6


@given(filled)
def test_after_storing_what_is_advised_any_node_still_fits_on_the_others_of_its_site(
    used: list[list[list[int]]],
) -> None:
    before, layout = cluster(used), cut(3, 3, 2)
    found = of_cluster(before, layout)
    assume(found.advised_bytes > 0)

    after = stored(before, found.advised_bytes, layout)
    for site, lost in [(each, node) for each in after.sites for node in each.nodes]:
        rest = [node for node in site.nodes if node is not lost]
        if len(rest) < layout.shards_per_site:
            continue
        for node, share in zip(rest, growth(site, lost), strict=True):
            for each in node.osds:
                moved = lost.used_bytes * share * each.weight / node.weight
                assert (each.used_bytes + moved) / each.total_bytes <= 0.85 + 1e-6


def growth(site: SiteUsage, lost: NodeUsage) -> list[float]:
    """How what a node held is shared out, from what each other node is chosen for with it and without it."""
    rest = [node for node in site.nodes if node is not lost]
    whole = dict(zip((n.name for n in site.nodes), chances(tuple(n.weight for n in site.nodes), 2), strict=True))
    gained = [c - whole[n.name] for n, c in zip(rest, chances(tuple(n.weight for n in rest), 2), strict=True)]
    assert sum(gained) == pytest.approx(whole[lost.name])
    return [each / sum(gained) for each in gained]


def test_what_limits_is_named_with_the_loss_that_it_would_not_survive() -> None:
    empty = [[0] * 2] * 3
    found = of_cluster(cluster([empty, empty, [[50 * GIB, 0], [0, 0], [0, 0]]]), cut(3, 3, 2))

    assert found.limited_by in {"osd.12 without s3-2", "osd.12 without s3-3"}
    assert found.reserve_bytes > 0


def test_an_osd_that_is_out_holds_nothing_up() -> None:
    tree = DF_TREE.replace(b'"reweight":1,"kb":8388608,"kb_used":177892', b'"reweight":0,"kb":0,"kb_used":0')
    usage = cluster_usage(tree, OSD_DUMP)

    assert sum(len(node.osds) for site in usage.sites for node in site.nodes) == 11


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"kb":8388608', b'"kb":0', "is in, and has used"),
        (b'"type":"datacenter"', b'"type":"rack"', "no datacenter"),
        (b'"children":[10,4]', b'"children":[10,99]', "no bucket 99"),
        (b'"children":[-15]', b'"children":[-16]', "met before"),
    ],
)
def test_a_tree_that_hides_something_is_a_parse_error(old: bytes, new: bytes, said: str) -> None:
    with pytest.raises(ParseError, match=said):
        cluster_usage(DF_TREE.replace(old, new), OSD_DUMP)


@pytest.mark.parametrize("ratio", [b"0", b"1.5", b"0.8"])
def test_ratios_out_of_order_are_a_parse_error(ratio: bytes) -> None:
    with pytest.raises(ParseError, match="near-full, backfill-full and full ratios"):
        cluster_usage(DF_TREE, OSD_DUMP.replace(b"0.949999988079071", ratio))


def test_a_cluster_too_narrow_for_the_plan_is_an_error_and_not_a_number() -> None:
    with pytest.raises(SourceError, match=r"3\+3 needs 3 sites of 2 nodes"):
        of_cluster(cluster([[[0], [0]], [[0], [0]]]), cut(3, 3, 2))


@fuzz.lengths
@pytest.mark.parametrize("place", [0, 1], ids=["osd df tree", "osd dump"])
def test_whatever_ceph_prints_is_a_capacity_or_an_error(place: int, mutations: int) -> None:
    recorded = (DF_TREE, OSD_DUMP)

    def parse(raw: bytes) -> ClusterCapacity | ClusterUsage:
        usage = cluster_usage(*(raw if at == place else one for at, one in enumerate(recorded)))
        try:
            return of_cluster(usage, cut(3, 3, 2))
        except ParseError:
            raise
        except SourceError:
            return usage  # the tree is whole, and too narrow for the plan

    fuzz.facts_or_parse_error(parse, [recorded[place]], mutations)
