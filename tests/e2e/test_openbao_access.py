"""What each login of OpenBao may do and, above all, may not; asked on a server, with certificates by the HSM."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from tests.e2e.nodes import ROOT, Lab

pytestmark = pytest.mark.ci

CLIENT = ROOT / "plugins/module_utils/openbao.py"
SPARE = "e2e-attempts"
"""A transit key that these tests make and destroy."""
POLICY = ROOT / "roles/openbao_access/files/policies/snapshot.hcl"
# Runs on a server as root: logs in as a role with a certificate of a common name, makes the calls, says how each went:
# good, nothing (allowed, and there is none) or the status and the words of a refusal.
ATTEMPTS = """
import json, sys
sys.modules["ansible"] = sys.modules["ansible.module_utils"] = type(sys)("nothing")
asked = json.loads(sys.stdin.read())
space = {"__name__": "openbao"}
exec(compile(asked["client"], "openbao.py", "exec"), space)
said = []
key, request = space["_request"](asked["name"])
words = ["certificate", "kms", "login-ca", "--ca", space["LOGIN_CA"], "--common-name", asked["name"], "--minutes", "10"]
certificate = space["ask_hsm"](words, request)["certificate"]
context = space["trusting"]()
space["_present"](context, key + b"\\n" + certificate.encode())
client = space["Client"](space["leader"](), context)
try:
    client.token = client.write("auth/cert/login", {"name": asked["role"]})["auth"]["client_token"]
    for method, path, body in asked["calls"]:
        try:
            said.append("nothing" if client._call(method, path, body) is None else "good")
        except space["OpenBaoError"] as error:
            said.append(str(error.status) + " " + str(error))
    client.write("auth/token/revoke-self")
except space["OpenBaoError"] as error:
    said = ["login: " + str(error)]
print(json.dumps(said))
"""
Call = tuple[str, str, Any]
Attempt = Callable[[str, str, Sequence[Call]], list[str]]


@pytest.fixture(scope="module")
def attempt(lab: Lab) -> Attempt:
    """Make calls as a role, with a certificate of a common name; return how each went."""
    server = lab.group("kms")[0]

    def make(role: str, name: str, calls: Sequence[Call]) -> list[str]:
        wish = {"client": CLIENT.read_text(), "role": role, "name": name, "calls": list(calls)}
        said: list[str] = json.loads(server.run(["python3", "-c", ATTEMPTS], json.dumps(wish).encode()))
        return said

    return make


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> str:
    return f"gateway-{lab.groups['gateways'][0]}"


@pytest.fixture(autouse=True, scope="module")
def _spare_key(attempt: Attempt) -> Iterator[None]:
    """Make the key of these tests, or find it after a killed run; remove it whichever tests ran."""
    made = attempt(
        "steward", "steward", [("POST", f"transit-s3/keys/{SPARE}", {"type": "aes256-gcm96", "derived": True})]
    )
    assert made == ["good"], made
    yield
    attempt("shredder", "shredder", END)  # refused if a test has removed it already
    assert attempt("steward", "steward", [("GET", f"transit-s3/keys/{SPARE}", None)]) == ["nothing"]


END: list[Call] = [
    ("POST", f"transit-s3/keys/{SPARE}/config", {"deletion_allowed": True}),
    ("DELETE", f"transit-s3/keys/{SPARE}", None),
]
CONTEXT = {"context": "YQ=="}
GATEWAY_MAY: list[Call] = [
    ("POST", f"transit-s3/datakey/plaintext/{SPARE}", CONTEXT),
    ("POST", f"transit-s3/keys/{SPARE}", {"type": "chacha20-poly1305", "derived": True}),
    ("GET", "auth/token/lookup-self", None),
    ("POST", "auth/token/renew-self", {}),
]
GATEWAY_MAY_NOT: list[Call] = [
    ("GET", f"transit-s3/export/encryption-key/{SPARE}", None),
    ("GET", f"transit-s3/export/encryption-key/{SPARE}/1", None),
    ("GET", f"transit-s3/backup/{SPARE}", None),
    ("GET", f"transit-s3/byok-export/{SPARE}/{SPARE}", None),
    ("GET", f"transit-s3/keys/{SPARE}", None),
    ("LIST", "transit-s3/keys", None),
    ("LIST", "transit-kms/keys", None),
    ("POST", f"transit-s3/keys/{SPARE}/rotate", {}),
    ("POST", f"transit-s3/keys/{SPARE}/config", {"deletion_allowed": True}),
    ("POST", f"transit-s3/keys/{SPARE}/config", {"exportable": True}),
    ("POST", f"transit-s3/keys/{SPARE}-2", {"type": "aes256-gcm96", "exportable": True}),
    ("POST", f"transit-s3/restore/{SPARE}-3", {"backup": "YQ=="}),
    ("DELETE", f"transit-s3/keys/{SPARE}", None),
    ("POST", f"transit-s3/encrypt/{SPARE}", {"plaintext": "YQ=="}),
    ("POST", f"transit-kms/keys/{SPARE}", {}),
    ("LIST", "drive-keys/metadata/", None),
    ("GET", "drive-keys/data/drive-sht-2/any", None),
    ("GET", "cubbyhole/any", None),
    ("GET", "sys/policies/acl/gateway", None),
    ("POST", "sys/policies/acl/gateway", {"policy": 'path "*" { capabilities = ["sudo"] }'}),
    ("GET", "sys/mounts", None),
    ("POST", "sys/mounts/mine", {"type": "kv"}),
    ("GET", "auth/cert/certs/steward", None),
    ("POST", "auth/cert/certs/gateway", {"token_policies": "steward"}),
    ("POST", "auth/token/create", {}),
    ("POST", "auth/token/create-orphan", {}),
    ("LIST", "auth/token/accessors", None),
    ("GET", "sys/storage/raft/snapshot", None),
    ("POST", "sys/rotate/recovery/init", {"secret_shares": 1, "secret_threshold": 1}),
    ("POST", "sys/seal", {}),
    ("POST", "sys/step-down", {}),
]
STEWARD_MAY_NOT: list[Call] = [
    ("POST", f"transit-s3/datakey/plaintext/{SPARE}", CONTEXT),
    ("POST", f"transit-s3/datakey/wrapped/{SPARE}", CONTEXT),
    ("POST", f"transit-s3/decrypt/{SPARE}", {"ciphertext": "vault:v1:YQ==", **CONTEXT}),
    ("POST", f"transit-s3/encrypt/{SPARE}", {"plaintext": "YQ==", **CONTEXT}),
    ("POST", f"transit-s3/rewrap/{SPARE}", {"ciphertext": "vault:v1:YQ==", **CONTEXT}),
    ("GET", f"transit-s3/export/encryption-key/{SPARE}", None),
    ("GET", f"transit-s3/backup/{SPARE}", None),
    ("POST", f"transit-s3/keys/{SPARE}-2", {"exportable": True}),
    ("POST", f"transit-s3/keys/{SPARE}-2", {"allow_plaintext_backup": True}),
    ("POST", f"transit-s3/keys/{SPARE}/config", {"deletion_allowed": True}),
    ("POST", f"transit-s3/keys/{SPARE}/config", {"min_decryption_version": 1}),
    ("DELETE", f"transit-s3/keys/{SPARE}", None),
    ("DELETE", "sys/mounts/transit-s3", None),
    ("DELETE", "sys/auth/cert", None),
    ("GET", "drive-keys/data/drive-sht-2/any", None),
    ("GET", "sys/storage/raft/snapshot", None),
    ("POST", "auth/token/create", {}),
    ("POST", "sys/seal", {}),
]


def refused(calls: Sequence[Call], said: Sequence[str]) -> list[str]:
    """Name the calls that were not refused for want of permission."""
    return [
        f"{call[0]} {call[1]}: {word}" for call, word in zip(calls, said, strict=True) if not word.startswith("403 ")
    ]


def test_a_gateway_does_its_work(attempt: Attempt, gateway: str) -> None:
    assert attempt("gateway", gateway, GATEWAY_MAY) == ["good"] * len(GATEWAY_MAY)


def test_a_gateway_can_neither_export_a_key_nor_read_another_prefix_nor_change_policy(
    attempt: Attempt, gateway: str
) -> None:
    assert refused(GATEWAY_MAY_NOT, attempt("gateway", gateway, GATEWAY_MAY_NOT)) == []


def test_the_steward_reads_no_data_and_lets_no_key_out(attempt: Attempt) -> None:
    assert refused(STEWARD_MAY_NOT, attempt("steward", "steward", STEWARD_MAY_NOT)) == []


@pytest.mark.parametrize(
    ("role", "name"),
    [
        ("steward", "gateway-tko-1"),
        ("steward", "snapshot"),
        ("gateway", "gateway-sht-2"),  # no gateway stands there
        ("gateway", "steward"),
        ("drive", "gateway-tko-1"),
        ("snapshot", "shredder"),
        ("nobody", "steward"),
    ],
)
def test_a_certificate_opens_only_the_login_that_it_was_made_for(attempt: Attempt, role: str, name: str) -> None:
    (said,) = attempt(role, name, [])[:1] or [""]

    assert said.startswith("login: ")
    assert " 400" in said or " 403" in said


def test_a_node_may_ask_for_keys_of_its_own_drives_only(attempt: Attempt) -> None:
    """Nothing is stored, as nobody may remove it; a machine of tests/vm stores keys and reads them."""
    path = "drive-keys/data/{}/e2e"
    own, others = path.format("drive-sht-2"), path.format("drive-sht-1")

    later = {"data": {}, "options": {"cas": 7}}  # permitted, and then not done: there is no seventh version
    read, write = attempt("drive", "drive-sht-2", [("GET", own, None), ("POST", own, later)])
    assert read == "nothing"
    assert write.startswith("400 ")
    assert "check-and-set" in write
    foreign: list[Call] = [("GET", others, None), ("POST", others, {"data": {}}), ("DELETE", own, None)]
    assert refused(foreign, attempt("drive", "drive-sht-2", foreign)) == []


def test_the_shredder_deletes_a_key_and_can_do_nothing_else_with_it(attempt: Attempt) -> None:
    nothing: list[Call] = [
        ("POST", f"transit-s3/keys/{SPARE}-2", {}),
        ("POST", f"transit-s3/datakey/plaintext/{SPARE}", CONTEXT),
        ("POST", f"transit-s3/keys/{SPARE}/config", {"exportable": True}),
        ("GET", f"transit-s3/export/encryption-key/{SPARE}", None),
        ("GET", "sys/mounts", None),
    ]
    there: Call = ("GET", f"transit-s3/keys/{SPARE}", None)

    assert refused(nothing, attempt("shredder", "shredder", nothing)) == []
    assert attempt("steward", "steward", [there]) == ["good"]
    assert attempt("shredder", "shredder", END) == ["good", "good"]
    assert attempt("steward", "steward", [there]) == ["nothing"]


# Runs on a server as root: logs in as steward twice; says which tokens there are the second time, by accessor.
TOKENS = (
    ATTEMPTS.partition("key, request =")[0]
    + """
def own(client):
    return client.read("auth/token/lookup-self")["data"]["accessor"]
with space["steward"]() as client:
    ended = own(client)
with space["steward"]() as client:
    found = {}
    for one in client.keys("auth/token/accessors"):
        try:
            found[one] = client.write("auth/token/lookup-accessor", {"accessor": one})["data"]["policies"]
        except space["OpenBaoError"]:
            pass  # it ended since
    print(json.dumps({"ended": ended, "own": own(client), "found": found}))
"""
)


def test_no_token_is_left_behind_and_none_is_root(lab: Lab) -> None:
    wish = json.dumps({"client": CLIENT.read_text()}).encode()

    told = json.loads(lab.group("kms")[0].run(["python3", "-c", TOKENS], wish))

    found: dict[str, list[str]] = told["found"]
    assert found[told["own"]] == ["steward"]
    assert told["ended"] not in found
    assert not [policies for policies in found.values() if "root" in policies or "default" in policies]


def test_a_policy_that_somebody_widened_is_named_by_check_mode_and_put_back(attempt: Attempt, lab: Lab) -> None:
    def write(policy: str) -> None:
        assert attempt("steward", "steward", [("POST", "sys/policies/acl/snapshot", {"policy": policy})]) == ["good"]

    words = ("--tags", "openbao_access", "--skip-tags", "preflight")
    try:
        write('path "*" { capabilities = ["read"] }')
        predicted = lab.playbook("site.yml", *words, "--check", "--diff")
        kept = lab.playbook("site.yml", *words)
        again = lab.playbook("site.yml", *words)
    finally:  # the playbook has done so, unless it failed
        write(POLICY.read_text())

    assert "policy snapshot" in predicted.stdout, predicted.stdout + predicted.stderr
    assert kept.returncode == 0, kept.stdout + kept.stderr
    assert re.search(r"\bchanged=1\b", kept.stdout), kept.stdout
    assert not re.search(r"\bchanged=[1-9]", again.stdout), again.stdout + again.stderr
