"""What a check is, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from legalcloud.advisories import Advisory
from legalcloud.plan import Plan
from legalcloud.preflight.facts import NodeFacts
from legalcloud.preflight.limits import Limits, Waiver
from legalcloud.register import Node, Register

NODE_ANSWERS = "node-answers"
"""Id of the check that every node answers at all."""
DRIVE_PRESENT = "drive-present"
"""Id of the check that every registered drive is there."""


class Severity(StrEnum):
    """What a failure means for the run."""

    REFUSE = "refuse"
    WARN = "warn"


class Outcome(StrEnum):
    """What a check found."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Counts as failed."""
    WAIVED = "waived"
    DEFERRED = "deferred"
    """Missing, and brought by site.yml, which has not been there or runs next; shown, not counted as good."""


class Waivable(StrEnum):
    """Whether a person's word may stand against a check."""

    YES = "yes"
    BY_SUBJECT = "by subject"
    """Only for one named subject: nobody waives "all drives" or "all nodes"."""
    NO = "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a check says about one subject."""

    subject: str
    """A node, node/serial, or key of the inventory."""
    outcome: Outcome
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything that the checks may look at."""

    register: Register
    plan: Plan | None
    facts: Mapping[str, NodeFacts]
    """By node; a node that could not be asked is missing."""
    problems: Mapping[str, str]
    """Why a node is missing from `facts`."""
    limits: Limits
    advisories: tuple[Advisory, ...]
    placeholders: tuple[str, ...]
    """Values of the inventory that are still the example's."""
    today: date

    def cluster_fsid(self) -> str | None:
        """Return the cluster that drives may belong to: by variable, or what all configured nodes name."""
        if self.limits.cluster_fsid:
            return self.limits.cluster_fsid
        found = {facts.system.cluster_fsid for facts in self.facts.values()} - {None}
        return found.pop() if len(found) == 1 else None

    def may_lack(self, facts: NodeFacts) -> bool:
        """Tell whether site.yml may still have to bring things: it has not been there, or runs next."""
        return self.limits.site_follows or not facts.provisioned

    def waiver(self, check: str, subject: str, *, named: bool) -> Waiver | None:
        """Return the waiver in force for a subject of a check; `named` passes over those that name no subject."""
        accepted = (subject,) if named else (subject, None)
        for waiver in self.limits.waivers:
            if waiver.check == check and waiver.subject in accepted and waiver.expires >= self.today:
                return waiver
        return None

    def written_off(self, subject: str) -> bool:
        """Tell whether a person accepts that this node is silent, or that this drive is not there."""
        node, _slash, serial = subject.partition("/")
        facts = self.facts.get(node)
        if facts is None:
            return self.waiver(NODE_ANSWERS, node, named=True) is not None
        drive = (facts.drives or {}).get(serial)
        gone = drive is not None and drive.device is None and not drive.claimed_by
        return gone and self.waiver(DRIVE_PRESENT, subject, named=True) is not None


Judge = Callable[[Case], Iterable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question with a stable id, which reports and waivers name."""

    id: str
    title: str
    why: str
    remedy: str
    judge: Judge
    severity: Severity = Severity.REFUSE
    waivable: Waivable = Waivable.YES


def ok(subject: str, seen: str) -> Answer:
    return Answer(subject=subject, outcome=Outcome.OK, seen=seen)


def failed(subject: str, seen: str) -> Answer:
    return Answer(subject=subject, outcome=Outcome.FAILED, seen=seen)


def unknown(subject: str, seen: str) -> Answer:
    return Answer(subject=subject, outcome=Outcome.UNKNOWN, seen=seen)


def deferred(subject: str, seen: str) -> Answer:
    return Answer(subject=subject, outcome=Outcome.DEFERRED, seen=seen)


def holds(condition: bool, subject: str, seen: str) -> Answer:
    return ok(subject, seen) if condition else failed(subject, seen)


def each_node(judge: Callable[[Case, Node, NodeFacts], Answer | Iterable[Answer]]) -> Judge:
    """Ask about every node of the register; one without facts is unknown, never left out."""

    def judge_all(case: Case) -> Iterator[Answer]:
        for node in case.register.nodes:
            facts = case.facts.get(node.name)
            if facts is None:
                yield unknown(node.name, "the node gave no facts")
                continue
            answer = judge(case, node, facts)
            yield from (answer,) if isinstance(answer, Answer) else answer

    return judge_all
