#!/usr/bin/python3
"""Announces the S3 address while this node serves it, and withdraws it when it does not.

Each round asks the node's own HAProxy, over TLS at the S3 address, whether it and the local gateway are well,
and tells BIRD what follows. Standard library only: it runs on a node with nothing else of ours on it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

PATH = "/-/health"
"""HAProxy answers it itself, to this node alone; "-" cannot be the name of a bucket."""
PROTOCOLS = '"s3_*"'
"""BIRD's static protocols, one for each family."""
DONE = {"0008", "0009", "0010", "0011"}
"""BIRD's replies: already disabled, disabled, already enabled, enabled (nest/proto.c)."""

log = logging.getLogger("s3-announcer")


class Stance(Enum):
    """What BIRD is told."""

    ANNOUNCE = "enable"
    WITHDRAW = "disable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The file that the role writes."""

    name: str
    """DNS name of the endpoint: what the certificate must be for."""
    addresses: tuple[str, ...]
    port: int
    authority: str
    """File of the CA that signed the certificate."""
    interval_seconds: float
    timeout_seconds: float
    rise: int
    fall: int


def decide(history: Sequence[bool], *, stance: Stance, rise: int, fall: int) -> Stance:
    """Judge the rounds, oldest first: `rise` good ones in a row announce, `fall` bad ones withdraw."""
    if len(history) >= fall and not any(history[-fall:]):
        return Stance.WITHDRAW
    if len(history) >= rise and all(history[-rise:]):
        return Stance.ANNOUNCE
    return stance


def ask(address: str, settings: Settings) -> str:
    """Return "" if the node serves S3 at this address, else why not."""
    try:
        context = ssl.create_default_context(cafile=settings.authority)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # as lenient as tenants' clients about old-fashioned CAs
    except OSError as error:
        return f"{settings.authority}: {error}"
    try:
        with (
            socket.create_connection((address, settings.port), timeout=settings.timeout_seconds) as plain,
            context.wrap_socket(plain, server_hostname=settings.name) as channel,
        ):
            channel.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {settings.name}\r\nConnection: close\r\n\r\n".encode())
            status = channel.recv(4096).split(b"\r\n", 1)[0].split()
    except OSError as error:  # refused, timed out, not trusted
        return f"{address}: {error}"
    if len(status) > 1 and status[1] == b"200":
        return ""
    return f"{address}: HAProxy says that the gateway of this node is not up"


def tell(stance: Stance, control: str) -> None:
    """Bring BIRD's protocols to this state. Raises OSError if BIRD does not answer or does not obey."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(2)
        channel.connect(control)
        with channel.makefile("rw", encoding="ascii", errors="replace") as conversation:
            conversation.readline()  # 0001, the greeting
            conversation.write(f"{stance.value} {PROTOCOLS}\n")
            conversation.flush()
            reply = conversation.readline()
    if reply[:4] not in DONE:
        raise OSError(0, f"BIRD answers {reply.strip()!r} to {stance.value} {PROTOCOLS}")


def notify(state: str) -> None:
    """Tell systemd, if it started us."""
    if place := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(state.encode(), "\0" + place[1:] if place.startswith("@") else place)


def put(stance: Stance, mark: Path, control: str) -> None:
    """Take a stance. The mark makes it survive a reload of BIRD, which reads it; a reboot removes it."""
    if stance is Stance.ANNOUNCE:
        mark.write_text("disabled off;\n", encoding="ascii")
    else:
        mark.unlink(missing_ok=True)
    try:
        tell(stance, control)
    except OSError as error:
        log.warning("BIRD was not told to %s the address: %s", stance.value, error)


def watch(settings: Settings, mark: Path, control: str) -> None:
    """Go round for ever. A mark that is there on entry is our own, from before a reload."""
    stance = Stance.ANNOUNCE if mark.exists() else Stance.WITHDRAW
    history: list[bool] = []
    put(stance, mark, control)
    notify("READY=1")
    while True:
        begun = time.monotonic()
        faults = [fault for address in settings.addresses if (fault := ask(address, settings))]
        history = [*history, not faults][-max(settings.rise, settings.fall) :]
        wanted = decide(history, stance=stance, rise=settings.rise, fall=settings.fall)
        if wanted is not stance:
            log.warning("%s the address: %s", wanted.name.lower(), "; ".join(faults) or "this node serves it")
        stance = wanted
        put(stance, mark, control)  # each round: BIRD may have been restarted
        notify(f"WATCHDOG=1\nSTATUS={stance.name.lower()}; {'; '.join(faults) or 'healthy'}")
        time.sleep(max(0.0, begun + settings.interval_seconds - time.monotonic()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="JSON file; read again on SIGHUP")
    parser.add_argument("--mark", type=Path, required=True, help="exists while the address is announced")
    parser.add_argument("--control", default="/run/bird/bird.ctl", help="BIRD's socket")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # A reload starts this program anew in the same process: systemd sees no stop, and nothing is withdrawn.
    signal.signal(signal.SIGHUP, lambda *_: os.execv(sys.executable, sys.orig_argv))  # noqa: S606 -- ourselves
    found = json.loads(arguments.settings.read_bytes())
    watch(Settings(**found | {"addresses": tuple(found["addresses"])}), arguments.mark, arguments.control)


if __name__ == "__main__":
    main()
