"""The one table of all metrics: the exposition and the reference page are both made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from legalcloud import __version__
from legalcloud.node.probe import Seen
from legalcloud.node.settings import Settings
from legalcloud.node.subject import F, Kind, Metric, Sample, Subjects

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


def exposition(settings: Settings, subjects: Subjects, looks: Looks) -> bytes:
    """Write all series in Prometheus' text format, in the order of the table."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(settings, subjects, looks))
    return generate_latest(registry)


class _Collected(Collector):
    """What the client library asks for series; it keeps none itself."""

    def __init__(self, settings: Settings, subjects: Subjects, looks: Looks) -> None:
        self.settings, self.subjects, self.looks = settings, subjects, looks

    def collect(self) -> Iterator[Family]:
        yield family(BUILD, self.settings)
        for metric in PROBES:
            yield family(metric, self.looks)
        facts = {seen.name: seen.facts for seen in self.looks}
        for subject in self.subjects:
            if (found := facts.get(subject.name)) is not None:
                yield from (family(metric, found) for metric in subject.metrics)

    def describe(self) -> Iterator[Family]:
        return iter(())


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
