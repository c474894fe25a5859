"""`make bench`: measure the lab that stands and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.bench import agent, encryption, key_managers, processes
from tests.bench.host import describe
from tests.bench.report import Results, write
from tests.bench.second_run import run_again
from tests.bench.throughput import Bench
from tests.load.generator import Load
from tests.load.lab import ROOT, Lab, LabError
from tests.load.ledger import Ledger
from tests.load.outage import Outage, endure, heart
from tests.load.reader import clear
from tests.load.store import Store

PAGE = ROOT / "docs/benchmarks.md"
EXPLANATION = Path(__file__).with_name("explanation.txt")
PHASES = ROOT / ".cache/phases"
Result = TypeVar("Result")


def main() -> int:
    asked = _arguments()
    lab = Lab()
    store = Store(
        session=lab.session("demo-chambers"),
        endpoint_url=lab.endpoint_url,
        ca_file=lab.ca_file,
        bucket="demo-chambers-scratch",
    )
    try:
        lab.wait_until_whole(timeout_seconds=60)
        setting = describe(lab)
        bench = Bench(lab, store, seconds=asked.seconds)
        rounds = [_tell(f"speed, round {number + 1}", bench.round) for number in range(asked.rounds)]
        costs = [
            _tell(
                f"encryption, round {number + 1}",
                partial(encryption.measure, lab, store, seconds=asked.seconds, turn=number),
            )
            for number in range(asked.rounds)
        ]
        keys = _tell("key managers", lambda: key_managers.measure(lab, seconds=asked.seconds))
        agents = _tell("node agent", lambda: agent.measure(lab))
        again = _tell("second run of site.yml", lambda: run_again(lab)) if asked.second_run else None
        used = processes.look(node.name for node in lab.nodes)
        nodes, sites = _kills(lab, store, asked.kills)
        wronged = _full_load(lab, store, asked.load_minutes) if asked.load_minutes else None
    except LabError as error:
        sys.stderr.write(f"the lab did not let itself be measured: {error}\n")
        return 1
    results = Results(
        setting=setting,
        seconds=asked.seconds,
        rounds=rounds,
        encryption=costs,
        key_managers=keys,
        processes=used,
        second_run=again,
        lab_seconds=asked.lab_seconds if asked.lab_seconds is not None else first_lab(PHASES),
        node_kills=nodes,
        site_kills=sites,
        patience=str(store.patience),
        load_minutes=asked.load_minutes,
        wronged=wronged,
        agent=agents,
    )
    asked.output.write_text(write(results, EXPLANATION.read_text()))
    sys.stdout.write(f"{asked.output} written\n")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of every speed (3)")
    parser.add_argument("--seconds", type=float, default=6, help="of one measurement of speed (6)")
    parser.add_argument("--kills", type=int, default=3, help="of a node, and as many of a site (3); 0 leaves them out")
    parser.add_argument("--load-minutes", type=float, default=0, help="of full load while OSDs are watched (0)")
    parser.add_argument("--no-second-run", dest="second_run", action="store_false", help="leave site.yml out")
    parser.add_argument("--lab-seconds", type=float, help="the first `make lab`, if .cache/phases cannot tell")
    parser.add_argument("--output", type=Path, default=PAGE, help="the page to write (docs/benchmarks.md)")
    return parser.parse_args()


def first_lab(phases: Path) -> float | None:
    """Sum the steps of `make lab`, of the form `lab-site 123 s good`; None unless each ran once and went well."""
    if not phases.exists():
        return None
    steps = re.findall(r"^(setup|lab-\S+) +(\d+) s +(\S+)", phases.read_text(), re.MULTILINE)
    steps = [step for step in steps if step[0] != "lab-down"]
    names = [name for name, _, _ in steps]
    if "lab-health" not in names or len(names) != len(set(names)) or any(end != "good" for _, _, end in steps):
        return None
    return float(sum(int(seconds) for _, seconds, _ in steps))


def _tell(name: str, work: Callable[[], Result]) -> Result:
    """Do some work and say how long it took."""
    start = time.monotonic()
    result = work()
    sys.stdout.write(f"{name}: {time.monotonic() - start:.0f} s\n")
    sys.stdout.flush()
    return result


def _full_load(lab: Lab, store: Store, minutes: float) -> list[int]:
    """Load the store for some minutes; return the OSDs that were marked down meanwhile."""
    before, prefix = lab.up_since(), f"full-load-{time.time_ns()}/"
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder, "ledger")) as ledger,
        Load(store, ledger, prefix=prefix, clients=12) as load,
    ):
        load.wait(minutes * 60)
        load.stop()
    after = lab.up_since()
    clear(store, prefix)
    return [osd for osd, since in before.items() if after.get(osd) != since]


def _kills(lab: Lab, store: Store, times: int) -> tuple[list[Outage], list[Outage]]:
    bystander = next(node for node in lab.nodes if not node.groups & {"mons", "mgrs", "gateways"})
    found: tuple[list[Outage], list[Outage]] = ([], [])
    for _ in range(times):
        for outages, victims in zip(found, ([bystander], heart(lab)), strict=True):
            with tempfile.TemporaryDirectory() as folder:
                outages.append(endure(lab, store, victims, Path(folder)))
            sys.stdout.write(f"{outages[-1].report()}\n")
            sys.stdout.flush()
    return found


if __name__ == "__main__":
    sys.exit(main())
