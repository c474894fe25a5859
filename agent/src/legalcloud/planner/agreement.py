"""Whether a committed plan still holds on a register: for `legalcloud plan --check` and for preflight."""

from __future__ import annotations

from legalcloud.plan import DECIMALS, Plan
from legalcloud.planner.layout import Layout, objections
from legalcloud.planner.losses import promise_problems
from legalcloud.planner.topology import of_register
from legalcloud.register import Register


def check(plan: Plan, register: Register) -> tuple[str, ...]:
    """Give one line for each difference; none means that the plan's promise holds on this register.

    A plan that holds is right even where a new pool would get a better one today: a pool's code cannot
    change.
    """
    layout = layout_of(plan)
    if layout is None:
        return (
            f"legalcloud_plan.shards_per_site: {plan.k}+{plan.m} is not a multiple of {plan.shards_per_site} "
            "shards a site; run `legalcloud plan --write`",
        )
    topology = of_register(register)
    found = [
        f"legalcloud_plan: {plan.k}+{plan.m} does not hold its goal: {objection}; run `legalcloud plan`"
        for objection in objections(layout, plan.goal, topology)
    ]
    found.extend(f"legalcloud_plan.goal: {problem}" for problem in promise_problems(register, plan.goal))
    if plan.min_size != layout.min_size:
        found.append(f"legalcloud_plan.min_size: is {plan.min_size}, must be k+1 = {layout.min_size}")
    overhead = round(float(layout.overhead), DECIMALS)
    if plan.overhead != overhead:
        found.append(f"legalcloud_plan.overhead: is {plan.overhead}, {plan.k}+{plan.m} is {overhead}")
    heals = layout.heals(topology)
    if plan.heals_after_node_loss is not heals:
        found.append(
            f"legalcloud_plan.heals_after_node_loss: is {plan.heals_after_node_loss}, the register's nodes "
            f"make it {heals}; run `legalcloud plan --k {plan.k} --m {plan.m} --write`"
        )
    return tuple(found)


def layout_of(plan: Plan) -> Layout | None:
    """None if the shards cannot be spread evenly."""
    sites, rest = divmod(plan.k + plan.m, plan.shards_per_site)
    if rest:
        return None
    return Layout(k=plan.k, m=plan.m, sites=sites, shards_per_site=plan.shards_per_site)
