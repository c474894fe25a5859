"""One unmodified bao with raft storage, the bundled plugin and a SoftHSM, all in one folder."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.kms.on_node.softhsm import LIBRARY, PIN, SoftHsm

from legalcloud_kms import bundle

ADDRESS = "127.0.0.1:8200"
TOKEN, KEY = "kms", "kek-2026"
HEALTH_CHECK = "1s"

CONFIGURATION = """
cluster_addr = "http://127.0.0.1:8201"
api_addr = "http://{address}"
plugin_directory = "{folder}/plugins"
storage "raft" {{
  path = "{folder}/raft"
  node_id = "n1"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "{address}"
  tls_disable = true
}}
plugin "kms" "pkcs11" {{
  command = "openbao-kms-pkcs11"
  version = "v0.1.0"
  sha256sum = "{sha256}"
}}
seal "pkcs11" {{
  lib = "{library}"
  pin = "file://{folder}/pin"
  health_check_interval = "{health_check}"
  health_check_interval_unhealthy = "{health_check}"
{parameters}
}}
"""


class BaoServer:
    """Everything a test does to a bao; `parameters` is the part of the seal stanza that tests vary."""

    def __init__(self, folder: Path, hsm: SoftHsm, binary: Path) -> None:
        self.folder = folder
        self.hsm = hsm
        self.binary = binary
        self.parameters = {"token_label": TOKEN, "key_label": KEY}
        self.pin = folder / "pin"
        self.log = folder / "bao.log"
        self.temporary = folder / "tmp"
        self.plugin = folder / "plugins" / "openbao-kms-pkcs11"
        self.storage = folder / "raft"
        for part in (self.plugin.parent, self.storage, self.temporary):
            part.mkdir(parents=True)
        self.sha256 = bundle.build(self.plugin)
        self.write_pin(PIN)
        self.process: subprocess.Popen[bytes] | None = None

    def write_pin(self, pin: str) -> None:
        self.pin.write_text(f"{pin}\n")
        self.pin.chmod(0o400)

    def start(self) -> float:
        """Start bao; return the moment, for timing."""
        configuration = self.folder / "bao.hcl"
        configuration.write_text(
            CONFIGURATION.format(
                address=ADDRESS,
                folder=self.folder,
                sha256=self.sha256,
                library=LIBRARY,
                health_check=HEALTH_CHECK,
                parameters="\n".join(f'  {name} = "{value}"' for name, value in self.parameters.items()),
            )
        )
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, "server", f"-config={configuration}", "-log-level=debug"],
                env={**self.hsm.environment, "TMPDIR": str(self.temporary)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return began

    def stop(self) -> int:
        """Stop bao as systemd does, and return its exit code."""
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        self.process = None
        return code

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait(30)
        self.process = None

    def restart(self) -> float:
        self.stop()
        return self.start()

    def ask(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, dict[str, Any]]:
        """Ask the API; status 0 means that nobody listens."""
        request = urllib.request.Request(
            f"http://{ADDRESS}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": token} if token else {},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 -- always http
                return reply.status, json.loads(reply.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")
        except OSError:
            return 0, {}

    def initialise(self) -> dict[str, Any]:
        self.wait_for(lambda: self.ask("GET", "sys/health")[0] == 501, "listening, not initialised")
        status, answer = self.ask("PUT", "sys/init", {"recovery_shares": 5, "recovery_threshold": 3})
        assert status == 200, answer
        self.wait_active()
        return answer

    def sealed(self) -> bool | None:
        """Tell whether bao is sealed; None while it does not listen."""
        status, answer = self.ask("GET", "sys/seal-status")
        return bool(answer["sealed"]) if status == 200 else None

    def wait_unsealed(self, seconds: float = 60) -> None:
        self.wait_for(lambda: self.sealed() is False, "unsealed", seconds)

    def wait_active(self, seconds: float = 60) -> None:
        self.wait_for(lambda: self.ask("GET", "sys/health")[0] == 200, "active", seconds)

    def wait_logged(self, text: str, seconds: float = 60, times: int = 1) -> None:
        self.wait_for(lambda: self.logged(text) >= times, f"{times} times {text!r} in the log", seconds)

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not {what} after {seconds} s; the log ends:\n{self.text()[-4000:]}"
            time.sleep(0.05)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def logged(self, text: str) -> int:
        """Count the lines of the log that hold this text."""
        return sum(text in line for line in self.text().splitlines())

    def plugin_pids(self) -> list[int]:
        """Find the processes that run this server's plugin."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.fsencode(self.plugin) in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
        return found
