"""A server beside a node's own, from the same unit and configuration: alone, with its own ports, folders and token.

Tests break this one. The node's own is never touched.
"""

from __future__ import annotations

import json
import re
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.nodes import Node, NodeError, eventually

UNIT = "openbao-scratch.service"
FOLDER = "/var/lib/openbao-scratch"
WHOLE = "/var/lib/openbao-scratch-whole"
"""A copy of the folder as it was once initialised; every repair begins with it."""
RUNTIME = "/run/openbao-scratch"
UNIT_FILE = f"/run/systemd/system/{UNIT}"
CREDENTIAL = "/run/credstore.encrypted/openbao-scratch-pin"
CA = "/usr/local/share/ca-certificates/legalcloud.crt"
API, RAFT, METRICS = 28200, 28201, 28210
LABEL, KEY, PIN, SO_PIN = "scratch", "kek-scratch", "482915", "73920164"
PATIENCE_SECONDS = 40
"""For what takes bao five seconds, its pause between two tries, on a busy machine."""
AUDITS = ("audit-1", "audit-2")

NEW_KEY = """
import sys
import PyKCS11
from PyKCS11 import LowLevel as ll
label, pin, key = sys.argv[1:]
library = PyKCS11.PyKCS11Lib()
library.load("/usr/lib/softhsm/libsofthsm2.so")
slot = next(s for s in library.getSlotList(True) if library.getTokenInfo(s).label.strip() == label)
session = library.openSession(slot, PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION)
session.login(pin)
template = [(ll.CKA_CLASS, ll.CKO_SECRET_KEY), (ll.CKA_KEY_TYPE, ll.CKK_AES), (ll.CKA_VALUE_LEN, 32),
    (ll.CKA_TOKEN, True), (ll.CKA_PRIVATE, True), (ll.CKA_SENSITIVE, True), (ll.CKA_EXTRACTABLE, False),
    (ll.CKA_ENCRYPT, True), (ll.CKA_DECRYPT, True), (ll.CKA_LABEL, key)]
session.generateKey(template, PyKCS11.MechanismAESGENERATEKEY)
"""


@dataclass(slots=True, kw_only=True)
class Scratch:
    """One server on one node; `install` first, `remove` last."""

    node: Node
    token: str = ""
    """The root token, once initialised; it dies with the folder."""

    def run(self, *words: str, stdin: bytes = b"", good: tuple[int, ...] = (0,)) -> str:
        return self.node.run(words, stdin, good=good).decode()

    def write(self, path: str, text: str) -> None:
        self.node.run(["tee", path], text.encode())

    def install(self) -> None:
        """Derive everything from the node's own files."""
        self.remove()
        folders = [f"{FOLDER}/{name}" for name in ("conf", "raft", "tokens", "plugins", "tls", *AUDITS)]
        self.run("install", "-d", "-o", "openbao", "-g", "openbao", "-m", "0700", FOLDER, *folders)
        self.run("install", "-d", "/run/systemd/system", "/run/credstore.encrypted")
        self.run("cp", "-p", "/opt/openbao/plugins/openbao-kms-pkcs11", f"{FOLDER}/plugins/")
        self.run("cp", "/etc/legalcloud/pki/openbao.crt", "/etc/legalcloud/pki/openbao.key", f"{FOLDER}/tls/")
        self.write(f"{FOLDER}/softhsm2.conf", f"directories.tokendir = {FOLDER}/tokens\nobjectstore.backend = file\n")
        configuration = re.sub(
            r"  retry_join \{.*?\n  \}\n", "", self.run("cat", "/etc/openbao/openbao.hcl"), flags=re.S
        )
        seal = f'lib = "/usr/lib/softhsm/libsofthsm2.so"\n  token_label = "{LABEL}"\n  key_label = "{KEY}"\n  '
        configuration = re.sub(r'(seal "pkcs11" \{\n).*?(pin = )', rf"\1  {seal}\2", configuration, flags=re.S)
        configuration = re.sub(r'health_check_interval(\w*) = "\w+"', r'health_check_interval\1 = "1s"', configuration)
        for old, new in (
            (":8200", f":{API}"),
            (":8201", f":{RAFT}"),
            (":8210", f":{METRICS}"),
            ("/var/lib/openbao/raft", f"{FOLDER}/raft"),
            ("/opt/openbao/plugins", f"{FOLDER}/plugins"),
            ("/run/credentials/openbao.service", f"/run/credentials/{UNIT}"),
            ("/run/openbao/", f"{RUNTIME}/"),
            ("/etc/legalcloud/pki/openbao.crt", f"{FOLDER}/tls/openbao.crt"),
        ):
            configuration = configuration.replace(old, new)
        self.write(f"{FOLDER}/conf/openbao.hcl", configuration)
        self.audit(*AUDITS)
        unit = self.run("cat", "/etc/systemd/system/openbao.service")
        for pattern, new in (
            (r"-config=/etc/openbao", f"-config={FOLDER}/conf"),
            (r"ConditionFileNotEmpty=.*", ""),
            (r"/etc/legalcloud/pki/openbao", f"{FOLDER}/tls/openbao"),
            (r"RuntimeDirectory=openbao", "RuntimeDirectory=openbao-scratch"),
            (r"/run/openbao/", f"{RUNTIME}/"),
            (r"LoadCredentialEncrypted=.*", f"LoadCredentialEncrypted=hsm-pin:{Path(CREDENTIAL).name}"),
            (r"ReadWritePaths=.*", f"ReadWritePaths={FOLDER}"),
            (r'Environment="SOFTHSM2_CONF=.*', f"Environment=SOFTHSM2_CONF={FOLDER}/softhsm2.conf"),
            (r"RestartSec=.*", "RestartSec=1"),
        ):
            unit = re.sub(pattern, new, unit)
        self.write(UNIT_FILE, unit)
        self.run("systemctl", "daemon-reload")
        self.add_token(LABEL)
        self.add_key(LABEL, KEY)
        self.pin(PIN)

    def remove(self) -> None:
        self.run("systemctl", "stop", UNIT, good=(0, 5))
        self.run("systemctl", "reset-failed", UNIT, good=(0, 1))
        for name in AUDITS:
            self.run("umount", f"{FOLDER}/{name}", good=(0, 1, 32))
        self.run("rm", "-rf", FOLDER, WHOLE, UNIT_FILE, CREDENTIAL)
        self.run("systemctl", "daemon-reload")

    def audit(self, *names: str) -> None:
        """Write the audit devices, as the role does: name of the device and of its folder are the same."""
        device = 'audit "file" "{0}" {{\n  options {{\n    file_path = "{1}/{0}/audit.log"\n  }}\n}}\n'
        self.write(f"{FOLDER}/conf/audit.hcl", "".join(device.format(name, FOLDER) for name in names))

    def _hsm(self, *words: str, stdin: bytes = b"") -> None:
        prefix = ["runuser", "-u", "openbao", "--", "env", f"SOFTHSM2_CONF={FOLDER}/softhsm2.conf"]
        self.node.run([*prefix, *words], stdin)

    def add_token(self, label: str) -> None:
        self._hsm("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN)

    def add_key(self, label: str, key: str) -> None:
        self._hsm("python3", "-", label, PIN, key, stdin=textwrap.dedent(NEW_KEY).encode())

    def take_token_away(self) -> None:
        self.run("mv", f"{FOLDER}/tokens", f"{FOLDER}/tokens-away")
        self.run("install", "-d", "-o", "openbao", "-g", "openbao", "-m", "0700", f"{FOLDER}/tokens")

    def bring_token_back(self) -> None:
        self.run("rm", "-rf", f"{FOLDER}/tokens")
        self.run("mv", f"{FOLDER}/tokens-away", f"{FOLDER}/tokens")

    def pin(self, pin: str) -> None:
        self.node.run(["systemd-creds", "encrypt", "--name=hsm-pin", "-", CREDENTIAL], pin.encode())

    def start(self) -> None:
        self.run("systemctl", "start", UNIT)

    def restart(self) -> None:
        self.run("systemctl", "restart", UNIT)

    def stop(self) -> None:
        self.run("systemctl", "stop", UNIT)

    def repair(self) -> None:
        """Put back whatever a test broke, and wait until it serves."""
        self.stop()
        self.run("systemctl", "reset-failed", UNIT, good=(0, 1))
        for name in AUDITS:
            self.run("umount", f"{FOLDER}/{name}", good=(0, 1, 32))
        self.run("sh", "-c", f"rm -rf {FOLDER}/* && cp -a {WHOLE}/. {FOLDER}/")
        self.pin(PIN)
        self.start()
        self.until_active()

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """Ask its API; status 0 means no answer."""
        words = ["curl", "-sS", "--max-time", "20", "--cacert", CA, "-X", method, "-w", "\n%{http_code}"]
        secret = f'header = "X-Vault-Token: {self.token}"\n' if self.token else ""
        if body is not None:
            secret += f"data = {json.dumps(json.dumps(body))}\n"
        try:
            printed = self.node.run([*words, "-K", "-", f"https://localhost:{API}/v1/{path}"], secret.encode())
        except NodeError:
            return 0, {}
        text, _, code = printed.decode().rpartition("\n")
        return int(code), json.loads(text) if text.strip() else {}

    def initialise(self) -> None:
        self.until(lambda: self.ask("GET", "sys/health")[0] == 501, "it listens")
        status, answer = self.ask("PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})
        assert status == 200, answer
        self.token = answer["root_token"]
        self.until_active()
        self.stop()
        self.run("cp", "-a", FOLDER, WHOLE)
        self.start()
        self.until_active()

    def until(self, what: Callable[[], bool], hint: str) -> None:
        eventually(what, seconds=PATIENCE_SECONDS, hint=f"{hint}; journalctl --unit={UNIT} on {self.node.name}")

    def until_active(self) -> float:
        """Wait until it is unsealed and leads; return the seconds."""
        began = time.monotonic()
        self.until(lambda: self.ask("GET", "sys/health")[0] == 200, "it is unsealed and active")
        return time.monotonic() - began

    def log(self) -> str:
        """Return what it said since it last started."""
        invocation = self.run("systemctl", "show", "--property=InvocationID", "--value", UNIT).strip()
        return self.run("journalctl", f"_SYSTEMD_INVOCATION_ID={invocation}", "-o", "cat", "--no-pager")

    def until_logged(self, text: str) -> None:
        self.until(lambda: text in self.log(), f"its log holds {text!r}")

    def metrics(self) -> dict[str, float]:
        """Read the metrics without labels from the listener for them."""
        words = ["curl", "-sS", "--cacert", CA, "--cert", "/etc/legalcloud/pki/node.crt"]
        words += ["--key", "/etc/legalcloud/pki/node.key"]
        printed = self.run(*words, f"https://localhost:{METRICS}/v1/sys/metrics?format=prometheus")
        return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", printed, re.M)}
