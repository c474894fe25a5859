"""The two CRUSH rules of a plan, as data that a module can compare with `ceph osd crush rule dump`."""

from __future__ import annotations

from dataclasses import dataclass

from legalcloud.plan import Goal, Plan

ROOT = "hk"
EC_RULE = "hk-ec"
REP_RULE = "hk-rep"
EASY_CHOICE = 3
"""Up to this many buckets, Ceph's own 50 tries find the last one with a chance of failure below 1e-8."""
TRIES_PER_BUCKET = 50
REPLICAS_LEAST = 3
REPLICAS_MIN_SIZE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a rule; `str()` is how crushtool writes it after `step`."""

    op: str
    """As in the dump: take, choose_indep, chooseleaf_firstn, emit, set_choose_tries ..."""
    num: int | None = None
    """How many; 0 is "as many as the pool's size"."""
    type: str | None = None
    item: str | None = None
    """The bucket's name (`item_name` in the dump)."""

    def __str__(self) -> str:
        if self.item is not None:
            return f"{self.op} {self.item}"
        if self.type is not None:
            return f"{self.op.replace('_', ' ')} {self.num} type {self.type}"
        return self.op if self.num is None else f"{self.op} {self.num}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One CRUSH rule without its id, which the cluster gives."""

    name: str
    type: str
    """erasure or replicated."""
    steps: tuple[Step, ...]

    def text(self, rule_id: int) -> str:
        """As crushtool compiles it."""
        steps = "".join(f"\tstep {step}\n" for step in self.steps)
        return f"rule {self.name} {{\n\tid {rule_id}\n\ttype {self.type}\n{steps}}}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """Copies of what cannot be erasure coded: bucket index and metadata."""

    size: int
    per_site: int

    @property
    def sites(self) -> int:
        return -(-self.size // self.per_site)

    @property
    def min_size(self) -> int:
        return REPLICAS_MIN_SIZE

    def left_after(self, sites: int, nodes: int) -> int:
        """Count the copies that are certain to be left when these are lost, wherever they are."""
        return max(self.size - sites * self.per_site - nodes, 0)


def replicas(goal: Goal, sites: int, most_per_site: int) -> Replicas:
    """As few copies, and as few of them in one site, as hold the goal.

    A feasible layout has room for them: its own shards (k of at least 2) outnumber these copies. So
    `most_per_site` can be its shards a site.
    """
    for per_site in range(1, most_per_site + 1):
        size = max(REPLICAS_LEAST, goal.lose_nodes + 1, goal.lose_sites * per_site + REPLICAS_MIN_SIZE)
        if size <= sites * per_site:
            return Replicas(size=size, per_site=per_site)
    raise ValueError(f"{goal} does not fit {sites} sites with {most_per_site} copies each")


def crush_rules(plan: Plan, sites: int) -> tuple[Rule, Rule]:
    """Give the rules hk-ec and hk-rep for a plan that holds on a register with `sites` storage sites."""
    used = (plan.k + plan.m) // plan.shards_per_site
    copies = replicas(plan.goal, sites, plan.shards_per_site)
    take, emit = Step(op="take", item=ROOT), Step(op="emit")
    if copies.per_site == 1:
        spread: tuple[Step, ...] = (Step(op="chooseleaf_firstn", num=0, type="datacenter"),)
    elif sites == 1:
        spread = (Step(op="chooseleaf_firstn", num=0, type="host"),)
    else:
        spread = (
            Step(op="choose_firstn", num=copies.sites, type="datacenter"),
            Step(op="chooseleaf_firstn", num=copies.per_site, type="host"),
        )
    return (
        Rule(
            name=EC_RULE,
            type="erasure",
            steps=(
                *_tries(max(used, plan.shards_per_site)),
                take,
                Step(op="choose_indep", num=used, type="datacenter"),
                Step(op="chooseleaf_indep", num=plan.shards_per_site, type="host"),
                emit,
            ),
        ),
        Rule(
            name=REP_RULE,
            type="replicated",
            steps=(*_tries(max(copies.sites, copies.per_site)), take, *spread, emit),
        ),
    )


def _tries(buckets: int) -> tuple[Step, ...]:
    """Allow enough tries to find the last of many buckets; Ceph's 50 would now and then leave a hole."""
    return () if buckets <= EASY_CHOICE else (Step(op="set_choose_tries", num=TRIES_PER_BUCKET * buckets),)
