from __future__ import annotations

import base64
import json
import multiprocessing
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.agent.node.node_sample import SIGNING, issue, key_pem, settings, write
from tests.agent.node.test_metrics import GOOD, SUBJECTS
from tests.agent.signing_sample import Holder, authority

from legalcloud import canonical
from legalcloud.cli import main
from legalcloud.errors import InputError, NotAuthenticError, ParseError, SourceError
from legalcloud.node import identity, statement
from legalcloud.node.identity import Identity
from legalcloud.node.statement import Statement, count, exact, probes, sign, verify
from legalcloud.node.status import status

NOW = datetime.now(UTC).replace(microsecond=0)
NONCE = "0f" * 16
SAID = Statement(
    node="tko-1",
    nonce=NONCE,
    counter=17,
    issued_at=NOW,
    identity=Identity(machine_id="1" * 32, dmi_serial=None, boot_id="2" * 32),
    running=True,
    probes=probes(status(settings(), SUBJECTS, GOOD, now=NOW, running=True).parts),
)


@pytest.fixture(scope="module")
def ca() -> Holder:
    return authority()


@pytest.fixture(scope="module")
def node(ca: Holder) -> Holder:
    return issue(ca, "tko-1", purposes=SIGNING)


def signed(holder: Holder, said: Statement = SAID) -> bytes:
    return sign(said, key_pem=key_pem(holder), certificate_pem=holder.pem)


def refused(raw: bytes, ca: Holder, *, nonce: str = NONCE, node: str = "tko-1", after: timedelta = timedelta()) -> str:
    with pytest.raises(NotAuthenticError) as caught:
        verify(raw, ca_pem=ca.pem, nonce=nonce, node=node, received_at=NOW + after)
    return str(caught.value)


def test_what_a_node_signed_is_what_its_asker_reads(ca: Holder, node: Holder) -> None:
    said, signer = verify(signed(node), ca_pem=ca.pem, nonce=NONCE, node="tko-1", received_at=NOW)

    assert said == SAID
    assert (signer.name, signer.curve) == ("tko-1", "secp256r1")


def test_the_payload_is_canonical_with_fractions_as_text_and_no_serial_as_a_word(node: Holder) -> None:
    payload = base64.b64decode(json.loads(signed(node))["payload"])

    document = json.loads(payload)
    assert canonical.canonical(document) == payload
    assert document["identity"]["dmi_serial"] == "none"
    assert document["probes"]["pressure"]["facts"]["up_seconds"] == "90061.5"
    assert document["probes"]["units"]["success"] is True


def test_every_changed_byte_of_what_was_said_is_noticed(ca: Holder, node: Holder) -> None:
    envelope = json.loads(signed(node))
    payload = base64.b64decode(envelope["payload"])
    changed = payload.replace(b'"counter":17', b'"counter":18')
    assert changed != payload
    envelope["payload"] = base64.b64encode(changed).decode()

    assert "it was changed" in refused(canonical.canonical(envelope), ca)


def test_an_answer_to_another_nonce_is_a_replay(ca: Holder, node: Holder) -> None:
    assert "answers another nonce" in refused(signed(node), ca, nonce="1f" * 16)


def test_another_nodes_certificate_does_not_speak_for_this_one(ca: Holder) -> None:
    other = issue(ca, "cwn-1", purposes=SIGNING)

    assert "signed by 'cwn-1'; only 'tko-1'" in refused(signed(other), ca)


def test_a_node_cannot_speak_for_another_with_its_own_certificate(ca: Holder) -> None:
    other = issue(ca, "cwn-1", purposes=SIGNING)

    assert "speaks for 'tko-1'" in refused(signed(other), ca, node="cwn-1")


def test_the_certificate_for_tls_signs_no_statement(ca: Holder) -> None:
    assert "is for TLS" in refused(signed(issue(ca, "tko-1")), ca)


def test_a_certificate_of_another_ca_is_refused(ca: Holder) -> None:
    assert "not from the CA" in refused(signed(issue(authority("another CA"), "tko-1", purposes=SIGNING)), ca)


def test_an_expired_certificate_is_refused(ca: Holder) -> None:
    expired = issue(ca, "tko-1", purposes=SIGNING, end=NOW - timedelta(minutes=10))

    assert "the signer's certificate is valid from" in refused(signed(expired), ca)


def test_an_expired_certificate_with_an_earlier_time_is_refused_by_the_askers_clock(ca: Holder) -> None:
    expired = issue(ca, "tko-1", purposes=SIGNING, end=NOW - timedelta(minutes=10))
    backdated = signed(expired, replace(SAID, issued_at=NOW - timedelta(minutes=20)))

    assert "and came in at" in refused(backdated, ca)


@pytest.mark.parametrize("after", [timedelta(minutes=6), -timedelta(minutes=6)])
def test_a_time_far_from_the_askers_is_refused(ca: Holder, node: Holder, after: timedelta) -> None:
    assert "and came in at" in refused(signed(node), ca, after=after)


@pytest.mark.parametrize("counter", [0, -1])
def test_a_counter_that_no_node_can_have_reached_is_refused(ca: Holder, node: Holder, counter: int) -> None:
    with pytest.raises(ParseError, match="not a statement of the form"):
        verify(signed(node, replace(SAID, counter=counter)), ca_pem=ca.pem, nonce=NONCE, node="tko-1", received_at=NOW)


@pytest.mark.parametrize(
    "seen",
    [
        {"success": False, "stale": True, "age_seconds": "640.0", "duration_seconds": "605.0", "problem": "no answer"},
        {"success": None, "stale": True, "age_seconds": None, "duration_seconds": None, "problem": None},
    ],
    ids=["late", "never ended"],
)
def test_who_asks_sees_a_run_that_goes_on(ca: Holder, node: Holder, seen: dict[str, Any]) -> None:
    numbers = {key: float(one) for key, one in seen.items() if key.endswith("seconds") and one}
    look = replace(GOOD[0], **seen | numbers)
    parts = status(settings(), SUBJECTS, (look,), now=NOW, running=True).parts
    raw = signed(node, replace(SAID, probes=probes(parts)))

    said, _signer = verify(raw, ca_pem=ca.pem, nonce=NONCE, node="tko-1", received_at=NOW)

    units = said.probes["units"]
    assert isinstance(units, dict)
    assert {key: units[key] for key in seen} == seen


def test_what_is_no_statement_cannot_be_read(ca: Holder) -> None:
    for raw in (b"", b"{}", b"null\n"):
        with pytest.raises(ParseError):
            verify(raw, ca_pem=ca.pem, nonce=NONCE, node="tko-1", received_at=NOW)


def test_a_signed_file_of_another_kind_is_no_statement(
    ca: Holder, node: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "PAYLOAD_TYPE", "application/vnd.legalcloud.record+json")
    record = signed(node)
    monkeypatch.undo()

    with pytest.raises(ParseError, match="record"):
        verify(record, ca_pem=ca.pem, nonce=NONCE, node="tko-1", received_at=NOW)


@pytest.mark.parametrize("nonce", ["", "ab" * 15, "AB" * 16, "ab" * 65, "xy" * 16])
def test_a_nonce_of_another_form_is_not_signed(node: Holder, nonce: str) -> None:
    with pytest.raises(InputError, match="is not 32 to 128 digits"):
        signed(node, replace(SAID, nonce=nonce))


def test_a_key_that_is_not_the_certificates_signs_nothing(ca: Holder, node: Holder) -> None:
    other = issue(ca, "tko-1", purposes=SIGNING)

    with pytest.raises(InputError, match="does not match the signer's certificate"):
        sign(SAID, key_pem=key_pem(other), certificate_pem=node.pem)


def test_fractions_stand_as_text_at_any_depth() -> None:
    assert exact({"a": [0.1, 1, True, None, {"b": (2.5,)}]}) == {"a": ["0.1", 1, True, None, {"b": ["2.5"]}]}


def test_the_counter_outlasts_its_process_and_begins_with_one(tmp_path: Path) -> None:
    assert [count(tmp_path / "counter") for _ in range(3)] == [1, 2, 3]
    assert (tmp_path / "counter").read_text() == "3\n"


@pytest.mark.parametrize("content", ["", "x\n", "5", "-1\n", "1" * 16 + "\n"])
def test_a_damaged_counter_is_refused_and_does_not_begin_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "counter").write_text(content)

    with pytest.raises(InputError, match="not a number"):
        count(tmp_path / "counter")


def test_a_counter_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        count(tmp_path / "absent/counter")


def _numbers(path: Path) -> list[int]:
    return [count(path) for _ in range(50)]


def test_two_who_count_at_once_never_get_the_same_number(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        numbers = [number for some in pool.map(_numbers, [tmp_path / "counter"] * 3) for number in some]

    assert sorted(numbers) == list(range(1, 151))


FOREVER = """
import sys
from pathlib import Path
from legalcloud.node.statement import count
while True:
    print(count(Path(sys.argv[1])), flush=True)
"""


def test_one_who_is_killed_while_counting_repeats_no_number(tmp_path: Path) -> None:
    seen: list[int] = []
    for pause in (0.02, 0.005, 0.011):
        counting = subprocess.Popen(
            [sys.executable, "-c", FOREVER, str(tmp_path / "counter")], stdout=subprocess.PIPE, text=True
        )
        assert counting.stdout is not None
        seen.append(int(counting.stdout.readline()))
        time.sleep(pause)
        counting.send_signal(signal.SIGKILL)
        seen += [int(line) for line in counting.communicate()[0].splitlines() if line]
    seen.append(count(tmp_path / "counter"))

    assert seen == sorted(set(seen))


def a_machine(root: Path, *, serial: str | None = "XYZ-1 \n", machine_id: str = "1" * 32 + "\n") -> Path:
    (root / "etc").mkdir()
    (root / "etc/machine-id").write_text(machine_id)
    (root / "proc/sys/kernel/random").mkdir(parents=True)
    (root / "proc/sys/kernel/random/boot_id").write_text("3c423de2-151a-416b-8db0-4d7c5d825f40\n")
    if serial is not None:
        (root / "sys/class/dmi/id").mkdir(parents=True)
        (root / "sys/class/dmi/id/product_serial").write_text(serial)
    return root


def test_a_machine_is_known_by_three_marks(tmp_path: Path) -> None:
    seen = identity.read(a_machine(tmp_path))

    assert (seen.machine_id, seen.dmi_serial) == ("1" * 32, "XYZ-1")
    assert seen.boot_id == "3c423de2151a416b8db04d7c5d825f40"


@pytest.mark.parametrize("serial", [None, "", "\n"])
def test_a_machine_without_a_serial_has_none(tmp_path: Path, serial: str | None) -> None:
    assert identity.read(a_machine(tmp_path, serial=serial)).dmi_serial is None


def test_a_machine_without_its_id_has_no_identity(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="machine-id"):
        identity.read(tmp_path)
    with pytest.raises(ParseError, match="uninitialized"):
        identity.read(a_machine(tmp_path, machine_id="uninitialized\n"))


def test_the_command_prints_a_statement_that_holds_and_counts_on(
    tmp_path: Path, ca: Holder, node: Holder, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "ca.crt").write_bytes(ca.pem)
    write(tmp_path, "statement", node)
    files = "{{certificate: {0}/{1}.crt, key: {0}/{1}.key, ca: {0}/ca.crt{2}}}"
    (tmp_path / "agent.yml").write_text(
        "node: tko-1\nsite: tko\nrack: r1\nlisten: {address: 127.0.0.1}\n"
        f"tls: {files.format(tmp_path, 'agent', ', clients: [tko-1]')}\n"
        f"statement: {files.format(tmp_path, 'statement', '')}\n"
        f"paths: {{status: {tmp_path}/s, helper: {tmp_path}/h, counter: {tmp_path}/counter}}\n"
    )
    words = ["node", "statement", "--nonce", NONCE, "--settings", str(tmp_path / "agent.yml")]

    counters = []
    for _ in range(2):
        assert main(words) == 0
        raw = capfdbinary.readouterr().out
        said, _signer = verify(raw, ca_pem=ca.pem, nonce=NONCE, node="tko-1", received_at=datetime.now(UTC))
        counters.append(said.counter)
        assert not said.running, "no daemon told it"

    assert counters == [1, 2]
