"""The one S3 address: every site announces it while it serves, withdraws it when it does not, and it keeps answering.

Uses the fixtures `lab` (tests.e2e.nodes.Lab), `endpoint_url` and `ca_file`. What the sites' router hears is asked from
its own BIRD, inside the machine `core`, which has no SSH for tests.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from plugins.module_utils.lab_host import cgroup
from tests.e2e.nodes import Lab, Node, eventually

pytestmark = pytest.mark.ci

WITHDRAWN_SECONDS = 15
"""Two rounds of the watcher make 3 s on a quiet machine; this one may be busy."""
HUNG_SECONDS = 60
"""15 s of patience with a stalled cluster (ingress_gateway_stall_seconds), the checks around it, and a busy machine."""
FORGED = "203.0.113.9"


def router() -> str:
    """Return the process id of BIRD in the router's machine, whose namespaces we enter."""
    for procs in cgroup("core").rglob("cgroup.procs"):
        for number in procs.read_text().split():
            if Path(f"/proc/{number}/comm").read_text().strip() == "bird":
                return number
    raise AssertionError("no BIRD runs in the machine core: type `make lab`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One gateway's announcement in the router's table."""

    gateway: str
    since: str
    """When the router heard of it; another time is another announcement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """The address as the router and a client see it."""

    lab: Lab
    ca_file: Path
    name: str

    @property
    def address(self) -> str:
        return str(self.lab.variables["ingress_addresses"][0])

    def routes(self) -> set[Route]:
        command = ["nsenter", "--target", router(), "--all", "birdcl", "show", "route", "for", self.address]
        told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
        found = re.findall(r"unicast \[\S+ (\S+)\].*\n\s+via (\S+)", told)
        return {Route(gateway=gateway, since=since) for since, gateway in found}

    def announcers(self) -> set[str]:
        return {route.gateway for route in self.routes()}

    def whole(self) -> None:
        everyone = {node.address for node in self.lab.group("gateways")}
        eventually(lambda: self.announcers() == everyone, seconds=60, hint=f"each of {sorted(everyone)} announces")

    def loses(self, node: Node, *, seconds: float = WITHDRAWN_SECONDS) -> None:
        hint = f"{node.name} withdraws the address; see `systemctl status s3-announcer` there"
        eventually(lambda: node.address not in self.announcers(), seconds=seconds, hint=hint)

    def ask(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        context = ssl.create_default_context(cafile=self.ca_file)
        connection = http.client.HTTPSConnection(self.name, timeout=3, context=context)
        try:
            connection.request("GET", path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def changed(before: set[Route], after: set[Route]) -> set[str]:
    """Name the gateways whose route came, went or is another; BIRD's times waver by some milliseconds."""
    was, now = ({route.gateway: seconds(route.since) for route in routes} for routes in (before, after))
    return {gateway for gateway in was | now if abs(was.get(gateway, inf) - now.get(gateway, -inf)) > 1}


def seconds(since: str) -> float:
    """Read BIRD's time of day."""
    hours, minutes, rest = since.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


@pytest.fixture(scope="module")
def ingress(lab: Lab, endpoint_url: str, ca_file: Path) -> Ingress:
    return Ingress(lab=lab, ca_file=ca_file, name=str(urlsplit(endpoint_url).hostname))


@pytest.fixture(autouse=True)
def _whole(ingress: Ingress) -> Iterator[None]:
    """Begin and end with every gateway announcing."""
    ingress.whole()
    yield
    ingress.whole()


@pytest.fixture
def gateway(lab: Lab, ingress: Ingress) -> Node:
    """Give the gateway that the router has chosen: to lose another would move nobody."""
    command = ["nsenter", "--target", router(), "--net", "ip", "-json", "route", "show", ingress.address]
    chosen = json.loads(subprocess.run(command, capture_output=True, timeout=10, check=True).stdout)[0]["gateway"]
    return next(node for node in lab.group("gateways") if node.address == chosen)


def service(node: Node) -> str:
    return f"ceph-radosgw@rgw.{node.name}.service"


@dataclass(slots=True)
class Clients:
    """Somebody who asks the store all the time, each time anew, and tries again at once."""

    answered: list[float] = field(default_factory=list)
    """Moments, monotonic."""

    def longest_silence(self) -> float:
        return max(later - earlier for earlier, later in zip(self.answered, self.answered[1:], strict=False))


@contextmanager
def clients(ingress: Ingress) -> Iterator[Clients]:
    seen, over = Clients(), threading.Event()

    def go_on() -> None:
        while not over.wait(0.1):
            try:
                status, _ = ingress.ask("/")
            except (OSError, http.client.HTTPException):
                continue
            if status == http.HTTPStatus.OK:
                seen.answered.append(time.monotonic())

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield seen
    finally:
        time.sleep(2)
        over.set()
        thread.join()


def test_every_site_announces_the_one_address(ingress: Ingress, lab: Lab) -> None:
    sites = {lab.host_variables[node.name]["legalcloud_site"] for node in lab.group("gateways")}

    assert len(ingress.announcers()) >= len(sites) == len(lab.variables["legalcloud_sites"])


def test_nothing_answers_without_tls(ingress: Ingress) -> None:
    with pytest.raises(OSError, match=r"refused|timed out"):
        socket.create_connection((ingress.address, 80), timeout=3)


def test_tls_older_than_1_2_is_refused(ingress: Ingress) -> None:
    offer = ["-connect", f"{ingress.address}:443", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
    done = subprocess.run(
        ["openssl", "s_client", *offer],  # noqa: S607 -- of Debian
        input=b"",
        capture_output=True,
        timeout=10,
        check=False,
    )

    assert b"alert protocol version" in done.stderr


def test_the_health_page_is_not_for_others(ingress: Ingress) -> None:
    status, body = ingress.ask("/-/health")

    assert status != http.HTTPStatus.OK
    assert b"healthy" not in body


def test_a_client_cannot_forge_the_address_that_the_operations_log_records(ingress: Ingress, lab: Lab) -> None:
    name = f"forged-{secrets.token_hex(6)}"

    ingress.ask("/", {"User-Agent": name, "X-Forwarded-For": FORGED, "Forwarded": f"for={FORGED}"})

    def entries() -> list[str]:
        found = [
            node.run(["grep", "--no-messages", name, "/var/log/ceph/ops-log.json"], good=(0, 1, 2))
            for node in lab.group("gateways")
        ]
        return b"".join(found).decode().splitlines()

    eventually(lambda: bool(entries()), seconds=20, hint=f"an operations log names {name}")
    addresses = {json.loads(line)["remote_addr"] for line in entries()}
    assert addresses
    assert not addresses & {FORGED, "", "127.0.0.1"}


@pytest.mark.parametrize("unit", ["haproxy.service", "bird.service", "s3-announcer.service"])
def test_a_site_withdraws_when_it_stops(unit: str, ingress: Ingress, gateway: Node) -> None:
    with clients(ingress) as seen:
        try:
            gateway.run(["systemctl", "stop", unit])
            ingress.loses(gateway)
        finally:
            gateway.run(["systemctl", "start", "haproxy.service", "bird.service", "s3-announcer.service"])

    assert seen.longest_silence() < WITHDRAWN_SECONDS


def test_a_stopped_gateway_withdraws_its_site_while_the_others_serve(ingress: Ingress, gateway: Node) -> None:
    with clients(ingress) as seen:
        try:
            gateway.run(["systemctl", "stop", service(gateway)])
            ingress.loses(gateway)
        finally:
            gateway.run(["systemctl", "start", service(gateway)])

    assert seen.longest_silence() < WITHDRAWN_SECONDS


def test_a_gateway_that_hangs_is_withdrawn(ingress: Ingress, gateway: Node) -> None:
    signal = ["systemctl", "kill", "--kill-whom=main", service(gateway), "--signal"]
    try:
        gateway.run([*signal, "STOP"])
        ingress.loses(gateway, seconds=HUNG_SECONDS)
    finally:
        gateway.run([*signal, "CONT"])


def test_a_watcher_that_is_killed_withdraws_and_announces_anew(ingress: Ingress, gateway: Node) -> None:
    before = ingress.routes()

    gateway.run(["systemctl", "kill", "--kill-whom=main", "--signal=KILL", "s3-announcer.service"])

    ingress.loses(gateway)
    ingress.whole()
    assert changed(before, ingress.routes()) == {gateway.address}


@pytest.mark.parametrize("unit", ["haproxy.service", "bird.service", "s3-announcer.service"])
def test_a_reload_withdraws_nothing(unit: str, ingress: Ingress, gateway: Node) -> None:
    before = ingress.routes()

    gateway.run(["systemctl", "reload", unit])
    time.sleep(5)

    assert changed(before, ingress.routes()) == set()
