"""The daemon: probes in the background, HTTPS for Prometheus, a socket for `legalcloud node status`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path

from legalcloud.errors import LegalcloudError
from legalcloud.node import metrics, subjects
from legalcloud.node.privileged import ask
from legalcloud.node.probe import Board
from legalcloud.node.serve import Contexts, Page, Server, listen
from legalcloud.node.settings import FILE, Settings, load
from legalcloud.node.status import status, to_json
from legalcloud.node.subject import World
from legalcloud.run import run

METRICS_KIND = "text/plain; version=0.0.4; charset=utf-8"
_SEND_SECONDS = 5


def world(settings: Settings, *, keeps: bool = False) -> World:
    return World(settings=settings, run=run, ask=partial(ask, settings.paths.helper), keeps=keeps)


def board_of(settings: Settings, *, keeps: bool = False) -> Board:
    """Make the board; `keeps` is the daemon's, for root who looks once must not write where its user may."""
    return Board(subjects.probes(world(settings, keeps=keeps)))


def status_now(settings: Settings, board: Board, *, running: bool = True) -> bytes:
    return to_json(status(settings, subjects.ALL, board.look(), now=datetime.now(UTC), running=running))


def pages(settings: Settings, board: Board) -> Server:
    """Bind the three pages to what the board remembers."""
    writer = metrics.Exposition(settings=settings, subjects=subjects.ALL)

    def exposition() -> Page:
        return Page(kind=METRICS_KIND, body=writer.page(board.look(), refused=server.refused))

    def ready() -> Page:
        waiting = [seen.name for seen in board.look() if seen.success is None]
        if waiting:
            return Page(status=HTTPStatus.SERVICE_UNAVAILABLE, body=f"waits for {', '.join(waiting)}\n".encode())
        return Page(body=b"every probe has run, or run out of time\n")

    server = Server(
        pages={"/metrics": exposition, "/healthz": lambda: Page(body=b"alive\n"), "/readyz": ready},
        contexts=Contexts(settings.tls),
        clients=frozenset(settings.tls.clients),
    )
    return server


async def serve(settings: Settings, board: Board) -> None:
    """Serve until SIGTERM or SIGINT."""
    systemd = os.environ.pop("NOTIFY_SOCKET", None)  # not for commands of probes: systemctl would speak there, too
    server = pages(settings, board)
    server.contexts.current()  # refuses to start without a usable certificate

    async def tell(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError):
            writer.write(status_now(settings, board))
            async with asyncio.timeout(_SEND_SECONDS):
                await writer.drain()
        writer.close()

    listener = listen(str(settings.listen.address), settings.listen.port)
    settings.paths.status.unlink(missing_ok=True)
    local = await asyncio.start_unix_server(tell, settings.paths.status)
    settings.paths.status.chmod(0o660)
    board.start()
    accepting = asyncio.ensure_future(server.run(listener))
    loop = asyncio.get_running_loop()
    for end in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(end, accepting.cancel)
    if systemd:
        notify(systemd, "READY=1")
    with suppress(asyncio.CancelledError):
        await accepting
    board.stop()
    local.close()
    listener.close()


def notify(address: str, state: str) -> None:
    """Tell systemd (sd_notify(3))."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)


def main(argv: Sequence[str] | None = None) -> int:
    """Run with the settings in the one file that is named, or in its usual place."""
    words = sys.argv[1:] if argv is None else argv
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    try:
        settings = load(Path(words[0]) if words else FILE, probes=subjects.NAMES)
        asyncio.run(serve(settings, board_of(settings, keeps=True)))
    except LegalcloudError as error:
        print(f"legalcloud node run: {error}\n  remedy: {error.hint}", file=sys.stderr)  # noqa: T201 -- a command speaks
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
