"""`legalcloud node`: the agent of one node, on that node."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from legalcloud.answer import whole
from legalcloud.errors import Exit, InputError, SourceError
from legalcloud.node import identity, subjects
from legalcloud.node.daemon import board_of, status_now
from legalcloud.node.settings import FILE, Settings, load
from legalcloud.node.status import AWAY, Status, from_json, shown
from legalcloud.node.subject import Level, Line

if TYPE_CHECKING:
    from legalcloud.commands import Verbs

ONCE_SECONDS = 45.0
"""For all probes side by side, where no daemon has run them; what has not ended by then is unknown."""
EXITS = {Level.GOOD: Exit.GOOD, Level.FINDING: Exit.FINDINGS, Level.UNKNOWN: Exit.UNKNOWN}
_ANSWER_SECONDS = 5.0
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_COLOURS = {Level.GOOD: "\x1b[32m", Level.FINDING: "\x1b[1;31m", Level.UNKNOWN: "\x1b[33m"}


def add_parser(verbs: Verbs) -> None:
    parser = verbs.add_parser("node", help="the agent of one node: run it, ask it, have it sign what it sees")
    parser.description = "The agent of one node, on that node."
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    start = actions.add_parser("run", help="run the agent in the foreground, as its service does")
    start.description = "Run the agent in the foreground: probes in the background, metrics over HTTPS."
    start.set_defaults(run=run)

    show = actions.add_parser("status", help="say how this node is, in plain words")
    show.description = (
        "Say how this node is: the agent is asked, or if it is not running its probes are run once. Exit code 0: all "
        "is good; 1: something is not; 3: something could not be learnt."
    )
    show.add_argument("--json", action="store_true", help="print facts and findings for machines")
    show.set_defaults(run=run_status)

    sign = actions.add_parser("statement", help="print what the agent sees, signed with the node's key")
    sign.description = "Print a statement of this node's facts, identity and time, signed with its key; needs root."
    sign.add_argument("--nonce", required=True, metavar="HEX", help="random, from whoever asks: 32 to 128 digits")
    sign.set_defaults(run=run_statement)

    for action in (show, sign):
        action.add_argument(
            "--seconds",
            type=float,
            default=ONCE_SECONDS,
            metavar="S",
            help="time for the probes if the agent is not running (default: %(default)g)",
        )

    for action in (start, show, sign):
        action.add_argument("--settings", type=Path, default=FILE, metavar="FILE", help="default: %(default)s")

    check = actions.add_parser("check", help="check a file of settings, and change nothing")
    check.description = "Check the agent's settings: every fault is listed with file, line, key and remedy."
    check.add_argument("settings", type=Path, nargs="?", default=FILE, metavar="FILE", help="default: %(default)s")
    check.set_defaults(run=run_check)


def run(args: argparse.Namespace) -> Exit:
    """Become the daemon: a process of its own, without the memory that this command's other verbs took."""
    _settings(args)
    os.execv(sys.executable, [sys.executable, "-m", "legalcloud.node.daemon", str(args.settings)])  # noqa: S606 -- no shell is meant


def run_check(args: argparse.Namespace) -> Exit:
    settings = _settings(args)
    print(  # noqa: T201 -- a command speaks to a person
        f"{args.settings} is sound: {settings.node} at {settings.site}, listens on {settings.listen.address} port "
        f"{settings.listen.port}; {len(settings.drives)} drives and {len(settings.services)} services are expected."
    )
    return Exit.GOOD


def run_status(args: argparse.Namespace) -> Exit:
    raw = _look(_settings(args), args.seconds)
    status = from_json(raw)
    if args.json:
        sys.stdout.buffer.write(raw)
    else:
        for line in rows(status, colour=sys.stdout.isatty()):
            print(line)  # noqa: T201 -- a command speaks to a person
    return EXITS[status.level]


def run_statement(args: argparse.Namespace) -> Exit:
    from legalcloud.node import statement  # noqa: PLC0415 -- only here is cryptography needed

    settings = _settings(args)
    status = from_json(_look(settings, args.seconds))
    try:
        key, certificate = settings.statement.key.read_bytes(), settings.statement.certificate.read_bytes()
    except OSError as error:
        raise InputError(
            f"{error.filename}: {error.strerror}", hint="Run this as root, after site.yml --tags certificate,agent."
        ) from error
    said = statement.Statement(
        node=settings.node,
        nonce=args.nonce,
        counter=statement.count(settings.paths.counter),
        issued_at=datetime.now(UTC).replace(microsecond=0),
        identity=identity.read(),
        running=status.running,
        probes=statement.probes(status.parts),
    )
    sys.stdout.buffer.write(statement.sign(said, key_pem=key, certificate_pem=certificate))
    return Exit.GOOD


def rows(status: Status, *, colour: bool) -> Iterator[str]:
    """Say it all, worst first in each subject."""
    title = f"{status.node} (site {status.site}, rack {status.rack}), {status.looked_at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"{_BOLD}{title}{_PLAIN}" if colour else title
    width = max((len(part.name) for part in status.parts), default=0)
    if not status.running:
        yield from _said("agent".ljust(width), AWAY, colour=colour)
    for part in status.parts:
        for line in sorted(part.lines, key=lambda line: _ORDER.index(line.level)):
            yield from _said(part.name.ljust(width), line, colour=colour)
    yield {
        Level.GOOD: "All is good.",
        Level.FINDING: "Something is not good.",
        Level.UNKNOWN: "Nothing bad is known, but something could not be learnt.",
    }[status.level]


_ORDER = (Level.FINDING, Level.UNKNOWN, Level.GOOD)


def _said(name: str, line: Line, *, colour: bool) -> Iterator[str]:
    level = f"{line.level:<7}"
    yield f"  {name}  {f'{_COLOURS[line.level]}{level}{_PLAIN}' if colour else level}  {shown(line.words)}"
    if line.remedy:
        yield f"  {' ' * len(name)}           {line.remedy}"


def _settings(args: argparse.Namespace) -> Settings:
    return load(args.settings, probes=subjects.NAMES)


def _look(settings: Settings, seconds: float) -> bytes:
    """Ask the daemon, or look once, for so long."""
    told = ask_daemon(settings.paths.status)
    if told is not None:
        return told
    board = board_of(settings)
    board.run_once(seconds)
    return status_now(settings, board, running=False)


def ask_daemon(path: Path) -> bytes | None:
    """Return the daemon's status; None if it is not running. Raises: InputError, SourceError."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ANSWER_SECONDS)
            connection.connect(str(path))
            return whole(connection, until=time.monotonic() + _ANSWER_SECONDS)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except PermissionError as error:
        raise InputError(f"{path} is not for this user", hint="Run the same with sudo.") from error
    except OSError as error:
        hint = "`systemctl restart legalcloud-agent`."
        raise SourceError(f"the agent does not answer: {error}", hint=hint) from error
