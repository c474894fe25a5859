"""How a node is reached, and nodes that answer as no node should: a server of paramiko's stands for each."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType

import paramiko  # type: ignore[import-untyped]  # ships no types
import pytest

from legalcloud.answer import MOST_BYTES
from legalcloud.commands.ssh import Access, access_of, over_ssh
from legalcloud.errors import InputError, SourceError
from legalcloud.inventory import Inventory, load

LAB = Path(__file__).parents[3] / "inventories/lab"
NODE = replace(load(LAB).register.nodes[0], address=ip_address("127.0.0.1"))
SECONDS, FEW_SECONDS = 30.0, 2.0
Answer = Callable[[paramiko.Channel], None]


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


@pytest.mark.parametrize("port", [2222, "2222", "{{ firewall_ssh_port }}"])
def test_another_port_of_sshd_is_taken_from_where_ansible_takes_it(port: object) -> None:
    assert access_of(inventory({"ansible_port": port, "firewall_ssh_port": 2222})).port == 2222


@pytest.mark.parametrize("value", ["{{ lookup('env', 'USER') }}", "{{ absent }}", "{{ loop }}", 7])
def test_a_variable_that_only_ansible_can_read_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="ansible_user"):
        access_of(inventory({"ansible_user": value, "loop": "{{ loop }}"}))


class Server(paramiko.ServerInterface):  # type: ignore[misc]  # as above
    """Lets everybody in, and answers every command in one way."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def check_auth_publickey(self, _user: str, _key: paramiko.PKey) -> int:
        return int(paramiko.AUTH_SUCCESSFUL)

    def get_allowed_auths(self, _user: str) -> str:
        return "publickey"

    def check_channel_request(self, _kind: str, _number: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, _command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel,), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel) -> None:
        with suppress(OSError, EOFError):
            channel.recv(1)  # the end of the client's side: it has heard that the command runs
            self.answer(channel)
            channel.close()


@contextmanager
def node_that(folder: Path, answer: Answer) -> Iterator[Access]:
    """Let a node answer so; yield how it is reached."""
    key = paramiko.ECDSAKey.generate()
    key.write_private_key_file(str(folder / "key"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n")

        def accept() -> None:
            with suppress(OSError):
                transport = paramiko.Transport(listener.accept()[0])
                transport.add_server_key(key)
                transport.start_server(server=Server(answer))

        threading.Thread(target=accept, daemon=True).start()
        yield Access(user="ops", key=folder / "key", known_hosts=folder / "known_hosts", port=port)


def ask(folder: Path, answer: Answer, seconds: float = SECONDS) -> bytes:
    with node_that(folder, answer) as access:
        return over_ssh(NODE, access, "say", seconds)


def problem(folder: Path, answer: Answer, seconds: float = SECONDS) -> str:
    began = time.monotonic()
    with pytest.raises(SourceError) as caught:
        ask(folder, answer, seconds)
    assert time.monotonic() - began < seconds + 5
    return str(caught.value)


def test_what_a_node_prints_comes_whole(tmp_path: Path) -> None:
    long = b"0123456789" * 30_000

    assert ask(tmp_path, lambda channel: channel.sendall(long)) == long


def test_a_node_that_prints_without_end_is_cut_off(tmp_path: Path) -> None:
    def flood(channel: paramiko.Channel) -> None:
        while True:
            channel.sendall(b"x" * 2**15)

    assert problem(tmp_path, flood) == f"the answer has more than {MOST_BYTES} bytes"


@pytest.mark.parametrize("said", [b"", b"{"])
def test_a_node_that_hangs_is_waited_for_no_longer_than_was_said(tmp_path: Path, said: bytes) -> None:
    let_go = threading.Event()

    def hang(channel: paramiko.Channel) -> None:
        channel.sendall(said)
        let_go.wait(20)

    assert problem(tmp_path, hang, FEW_SECONDS) == "did not answer in 2 s"
    let_go.set()


def test_a_node_that_drips_gains_no_time_with_each_byte(tmp_path: Path) -> None:
    let_go = threading.Event()

    def drip(channel: paramiko.Channel) -> None:
        while not let_go.wait(0.1):
            channel.sendall(b"x")

    assert problem(tmp_path, drip, FEW_SECONDS) == "did not answer in 2 s"
    let_go.set()


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    def fail(channel: paramiko.Channel) -> None:
        channel.sendall_stderr(b"sudo: a password\n is required\n")
        channel.send_exit_status(1)

    assert problem(tmp_path, fail) == "`say` ended with 1: sudo: a password is required"


def test_a_node_with_another_host_key_is_not_spoken_to(tmp_path: Path) -> None:
    other = paramiko.ECDSAKey.generate()
    with node_that(tmp_path, lambda channel: channel.sendall(b"x")) as access:
        access.known_hosts.write_text(f"[127.0.0.1]:{access.port} {other.get_name()} {other.get_base64()}\n")
        with pytest.raises(SourceError, match="could not be asked: Host key"):
            over_ssh(NODE, access, "say", SECONDS)


def test_a_node_where_nobody_listens_could_not_be_asked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (tmp_path / "known_hosts").write_text("")
    access = Access(user="ops", key=None, known_hosts=tmp_path / "known_hosts", port=port)

    with pytest.raises(SourceError, match="could not be asked"):
        over_ssh(NODE, access, "say", SECONDS)
