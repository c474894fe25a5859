"""Start: as bao's plugin, or as `check NAME=VALUE...` for preflight."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys

from legalcloud_kms import check, handshake, journal
from legalcloud_kms.answers import reserve
from legalcloud_kms.errors import RefusalError
from legalcloud_kms.transport import serve


def main() -> int:
    # The root key passes through this process: no core file may hold it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.argv[1:2] == ["check"]:
        out = reserve()
        code, text = check.check(sys.argv[2:], os.environ)
        print(text, file=out, flush=True)
        return code
    # An interrupt at a terminal reaches the whole group; bao still needs us while it steps down.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    journal.configure()
    try:
        asyncio.run(serve(handshake.invitation(os.environ), os.environ))
    except RefusalError as error:
        print(error, file=sys.stderr)  # noqa: T201 -- to the person who started it
        return 1
    return 0
