"""OpenBao's servers: what guards them, and what each fault looks like to the one who is woken.

Faults are made on a server beside a node's own (openbao_scratch), with the unit, configuration, binary and plugin
of that node; what it says is gathered by the module and judged by the code that playbooks/verify.yml uses.
"""

from __future__ import annotations

import datetime
import json
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from tests.e2e.nodes import Lab, Node, NodeError, tool
from tests.e2e.openbao_scratch import API, AUDITS, CA, CREDENTIAL, FOLDER, LABEL, METRICS, UNIT, Scratch

from legalcloud.health import keys

log = logging.getLogger(__name__)
pytestmark = pytest.mark.ci

EXPOSURE = 2.0
"""Of `systemd-analyze security`, which calls up to 4.9 good; 1.5 was measured (ADR 0012)."""
SETTLE_SECONDS = 2


@pytest.fixture(scope="module")
def server(lab: Lab) -> Node:
    """Give the last key manager: the first is the one that ceremonies begin with."""
    listed = tool("ansible-inventory", "-i", str(lab.inventory), "--list").stdout
    return lab.nodes[json.loads(listed)["kms"]["hosts"][-1]]


@pytest.fixture(scope="module")
def scratch(server: Node) -> Iterator[Scratch]:
    made = Scratch(node=server)
    try:
        made.install()
        made.start()
        made.initialise()
        yield made
    finally:
        made.remove()


@pytest.fixture
def broken(scratch: Scratch) -> Iterator[Scratch]:
    """Give the server to break, and put it back."""
    yield scratch
    scratch.repair()


def answer(scratch: Scratch) -> dict[str, Any]:
    words = f"unit={UNIT} port={API} metrics_port={METRICS}"
    done = tool("ansible", scratch.node.name, "-b", "-m", "openbao_status", "-a", words)
    assert done.returncode == 0, done.stdout
    found: dict[str, Any] = json.loads(done.stdout.partition("=> ")[2])
    return found


def judged(scratch: Scratch) -> tuple[keys.KeyManager, str]:
    """Return the server as facts, and every problem with it as verify.yml prints them."""
    managers = keys.parse({scratch.node.name: answer(scratch)})
    return managers[0], "\n".join(f"{p.subject}: {p.what}. {p.remedy}" for p in keys.judge(managers))


def test_the_unit_is_closed_off(server: Node) -> None:
    judged = server.text("systemd-analyze", "security", "openbao.service", "--no-pager")

    level = re.search(r"Overall exposure level for openbao\.service: (\S+)", judged)
    assert level is not None
    assert float(level[1]) <= EXPOSURE
    assert server.text("systemctl", "show", "--property=User,LimitCORE", "openbao.service").split() == [
        "LimitCORE=0",
        "User=openbao",
    ]


def test_binary_plugin_and_configuration_belong_to_root(server: Node) -> None:
    stat = ["stat", "--format=%U:%G:%a"]

    assert server.text(*stat, "/opt/openbao/bin/bao", "/opt/openbao/plugins/openbao-kms-pkcs11").split() == [
        "root:root:755",
        "root:root:755",
    ]
    assert server.text(*stat, "/etc/openbao/openbao.hcl").strip() == "root:openbao:640"
    assert server.text(*stat, "/var/lib/openbao/raft", "/run/openbao/listener.key").split() == [
        "openbao:openbao:700",
        "openbao:openbao:400",
    ]


def test_the_pin_stands_in_no_file_of_the_configuration_and_in_no_environment(server: Node) -> None:
    pin = server.run(["systemd-creds", "decrypt", "--name=hsm-pin", "/etc/credstore.encrypted/hsm-pin", "-"]).strip()
    process = server.text("systemctl", "show", "--property=MainPID", "--value", "openbao.service").strip()

    for path in ("/etc/openbao/openbao.hcl", f"/proc/{process}/environ", f"/proc/{process}/cmdline"):
        assert pin not in server.run(["cat", path]), path


def test_it_listens_where_the_firewall_expects_it_and_nowhere_else(server: Node) -> None:
    process = server.text("systemctl", "show", "--property=MainPID", "--value", "openbao.service").strip()

    lines = [line.split() for line in server.text("ss", "-Hlntp").splitlines() if f"pid={process}," in line]
    ports = {line[3].rpartition(":")[2] for line in lines if not line[3].startswith("127.")}
    assert {"8200", "8210"} <= ports <= {"8200", "8201", "8210"}


@pytest.mark.parametrize("port", [8200, 8210])
def test_nothing_but_tls_1_3_is_spoken(server: Node, port: int) -> None:
    offer = ["openssl", "s_client", "-connect", f"localhost:{port}", "-CAfile", CA, "-verify_return_error"]
    offer += ["-cert", "/etc/legalcloud/pki/node.crt", "-key", "/etc/legalcloud/pki/node.key"]

    assert b"TLSv1.3" in server.run([*offer, "-tls1_3"])
    with pytest.raises(NodeError, match="protocol version"):
        server.run([*offer, "-tls1_2"])


def test_metrics_are_for_a_certificate_of_our_ca_and_nothing_else_is_served_there(server: Node) -> None:
    ask = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", CA]
    ours = ["--cert", "/etc/legalcloud/pki/node.crt", "--key", "/etc/legalcloud/pki/node.key"]
    metrics = "https://localhost:8210/v1/sys/metrics?format=prometheus"

    assert server.text(*ask, *ours, metrics) == "200"
    assert server.text(*ask, *ours, "https://localhost:8210/v1/sys/health") == "404"
    with pytest.raises(NodeError, match="certificate required"):
        server.run([*ask, metrics])


def test_a_server_that_is_well_has_no_problem(scratch: Scratch) -> None:
    manager, problems = judged(scratch)

    assert problems == ""
    assert (manager.state, manager.leader, manager.failure_tolerance) == (keys.State.SERVING, scratch.node.name, 0)


def test_a_wrong_pin_is_tried_once_and_named(broken: Scratch) -> None:
    broken.pin("111111")
    broken.restart()
    broken.until_logged("reason=pin-latched")

    manager, problems = judged(broken)

    assert broken.log().count("reason=pin-wrong") == 1
    assert (manager.state, manager.reason) == (keys.State.SEALED, "pin-latched")
    assert "Run playbooks/hsm_pin.yml with the right PIN" in problems
    assert "111111" not in broken.log() + problems


def test_a_missing_pin_is_named(broken: Scratch) -> None:
    broken.run("rm", CREDENTIAL)
    broken.restart()
    broken.until_logged("reason=pin-unreadable")

    manager, problems = judged(broken)

    assert (manager.state, manager.reason) == (keys.State.SEALED, "pin-unreadable")
    assert "Run playbooks/hsm_pin.yml with the right PIN" in problems


def test_a_pin_sealed_for_another_machine_is_named(broken: Scratch) -> None:
    broken.write(CREDENTIAL, "made elsewhere")
    with pytest.raises(NodeError):
        broken.restart()

    manager, problems = judged(broken)

    assert (manager.state, manager.reason) == (keys.State.STOPPED, "pin-undecipherable")
    assert "of another machine" in problems


def test_an_absent_token_is_named_and_its_return_unseals_without_a_hand(broken: Scratch) -> None:
    broken.stop()
    broken.take_token_away()
    broken.start()
    broken.until_logged("reason=token-absent")

    manager, problems = judged(broken)

    assert (manager.state, manager.reason) == (keys.State.SEALED, "token-absent")
    assert "Connect the HSM" in problems
    broken.bring_token_back()
    log.info("unsealed %.1f s after the token came back", broken.until_active())


def test_a_token_lost_while_serving_is_a_problem_before_anybody_restarts(broken: Scratch) -> None:
    broken.take_token_away()
    broken.until_logged("may be unreachable")
    time.sleep(SETTLE_SECONDS)

    manager, problems = judged(broken)

    assert manager.state is keys.State.SERVING
    assert manager.hsm_away_seconds is not None
    assert manager.hsm_away_seconds > 0
    assert "do not restart it" in problems


def test_two_tokens_with_one_label_are_named(broken: Scratch) -> None:
    broken.stop()
    broken.add_token(LABEL)
    broken.start()
    broken.until_logged("reason=token-ambiguous")

    manager, problems = judged(broken)

    assert (manager.state, manager.reason) == (keys.State.SEALED, "token-ambiguous")
    assert "by serial in openbao_seal" in problems


def test_a_plugin_with_one_byte_more_is_not_started(broken: Scratch) -> None:
    broken.node.run(["tee", "-a", f"{FOLDER}/plugins/openbao-kms-pkcs11"], b"\n")
    with pytest.raises(NodeError):
        broken.restart()
    broken.until(lambda: judged(broken)[0].reason != "", "it said why")

    manager, problems = judged(broken)

    assert (manager.state, manager.reason) == (keys.State.STOPPED, "plugin-changed")
    assert "who changed the plugin" in problems


def test_full_audit_disks_refuse_everything_and_only_health_says_it_is_well(broken: Scratch) -> None:
    broken.stop()
    for name in AUDITS:
        mount = f"size=64k,mode=0700,uid={broken.run('id', '-u', 'openbao').strip()}"
        broken.run("mount", "-t", "tmpfs", "-o", mount, "tmpfs", f"{FOLDER}/{name}")
    broken.start()
    broken.until_active()
    codes = [broken.ask("GET", "sys/mounts")[0] for _ in range(40)]

    manager, problems = judged(broken)

    assert codes[0] == 200
    assert codes[-1] == 500
    assert broken.ask("GET", "sys/health")[0] == 200
    assert (
        broken.metrics()["vault_audit_log_request_failure"] + broken.metrics()["vault_audit_log_response_failure"] > 0
    )
    assert (manager.state, manager.audited) == (keys.State.SERVING, False)
    assert "no audit device could be written" in problems
    broken.run("truncate", "--size=0", f"{FOLDER}/{AUDITS[0]}/audit.log")
    broken.until(lambda: broken.ask("GET", "sys/mounts")[0] == 200, "room on one of two disks is enough")


def test_an_edited_audit_device_shows_as_a_server_that_cannot_serve(broken: Scratch) -> None:
    text = broken.run("cat", f"{FOLDER}/conf/audit.hcl")
    broken.write(f"{FOLDER}/conf/audit.hcl", text.replace("audit-1/audit.log", "audit-1/other.log"))
    broken.restart()
    broken.until_logged("modifications to audit devices are not allowed")

    _, problems = judged(broken)

    assert "modifications to audit devices are not allowed" in problems


@pytest.mark.parametrize(
    ("begins_hours", "ends_hours", "words"), [(-24, -1, "has expired"), (1, 24, "is not yet valid")]
)
def test_a_certificate_out_of_its_time_is_named_and_a_reload_takes_its_successor(
    broken: Scratch, lab: Lab, begins_hours: int, ends_hours: int, words: str
) -> None:
    """The second is what a clock sees that is behind; containers share one, so none can be set."""
    good = broken.run("cat", f"{FOLDER}/tls/openbao.crt")
    bad = valid(good, Path(lab.variables["ca_dir"]), begins_hours, ends_hours)
    broken.write(f"{FOLDER}/tls/openbao.crt", bad)
    broken.run("systemctl", "reload", UNIT)
    broken.until(lambda: words in judged(broken)[0].certificate, "it shows that certificate")

    manager, problems = judged(broken)

    assert manager.state is keys.State.SERVING
    assert "--tags certificate,openbao" in problems
    broken.write(f"{FOLDER}/tls/openbao.crt", good)
    broken.run("systemctl", "reload", UNIT)
    broken.until(lambda: judged(broken)[1] == "", "the reload takes the good one")


def test_rotation_leaves_no_record_behind(broken: Scratch) -> None:
    name = f"{FOLDER}/{AUDITS[0]}/audit.log"
    broken.run("mv", name, f"{name}.1")
    broken.run("systemctl", "kill", "--kill-whom=main", "--signal=HUP", UNIT)
    broken.until(
        lambda: broken.run("ls", f"{FOLDER}/{AUDITS[0]}").split() == ["audit.log", "audit.log.1"], "it reopens"
    )

    broken.ask("GET", "sys/mounts")

    assert "sys/mounts" in broken.run("cat", name)


def valid(pem: str, ca_dir: Path, begins_hours: int, ends_hours: int) -> str:
    """Sign a certificate as a given one, for the same key, with other times."""
    good = x509.load_pem_x509_certificate(pem.encode())
    authority = serialization.load_pem_private_key((ca_dir / "ca.key").read_bytes(), None)
    assert isinstance(authority, EllipticCurvePrivateKey)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(good.subject)
        .issuer_name(good.issuer)
        .public_key(good.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(hours=begins_hours))
        .not_valid_after(now + datetime.timedelta(hours=ends_hours))
    )
    for extension in good.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(authority, hashes.SHA384()).public_bytes(serialization.Encoding.PEM).decode()
