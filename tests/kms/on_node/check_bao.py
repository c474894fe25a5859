"""The unmodified bao with our plugin: what an operator is promised, each promise seen from bao's own API and log."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.kms.on_node.bao_server import KEY, TOKEN, BaoServer
from tests.kms.on_node.softhsm import LIBRARY, PIN, SoftHsm

Measured = Callable[[str, object], None]
PATIENCE_SECONDS = 30
"""For what takes bao five seconds (its own pause between two tries) on a machine with time to spare."""


def test_bao_unseals_itself_after_each_of_five_restarts(bao: BaoServer, measured: Measured) -> None:
    bao.start()
    bao.initialise()
    seconds = []

    for _ in range(5):
        began = bao.restart()
        bao.wait_unsealed(PATIENCE_SECONDS)
        seconds.append(time.monotonic() - began)
        bao.wait_active()

    measured("unsealed_after_seconds", " ".join(f"{value:.2f}" for value in seconds))
    assert len(bao.plugin_pids()) == 1
    assert bao.ask("GET", "sys/seal-status")[1]["type"] == "pkcs11"


def test_without_its_token_bao_stays_sealed_and_unseals_by_itself_when_it_is_back(
    bao: BaoServer, hsm: SoftHsm, measured: Measured
) -> None:
    bao.start()
    bao.initialise()
    bao.stop()
    hsm.take_away()

    bao.start()
    bao.wait_logged("token-absent", times=2)

    assert bao.sealed() is True
    assert bao.ask("GET", "sys/health")[0] == 503
    hsm.bring_back()
    began = time.monotonic()
    bao.wait_active(PATIENCE_SECONDS)
    measured("active_after_token_came_back_seconds", f"{time.monotonic() - began:.1f}")


def test_a_wrong_pin_is_tried_once_and_a_corrected_one_unseals(bao: BaoServer) -> None:
    bao.start()
    bao.initialise()
    bao.stop()
    bao.write_pin("111111")

    bao.start()
    bao.wait_logged("reason=pin-latched", times=2)

    assert bao.sealed() is True
    assert bao.logged("reason=pin-wrong") == 1
    bao.write_pin(PIN)
    bao.wait_active(PATIENCE_SECONDS)


def test_a_token_lost_while_running_stops_nothing_and_is_noticed(bao: BaoServer, hsm: SoftHsm) -> None:
    bao.start()
    token = bao.initialise()["root_token"]
    assert bao.ask("POST", "sys/mounts/transit", {"type": "transit"}, token)[0] == 204
    assert bao.ask("POST", "transit/keys/k", {}, token)[0] == 200

    hsm.take_away()
    bao.wait_logged("token-absent")

    assert bao.ask("POST", "transit/datakey/plaintext/k", {}, token)[0] == 200
    hsm.bring_back()
    bao.wait_logged("healthy again")


def test_a_killed_plugin_is_replaced(bao: BaoServer) -> None:
    bao.start()
    bao.initialise()
    (first,) = bao.plugin_pids()

    os.kill(first, signal.SIGKILL)

    bao.wait_for(lambda: bao.plugin_pids() not in ([], [first]), "a new plugin")
    bao.restart()
    bao.wait_active()


def test_a_plugin_that_hangs_for_a_while_stops_nothing(bao: BaoServer) -> None:
    bao.start()
    token = bao.initialise()["root_token"]
    (plugin,) = bao.plugin_pids()

    os.kill(plugin, signal.SIGSTOP)
    time.sleep(3)

    assert bao.ask("GET", "sys/health")[0] == 200
    assert bao.ask("POST", "sys/mounts/transit", {"type": "transit"}, token)[0] == 204
    os.kill(plugin, signal.SIGCONT)
    passed = bao.logged("seal health test passed")
    bao.wait_logged("seal health test passed", times=passed + 1)
    assert bao.plugin_pids() == [plugin]


def test_a_changed_plugin_is_refused(bao: BaoServer) -> None:
    with bao.plugin.open("ab") as file:
        file.write(b"\n")

    bao.start()

    assert bao.process
    assert bao.process.wait(20) != 0
    assert bao.logged("checksums did not match")


def test_a_new_key_label_rewraps_the_root_key_and_the_old_key_may_go(bao: BaoServer, hsm: SoftHsm) -> None:
    bao.start()
    bao.initialise()
    hsm.add_aes_key(TOKEN, "kek-2027", "0a")

    bao.parameters["key_label"] = "kek-2027"
    bao.restart()
    bao.wait_active()
    bao.wait_logged("upgrading stored keys")
    bao.wait_logged("upgrading recovery key")
    hsm.destroy(TOKEN, "secrkey", KEY)

    bao.restart()
    bao.wait_active()


def test_another_token_with_the_same_labels_opens_nothing(bao: BaoServer, hsm: SoftHsm) -> None:
    bao.start()
    bao.initialise()
    bao.stop()
    hsm.take_away()
    hsm.add_token(TOKEN)
    hsm.add_aes_key(TOKEN, KEY)

    bao.start()
    bao.wait_logged("reason=token-failed")

    assert bao.sealed() is True


def test_two_tokens_with_one_label_are_refused_until_the_serial_is_given(bao: BaoServer, hsm: SoftHsm) -> None:
    bao.start()
    bao.initialise()
    bao.stop()
    (serial,) = hsm.serials()
    hsm.add_token(TOKEN)

    bao.start()
    bao.wait_logged("reason=token-ambiguous")

    assert bao.sealed() is True
    bao.parameters["serial"] = serial
    bao.restart()
    bao.wait_active()


def test_an_oaep_hash_that_the_token_does_not_know_fails_before_bao_is_initialised(
    bao: BaoServer, hsm: SoftHsm
) -> None:
    hsm.add_rsa_key(TOKEN, "rsa-kek")
    bao.parameters |= {"key_label": "rsa-kek", "rsa_oaep_hash": "sha256"}
    bao.start()
    bao.wait_for(lambda: bao.ask("GET", "sys/health")[0] == 501, "listening")

    status, answer = bao.ask("PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})

    assert status >= 400, answer
    assert "round-trip" in str(answer)
    assert bao.ask("GET", "sys/init")[1] == {"initialized": False}
    bao.stop()
    shutil.rmtree(bao.storage)  # bao 2.7.2 asks for it: raft was bootstrapped before the seal was asked
    bao.storage.mkdir()
    bao.parameters["rsa_oaep_hash"] = "sha1"
    bao.start()
    bao.initialise()
    bao.restart()
    bao.wait_active()


def test_a_wrong_parameter_stops_bao_with_its_name(bao: BaoServer) -> None:
    bao.parameters["key_lable"] = "typo"

    bao.start()

    assert bao.process
    assert bao.process.wait(20) != 0
    assert bao.logged("unknown seal parameters key_lable")


def test_the_log_holds_neither_pin_nor_keys_nor_tokens(bao: BaoServer) -> None:
    bao.start()
    answer = bao.initialise()
    bao.stop()
    bao.write_pin("90817263")
    bao.start()
    bao.wait_logged("reason=pin-latched")

    secrets = [PIN, "90817263", answer["root_token"], *answer["recovery_keys"], *answer["recovery_keys_base64"]]

    assert [secret for secret in secrets if secret in bao.text()] == []
    assert bao.logged("reason=pin-wrong"), "the plugin's log must reach bao's"


def test_nothing_is_left_of_the_plugin_when_bao_ends_well_or_badly(bao: BaoServer) -> None:
    bao.start()
    bao.initialise()
    bao.restart()
    bao.wait_active()

    bao.kill()

    bao.wait_for(lambda: bao.plugin_pids() == [], "the plugin gone after its bao", 5)
    sockets = [path for path in bao.temporary.rglob("*") if path.is_socket()]
    assert sockets == []


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "bao starts it by itself"),
        ({"OPENBAO_KMS_PLUGIN": "39704a18-7da7-4bda-9a2d-f7c488d70328"}, "mutual TLS only"),
        (
            {"OPENBAO_KMS_PLUGIN": "39704a18-7da7-4bda-9a2d-f7c488d70328", "PLUGIN_CLIENT_CERT": "x"},
            "PLUGIN_CLIENT_CERT is no certificate",
        ),
    ],
)
def test_started_by_anyone_else_the_plugin_refuses(bao: BaoServer, environment: dict[str, str], words: str) -> None:
    done = subprocess.run([bao.plugin], env=environment, capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 1
    assert words in done.stderr
    assert done.stdout == ""


def test_the_check_before_initialisation_tells_good_from_bad(bao: BaoServer, hsm: SoftHsm) -> None:
    def check(key: str) -> tuple[int, str]:
        words = [str(bao.plugin), "check", f"lib={LIBRARY}", f"token_label={TOKEN}", f"key_label={key}"]
        words.append(f"pin=file://{bao.pin}")
        done = subprocess.run(words, env=hsm.environment, capture_output=True, text=True, timeout=20, check=False)
        return done.returncode, done.stdout

    good, bad = check(KEY), check("nowhere")

    assert good[0] == 0
    assert '"reason": "good"' in good[1]
    assert bad[0] == 1
    assert '"reason": "key-missing"' in bad[1]
    assert PIN not in good[1] + bad[1]


def test_the_plugin_uses_only_the_interpreter_and_packages_of_root(bao: BaoServer) -> None:
    assert bao.plugin.read_bytes().startswith(b"#!/usr/bin/python3 -I\n")
    assert Path("/usr/lib/python3/dist-packages/PyKCS11").owner() == "root"
