from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from tests.agent.node.node_sample import settings
from tests.agent.node.test_metrics import GOOD, SUBJECTS
from tests.agent.node.test_status import ALMOST, WELL

from legalcloud.cli import main
from legalcloud.commands import fleet
from legalcloud.commands.fleet import cluster_of, gather, level
from legalcloud.commands.ssh import Access, access_of
from legalcloud.errors import InputError, SourceError
from legalcloud.inventory import Inventory, load
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
    return to_json(status(told, SUBJECTS, looks, now=datetime.now(UTC) - ago, running=True))


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
    fleet._show(rows, fleet.Cluster(capacity=None, problem="nobody was asked"))

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


SAMPLES = Path(__file__).parent / "samples/osds"
CLUSTER = {"osd df tree": "osd_df_tree.json", "osd dump": "osd_dump.json", " df ": "df.json"}


def of_a_monitor(command: str) -> bytes:
    return next((SAMPLES / name).read_bytes() for words, name in CLUSTER.items() if words in command)


def over_ssh(looks: tuple[Seen[object], ...]) -> Callable[[Node, Access, str, float], bytes]:
    """Answer both questions of the command as a node does."""
    return lambda node, _access, command, _seconds: (
        answer(node, looks) if "node status" in command else of_a_monitor(command)
    )


def test_monitors_that_hang_or_refuse_hold_up_none_that_answers() -> None:
    let_go = threading.Event()

    def ask(node: Node, command: str) -> bytes:
        if node.name == "tko-1":
            let_go.wait(20)
        if node.name == "cwn-1":
            raise SourceError("could not be asked: No route to host")
        return of_a_monitor(command)

    began = time.monotonic()
    found = cluster_of(load(LAB), ask)

    assert time.monotonic() - began < 3
    assert (found.level, found.problem) == (Level.GOOD, "")
    assert "until the cluster refuses to write" in found.words
    let_go.set()


def test_a_cluster_with_an_osd_that_does_not_answer_is_not_good() -> None:
    def ask(_node: Node, command: str) -> bytes:
        told = of_a_monitor(command)
        return told.replace(b'"up"', b'"down"', 1) if "osd df" in command else told

    found = cluster_of(load(LAB), ask)

    assert found.level is Level.FINDING
    assert "OSDs that do not answer: 1." in found.words


def test_without_a_monitor_nobody_knows_what_the_cluster_takes() -> None:
    def ask(node: Node, _command: str) -> bytes:
        raise SourceError(f"no route to {node.name}")

    found = cluster_of(load(LAB), ask)

    assert found.level is Level.UNKNOWN
    assert "Nobody knows" in found.words
    assert "no route to " in found.words


def test_without_a_plan_nobody_knows_either() -> None:
    found = cluster_of(replace(load(LAB), plan=None), lambda _node, command: of_a_monitor(command))

    assert found.level is Level.UNKNOWN


def inventory(variables: Mapping[str, object]) -> Inventory:
    return replace(load(LAB), variables=MappingProxyType(dict(variables)))


def test_the_lab_is_reached_as_ansible_reaches_it() -> None:
    assert access_of(load(LAB)) == Access(
        user="ops",
        key=Path("/var/lib/legalcloud-lab/ssh_key"),
        known_hosts=Path("/var/lib/legalcloud-lab/known_hosts"),
    )


def test_without_variables_it_is_root_with_ones_own_key_and_known_hosts() -> None:
    assert access_of(inventory({})) == Access(
        user="root", key=None, known_hosts=Path("~/.ssh/known_hosts").expanduser()
    )


@pytest.mark.parametrize("value", ["{{ lookup('env', 'USER') }}", "{{ absent }}", "{{ loop }}", 7])
def test_a_variable_that_only_ansible_can_read_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="ansible_user"):
        access_of(inventory({"ansible_user": value, "loop": "{{ loop }}"}))


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
    assert all(node.name in out for node in NODES)


def test_for_machines_every_status_is_there_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "over_ssh", over_ssh(GOOD))

    assert main(["fleet", "status", "-i", str(LAB), "--json"]) == 1

    document = json.loads(capsys.readouterr().out)
    assert document["level"] == "finding"
    assert [entry["node"] for entry in document["nodes"]] == [node.name for node in NODES]
    assert document["nodes"][0]["status"]["parts"][0]["facts"]["failed"] == ["ceph-osd@1.service"]
