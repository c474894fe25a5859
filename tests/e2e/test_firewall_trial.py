"""New rules are on trial: the node puts back the former ones unless a new connection confirms them.

On a table without hooks, which no packet ever meets.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from tests.e2e.nodes import Lab, Node, tool

pytestmark = pytest.mark.ci

FILE = "/run/legalcloud-test.nft"
NAME = "legalcloud_test"
UNDO_SECONDS = 5
PATIENCE_SECONDS = 60

Keep = Callable[..., dict[str, object]]


@pytest.fixture
def node(lab: Lab) -> Iterator[Node]:
    found = lab.group("storage")[-1]
    yield found
    found.run(["systemctl", "stop", f"nft-table-undo-inet-{NAME}.timer"], good=(0, 5))
    found.run(["nft", "delete", "table", "inet", NAME], good=(0, 1))
    found.run(["rm", "--force", FILE, f"/run/nft-table-undo-inet-{NAME}.nft"])


@pytest.fixture
def keep(lab: Lab, node: Node) -> Keep:
    def call(**options: object) -> dict[str, object]:
        words = json.dumps({"path": FILE, "name": NAME, **options})
        done = tool("ansible", node.name, "-i", str(lab.inventory), "--become", "-m", "nft_table", "-a", words)
        _, _, answer = done.stdout.partition("=> ")
        assert answer, done.stdout + done.stderr
        result: dict[str, object] = json.loads(answer)
        return result

    return call


def write(node: Node, chain: str) -> None:
    text = f"table inet {NAME}\ndelete table inet {NAME}\ntable inet {NAME} {{\nchain {chain} {{ }}\n}}\n"
    node.run(["tee", FILE], text.encode())


def table(node: Node) -> str:
    return node.run(["nft", "list", "table", "inet", NAME], good=(0, 1)).decode()


def test_rules_that_nobody_confirms_go_back_with_their_file_and_confirmed_ones_stay(node: Node, keep: Keep) -> None:
    write(node, "former")
    keep()
    write(node, "wrong")
    assert keep(undo_seconds=UNDO_SECONDS)["on_trial"] is True
    assert "wrong" in table(node)

    deadline = time.monotonic() + PATIENCE_SECONDS
    while "wrong" in table(node) and time.monotonic() < deadline:
        time.sleep(1)
    assert "former" in table(node)
    assert "former" in node.text("cat", FILE)
    assert "ended before it was confirmed" in str(keep(confirmed=True)["msg"])

    write(node, "right")
    assert keep(undo_seconds=600)["on_trial"] is True
    assert keep(confirmed=True)["on_trial"] is False
    assert keep(undo_seconds=600)["changed"] is False
    assert "right" in table(node)
    units = node.text("systemctl", "list-units", "--all", "--plain", "--no-legend", "nft-table-undo-*")
    assert NAME not in units


def test_what_was_absent_is_absent_again(node: Node, keep: Keep) -> None:
    write(node, "first")
    assert keep(undo_seconds=UNDO_SECONDS)["was_absent"] is True
    assert "first" in table(node)

    deadline = time.monotonic() + PATIENCE_SECONDS
    while table(node) and time.monotonic() < deadline:
        time.sleep(1)
    assert table(node) == ""
