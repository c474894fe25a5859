"""Admin sockets that answer, hang, lie and are not there; and the way from a link down to its drives."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from legalcloud.node.osd_sockets import MOST_BYTES, QUESTIONS, look, whole_drives

Serve = Callable[[socket.socket, bytes], None]


@pytest.fixture
def root() -> Iterator[Path]:
    """Stand in for /; its path is short, since that of a socket has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="osd") as folder:
        for name in ("run/ceph", "var/lib/ceph/osd/ceph-3", "sys/dev/block"):
            (Path(folder) / name).mkdir(parents=True)
        yield Path(folder)


@contextmanager
def osd(root: Path, serve: Serve) -> Iterator[None]:
    """Let one OSD listen, and serve as many questions as it is asked."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "run/ceph/ceph-osd.3.asok"))
        listening.listen()

        def work() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    serve(connection, connection.recv(1000))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)
        assert not thread.is_alive()


def echo(connection: socket.socket, question: bytes) -> None:
    connection.sendall(len(question).to_bytes(4, "big") + question)


def seen(root: Path) -> dict[str, object]:
    found = look(root, seconds=0.3)
    assert list(found) == ["3"]
    return found["3"]


def test_three_questions_are_asked_and_their_answers_kept_as_they_are(root: Path) -> None:
    with osd(root, echo):
        found = seen(root)

    assert {name: json.loads(str(found[name]).rstrip("\0")) for name in QUESTIONS} == QUESTIONS
    assert found["drives"] == {"data": None, "db": None, "wal": None}


def test_no_question_can_change_anything() -> None:
    assert {question["prefix"] for question in QUESTIONS.values()} == {"status", "perf dump", "dump_blocked_ops_count"}


def test_an_osd_without_a_socket_is_stopped(root: Path) -> None:
    assert seen(root)["stopped"] is True


def test_an_osd_that_left_its_socket_behind_is_stopped(root: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(root / "run/ceph/ceph-osd.3.asok"))

    assert seen(root)["stopped"] is True


def hang(_: socket.socket, __: bytes) -> None:
    time.sleep(0.5)


def trickle(connection: socket.socket, _: bytes) -> None:
    """Send a byte now and then: each comes in time and the whole never would."""
    connection.sendall((100).to_bytes(4, "big"))
    for _second in range(5):
        time.sleep(0.1)
        connection.send(b"x")


def cut(connection: socket.socket, _: bytes) -> None:
    connection.sendall((100).to_bytes(4, "big") + b"{")


def boast(connection: socket.socket, _: bytes) -> None:
    connection.sendall(b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        (hang, "`status` was not answered in time"),
        (trickle, "`status` was not answered in time"),
        (cut, "the answer ended after 1 of 100 bytes"),
        (boast, f"`status` gives 4294967295 bytes; more than {MOST_BYTES} are not read"),
    ],
    ids=["hangs", "trickles", "is cut", "boasts"],
)
def test_an_answer_that_is_late_short_or_endless_is_a_problem(root: Path, serve: Serve, said: str) -> None:
    def kind(connection: socket.socket, question: bytes) -> None:
        try:
            serve(connection, question)
        except BrokenPipeError:
            return  # the asker has gone

    with osd(root, kind):
        started = time.monotonic()
        found = seen(root)

    assert found["problem"] == said
    assert "status" not in found
    assert time.monotonic() - started < 2


def test_a_node_without_osds_has_none(root: Path) -> None:
    (root / "var/lib/ceph/osd/ceph-3").rmdir()

    assert look(root) == {}


def device(root: Path, number: str, name: str, *below: str, partition: bool = False) -> None:
    """Make a block device as /sys shows it; `name` is its path below sys/devices."""
    folder = root / "sys/devices" / name
    (folder / "slaves").mkdir(parents=True)
    (folder / "dev").write_text(f"{number}\n")
    if partition:
        (folder / "partition").write_text("1\n")
    for other in below:
        (folder / "slaves" / Path(other).name).symlink_to(root / "sys/devices" / other)
    (root / "sys/dev/block" / number).symlink_to(folder)


def test_an_opened_volume_leads_down_to_its_drives(root: Path) -> None:
    """LUKS on an LVM volume that lies on a partition of one drive and on the whole of another."""
    device(root, "8:0", "sda")
    device(root, "8:1", "sda/sda1", partition=True)
    device(root, "8:16", "sdb")
    device(root, "252:0", "dm-0", "sda/sda1", "sdb")
    device(root, "252:1", "dm-1", "dm-0")

    assert whole_drives("252:1", root) == {"8:0", "8:16"}


def test_links_lead_to_numbers_and_one_that_leads_nowhere_is_empty(root: Path) -> None:
    device(root, "8:16", "sdb")
    folder = root / "var/lib/ceph/osd/ceph-3"
    (folder / "block").symlink_to("/dev/sdb")
    (folder / "block.db").symlink_to("/dev/gone")

    def number(link: Path) -> str:
        if link.name == "block":
            return "8:16"
        raise FileNotFoundError(link)

    assert look(root, number=number)["3"]["drives"] == {"data": ["8:16"], "db": [], "wal": None}
