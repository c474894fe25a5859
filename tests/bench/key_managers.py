"""How fast a key manager unseals after a restart, and how many data keys it makes and opens a second."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

from plugins.module_utils.rgw_account import account_id
from tests.bench.encryption import TENANT
from tests.load.lab import Lab, LabError

CONNECTIONS = 4
UNSEAL_SECONDS = 60
# Runs on a gateway's node as root: the gateway's own token, which never leaves it.
PROGRAM = r"""
import base64, http.client, json, ssl, sys, threading, time
key, seconds, connections = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
token = open("/run/rgw-kms/token").read().strip()
trust = ssl.create_default_context(cafile="/usr/local/share/ca-certificates/legalcloud.crt")
context = base64.b64encode(b"bench").decode()

def ask(link, verb, body):
    text = json.dumps({"context": context, **body})
    link.request("POST", f"/v1/transit-s3/{verb}/{key}", text, {"X-Vault-Token": token})
    answer = link.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{verb}: HTTP {answer.status} {text[:200]}")
    return json.loads(text)["data"]

def rate(verb, body):
    done, until = [], time.monotonic() + seconds
    def work():
        link, own = http.client.HTTPSConnection("localhost", 8200, context=trust), 0
        while time.monotonic() < until:
            ask(link, verb, body)
            own += 1
        done.append(own)
    threads = [threading.Thread(target=work) for _ in range(connections)]
    [one.start() for one in threads], [one.join() for one in threads]
    if len(done) != connections:
        raise SystemExit("a connection broke off")
    return sum(done) / seconds

first = http.client.HTTPSConnection("localhost", 8200, context=trust)
wrapped = ask(first, "datakey/plaintext", {})["ciphertext"]
print(json.dumps({"datakey": rate("datakey/plaintext", {}), "decrypt": rate("decrypt", {"ciphertext": wrapped})}))
"""
UNSEAL = r"""
systemctl restart openbao.service
start=$(date +%s%N)
until curl -sf --cacert /usr/local/share/ca-certificates/legalcloud.crt \
    'https://localhost:8200/v1/sys/health?standbyok=true' > /dev/null; do
    sleep 0.05
    if [ $(( ($(date +%s%N) - start) / 1000000000 )) -ge "$1" ]; then exit 1; fi
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyManagerSpeed:
    """One look at the key managers."""

    unseal_seconds: Sequence[float]
    """From the order to restart a server until it is unsealed and answers, the way over SSH included; each of them."""
    datakeys_per_second: float
    """POST datakey/plaintext, over four connections to the node's own server."""
    decrypts_per_second: float


def measure(lab: Lab, *, seconds: float) -> KeyManagerSpeed:
    """Measure the transit engine beside a gateway, then restart the servers one at a time. Raises: LabError."""
    gateway = lab.members("gateways")[0]
    words = ["python3", "-I", "-c", PROGRAM, account_id(TENANT), str(seconds), str(CONNECTIONS)]
    rates = json.loads(lab.run(gateway, words, timeout_seconds=seconds * 2 + 60))
    unsealed = []
    for node in lab.members("kms"):
        start = time.monotonic()
        try:
            lab.run(node, ["bash", "-euc", UNSEAL, "unseal", str(UNSEAL_SECONDS)], timeout_seconds=UNSEAL_SECONDS + 30)
        except LabError as error:
            raise LabError(f"{node.name} did not unseal within {UNSEAL_SECONDS} s: {error}") from error
        unsealed.append(time.monotonic() - start)
    return KeyManagerSpeed(
        unseal_seconds=unsealed, datakeys_per_second=rates["datakey"], decrypts_per_second=rates["decrypt"]
    )
