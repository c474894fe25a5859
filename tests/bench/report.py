"""Turns measurements into docs/benchmarks.md; pure."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.bench import agent, encryption
from tests.bench.figures import MIB, Cell, Rounds, Spread, ratio, spread
from tests.bench.host import BUSY_AT_REST, Setting
from tests.bench.key_managers import CONNECTIONS, KeyManagerSpeed
from tests.bench.processes import Process
from tests.bench.second_run import SecondRun
from tests.bench.throughput import ANYCAST, DAEMONS, GATEWAY, RADOS, S3_PATHS, SIZES_BYTES, THREADS
from tests.load.outage import Outage

UNMEASURED = "not measured"
VERBS = ("PUT", "GET")


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All that one run of the benchmark found; what was left out is None or empty."""

    setting: Setting
    seconds: float
    """Of each measurement of speed."""
    rounds: Rounds
    encryption: Rounds
    """The paths of its cells are the kinds of encryption."""
    key_managers: KeyManagerSpeed | None
    processes: Sequence[Process]
    second_run: SecondRun | None
    lab_seconds: float | None
    node_kills: Sequence[Outage]
    site_kills: Sequence[Outage]
    patience: str
    load_minutes: float
    wronged: Sequence[int] | None
    """Healthy OSDs that were marked down under full load."""
    agent: agent.AgentCosts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One line of the table of goals."""

    what: str
    goal: str
    measured: str
    reached: bool | None


def write(results: Results, explanation: str) -> str:
    """Return the whole page."""
    parts = [
        "# Benchmarks",
        "<!-- Written by `make bench`: change tests/bench, not this page. -->",
        _setting(results),
        "## Goals",
        _table(
            ("what", "goal", "measured", "reached"),
            ((goal.what, goal.goal, goal.measured, _yes(goal.reached)) for goal in goals(results)),
        ),
        explanation.strip(),
        "## Speed",
        f"{THREADS} connections, {results.seconds:g} s a measurement, median of {len(results.rounds)} "
        "(least-greatest). MB is 10^6 bytes. Client and store share the cores.",
        _speeds(results.rounds),
        "## CPU seconds per GB, by daemon",
        "User and system time of all processes of that name on all nodes, per 10^9 bytes of user data; medians.",
        _cpu(results.rounds),
        "## Encryption",
        "The same objects through the one address into three buckets of one account, one after the other. "
        "The gateway has no cache of keys: each PUT asks OpenBao for a data key, each GET has one opened.",
        _encryption(results.encryption),
        _key_managers(results.key_managers),
        "## Memory",
        "Resident set of each process when the benchmark ended.",
        _memory(results.processes),
        *(agent.section(results.agent) if results.agent else []),
        "## Machines killed under load",
        f"Six clients put, overwrite, read and delete objects of 4 KiB to 4 MiB ({results.patience}). A stall is one "
        "request's time from its first attempt to its acknowledgement.",
        _kills(results),
    ]
    return "\n\n".join(_wrap(part) for part in parts) + "\n"


def _wrap(part: str) -> str:
    """Break a paragraph into lines; headings, tables and what is broken already stay as they are."""
    if "\n" in part or part.startswith(("#", "<", "|")):
        return part
    return textwrap.fill(part, 110, break_long_words=False, break_on_hyphens=False)


def goals(results: Results) -> Iterable[Goal]:
    put, rados = Cell(verb="PUT", size_bytes=4 * MIB, path=ANYCAST), Cell(verb="PUT", size_bytes=4 * MIB, path=RADOS)
    share = ratio(results.rounds, put, rados)
    yield Goal(
        what="S3 PUT 4 MiB through the one address, against `rados bench`",
        goal=">= 0.5, then 0.8",
        measured=share.show(2),
        reached=share.median >= 0.5 if share.values else None,
    )
    again = results.second_run
    yield Goal(
        what="second run of site.yml",
        goal="0 changed, 0 restarts, <= 120 s",
        measured=_again(again) if again else UNMEASURED,
        reached=again.changed == 0 and not again.restarted and again.seconds <= 120 if again else None,
    )
    seconds = results.lab_seconds
    yield Goal(
        what="first `make lab`",
        goal="<= 600 s",
        measured=f"{seconds:.0f} s" if seconds is not None else UNMEASURED,
        reached=seconds <= 600 if seconds is not None else None,
    )
    for name, kills, limit in (("node", results.node_kills, 8), ("site", results.site_kills, 12)):
        stalls = Spread(tuple(kill.loss.longest_stall_seconds for kill in kills))
        failed = sum(len(kill.failed) for kill in kills)
        lost = sum(len(kill.at_end.faults) + len(kill.while_down.faults) for kill in kills)
        yield Goal(
            what=f"longest stall of one request, {name} killed",
            goal=f"< {limit} s, 0 failed, 0 lost",
            measured=f"{stalls.show(1, ' s')}, {failed} failed, {lost} lost" if kills else UNMEASURED,
            reached=max(stalls.values) < limit and not failed and not lost if kills else None,
        )
    for verb in VERBS:
        costs = [cost(results.encryption, verb, size, encryption.SSE_S3) for size in encryption.SIZES_BYTES]
        measured = [f"{_size(size)} {_percent(one)}" for size, one in zip(encryption.SIZES_BYTES, costs, strict=True)]
        known = all(one.values for one in costs)
        yield Goal(
            what=f"cost of SSE-S3, {verb}",
            goal="-5 % at most",
            measured=", ".join(measured) if known else UNMEASURED,
            reached=all(one.median >= 0.95 for one in costs) if known else None,
        )
    yield from agent_goals(results.agent)
    wronged = results.wronged
    yield Goal(
        what="healthy OSDs marked down in 30 min of full load",
        goal="0",
        measured=f"{len(wronged)} in {results.load_minutes:g} min" if wronged is not None else UNMEASURED,
        reached=None if wronged is None or (not wronged and results.load_minutes < 30) else not wronged,
    )


def agent_goals(found: agent.AgentCosts | None) -> Iterable[Goal]:
    """Judge the node agent by what it costs."""
    judged: tuple[tuple[str, str, Callable[[agent.AgentCosts], float], float, str], ...] = (
        ("resident set after {} scrapes", "<= 40 MB, then 30", lambda one: one.agent.rss_bytes / 1e6, 40, "{:.1f} MB"),
        ("CPU of one of {} scrapes", "<= 5 ms", lambda one: one.agent.cpu_seconds_per_scrape * 1e3, 5, "{:.2f} ms"),
        ("p99 of {} scrapes while a probe hangs", "<= 20 ms", lambda one: one.hung.p99_seconds * 1e3, 20, "{:.1f} ms"),
        ("series in each of {} scrapes", "<= 300", lambda one: one.agent.series, 300, "{:.0f}"),
    )
    for what, goal, value, limit, form in judged:
        yield Goal(
            what=f"node agent: {what.format(agent.SCRAPES)}",
            goal=goal,
            measured=form.format(value(found)) if found else UNMEASURED,
            reached=value(found) <= limit if found else None,
        )


def _again(run: SecondRun) -> str:
    return f"{run.changed} changed, {len(run.restarted)} restarts, {run.seconds:.0f} s"


def _setting(results: Results) -> str:
    place = results.setting
    busy = (
        f" **Others were at work on the machine ({place.busy_before:.0%} busy before we began): provisional numbers.**"
        if place.busy_before > BUSY_AT_REST
        else ""
    )
    return (
        f"Measured {place.measured_at:%Y-%m-%d %H:%M} UTC at {place.commit} on {place.cores} cores ({place.cpu}), "
        f"{place.memory_bytes / 2**30:.0f} GiB, Linux {place.kernel}; {place.shape}, all containers on this machine; "
        f"{', '.join(place.versions)}.{busy}"
    )


def _speeds(rounds: Rounds) -> str:
    def row(size: int, verb: str, path: str) -> tuple[str, ...]:
        cell = Cell(verb=verb, size_bytes=size, path=path)
        rados = Cell(verb=verb, size_bytes=size, path=RADOS)
        return (
            verb,
            _size(size),
            path,
            spread(rounds, cell, lambda speed: speed.bytes_per_second / 1e6).show(1),
            spread(rounds, cell, lambda speed: speed.objects_per_second).show(),
            ratio(rounds, cell, rados).show(2) if path != RADOS else "1",
        )

    return _table(
        ("verb", "size", "path", "MB/s", "objects/s", "against rados bench"),
        (row(size, verb, path) for size in SIZES_BYTES for verb in VERBS for path in (*S3_PATHS, RADOS)),
    )


def _cpu(rounds: Rounds) -> str:
    names = (*DAEMONS, "client")

    def row(size: int, verb: str, path: str) -> tuple[str, ...]:
        cell = Cell(verb=verb, size_bytes=size, path=path)
        found = [speeds[cell].cpu_seconds_per_gb for speeds in rounds if cell in speeds]
        medians = [statistics.median(one.get(name, 0.0) for one in found) for name in names] if found else []
        shown = [f"{seconds:.1f}" for seconds in (*medians, sum(medians))] if found else [UNMEASURED]
        return (verb, _size(size), path, *shown)

    return _table(
        ("verb", "size", "path", *names, "all"),
        (row(size, verb, path) for size in SIZES_BYTES for verb in VERBS for path in (ANYCAST, GATEWAY, RADOS)),
    )


def cost(rounds: Rounds, verb: str, size: int, kind: str) -> Spread:
    """Compare a kind of encryption with none, round by round: 0.9 means a tenth slower."""
    clear = Cell(verb=verb, size_bytes=size, path=encryption.NONE)
    return ratio(rounds, replace(clear, path=kind), clear)


def _percent(found: Spread) -> str:
    return Spread(tuple((one - 1) * 100 for one in found.values)).show(0, " %")


def _encryption(rounds: Rounds) -> str:
    def row(size: int, verb: str, kind: str) -> tuple[str, ...]:
        cell = Cell(verb=verb, size_bytes=size, path=kind)
        return (
            verb,
            _size(size),
            kind,
            spread(rounds, cell, lambda speed: speed.bytes_per_second / 1e6).show(1),
            spread(rounds, cell, lambda speed: speed.objects_per_second).show(1),
            "0 %" if kind == encryption.NONE else _percent(cost(rounds, verb, size, kind)),
        )

    return _table(
        ("verb", "size", "bucket", "MB/s", "objects/s", "against no encryption"),
        (row(size, verb, kind) for size in encryption.SIZES_BYTES for verb in VERBS for kind in encryption.KINDS),
    )


def _key_managers(found: KeyManagerSpeed | None) -> str:
    if found is None:
        return "Key managers were not measured in this run."
    return (
        f"A key manager answers unsealed {Spread(tuple(found.unseal_seconds)).show(1, ' s')} after the order to "
        f"restart it. One alone, over {CONNECTIONS} connections, makes {found.datakeys_per_second:.0f} data keys "
        f"a second and opens {found.decrypts_per_second:.0f}."
    )


def _memory(found: Sequence[Process]) -> str:
    sizes: Mapping[str, list[float]] = {
        name: [process.rss_bytes / 1e6 for process in found if process.name == name]
        for name in (*DAEMONS, "bird", "bao")
    }
    return _table(
        ("daemon", "processes", "MB each"),
        ((name, str(len(each)), Spread(tuple(each)).show()) for name, each in sizes.items()),
    )


def _kills(results: Results) -> str:
    rows = [_kill(outage) for outage in (*results.node_kills, *results.site_kills)]
    if not rows:
        return "Not measured in this run."
    return _table(
        ("killed", "longest stall, s", "longest silence, s", "stall on return, s", "whole again, s", "requests",
         "failed", "lost / corrupt", "healthy OSDs marked down"),
        rows,
    )  # fmt: skip


def _kill(outage: Outage) -> tuple[str, ...]:
    return (
        ", ".join(outage.victims),
        f"{outage.loss.longest_stall_seconds:.1f}",
        f"{outage.loss.longest_silence_seconds:.1f}",
        f"{outage.comeback.longest_stall_seconds:.1f}",
        f"{outage.whole_after_seconds:.0f}",
        str(outage.loss.requests + outage.comeback.requests),
        str(len(outage.failed)),
        f"{len(outage.at_end.lost)} / {len(outage.at_end.corrupt)} of {outage.at_end.checked}",
        str(len(outage.wronged_osds)),
    )


def _size(size_bytes: int) -> str:
    return f"{size_bytes // MIB} MiB" if size_bytes >= MIB else f"{size_bytes >> 10} KiB"


def _yes(reached: bool | None) -> str:
    return {True: "yes", False: "**no**", None: "unknown"}[reached]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
