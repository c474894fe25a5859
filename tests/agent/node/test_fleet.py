from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.agent.node.node_sample import settings
from tests.agent.node.test_cluster_watch import seen as seen_cluster
from tests.agent.node.test_metrics import GOOD, SUBJECTS, seen
from tests.agent.node.test_status import ALMOST, WELL

from legalcloud.cli import main
from legalcloud.commands import fleet
from legalcloud.commands.fleet import Row, cluster_of, gather, level
from legalcloud.commands.ssh import Access
from legalcloud.errors import SourceError
from legalcloud.inventory import load
from legalcloud.node import cluster_watch
from legalcloud.node.probe import Seen
from legalcloud.node.status import status, to_json
from legalcloud.node.subject import Level
from legalcloud.register import Node

LAB = Path(__file__).parents[3] / "inventories/lab"
NODES = load(LAB).register.nodes


@pytest.fixture(autouse=True)
def _few_subjects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "NAMES", tuple(subject.name for subject in SUBJECTS))


def answer(node: Node, looks: tuple[Seen[object], ...] = ALMOST, ago: timedelta = timedelta()) -> bytes:
    told = replace(settings(), node=node.name, site=node.site)
    known = (*SUBJECTS, cluster_watch.SUBJECT)
    return to_json(status(told, known, looks, now=datetime.now(UTC) - ago, running=True))


def test_every_node_is_a_row_in_the_order_of_the_inventory() -> None:
    rows = gather(NODES, answer, 5)

    assert [(row.node, row.level) for row in rows] == [(node.name, Level.GOOD) for node in NODES]
    assert level(rows) is Level.GOOD


def test_a_node_that_does_not_answer_in_time_is_a_row_that_says_so_and_holds_nobody_up() -> None:
    let_go = threading.Event()

    def ask(node: Node) -> bytes:
        if node.name == "cwn-1":
            let_go.wait(20)
        return answer(node)

    began = time.monotonic()
    rows = gather(NODES, ask, 0.5)

    assert time.monotonic() - began < 3
    assert {row.node: row.words for row in rows if row.level is not Level.GOOD} == {"cwn-1": "did not answer in 0.5 s"}
    assert level(rows) is Level.UNKNOWN
    let_go.set()


def test_nodes_are_asked_at_the_same_time() -> None:
    together = threading.Barrier(len(NODES), timeout=5)

    def ask(node: Node) -> bytes:
        together.wait()
        return answer(node)

    assert level(gather(NODES, ask, 10)) is Level.GOOD


def test_a_node_that_cannot_be_reached_or_prints_nonsense_is_unknown_and_says_why() -> None:
    def ask(node: Node) -> bytes:
        if node.name == "tko-1":
            raise SourceError("could not be asked: No route to host")
        return b"sudo: a password is required" if node.name == "tko-2" else answer(node)

    words = {row.node: row.words for row in gather(NODES, ask, 5) if row.status is None}

    assert words["tko-1"] == "could not be asked: No route to host"
    assert words["tko-2"].startswith("this is no status of a node")
    assert len(words) == 2


def test_a_node_that_answers_in_anothers_name_is_not_believed() -> None:
    (row,) = gather(NODES[:1], lambda _node: answer(NODES[1]), 5)

    assert (row.level, row.words) == (Level.UNKNOWN, f"says that it is '{NODES[1].name}'")


def test_a_status_of_another_time_or_without_a_subject_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    (old,) = gather(NODES[:1], lambda node: answer(node, ago=timedelta(minutes=6)), 5)
    monkeypatch.setattr(fleet, "NAMES", (*(subject.name for subject in SUBJECTS), "drives"))
    (less,) = gather(NODES[:1], answer, 5)

    assert (old.level, less.level) == (Level.UNKNOWN, Level.UNKNOWN)
    assert "which is not now" in old.words
    assert less.words.startswith("says nothing of drives")


def test_what_a_node_prints_steers_no_terminal_and_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(answer(NODES[0]))
    document["version"] = "[/x]\x1b[2J"
    for part in document["parts"]:
        part["lines"] = [{"level": "finding", "words": "\x1b]0;owned\x07 [bold]", "remedy": ""}]

    rows = gather(NODES[:1], lambda _node: json.dumps(document).encode(), 5)
    fleet._show(rows, cluster_of(rows))

    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "[/x]" in said


def test_a_finding_on_one_node_outweighs_what_is_unknown_on_another() -> None:
    looks = {NODES[0].name: GOOD, NODES[1].name: WELL}

    rows = gather(NODES, lambda node: answer(node, looks.get(node.name, ALMOST)), 5)

    assert [row.level for row in rows[:3]] == [Level.FINDING, Level.UNKNOWN, Level.GOOD]
    assert level(rows) is Level.FINDING
    assert rows[0].words == "ceph-osd@1.service is failed (failed), and shall be active"


def test_a_fleet_of_no_nodes_is_unknown() -> None:
    assert level(gather((), answer, 1)) is Level.UNKNOWN


def watching(**looks: Seen[object]) -> tuple[Row, ...]:
    """Give the rows of all nodes, of which these watch the cluster: `tko_1` is tko-1."""
    told = {name.replace("_", "-"): (*ALMOST, look) for name, look in looks.items()}
    return gather(NODES, lambda node: answer(node, told.get(node.name, ALMOST)), 5)


CLUSTER = seen("cluster", seen_cluster())


def test_a_node_that_claims_to_look_in_the_future_is_not_believed_of_the_cluster() -> None:
    found = cluster_of(watching(tko_1=replace(CLUSTER, age_seconds=-9.0), cwn_1=CLUSTER))

    assert found.node == "cwn-1"


def test_an_answer_of_no_agent_of_ours_is_a_row_that_says_so() -> None:
    naive = json.dumps(json.loads(answer(NODES[0], ALMOST)) | {"looked_at": "2026-11-23T20:00:00"}).encode()

    row = gather(NODES[:1], lambda _node: naive, 5)[0]

    assert row.level is Level.UNKNOWN
    assert "did not answer" not in row.words


def test_of_all_nodes_that_know_the_cluster_the_last_to_look_is_believed() -> None:
    found = cluster_of(watching(tko_1=replace(CLUSTER, age_seconds=250.0), cwn_1=CLUSTER))

    assert (found.node, found.level) == ("cwn-1", Level.GOOD)
    assert "until the cluster refuses to write" in found.lines[0].words


def test_a_cluster_with_an_osd_that_does_not_answer_is_no_fault_of_the_node_that_says_so() -> None:
    rows = watching(tko_1=seen("cluster", seen_cluster(osds_down=1)))

    assert [row.level for row in rows] == [Level.GOOD] * len(NODES)
    assert level([*rows, cluster_of(rows)]) is Level.FINDING
    assert cluster_of(rows).lines[0].words == "OSDs to which data goes and that do not answer: 1"


@pytest.mark.parametrize(
    "look",
    [
        replace(CLUSTER, stale=True, age_seconds=2000.0),
        replace(CLUSTER, success=False, problem="`cluster 3 3 2`: ceph osd df tree did not finish in 20 s"),
        replace(CLUSTER, facts=None, age_seconds=None, stale=True, success=False, problem="no keyring"),
    ],
    ids=["old", "in doubt", "none"],
)
def test_what_is_old_or_in_doubt_is_not_believed_and_shows_in_its_nodes_row(look: Seen[object]) -> None:
    rows = watching(tko_1=look)

    assert (cluster_of(rows).node, cluster_of(rows).level) == (None, Level.UNKNOWN)
    assert "nobody knows" in cluster_of(rows).lines[0].words
    assert {row.node: row.level for row in rows if row.level is not Level.GOOD} == {"tko-1": Level.UNKNOWN}


def test_an_age_that_is_no_number_is_not_believed() -> None:
    def ask(node: Node) -> bytes:
        document = json.loads(answer(node, (*ALMOST, CLUSTER)))
        document["parts"][-1]["age_seconds"] = "young"
        return json.dumps(document).encode()

    assert cluster_of(gather(NODES, ask, 5)).node is None


def over_ssh(looks: tuple[Seen[object], ...]) -> Callable[[Node, Access, str, float], bytes]:
    """Answer as nodes do that all watch the cluster."""
    return lambda node, _access, _command, _seconds: answer(node, (*looks, CLUSTER))


@pytest.mark.parametrize(
    ("looks", "code", "said"),
    [(ALMOST, 0, "6 of 6 nodes are good."), (GOOD, 1, "0 of 6 nodes are good."), (WELL, 3, "0 of 6 nodes are good.")],
)
def test_the_command_shows_a_table_and_its_exit_code_is_the_worst_row(
    looks: tuple[Seen[object], ...],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fleet, "over_ssh", over_ssh(looks))

    assert main(["fleet", "status", "-i", str(LAB)]) == code

    out = capsys.readouterr().out
    assert said in out
    assert out.count("tenants can store") == 1, "the cluster is told of once"
    assert all(node.name in out for node in NODES)


def test_a_node_without_an_agent_is_given_less_time_than_the_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: set[str] = set()

    def hears(node: Node, _access: Access, command: str, _seconds: float) -> bytes:
        commands.add(command)
        return answer(node)

    monkeypatch.setattr(fleet, "over_ssh", hears)
    for seconds in ("10", "2"):
        main(["fleet", "status", "-i", str(LAB), "--seconds", seconds])

    assert {command.rpartition(" --json ")[2] for command in commands} == {"--seconds 7", "--seconds 1"}


def test_for_machines_every_status_is_there_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "over_ssh", over_ssh(GOOD))

    assert main(["fleet", "status", "-i", str(LAB), "--json"]) == 1

    document = json.loads(capsys.readouterr().out)
    assert document["level"] == "finding"
    assert [entry["node"] for entry in document["nodes"]] == [node.name for node in NODES]
    assert document["nodes"][0]["status"]["parts"][0]["facts"]["failed"] == ["ceph-osd@1.service"]
    assert document["cluster"]["level"] == "good"
    assert document["cluster"]["part"]["facts"]["seen"]["capacity"]["advised_bytes"] > 0
