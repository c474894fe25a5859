"""What a snapshot can bring back: a second OpenBao on a node, rebuilt from it with the node's own token.

The node's own server is never touched.
"""

from __future__ import annotations

import re
import subprocess
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jinja2 import Template
from tests.e2e.nodes import ROOT, Node, eventually

SNAPSHOTS, AWAY = "/var/backups/openbao", "/var/backups/openbao-away"
UNIT = "openbao-revival.service"
FOLDER = "/var/lib/openbao-revival"
UNIT_FILE = f"/run/systemd/system/{UNIT}"
API, RAFT, METRICS = 38200, 38201, 38210
INIT = ROOT / "roles/openbao_restore/templates/init.hcl.j2"
CLIENT = ROOT / "plugins/module_utils/openbao.py"

ON_NODE = """
import http.client, sys
sys.path.insert(0, "{folder}")
import openbao
here = "https://localhost:{api}"
verb, argument = sys.argv[1:]
if verb == "restore":
    with openbao.as_role("restorer", address=here) as client:
        connection = http.client.HTTPSConnection("localhost", {api}, timeout=60, context=openbao.trusting())
        content = open(argument, "rb").read()
        connection.request("POST", "/v1/sys/storage/raft/snapshot-force", content, {{"X-Vault-Token": client.token}})
        answer = connection.getresponse()
        print(answer.status, answer.read())
else:
    with openbao.as_role("shredder", address=here) as client:
        print("there" if client.read(argument) else "gone")
"""


class Revival:
    """`restore` first, `remove` last."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def run(self, *words: str, stdin: bytes = b"", good: tuple[int, ...] = (0,)) -> str:
        return self.node.run(words, stdin, good=good).decode()

    def ask(self, verb: str, argument: str) -> str:
        script = textwrap.dedent(ON_NODE).format(folder=FOLDER, api=API)
        return self.run("python3", "-I", "-", verb, argument, stdin=script.encode()).strip()

    def restore(self, snapshot: bytes) -> None:
        """Build it, and wait until it serves what the snapshot holds."""
        self.remove()
        owner = ("-o", "openbao", "-g", "openbao", "-m", "0700")
        self.run("install", "-d", *owner, FOLDER, *(f"{FOLDER}/{name}" for name in ("conf", "raft", "tls")))
        self.run("tee", f"{FOLDER}/openbao.py", stdin=CLIENT.read_bytes())
        self.node.run(["tee", f"{FOLDER}/snapshot"], snapshot)
        self.run("tee", f"{FOLDER}/conf/init.hcl", stdin=Template(INIT.read_text()).render(ansible_managed="").encode())
        self.run("tee", f"{FOLDER}/conf/openbao.hcl", stdin=self._configuration().encode())
        self.run("tee", UNIT_FILE, stdin=self._unit().encode())
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "start", UNIT)
        self._until_active()
        assert self.ask("restore", f"{FOLDER}/snapshot").startswith("204")
        self.run("systemctl", "restart", UNIT)
        self._until_active()

    def has(self, path: str) -> bool:
        """Tell whether a transit key is there."""
        return self.ask("look", path) == "there"

    def remove(self) -> None:
        self.run("systemctl", "stop", UNIT, good=(0, 5))
        self.run("systemctl", "reset-failed", UNIT, good=(0, 1))
        self.run("rm", "-rf", FOLDER, UNIT_FILE)
        self.run("systemctl", "daemon-reload")

    def _until_active(self) -> None:
        health = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-k", f"https://localhost:{API}/v1/sys/health"]
        hint = f"it is active; journalctl --unit={UNIT} on {self.node.name}"
        eventually(lambda: self.run(*health, good=(0, 7)) == "200", seconds=60, hint=hint)

    def _configuration(self) -> str:
        text = re.sub(r"  retry_join \{.*?\n  \}\n", "", self.run("cat", "/etc/openbao/openbao.hcl"), flags=re.S)
        text = re.sub(r"api_addr = .*", f'api_addr = "https://localhost:{API}"', text)
        for old, new in (
            (":8200", f":{API}"),
            (":8201", f":{RAFT}"),
            (":8210", f":{METRICS}"),
            (":8211", ":38211"),
            ("/var/lib/openbao/raft", f"{FOLDER}/raft"),
            ("/run/credentials/openbao.service", f"/run/credentials/{UNIT}"),
            ("/run/openbao/", "/run/openbao-revival/"),
        ):
            text = text.replace(old, new)
        return text

    def _unit(self) -> str:
        text = self.run("cat", "/etc/systemd/system/openbao.service")
        for pattern, new in (
            (r"-config=/etc/openbao", f"-config={FOLDER}/conf"),
            (r"ConditionFileNotEmpty=.*", ""),
            (r"RuntimeDirectory=openbao", "RuntimeDirectory=openbao-revival"),
            (r"/run/openbao/", "/run/openbao-revival/"),
            (r"ReadWritePaths=", f"ReadWritePaths={FOLDER} "),
        ):
            text = re.sub(pattern, new, text)
        return text


def opened(sealed: bytes, key: Path, certificate: Path) -> bytes:
    """Decrypt a snapshot as an operator would, by hand."""
    words = ["-inkey", str(key), "-recip", str(certificate)]
    command = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", *words]
    return subprocess.run(command, input=sealed, capture_output=True, timeout=60, check=True).stdout


@contextmanager
def without_snapshots(servers: Sequence[Node]) -> Iterator[None]:
    """Leave the folder empty on each server, and put back what was there."""

    def move(node: Node, source: str, target: str) -> None:
        each = ("-mindepth", "1", "-maxdepth", "1", "-exec", "mv", "--target-directory", target, "{}", "+")
        node.run(["find", source, *each])

    try:
        for node in servers:
            node.run(["systemctl", "stop", "openbao-backup.timer"])  # a snapshot of these minutes would count
            node.run(["mkdir", "-p", "-m", "0700", AWAY])
            move(node, SNAPSHOTS, AWAY)
        yield
    finally:
        for node in servers:
            node.run(["mkdir", "-p", AWAY])
            move(node, AWAY, SNAPSHOTS)
            node.run(["rmdir", AWAY])
            node.run(["systemctl", "start", "openbao-backup.timer"])
