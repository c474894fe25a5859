"""When the S3 address is announced and when not, with real sockets for HAProxy and for BIRD."""

from __future__ import annotations

import datetime
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from roles.ingress.files import s3_announcer
from roles.ingress.files.s3_announcer import Settings, Stance, ask, decide, put, tell

GOOD, BAD = True, False


@pytest.mark.parametrize("stance", Stance)
def test_a_watcher_that_has_seen_nothing_keeps_its_stance(stance: Stance) -> None:
    assert decide([], stance=stance, rise=3, fall=2) is stance


def test_two_good_rounds_of_three_do_not_announce() -> None:
    assert decide([GOOD, GOOD], stance=Stance.WITHDRAW, rise=3, fall=2) is Stance.WITHDRAW


def test_the_third_good_round_in_a_row_announces() -> None:
    assert decide([BAD, GOOD, GOOD, GOOD], stance=Stance.WITHDRAW, rise=3, fall=2) is Stance.ANNOUNCE


def test_a_bad_round_between_good_ones_starts_the_count_again() -> None:
    assert decide([GOOD, GOOD, BAD, GOOD, GOOD], stance=Stance.WITHDRAW, rise=3, fall=2) is Stance.WITHDRAW


def test_one_bad_round_of_two_does_not_withdraw() -> None:
    assert decide([GOOD, GOOD, BAD], stance=Stance.ANNOUNCE, rise=3, fall=2) is Stance.ANNOUNCE


def test_the_second_bad_round_in_a_row_withdraws() -> None:
    assert decide([GOOD, GOOD, GOOD, BAD, BAD], stance=Stance.ANNOUNCE, rise=3, fall=2) is Stance.WITHDRAW


def test_alternating_rounds_change_nothing() -> None:
    history = [GOOD, BAD] * 5

    assert {decide(history, stance=stance, rise=2, fall=2) for stance in Stance} == set(Stance)


@dataclass
class Server:
    """HAProxy's place: TLS on a port of the loopback, one answer for everybody."""

    authority: str
    port: int
    answer: bytes = b"HTTP/1.1 200 OK\r\n\r\nhealthy"
    requests: list[bytes] = field(default_factory=list)


def issue(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a certificate of its own authority for this name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / f"{name}.crt", folder / f"{name}.key"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, secret


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    chain, secret = issue(tmp_path, "s3.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)
    listener = socket.create_server(("127.0.0.1", 0))
    here = Server(authority=str(chain), port=listener.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:  # the test is over
                return
            with plain:
                try:
                    with context.wrap_socket(plain, server_side=True) as channel:
                        here.requests.append(channel.recv(4096))
                        channel.sendall(here.answer)
                except OSError:  # the client does not trust us
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield here
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=5)


def settings(authority: str, port: int, name: str = "s3.example") -> Settings:
    return Settings(
        name=name,
        addresses=("127.0.0.1",),
        port=port,
        authority=authority,
        interval_seconds=0.05,
        timeout_seconds=2,
        rise=3,
        fall=2,
    )


def test_a_node_that_answers_200_serves(server: Server) -> None:
    assert ask("127.0.0.1", settings(server.authority, server.port)) == ""
    assert server.requests[0].startswith(b"GET /-/health HTTP/1.1\r\nHost: s3.example\r\n")


def test_a_haproxy_without_its_gateway_does_not_serve(server: Server) -> None:
    server.answer = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"

    assert "gateway of this node is not up" in ask("127.0.0.1", settings(server.authority, server.port))


def test_an_empty_answer_does_not_serve(server: Server) -> None:
    server.answer = b""

    assert ask("127.0.0.1", settings(server.authority, server.port))


def test_a_certificate_for_another_name_does_not_serve(server: Server) -> None:
    assert "not valid for 'other.example'" in ask("127.0.0.1", settings(server.authority, server.port, "other.example"))


def test_a_certificate_of_another_authority_does_not_serve(server: Server, tmp_path: Path) -> None:
    stranger, _ = issue(tmp_path, "stranger.example")

    assert "CERTIFICATE_VERIFY_FAILED" in ask("127.0.0.1", settings(str(stranger), server.port))


def test_a_missing_authority_file_is_named_and_does_not_crash(server: Server, tmp_path: Path) -> None:
    assert "none.pem: [Errno 2] No such file" in ask("127.0.0.1", settings(str(tmp_path / "none.pem"), server.port))
    assert not server.requests


def test_a_closed_port_does_not_serve(tmp_path: Path) -> None:
    chain, _ = issue(tmp_path, "s3.example")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert "refused" in ask("127.0.0.1", settings(str(chain), port))


@dataclass
class Bird:
    """The control socket of BIRD 2.20: greets, takes one line, answers as recorded from it."""

    control: str
    reply: str
    commands: list[str] = field(default_factory=list)


@pytest.fixture
def bird(tmp_path: Path) -> Iterator[Bird]:
    here = Bird(control=str(tmp_path / "bird.ctl"), reply="0011-s3_ipv4: enabled\n0000 \n")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(here.control)
    listener.listen()

    def serve() -> None:
        while True:
            try:
                channel, _ = listener.accept()
            except OSError:  # the test is over
                return
            with channel:
                try:
                    channel.sendall(b"0001 BIRD 2.20.0 ready.\n")
                    if command := channel.recv(4096):
                        here.commands.append(command.decode().strip())
                        channel.sendall(here.reply.encode())
                except OSError:  # the watcher was killed meanwhile
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield here
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=5)


def test_announcing_enables_the_protocols_and_leaves_a_mark_for_reloads(bird: Bird, tmp_path: Path) -> None:
    mark = tmp_path / "announced.conf"

    put(Stance.ANNOUNCE, mark, bird.control)

    assert bird.commands == ['enable "s3_*"']
    assert mark.read_text() == "disabled off;\n"


def test_withdrawing_disables_the_protocols_and_removes_the_mark(bird: Bird, tmp_path: Path) -> None:
    mark = tmp_path / "announced.conf"
    mark.touch()
    bird.reply = "0009-s3_ipv4: disabled\n0000 \n"

    put(Stance.WITHDRAW, mark, bird.control)

    assert bird.commands == ['disable "s3_*"']
    assert not mark.exists()


def test_a_bird_that_knows_no_such_protocol_is_an_error(bird: Bird) -> None:
    bird.reply = "8003 No protocols match\n"

    with pytest.raises(OSError, match="8003 No protocols match"):
        tell(Stance.ANNOUNCE, bird.control)


def test_a_bird_that_is_down_is_logged_and_does_not_stop_the_watcher(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(Stance.WITHDRAW, tmp_path / "announced.conf", str(tmp_path / "none.ctl"))

    assert "BIRD was not told to disable the address" in caplog.text


class Program:
    """The watcher as systemd runs it."""

    def __init__(self, folder: Path, server: Server, bird: Bird) -> None:
        self.mark = folder / "announced.conf"
        self.bird = bird
        file = folder / "settings.json"
        file.write_text(json.dumps(asdict(settings(server.authority, server.port))))
        script = [sys.executable, "-I", "-S", s3_announcer.__file__]
        paths = ["--settings", str(file), "--mark", str(self.mark), "--control", bird.control]
        self.process = subprocess.Popen([*script, *paths])

    def comes_to(self, *, announced: bool) -> bool:
        """Wait for the mark and for what BIRD was told: the mark is put first."""
        deadline = time.monotonic() + 10
        told = f'{"enable" if announced else "disable"} "s3_*"'
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.mark.exists() is announced and self.bird.commands[-1:] == [told]:
                return True
            time.sleep(0.02)
        return False


@pytest.fixture
def program(tmp_path: Path, server: Server, bird: Bird) -> Iterator[Program]:
    here = Program(tmp_path, server, bird)
    yield here
    here.process.kill()
    here.process.wait(timeout=5)


def test_the_program_withdraws_first_then_announces_and_withdraws_with_its_gateway(
    program: Program, server: Server, bird: Bird
) -> None:
    assert program.comes_to(announced=True)
    assert bird.commands[0] == 'disable "s3_*"'

    server.answer = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"

    assert program.comes_to(announced=False)


def test_a_reload_of_the_program_withdraws_nothing(program: Program, bird: Bird) -> None:
    assert program.comes_to(announced=True)
    withdrawn = bird.commands.count('disable "s3_*"')
    seen = len(bird.commands)

    program.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while len(bird.commands) < seen + 20 and time.monotonic() < deadline:
        time.sleep(0.02)

    assert program.process.poll() is None
    assert len(bird.commands) >= seen + 20
    assert bird.commands.count('disable "s3_*"') == withdrawn
