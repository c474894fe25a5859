"""The tokens of the lab: keys that never leave, PINs that are nowhere in the clear, and faults that say what to do."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.nodes import ROOT, Lab, Node

pytestmark = pytest.mark.ci

TOOL = "/usr/local/sbin/legalcloud-hsm"
LIBRARY = "/usr/lib/softhsm/libsofthsm2.so"
FOLDER = "/run/legalcloud-hsm-test"
HERE = Path(__file__).parent
KMS_KEYS = {"kek-1": "aes", "login-ca": "ec"}
REFUSED = {
    "read its value": "CKR_ATTRIBUTE_SENSITIVE",
    "wrap it": "CKR_KEY_UNEXTRACTABLE",
    "make it extractable": "CKR_ACTION_PROHIBITED",
    "make it plain": "CKR_ACTION_PROHIBITED",
}


def ask(node: Node, *words: str, stdin: bytes = b"", configuration: str = "/etc/legalcloud/hsm.json") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(node.run([TOOL, "--configuration", configuration, *words], stdin, good=(0, 1)))
    return answer


def program(node: Node, name: str, *words: str) -> Any:  # noqa: ANN401 -- JSON
    return json.loads(node.run(["python3", "-I", "-", *words], (HERE / name).read_bytes()))


def kms(lab: Lab) -> list[Node]:
    return [lab.nodes[name] for name in ("tko-1", "cwn-1", "sht-1")]


def evidence(lab: Lab) -> Node:
    return lab.nodes["tko-2"]


def tokens(lab: Lab) -> list[tuple[Node, str, dict[str, str]]]:
    """Every token of the lab: its node, its name there, its keys."""
    return [*((node, "kms", KMS_KEYS) for node in kms(lab)), (evidence(lab), "evidence", {"evidence": "ec"})]


class Bench:
    """Tokens of a test's own, in memory, on a node that is no key manager."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.configuration = f"{FOLDER}/hsm.json"
        self.shell(f"""
            rm -rf {FOLDER}; mkdir -m 0700 {FOLDER}; cd {FOLDER}
            for token in one two; do
                echo "directories.tokendir = {FOLDER}/$token" > $token.conf
                printf 'objectstore.backend = file\\nlog.level = ERROR\\n' >> $token.conf
            done
        """)
        self.write("hsm.json", json.dumps({"tokens": {"one": self.place("one"), "two": self.place("two")}}).encode())

    def place(self, name: str, **changes: str) -> dict[str, Any]:
        return {
            "lib": LIBRARY,
            "token_label": "bench",
            "pin": f"{FOLDER}/{name}-pin",
            "softhsm_folder": f"{FOLDER}/{name}",
            "environment": {"SOFTHSM2_CONF": f"{FOLDER}/{name}.conf"},
            **changes,
        }

    def write(self, name: str, content: bytes) -> None:
        self.node.run(["tee", f"{FOLDER}/{name}"], content)

    def ask(self, *words: str, stdin: bytes = b"") -> dict[str, Any]:
        return ask(self.node, *words, stdin=stdin, configuration=self.configuration)

    def shell(self, text: str) -> str:
        return self.node.text("sh", "-euc", text)

    def labels(self, token: str) -> list[str]:
        return [key["label"] for key in self.ask("describe", token)["keys"]]

    def clone(self) -> dict[str, Any]:
        """Clone the token to the other place, as the role does between nodes."""
        sent = self.ask("softhsm-export", "one", "--to", self.node.name, stdin=self.certificate)
        return self.ask("softhsm-import", "two", stdin=sent["envelope"].encode())

    @property
    def certificate(self) -> bytes:
        return self.node.run(["cat", "/etc/legalcloud/pki/node.crt"])


@pytest.fixture
def bench(lab: Lab) -> Iterator[Bench]:
    made = Bench(evidence(lab))
    assert made.ask("softhsm-make", "one", "kek=aes-256", "ca=ec-p384")["reason"] == "good"
    yield made
    made.node.run(["rm", "-rf", FOLDER])


def test_every_key_manager_holds_the_same_keys_and_they_work(lab: Lab) -> None:
    seen = []
    for node in kms(lab):
        told = {key["label"]: key for key in ask(node, "describe", "kms")["keys"]}
        assert {label: told[label]["type"] for label in KMS_KEYS} == KMS_KEYS
        seen.append({label: key["fingerprint"] for label, key in told.items()})
        for label in KMS_KEYS:
            assert ask(node, "check", "kms", label)["reason"] == "good"
    assert seen[0] == seen[1] == seen[2]


def test_every_key_was_made_in_a_token_and_could_never_leave_one(lab: Lab) -> None:
    for node, token, _ in tokens(lab):
        for key in ask(node, "describe", token)["keys"]:
            flags = {name: key[name] for name in ("sensitive", "always_sensitive", "never_extractable", "local")}
            assert flags == dict.fromkeys(flags, True), f"{node.name}: {key}"
            assert key["extractable"] is False


def test_no_key_can_be_taken_out_of_its_token(lab: Lab) -> None:
    for node, token, wanted in tokens(lab):
        told = program(node, "hsm_extraction.py", token)
        controls = [told.pop("control"), told.pop("control-ec")]
        assert [set(control.values()) for control in controls] == [{"taken out"}] * 2, "the attempts themselves work"
        assert told.keys() >= wanted.keys()
        for label, attempts in told.items():
            for attempt, answer in attempts.items():
                assert answer.startswith(REFUSED[attempt]), f"{node.name}, {label}: {attempt}: {answer}"


def test_the_tokens_files_are_their_owner_s_alone(lab: Lab) -> None:
    for node, name, _ in tokens(lab):
        owner, pin = {"kms": ("openbao", "hsm-pin"), "evidence": ("root", "evidence-pin")}[name]
        listed = node.text("find", f"/var/lib/legalcloud-hsm/{name}", "-printf", "%m %u %y\n").splitlines()
        assert len(listed) > 3
        assert set(listed) <= {f"700 {owner} d", f"600 {owner} f"}, node.name
        kept = node.text("stat", "-c", "%a %U", "/etc/credstore.encrypted", f"/etc/credstore.encrypted/{pin}")
        assert kept.splitlines() == ["700 root", "600 root"]


def test_no_pin_is_in_a_file_a_process_or_the_journal(lab: Lab) -> None:
    digests, lengths = set(), set()
    for node in (*kms(lab), evidence(lab)):
        told = program(node, "hsm_pin_scan.py")
        assert told["found"] == []
        assert told["looked"] > 500
        assert told["journal"] > 10_000
        digests |= set(told["digests"])
        lengths |= set(told["lengths"])
    assert lengths == {24}
    assert len(digests) == 2, "one PIN for all clones, another for the evidence"
    folders = [lab.state_dir / "controller", Path.home() / ".ansible", ROOT / "reports", ROOT / ".cache"]
    assert _places_with(folders, digests) == []


def _places_with(folders: list[Path], digests: set[str]) -> list[str]:
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [str(path) for path in paths if path.stat().st_size < 64 << 20 and _holds(path.read_bytes(), digests)]


def _holds(content: bytes, digests: set[str]) -> bool:
    runs = re.findall(rb"[0-9]{24,}", content)
    return any(
        hashlib.sha256(run[start : start + 24]).hexdigest() in digests for run in runs for start in range(len(run) - 23)
    )


def test_the_scan_for_pins_finds_one_that_lies_about(tmp_path: Path) -> None:
    pin = b"123456789012345678901234"
    (tmp_path / "left").write_bytes(b"pin=99" + pin + b"\n")

    assert _places_with([tmp_path], {hashlib.sha256(pin).hexdigest()}) == [str(tmp_path / "left")]


def test_the_login_ca_signs_a_client_that_openssl_trusts(lab: Lab, tmp_path: Path) -> None:
    node = kms(lab)[1]
    words = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run(
        [*words, "-keyout", "key", "-subj", "/CN=test", "-out", "csr"], cwd=tmp_path, check=True, capture_output=True
    )
    request, ca = (tmp_path / "csr").read_bytes(), "/etc/legalcloud/hsm/login-ca.crt"
    order = ["certificate", "kms", "login-ca", "--ca", ca, "--common-name", "test", "--minutes", "10"]

    told = ask(node, *order, stdin=request)

    (tmp_path / "crt").write_text(told["certificate"])
    (tmp_path / "ca").write_bytes(kms(lab)[0].run(["cat", ca]))
    verify = ["openssl", "verify", "-purpose", "sslclient", "-CAfile", "ca", "crt"]
    assert subprocess.run(verify, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    other = [word if word != "test" else "steward" for word in order]
    assert ask(node, *other, stdin=request)["reason"] == "request"


def test_the_evidence_key_signs_what_its_certificate_by_our_ca_verifies(lab: Lab, tmp_path: Path) -> None:
    node, message = evidence(lab), b"a record"
    told = ask(node, "sign", "evidence", "evidence", stdin=message)
    (tmp_path / "sig").write_bytes(base64.b64decode(told["signature"]))
    (tmp_path / "crt").write_bytes(node.run(["cat", "/etc/legalcloud/hsm/evidence.crt"]))
    ca = Path(lab.variables["ca_dir"]) / "ca.crt"

    done = [
        subprocess.run(words, cwd=tmp_path, input=message, check=False, capture_output=True)
        for words in (
            ["openssl", "verify", "-CAfile", str(ca), "crt"],
            ["openssl", "x509", "-in", "crt", "-noout", "-pubkey", "-out", "pub"],
            ["openssl", "dgst", "-sha384", "-verify", "pub", "-signature", "sig"],
        )
    ]

    assert [step.returncode for step in done] == [0, 0, 0], [step.stderr for step in done]


def test_a_wrong_pin_is_told_tried_once_and_not_repeated(bench: Bench) -> None:
    bench.shell(f"printf 000000 | systemd-creds encrypt --name=one-pin - - > {FOLDER}/one-pin")

    told = bench.ask("check", "one", "kek")

    assert told["reason"] == "pin-wrong"
    assert f"{FOLDER}/one-pin" in told["message"]
    assert "000000" not in json.dumps(told)
    assert "playbooks/hsm_pin.yml" in told["remedy"]


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (f"rm {FOLDER}/one-pin", "No such file"),
        (f"printf garbage > {FOLDER}/one-pin", "one-pin"),
        (f"printf '' | systemd-creds encrypt --name=one-pin - - > {FOLDER}/one-pin", "empty"),
        (f"printf 1 | systemd-creds encrypt --name=another - - > {FOLDER}/one-pin", "one-pin"),
    ],
)
def test_a_credential_that_cannot_be_read_is_told_by_its_place(bench: Bench, deed: str, words: str) -> None:
    bench.shell(deed)

    told = bench.ask("check", "one", "kek")

    assert (told["reason"], words in told["message"]) == ("pin-unreadable", True), told
    assert "pin-lost.md" in told["remedy"]


def test_a_token_that_is_away_is_told_and_found_again_when_it_is_back(bench: Bench) -> None:
    bench.shell(f"mv {FOLDER}/one {FOLDER}/away")
    assert bench.ask("check", "one", "kek")["reason"] == "token-absent"
    bench.shell(f"mkdir -m 0700 {FOLDER}/one")
    told = bench.ask("check", "one", "kek")
    assert (told["reason"], "hsm-lost.md" in told["remedy"]) == ("token-absent", True)

    bench.shell(f"rmdir {FOLDER}/one; mv {FOLDER}/away {FOLDER}/one")

    assert bench.ask("check", "one", "kek")["reason"] == "good"


def test_two_tokens_with_one_label_are_refused_until_a_serial_says_which(bench: Bench) -> None:
    assert bench.ask("softhsm-make", "two", "kek=aes-256")["reason"] == "good"
    serial = bench.ask("describe", "one")["token"]["serial"]
    bench.shell(f"cp -a {FOLDER}/two/* {FOLDER}/one/")

    told = bench.ask("check", "one", "kek")
    assert (told["reason"], "2 tokens" in told["message"]) == ("token-ambiguous", True)

    places = {"tokens": {"one": bench.place("one", serial=serial)}}
    bench.write("hsm.json", json.dumps(places).encode())
    assert bench.ask("check", "one", "kek")["reason"] == "good"


def test_what_is_missing_or_there_already_is_told_and_nothing_is_made(bench: Bench) -> None:
    assert bench.ask("check", "one", "none")["reason"] == "key-missing"
    assert bench.ask("make-key", "one", "kek", "aes-256")["reason"] == "key-exists"
    assert bench.ask("softhsm-make", "one", "kek=aes-256")["reason"] == "softhsm"
    assert bench.ask("sign", "one", "kek")["reason"] == "key-missing"
    bench.write("hsm.json", json.dumps({"tokens": {"one": bench.place("one", lib="/usr/lib/none.so")}}).encode())
    assert bench.ask("check", "one", "kek")["reason"] == "library"
    assert bench.ask("check", "three", "kek")["reason"] == "configuration"


def test_a_clone_has_the_same_keys_and_follows_when_one_is_added(bench: Bench) -> None:
    assert bench.clone()["reason"] == "good"
    assert bench.ask("describe", "two")["keys"] == bench.ask("describe", "one")["keys"]

    assert bench.ask("make-key", "one", "kek-2", "aes-256")["reason"] == "good"
    assert bench.clone()["reason"] == "good"

    assert bench.labels("two") == ["ca", "kek", "kek-2"]


def test_a_clone_never_takes_a_key_away(bench: Bench) -> None:
    assert bench.clone()["reason"] == "good"
    assert bench.ask("make-key", "two", "own", "aes-256")["reason"] == "good"

    told = bench.clone()

    assert (told["reason"], "keys would be lost" in told["message"]) == ("softhsm", True)
    assert bench.labels("two") == ["ca", "kek", "own"]


def test_a_clone_gives_back_a_pin_that_was_lost(bench: Bench) -> None:
    bench.clone()
    bench.shell(f"rm {FOLDER}/two-pin")
    assert bench.ask("check", "two", "kek")["reason"] == "pin-unreadable"

    assert bench.clone()["reason"] == "good"

    assert bench.ask("check", "two", "kek")["reason"] == "good"


def test_a_clone_for_another_node_is_refused(bench: Bench) -> None:
    told = bench.ask("softhsm-export", "one", "--to", "cwn-1", stdin=bench.certificate)

    assert (told["reason"], "envelope" in told) == ("envelope", False)


@pytest.mark.parametrize("seconds", ["0.1", "0.2", "0.3"])
def test_a_killed_run_leaves_no_token_or_a_whole_one(bench: Bench, seconds: str) -> None:
    words = [TOOL, "--configuration", bench.configuration, "softhsm-make", "two", "kek=aes-256", "ca=ec-p384"]
    bench.shell(f"timeout --signal=KILL {seconds} {shlex.join(words)} || true")

    told = bench.ask("describe", "two")
    if told["reason"] == "token-absent":
        assert bench.ask("softhsm-make", "two", "kek=aes-256", "ca=ec-p384")["reason"] == "good"

    assert bench.labels("two") == ["ca", "kek"]
    assert bench.ask("check", "two", "kek")["reason"] == "good"


def test_a_pin_is_kept_only_if_its_token_takes_it(bench: Bench) -> None:
    bench.shell(f"systemd-creds decrypt --name=one-pin {FOLDER}/one-pin - > {FOLDER}/plain; rm {FOLDER}/one-pin")
    keep = f"{TOOL} --configuration {bench.configuration} keep-pin one"

    refused = bench.ask("keep-pin", "one", stdin=b"000000")
    assert (refused["reason"], "standard input" in refused["message"]) == ("pin-wrong", True)
    assert bench.ask("check", "one", "kek")["reason"] == "pin-unreadable"

    assert json.loads(bench.shell(f"{keep} < {FOLDER}/plain"))["changed"] is True
    assert json.loads(bench.shell(f"{keep} < {FOLDER}/plain"))["changed"] is False
    assert bench.ask("check", "one", "kek")["reason"] == "good"


def test_a_key_that_was_destroyed_is_gone_with_its_public_half(bench: Bench) -> None:
    assert bench.ask("destroy-key", "one", "ca")["objects"] == 2

    assert bench.labels("one") == ["kek"]
    assert bench.ask("public-key", "one", "ca")["reason"] == "key-missing"
