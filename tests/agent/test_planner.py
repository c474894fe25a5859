"""What the planner decides and says for clusters that a person can work out by hand."""

from __future__ import annotations

import io
from ipaddress import IPv4Address
from typing import Any

import pytest
from rich.console import Console

from legalcloud.plan import Goal
from legalcloud.planner.agreement import check
from legalcloud.planner.capacity import capacity, chances
from legalcloud.planner.choice import Wish, choose
from legalcloud.planner.crush import Step, crush_rules
from legalcloud.planner.durability import HOURS_A_YEAR, chance_of_loss, nines
from legalcloud.planner.explanation import explain
from legalcloud.planner.layout import Layout, plan_of
from legalcloud.planner.report import Drives, Report, as_json, report
from legalcloud.planner.topology import Topology, of_counts, of_register
from legalcloud.register import Drive, DriveUse, Node, Register, Site, Text

GOAL = Goal(lose_sites=1, lose_nodes=2)
DRIVES = Drives(size_bytes=None, afr=0.02, repair_hours=72.0)
NAME = Text(en="Site", zh_hant="機房")


def register(*nodes_by_site: int, drives: int = 2, mon_sites: int = 99, nodes_in_rack: int = 1) -> Register:
    """Put one monitor and gateway in each of the first `mon_sites` sites."""
    sites = tuple(
        Site(
            id=f"s{s}",
            name=NAME,
            district=NAME,
            address=NAME,
            operator="Operator",
            latitude=22.3,
            longitude=114.2,
            subnets=(),
            border_waiver=None,
        )
        for s in range(1, len(nodes_by_site) + 1)
    )
    nodes = tuple(
        Node(
            name=f"s{s}-{n}",
            address=IPv4Address(f"10.77.{s}.{n}"),
            site=f"s{s}",
            rack=f"r{(n - 1) // nodes_in_rack}",
            drives=tuple(Drive(serial=f"{s}-{n}-{d}", use=DriveUse.OSD) for d in range(drives)),
            groups=frozenset({"storage", "mons", "gateways"} if n == 1 and s <= mon_sites else {"storage"}),
        )
        for s, many in enumerate(nodes_by_site, 1)
        for n in range(1, many + 1)
    )
    return Register(sites=sites, nodes=nodes)


def said(found: Report) -> str:
    console = Console(file=io.StringIO(), width=2000, no_color=True)
    explain(found, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def chosen(goal: Goal, *nodes_by_site: int) -> Layout:
    layout = choose(Wish(goal=goal), of_counts(nodes_by_site)).layout
    assert layout is not None
    return layout


@pytest.mark.parametrize(
    ("nodes", "expected", "each", "min_size"),
    [
        ((2, 2, 2), "3+3", 2, 4),
        ((3, 3, 3), "5+4", 3, 6),
        ((2, 3, 3), "3+3", 2, 4),
        ((4, 4, 4), "7+5", 4, 8),
        ((9, 9, 9), "7+5", 4, 8),
        ((1, 1, 1, 1), "2+2", 1, 3),
        ((3, 3, 3, 3), "8+4", 3, 9),
    ],
    ids=str,
)
def test_the_default_goal_gets_the_cheapest_layout(
    nodes: tuple[int, ...], expected: str, each: int, min_size: int
) -> None:
    layout = chosen(GOAL, *nodes)

    assert (str(layout), layout.shards_per_site, layout.min_size) == (expected, each, min_size)
    assert layout.left_after(1, 0) == min_size


def test_one_site_is_planned_when_no_site_may_be_lost() -> None:
    assert str(chosen(Goal(lose_sites=0, lose_nodes=2), 6)) == "4+2"


def test_of_equally_cheap_layouts_the_one_that_heals_by_itself_is_taken() -> None:
    layout = choose(Wish(goal=Goal(lose_sites=0, lose_nodes=2), most_shards=4), of_counts((2, 2, 2, 2))).layout

    assert layout == Layout(k=2, m=2, sites=4, shards_per_site=1)  # not two shards in each of two sites


def test_four_plus_two_is_refused_because_a_lost_site_stops_it() -> None:
    choice = choose(Wish(goal=GOAL, k=4, m=2), of_counts((2, 2, 2)))

    assert choice.layout is None
    assert choice.reasons == ("losing 1 site leaves 4 shards of 6: all reading and writing stops (min_size is 5)",)
    assert choice.nearest is not None
    assert str(choice.nearest.layout) == "3+3"


def test_a_single_parity_shard_is_refused_even_if_nothing_may_be_lost() -> None:
    choice = choose(Wish(goal=Goal(lose_sites=0, lose_nodes=0), k=3, m=1), of_counts((4,)))

    assert choice.layout is None
    assert choice.reasons[0].startswith("m=1:")
    assert choice.nearest is not None
    assert choice.nearest.layout.m == 2


def test_a_layout_wider_than_the_nodes_is_refused_and_names_the_site() -> None:
    choice = choose(Wish(goal=GOAL, k=5, m=4), of_counts((2, 3, 3)))

    assert "3 shards a site need as many nodes, and site site1 has 2" in choice.reasons


def test_a_goal_beyond_the_sites_gets_the_nearest_goal_and_what_to_add() -> None:
    choice = choose(Wish(goal=Goal(lose_sites=2, lose_nodes=2)), of_counts((2, 2, 2)))

    assert choice.layout is None
    assert choice.nearest is not None
    assert choice.nearest.goal == GOAL
    assert choice.growth == "with 5 sites of 1 node or more each it would be 2+3"


def test_when_nothing_fits_the_nearest_is_none() -> None:
    choice = choose(Wish(goal=GOAL), of_counts((2,)))

    assert choice.layout is None
    assert choice.nearest is None
    assert choice.growth is not None


def test_without_storage_nodes_the_reason_is_said() -> None:
    assert choose(Wish(goal=GOAL), Topology(sites=())).reasons == ("no site has a node in the group storage",)


def test_self_healing_keeps_a_node_a_site_to_spare() -> None:
    layout = choose(Wish(goal=GOAL, self_healing=True), of_counts((3, 3, 3))).layout

    assert layout == Layout(k=3, m=3, sites=3, shards_per_site=2)


def test_two_nodes_a_site_need_no_reserve_and_three_need_a_third() -> None:
    layout = Layout(k=3, m=3, sites=3, shards_per_site=2)

    two = capacity(layout, of_counts((2, 2, 2), 2), None)
    three = capacity(layout, of_counts((3, 3, 3), 2), None)

    assert (two.usable_share, two.reserve_share) == pytest.approx((0.85 / 2, 0.0))
    assert (three.usable_share, three.reserve_share) == pytest.approx((0.85 / 2, 0.85 / 2 / 3))


def test_the_smallest_site_limits_what_fits() -> None:
    layout = Layout(k=3, m=3, sites=3, shards_per_site=2)

    found = capacity(layout, of_counts((2, 3, 3), 1), None)

    assert found.usable_share == pytest.approx(0.85 * 3 * 1 / 8)  # both nodes of s1 get a shard of each object
    assert found.reserve_share == 0  # the larger sites have that room anyway


def test_chances_of_unequal_nodes_are_those_of_drawing_one_after_another() -> None:
    light, also_light, heavy = chances((1, 1, 2), 2)

    assert heavy == pytest.approx(1 / 2 + 2 * (1 / 4 * 2 / 3))
    assert light == also_light == pytest.approx((2 - heavy) / 2)


def test_the_chance_of_loss_agrees_with_the_textbook_for_two_mirrored_drives() -> None:
    rate = 0.02020270731751944 / HOURS_A_YEAR  # -ln(1 - 0.02) a year
    mean = (3 * rate + 1 / 10) / (2 * rate**2)

    found = chance_of_loss(2, 1, afr=0.02, repair_hours=10, hours=HOURS_A_YEAR)

    assert found == pytest.approx(HOURS_A_YEAR / mean, rel=1e-4)


def test_each_drive_that_is_away_is_repaired_by_itself() -> None:
    rate = 0.02020270731751944 / HOURS_A_YEAR

    found = chance_of_loss(3, 2, afr=0.02, repair_hours=10, hours=HOURS_A_YEAR)

    # Three mirrored drives, repairs far faster than failures: 3 rate^3 / repair^2 an hour.
    assert found == pytest.approx(HOURS_A_YEAR * 3 * rate**3 * 10**2, rel=1e-3)


def test_nines_are_rounded_down() -> None:
    assert nines(0.0011) == 2
    assert nines(0.0009) == 3


def test_losses_name_what_stops_service() -> None:
    found = report(Wish(goal=GOAL), register(2, 2, 2), DRIVES)

    assert found.outcome is not None
    by_name = {str(loss): loss for loss in found.outcome.losses}
    assert by_name["any one node"].serves
    assert by_name["any one site"].serves
    assert by_name["any one site"].shards_left == 4
    assert by_name["any two nodes"].stopped_by == (
        "1 copy of the index left, 2 needed",
        "1 of 3 monitors left, more than half needed",
    )
    assert not by_name["any two nodes"].data_lost
    both = by_name["any one site and one node elsewhere"]
    assert (both.serves, both.data_lost, both.shards_left) == (False, False, 3)


def test_monitors_in_one_site_break_the_promise_that_the_shards_keep() -> None:
    found = report(Wish(goal=GOAL), register(2, 2, 2, mon_sites=1), DRIVES)

    assert not found.good
    assert "losing 1 site stops reading and writing: 0 of 1 monitor left" in found.problems[0]
    assert "no gateway left of 1" in found.problems[1]


def test_the_explanation_shows_why_not_the_cheaper_one_and_what_heals() -> None:
    text = said(report(Wish(goal=GOAL), register(2, 2, 2), DRIVES))

    assert "3+3 at 2x" in text
    assert "leave 4 shards, which is exactly enough" in text
    assert "4+2" in text
    assert "all reading and writing stops" in text
    assert "After a lost node nothing can move" in text
    assert "No reserve for a lost node" in text
    assert "Not counted: drives of one bad batch" in text


def test_the_explanation_offers_the_dearer_layout_that_heals() -> None:
    text = said(report(Wish(goal=GOAL), register(3, 3, 3), DRIVES))

    assert "5+4 at 1.8x" in text
    assert "3+3 over 3 sites" in text
    assert "would heal by itself after a lost node; costs more" in text


@pytest.mark.parametrize(("nodes_in_rack", "warns"), [(1, True), (3, False)])
def test_racks_of_one_node_are_pointed_out_where_healing_depends_on_them(nodes_in_rack: int, warns: bool) -> None:
    wish = Wish(goal=GOAL, self_healing=True)

    text = said(report(wish, register(3, 3, 3, nodes_in_rack=nodes_in_rack), DRIVES))

    assert "A lost node's shards are rebuilt" in text
    assert ("mon_osd_down_out_subtree_limit" in text) is warns


def test_drive_sizes_turn_shares_into_terabytes() -> None:
    drives = Drives(size_bytes=16 * 10**12, afr=0.02, repair_hours=72.0)

    assert "192.00 TB raw: tenants can store 81.60 TB" in said(report(Wish(goal=GOAL), register(2, 2, 2), drives))


def test_a_refusal_says_nearest_and_growth() -> None:
    text = said(report(Wish(goal=Goal(lose_sites=2, lose_nodes=2)), register(2, 2, 2), DRIVES))

    assert "Not feasible" in text
    assert "Nearest 3+3" in text
    assert "with 5 sites" in text


def test_the_report_for_machines_carries_the_same_answer() -> None:
    good: dict[str, Any] = as_json(report(Wish(goal=GOAL), register(2, 2, 2), DRIVES))
    bad: dict[str, Any] = as_json(report(Wish(goal=GOAL, k=4, m=2), register(2, 2, 2), DRIVES))

    assert good["feasible"] is True
    assert good["variables"]["legalcloud_plan"]["min_size"] == 4
    assert good["cheaper_but_refused"][0]["layout"] == "4+2"
    assert good["durability"]["index_loss"] > good["durability"]["objects_loss"] > 0
    assert bad["feasible"] is False
    assert bad["layout"] is None
    assert (bad["nearest"]["k"], bad["nearest"]["m"]) == (3, 3)


def test_the_committed_plan_agrees_with_the_register_it_was_made_for() -> None:
    for nodes in ((2, 2, 2), (3, 3, 3), (2, 3, 3)):
        here = register(*nodes)
        plan = plan_of(chosen(GOAL, *nodes), GOAL, of_register(here))

        assert check(plan, here) == ()


@pytest.mark.parametrize(
    ("change", "said_of_it"),
    [
        ({"min_size": 3}, "legalcloud_plan.min_size: is 3, must be k+1 = 4"),
        ({"overhead": 1.8}, "legalcloud_plan.overhead: is 1.8, 3+3 is 2.0"),
        ({"heals_after_node_loss": True}, "legalcloud_plan.heals_after_node_loss: is True"),
        ({"shards_per_site": 4}, "legalcloud_plan.shards_per_site: 3+3 is not a multiple of 4"),
        ({"k": 4, "m": 2, "min_size": 5, "overhead": 1.5}, "all reading and writing stops"),
        ({"k": 5, "m": 1, "min_size": 6, "overhead": 1.2}, "m=1:"),
        ({"goal": Goal(lose_sites=1, lose_nodes=4)}, "losing 4 nodes loses data"),
    ],
    ids=str,
)
def test_a_plan_that_was_altered_is_found_out(change: dict[str, Any], said_of_it: str) -> None:
    here = register(2, 2, 2)
    plan = plan_of(chosen(GOAL, 2, 2, 2), GOAL, of_register(here))

    problems = check(type(plan)(**{**{key: getattr(plan, key) for key in plan.__dataclass_fields__}, **change}), here)

    assert any(said_of_it in problem for problem in problems), problems


@pytest.mark.parametrize(("nodes", "said_of_it"), [((2, 2, 1), "site s3 has 1"), ((2, 2), "it needs 3 sites")])
def test_a_plan_whose_nodes_are_gone_is_found_out(nodes: tuple[int, ...], said_of_it: str) -> None:
    plan = plan_of(chosen(GOAL, 2, 2, 2), GOAL, of_counts((2, 2, 2)))

    assert any(said_of_it in problem for problem in check(plan, register(*nodes)))


def test_more_nodes_do_not_break_a_committed_code_but_its_healing_is_to_be_written_anew() -> None:
    plan = plan_of(chosen(GOAL, 2, 2, 2), GOAL, of_counts((2, 2, 2)))

    problems = check(plan, register(3, 3, 3))

    assert len(problems) == 1
    assert "legalcloud plan --k 3 --m 3 --write" in problems[0]


def test_the_rules_of_the_default_layout_are_the_ones_that_were_tried() -> None:
    plan = plan_of(chosen(GOAL, 2, 2, 2), GOAL, of_counts((2, 2, 2)))

    ec, rep = crush_rules(plan, 3)

    assert [str(step) for step in ec.steps] == [
        "take hk",
        "choose indep 3 type datacenter",
        "chooseleaf indep 2 type host",
        "emit",
    ]
    assert [str(step) for step in rep.steps] == ["take hk", "chooseleaf firstn 0 type datacenter", "emit"]
    assert (ec.name, ec.type, rep.name, rep.type) == ("hk-ec", "erasure", "hk-rep", "replicated")


def test_a_wide_choice_gets_more_tries_and_one_site_spreads_copies_over_hosts() -> None:
    goal = Goal(lose_sites=0, lose_nodes=2)
    plan = plan_of(chosen(goal, 6), goal, of_counts((6,)))

    ec, rep = crush_rules(plan, 1)

    assert ec.steps[0] == Step(op="set_choose_tries", num=300)
    assert [str(step) for step in rep.steps] == ["take hk", "chooseleaf firstn 0 type host", "emit"]
