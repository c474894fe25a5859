"""Checks of the clock: CephX tickets, quorum and evidence all rest on it."""

from __future__ import annotations

from collections.abc import Iterator

from legalcloud.preflight.facts import NodeFacts
from legalcloud.preflight.finding import Answer, Case, Check, deferred, each_node, failed, holds, ok, unknown
from legalcloud.register import Node


def _synchronised(case: Case, node: Node, facts: NodeFacts) -> Answer:
    if facts.clock.chrony_problem is None:
        return holds(
            facts.clock.synchronised,
            node.name,
            "synchronised" if facts.clock.synchronised else "not synchronised",
        )
    return (deferred if case.may_lack(facts) else unknown)(node.name, f"chrony: {facts.clock.chrony_problem}")


def _offset(case: Case, node: Node, facts: NodeFacts) -> Answer:
    measured = {
        source: answer.offset_seconds
        for source, answer in facts.clock.answers.items()
        if answer.offset_seconds is not None
    }
    if facts.clock.synchronised and facts.clock.offset_seconds is not None:
        measured["chrony"] = facts.clock.offset_seconds
    if not measured:
        return unknown(node.name, "neither chrony nor a configured time source gave an offset")
    source, worst = max(measured.items(), key=lambda item: abs(item[1]))
    return holds(
        abs(worst) <= case.limits.clock_offset_seconds_max,
        node.name,
        f"{worst * 1000:+.3f} ms by {source}; at most {case.limits.clock_offset_seconds_max * 1000:g} ms asked",
    )


def _source(case: Case, node: Node, facts: NodeFacts) -> Answer:
    known = set(case.limits.time_sources).union(*(answer.addresses for answer in facts.clock.answers.values()))
    if facts.clock.chrony_problem is not None:
        return (deferred if case.may_lack(facts) else unknown)(node.name, f"chrony: {facts.clock.chrony_problem}")
    strange = sorted(set(facts.clock.sources) - known)
    if strange and case.may_lack(facts):
        return deferred(node.name, f"follows {', '.join(strange)}; site.yml writes the configured sources")
    if strange:
        return failed(node.name, f"follows {', '.join(strange)}, not in preflight_time_sources")
    if not facts.clock.sources and not case.may_lack(facts) and not _serves_time(node, known):
        return failed(node.name, "chrony follows no source")
    return ok(node.name, ", ".join(facts.clock.sources) or "no source yet")


def _serves_time(node: Node, known: set[str]) -> bool:
    return str(node.address) in known or node.name in known


def _reachable(case: Case, node: Node, facts: NodeFacts) -> Iterator[Answer]:
    answers = facts.clock.answers
    good = [source for source, answer in answers.items() if answer.offset_seconds is not None]
    bad = [f"{source}: {answer.problem}" for source, answer in answers.items() if answer.offset_seconds is None]
    seen = "; ".join([f"{len(good)} of {len(case.limits.time_sources)} answer", *bad])
    yield holds(bool(good), node.name, seen)


CHECKS = (
    Check(
        id="clock-synchronised",
        title="Clock is synchronised",
        why="An unsynchronised clock drifts until monitors leave the quorum and tickets expire.",
        remedy="Look at `chronyc tracking` and `chronyc sources` on the node; open UDP 123.",
        judge=each_node(_synchronised),
    ),
    Check(
        id="clock-offset",
        title="Clock is right",
        why="Monitors accept 50 ms among themselves (mon_clock_drift_allowed).",
        remedy="Set the clock once with `chronyc makestep`, then look at `chronyc sources`.",
        judge=each_node(_offset),
    ),
    Check(
        id="clock-source",
        title="Clock follows the configured sources and no others",
        why="Evidence says whose time it carries; a stranger's server could shift it.",
        remedy="Run site.yml, or correct preflight_time_sources in group_vars/all.",
        judge=each_node(_source),
    ),
    Check(
        id="clock-source-answers",
        title="A configured time source answers the node",
        why="Without one the clock is only as good as its crystal.",
        remedy="Open UDP 123 from the node to the sources in preflight_time_sources, or correct their names.",
        judge=each_node(_reachable),
    ),
)
