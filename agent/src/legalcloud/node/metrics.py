"""The one table of all metrics: the exposition and the reference page are both made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from legalcloud import __version__
from legalcloud.node.probe import Seen
from legalcloud.node.settings import Settings
from legalcloud.node.subject import F, Kind, Metric, Sample, Subject, Subjects

Looks = Sequence[Seen[object]]
Family = CounterMetricFamily | GaugeMetricFamily
FAMILIES: dict[Kind, type[Family]] = {Kind.GAUGE: GaugeMetricFamily, Kind.COUNTER: CounterMetricFamily}


def _of_each(value: Callable[[Seen[object]], float | None]) -> Callable[[Looks], Iterable[Sample]]:
    return lambda looks: (((seen.name,), value(seen)) for seen in looks)


PROBES: tuple[Metric[Looks], ...] = (
    Metric(
        name="legalcloud_probe_success",
        help="Whether the probe's last run gave facts in time; no series until its first run has ended.",
        labels=("probe",),
        samples=_of_each(lambda seen: seen.success),
    ),
    Metric(
        name="legalcloud_probe_duration_seconds",
        unit="seconds",
        help="How long the probe's last run took, or has taken so far if it is past its deadline.",
        labels=("probe",),
        samples=_of_each(lambda seen: seen.duration_seconds),
    ),
    Metric(
        name="legalcloud_probe_age_seconds",
        unit="seconds",
        help="Age of the probe's last good facts, from which its other series are made; no series without any.",
        labels=("probe",),
        samples=_of_each(lambda seen: seen.age_seconds),
    ),
    Metric(
        name="legalcloud_probe_stale",
        help="Whether the probe's facts are missing, or older than three of its intervals and its deadline.",
        labels=("probe",),
        samples=_of_each(lambda seen: seen.stale),
    ),
)
BUILD: Metric[Settings] = Metric(
    name="legalcloud_build_info",
    help="Version of the agent, and where its register says that the node stands.",
    labels=("version", "node", "site", "rack"),
    samples=lambda told: (((__version__, told.node, told.site, told.rack), 1),),
)
REFUSED: Metric[int] = Metric(
    name="legalcloud_clients_refused_total",
    kind=Kind.COUNTER,
    help="Connections whose certificate is of our CA and bears no name in tls.clients, since the agent's start.",
    samples=lambda refused: (((), refused),),
)


@dataclass(slots=True, kw_only=True)
class Exposition:
    """Writes all series in Prometheus' text format, in the order of the table.

    The part of a subject is kept until its probe has other facts, so that a scrape is mostly bytes from memory.
    """

    settings: Settings
    subjects: Subjects
    _kept: dict[str, tuple[object, bytes]] = field(default_factory=dict, init=False)
    """By subject: the facts, and what was written of them."""

    def page(self, looks: Looks, *, refused: int) -> bytes:
        facts = {seen.name: seen.facts for seen in looks}
        own = [family(BUILD, self.settings), family(REFUSED, refused), *(family(metric, looks) for metric in PROBES)]
        return _text(own) + b"".join(self._part(subject, facts.get(subject.name)) for subject in self.subjects)

    def _part(self, subject: Subject[object], facts: object | None) -> bytes:
        if facts is None:
            return b""
        kept, text = self._kept.get(subject.name, (None, b""))
        if kept is not facts:
            text = _text([family(metric, facts) for metric in subject.metrics])
            self._kept[subject.name] = facts, text
        return text


class _Families(Collector):
    """What the client library asks for series; it keeps none itself."""

    def __init__(self, families: Sequence[Family]) -> None:
        self.families = families

    def collect(self) -> Sequence[Family]:
        return self.families


def _text(families: Sequence[Family]) -> bytes:
    return generate_latest(_Families(families))


def family(metric: Metric[F], facts: F) -> Family:
    made = FAMILIES[metric.kind](metric.name, metric.help, labels=metric.labels)
    for labels, value in metric.samples(facts):
        if value is not None:
            made.add_metric(labels, float(value))
    return made


def rows(subjects: Subjects) -> Iterator[tuple[str, Metric[object]]]:
    """Give the whole table: for each metric, the probe that it is from; `-` for none."""
    table: list[tuple[str, Metric[object]]] = []

    def add(probe: str, metrics: Iterable[Metric[F]]) -> None:
        table.extend((probe, metric) for metric in metrics)  # type: ignore[misc]  # read, never called

    add("-", (BUILD,))
    add("-", (REFUSED,))
    add("each", PROBES)
    for subject in subjects:
        add(subject.name, subject.metrics)
    return iter(table)


def page(subjects: Subjects) -> list[str]:
    """Write the table for the reference page."""
    return [
        "| metric | type | unit | labels | probe | meaning |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| `{metric.name}` | {metric.kind} | {metric.unit or '-'} | {', '.join(metric.labels) or '-'} | {probe} "
            f"| {metric.help} |"
            for probe, metric in rows(subjects)
        ),
    ]
