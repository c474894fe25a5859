"""HSMs that are lost and replaced while the key manager goes on. Slow: playbooks run, and OpenBao of one node stops."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.nodes import Lab, Node

pytestmark = pytest.mark.long

TOOL = "/usr/local/sbin/legalcloud-hsm"
VICTIM, OTHERS = "cwn-1", ("tko-1", "sht-1")
FOLDER = "/var/lib/legalcloud-hsm/kms"
PIN = "/etc/credstore.encrypted/hsm-pin"
HEALTH = ["curl", "--silent", "--cacert", "/usr/local/share/ca-certificates/legalcloud.crt"]
ANYTHING = ("standbyok=true", "sealedcode=200", "uninitcode=200")


def fingerprints(node: Node) -> dict[str, str]:
    told = json.loads(node.run([TOOL, "describe", "kms"], good=(0, 1)))
    return {key["label"]: key["fingerprint"] for key in told.get("keys", ())}


def health(node: Node) -> dict[str, Any]:
    answer: dict[str, Any] = node.json(*HEALTH, f"https://localhost:8200/v1/sys/health?{'&'.join(ANYTHING)}")
    return answer


def started(node: Node) -> str:
    return node.text("systemctl", "show", "openbao.service", "--property=InvocationID", "--value")


def run(lab: Lab, name: str, *words: str) -> str:
    done = lab.playbook(name, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def unsealed(lab: Lab) -> Iterator[None]:
    states = {name: health(lab.nodes[name]) for name in (VICTIM, *OTHERS)}
    assert [name for name, state in states.items() if state["sealed"]] == [], "these tests need OpenBao unsealed"
    yield
    lab.nodes[VICTIM].run(["rm", "-rf", "/root/hsm-aside"])


def test_a_replaced_hsm_gets_the_keys_of_another_and_openbao_unseals_on_it(lab: Lab) -> None:
    victim, before = lab.nodes[VICTIM], fingerprints(lab.nodes[VICTIM])
    tokens = victim.text("stat", "-c", "%i", *_tokens(victim))
    lives = {name: started(lab.nodes[name]) for name in (VICTIM, *OTHERS)}

    said = run(lab, "replace_hsm.yml", "-e", f"node={VICTIM}", "-vvv")

    assert fingerprints(victim) == before
    assert victim.text("stat", "-c", "%i", *_tokens(victim)) != tokens, "the token is a new one"
    assert not health(victim)["sealed"]
    after = {name: started(lab.nodes[name]) for name in (VICTIM, *OTHERS)}
    assert after[VICTIM] != lives[VICTIM]
    assert {name: after[name] for name in OTHERS} == {name: lives[name] for name in OTHERS}
    assert not re.search(r"\b[0-9]{24}\b", said), "a PIN of the lab has 24 digits"
    assert "BEGIN CMS" not in said


def test_a_replacement_is_refused_while_no_other_token_has_the_keys(lab: Lab) -> None:
    for name in OTHERS:
        lab.nodes[name].run(["mv", PIN, f"{PIN}.away"])
    try:
        done = lab.playbook("replace_hsm.yml", "-e", f"node={VICTIM}")
    finally:
        for name in OTHERS:
            lab.nodes[name].run(["mv", f"{PIN}.away", PIN])

    assert done.returncode != 0
    assert f"No key manager beside {VICTIM} has a token whose keys all work" in " ".join(done.stdout.split())
    assert fingerprints(lab.nodes[VICTIM]) == fingerprints(lab.nodes[OTHERS[0]])


def test_a_node_that_is_no_key_manager_is_refused_by_name(lab: Lab) -> None:
    done = lab.playbook("replace_hsm.yml", "-e", "node=tko-2")

    assert done.returncode != 0
    assert "Name one key manager: -e node=NODE, with one of tko-1, cwn-1, sht-1." in " ".join(done.stdout.split())


def test_a_wrong_pin_is_refused_with_the_reason_and_shown_nowhere(lab: Lab, tmp_path: Path) -> None:
    node, wrong = lab.nodes["tko-2"], "918273645546372819001122"
    given = tmp_path / "pins.json"
    given.touch(mode=0o600)
    given.write_text(json.dumps({"hsm_evidence_pin": wrong, "hsm_kms_pin": ""}))
    before = node.run(["sha256sum", "/etc/credstore.encrypted/evidence-pin"])

    done = lab.playbook("hsm_pin.yml", "-e", f"@{given}", "-vvv")

    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0
    assert "Nothing was kept on tko-2. pin-wrong: token 'legalcloud-evidence'" in said
    assert wrong not in said
    assert node.run(["sha256sum", "/etc/credstore.encrypted/evidence-pin"]) == before


def test_a_lost_token_and_a_lost_pin_come_back_with_the_role_and_a_second_run_changes_nothing(lab: Lab) -> None:
    victim, before = lab.nodes[VICTIM], fingerprints(lab.nodes[VICTIM])
    victim.run(["mkdir", "-p", "/root/hsm-aside"])
    victim.run(["mv", *_tokens(victim), PIN, "/root/hsm-aside"])
    assert fingerprints(victim) == {}

    run(lab, "site.yml", "--tags", "hsm")
    assert fingerprints(victim) == before
    victim.run(["rm", PIN])
    run(lab, "site.yml", "--tags", "hsm")
    assert fingerprints(victim) == before

    again = run(lab, "site.yml", "--tags", "hsm")
    assert set(re.findall(r"changed=(\d+)", again)) == {"0"}


def test_a_node_with_another_key_of_that_label_is_refused_and_left_alone(lab: Lab) -> None:
    victim = lab.nodes[VICTIM]
    victim.run(["mkdir", "-p", "/root/hsm-aside"])
    victim.run(["mv", *_tokens(victim), PIN, "/root/hsm-aside"])
    try:
        victim.run([TOOL, "softhsm-make", "kms", "kek-1=aes-256", "login-ca=ec-p384"])
        stranger = fingerprints(victim)
        done = lab.playbook("site.yml", "--tags", "hsm")
        left = fingerprints(victim)
    finally:
        victim.run(
            ["sh", "-euc", f"rm -rf {FOLDER}/*; mv /root/hsm-aside/hsm-pin {PIN}; mv /root/hsm-aside/* {FOLDER}/"]
        )

    assert done.returncode != 0
    assert "Key kek-1 is not the same everywhere" in done.stdout
    assert left == stranger
    assert fingerprints(victim) == fingerprints(lab.nodes[OTHERS[0]])


def test_no_new_key_is_made_for_a_fleet_that_lost_every_token(lab: Lab) -> None:
    nodes = [lab.nodes[name] for name in (VICTIM, *OTHERS)]
    for node in nodes:
        node.run(["sh", "-euc", f"mkdir -p /root/hsm-aside; mv {FOLDER}/* /root/hsm-aside"])
    try:
        done = lab.playbook("site.yml", "--tags", "hsm")
        left = [node.text("ls", FOLDER) for node in nodes]
    finally:
        for node in nodes:
            node.run(["sh", "-euc", f"rm -rf {FOLDER}/*; mv /root/hsm-aside/* {FOLDER}; rmdir /root/hsm-aside"])

    assert done.returncode != 0
    assert "a new key opens nothing that the old one sealed" in " ".join(done.stdout.split())
    assert left == ["", "", ""]


def _tokens(node: Node) -> list[str]:
    return node.text("find", FOLDER, "-mindepth", "1", "-maxdepth", "1", "-type", "d").split()
