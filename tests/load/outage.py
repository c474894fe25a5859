"""Kill machines under load, bring them back, and tell what the clients and the ledger saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.load.generator import Load
from tests.load.lab import Lab, LabError
from tests.load.ledger import Expected, Ledger, replay
from tests.load.reader import Findings, clear, read_back
from tests.load.request import Request, Summary, summarise
from tests.load.store import Store

from legalcloud.register import Node

WARM_UP_SECONDS = 5.0
WHOLE_SECONDS = 150.0
COMEBACK_PAUSE_SECONDS = 0.1
"""Between a client's requests while machines start: on two cores, full load would slow the start to minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What one outage cost."""

    victims: tuple[str, ...]
    loss: Summary
    """From just before the kill until the machines were brought back."""
    comeback: Summary
    """While they came back."""
    while_down: Findings
    at_end: Findings
    wronged_osds: tuple[int, ...]
    """OSDs of machines that nobody killed, and that were marked down all the same."""
    whole_after_seconds: float
    """From the order to start the machines until every PG was active and clean."""

    @property
    def failed(self) -> tuple[Request, ...]:
        return self.loss.failed + self.comeback.failed + self.loss.wrong + self.comeback.wrong

    def report(self) -> str:
        lines = [
            f"killed {', '.join(self.victims)}: {self.loss.requests} requests, {len(self.failed)} failed or wrong, "
            f"{len(self.at_end.lost)} of {self.at_end.checked} objects lost, {len(self.at_end.corrupt)} corrupt",
            f"longest stall of one request {self.loss.longest_stall_seconds:.1f} s "
            f"(longest silence between any two {self.loss.longest_silence_seconds:.1f} s); on return "
            f"{self.comeback.longest_stall_seconds:.1f} s; whole again after {self.whole_after_seconds:.0f} s",
            *(f"  {request}" for request in self.loss.slowest),
            *(f"  on return: {request}" for request in self.comeback.slowest[:2]),
        ]
        return "\n".join(lines)


def endure(lab: Lab, store: Store, victims: Sequence[Node], folder: Path, *, down_seconds: float = 20) -> Outage:
    """Kill `victims` under load; read everything back while they are down and once they are up again.

    The machines are started again whatever happens.
    Raises: LabError if the cluster is not whole before or does not become whole after.
    """
    lab.wait_until_whole(timeout_seconds=WHOLE_SECONDS)
    up_before, dying = lab.up_since(), lab.osds_of(victims)
    prefix, path = f"outage-{time.time_ns()}/", folder / "ledger"

    def expected() -> dict[str, Expected]:
        with path.open("rb") as lines:
            return replay(lines)

    def break_down() -> None:
        time.sleep(WARM_UP_SECONDS)
        killed_at.append(lab.kill(victims))
        time.sleep(down_seconds)

    def return_home() -> None:
        started_at = time.monotonic()
        lab.bring_back()
        lab.wait_until_whole(timeout_seconds=WHOLE_SECONDS)
        whole_after.append(time.monotonic() - started_at)

    killed_at: list[float] = []
    whole_after: list[float] = []
    try:
        with Ledger(path) as ledger:
            loss = _under_load(store, ledger, f"{prefix}loss/", break_down)
            while_down = read_back(store, expected())
            comeback = _under_load(store, ledger, f"{prefix}comeback/", return_home, COMEBACK_PAUSE_SECONDS)
    finally:
        if not whole_after:
            lab.bring_back()
            lab.wait_until_whole(timeout_seconds=WHOLE_SECONDS)
    at_end = read_back(store, expected())
    up_after = lab.up_since()
    clear(store, prefix)
    return Outage(
        victims=tuple(node.name for node in victims),
        loss=summarise(loss, since=killed_at[0], until=killed_at[0] + down_seconds),
        comeback=summarise(comeback, since=0, until=time.monotonic()),
        while_down=while_down,
        at_end=at_end,
        wronged_osds=tuple(
            osd for osd, since in sorted(up_before.items()) if osd not in dying and up_after.get(osd) != since
        ),
        whole_after_seconds=whole_after[0],
    )


def _under_load(
    store: Store, ledger: Ledger, prefix: str, meanwhile: Callable[[], None], pause_seconds: float = 0
) -> list[Request]:
    """Return every request of a load that ran while `meanwhile` did."""
    with Load(store, ledger, prefix=prefix, pause_seconds=pause_seconds) as load:
        meanwhile()
        load.stop()
    return load.requests


def heart(lab: Lab) -> tuple[Node, ...]:
    """Return the nodes of the site that leads the monitors, having made its manager the active one."""
    leader = lab.ceph("quorum_status")["quorum_leader_name"]
    site = next(node.site for node in lab.members("mons") if node.name == leader)
    nodes = lab.of_site(site)
    managers = {node.name for node in nodes if "mgrs" in node.groups}
    if not managers:
        raise LabError(f"site {site} leads the monitors and has no manager: nothing to fail over to")
    deadline = time.monotonic() + 60
    while (active := lab.ceph("mgr", "stat")["active_name"]) not in managers:
        if time.monotonic() > deadline:
            raise LabError(f"the active manager is still {active or 'none'}, not one of {sorted(managers)}")
        if active:
            lab.ask_ceph("mgr", "fail", active)
        time.sleep(2)
    return nodes
