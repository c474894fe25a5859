"""What the node agent promises on every node: who may scrape it, what it sees, what it may do, what it signs."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.nodes import Lab, Node, NodeError, eventually, tool

from legalcloud.commands.fleet import gather
from legalcloud.commands.ssh import access_of, over_ssh
from legalcloud.inventory import load
from legalcloud.node import ruleset, statement
from legalcloud.node.status import from_json
from legalcloud.node.subject import Level

pytestmark = pytest.mark.ci

PKI = "/etc/legalcloud/pki"
PROGRAM = "/usr/local/bin/legalcloud"
UNIT = "legalcloud-agent.service"
SECOND = "/run/legalcloud-agent-test"
EXPOSURE_MOST = 2.0
RSS_MOST_KIB = 40 * 1024


@pytest.fixture(params=["tko-1", "tko-2", "cwn-1", "cwn-2", "sht-1", "sht-2"])
def node(lab: Lab, request: pytest.FixtureRequest) -> Node:
    return lab.nodes[request.param]


def scrape(asker: Node, target: Node, page: str = "/metrics", *, certificate: str | None = "node") -> str:
    """Ask with a node's own certificate, from that node."""
    shown = [] if certificate is None else ["--cert", f"{PKI}/{certificate}.crt", "--key", f"{PKI}/{certificate}.key"]
    url = f"https://{target.address}:9640{page}"
    return asker.text("curl", "-sS", "--fail", "--max-time", "10", "--cacert", f"{PKI}/ca.crt", *shown, url)


def numbers(text: str) -> dict[str, dict[str, float]]:
    """Give the series of each metric, by the values of their labels."""
    return {
        family.name: {",".join(sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text)
    }


def ready(node: Node) -> None:
    """Wait until every probe has run, which may be after a start."""

    def done() -> bool:
        try:
            return "every probe" in scrape(node, node, "/readyz")
        except NodeError:  # 503, or it is just starting
            return False

    eventually(done, seconds=90, hint="/readyz names who is awaited")


def test_a_node_may_scrape_itself_and_all_is_well_there(node: Node) -> None:
    ready(node)
    found = numbers(scrape(node, node))

    assert set(found["legalcloud_probe_success"].values()) == {1.0}
    assert set(found["legalcloud_service_active"].values()) == {1.0}
    assert len(found["legalcloud_osd_active"]) == 2
    assert set(found["legalcloud_osd_active"].values()) == set(found["legalcloud_drive_present"].values()) == {1.0}
    assert min(found["legalcloud_certificate_expiry_timestamp_seconds"].values()) > datetime.now(UTC).timestamp()
    assert found["legalcloud_ruleset_egress_denied"] == found["legalcloud_ruleset_as_recorded"] == {"": 1.0}
    assert found["legalcloud_ruleset_tables"] == {"": 1.0}


def test_without_a_certificate_nobody_learns_anything(node: Node) -> None:
    with pytest.raises(NodeError, match=r"ended with (35|52|55|56)"):
        scrape(node, node, certificate=None)


def test_a_certificate_of_our_ca_with_another_name_gets_no_page_and_is_counted(lab: Lab) -> None:
    node = lab.nodes["tko-1"]
    before = numbers(scrape(node, node))["legalcloud_clients_refused"][""]

    with pytest.raises(NodeError, match="ended with 22"):
        scrape(node, node, certificate="s3")

    assert numbers(scrape(node, node))["legalcloud_clients_refused"][""] == before + 1


def test_a_certificate_of_another_ca_is_refused(lab: Lab) -> None:
    node = lab.nodes["tko-2"]
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=tko-1"]
    node.run(["openssl", *words, "-keyout", "/run/other.key", "-out", "/run/other.crt", "-days", "2"])
    try:
        with pytest.raises(NodeError, match=r"ended with (35|52|55|56)"):
            scrape(node, node, certificate="../../../run/other")
    finally:
        node.run(["rm", "/run/other.key", "/run/other.crt"])


def test_the_nodes_of_monitoring_reach_it_and_no_others(lab: Lab) -> None:
    assert "alive" in scrape(lab.nodes["tko-2"], lab.nodes["sht-1"], "/healthz")
    with pytest.raises(NodeError, match="ended with 28"):  # the firewall drops it; the agent would answer 403
        scrape(lab.nodes["sht-2"], lab.nodes["sht-1"], "/healthz")


@pytest.fixture
def second(lab: Lab) -> Iterator[tuple[Node, str]]:
    """Let a file of settings that expects one drive more stand beside the agent's own."""
    node = lab.nodes["sht-2"]
    told = yaml.safe_load(node.text("cat", "/etc/legalcloud/agent.yml"))
    told["drives"].append({"serial": "LAB-never-made", "use": "osd"})
    told["paths"] = {"status": f"{SECOND}/status", "history": f"{SECOND}/history"}
    node.run(["mkdir", "-p", SECOND])
    node.run(["tee", f"{SECOND}/agent.yml"], yaml.safe_dump(told).encode())
    yield node, f"{SECOND}/agent.yml"
    node.run(["rm", "-r", SECOND])


def test_a_drive_that_is_expected_and_absent_is_named(second: tuple[Node, str]) -> None:
    node, settings = second
    found = from_json(node.run([PROGRAM, "node", "status", "--json", "--settings", settings], good=(1,)))

    said = [line.words for line in found.lines if line.level is Level.FINDING]
    assert "drive LAB-never-made of the register is not there" in said
    assert not found.running, "this is what the command itself saw"


def test_bad_settings_are_refused_with_file_key_and_remedy(second: tuple[Node, str]) -> None:
    node, settings = second
    node.run(["sed", "-i", "s/^site: .*/site: Not A Site/", settings])

    with pytest.raises(NodeError, match=r"agent.yml:\d+: site: is 'Not A Site'. Use a-z"):
        node.run([PROGRAM, "node", "check", settings])


def test_the_status_says_the_same_to_a_person_and_to_a_machine(node: Node) -> None:
    told = from_json(node.run([PROGRAM, "node", "status", "--json"], good=(0, 1, 3)))
    text = node.run([PROGRAM, "node", "status"], good=(0, 1, 3)).decode()

    assert (told.node, told.running) == (node.name, True)
    assert [line.words for line in told.lines if line.level is Level.FINDING] == []
    assert f"{node.name} (site {told.site}, rack {told.rack})" in text
    assert all(part.name in text for part in told.parts if part.lines)


def test_the_fleet_is_a_table_of_all_nodes_with_the_room_that_is_left(lab: Lab) -> None:
    done = tool("legalcloud", "fleet", "status", "-i", str(lab.inventory), "--json")
    document = json.loads(done.stdout)

    assert done.returncode in {0, 3}, done.stdout
    assert [row["node"] for row in document["nodes"]] == list(lab.nodes)
    assert all(row["status"] for row in document["nodes"]), [row["problem"] for row in document["nodes"]]
    assert document["cluster"]["part"]["facts"]["seen"]["capacity"]["advised_bytes"] > 0


def test_a_monitors_node_knows_the_room_of_the_cluster_as_ceph_does_and_others_say_nothing(lab: Lab) -> None:
    for name in ("tko-1", "cwn-1", "sht-1"):
        node = lab.nodes[name]
        ready(node)
        found = numbers(scrape(node, node))
        told = json.loads(node.text("ceph", "df", "--format", "json"))
        (pool,) = (one for one in told["pools"] if one["name"].endswith(".rgw.buckets.data"))

        raw_bytes = told["stats"]["total_bytes"]
        assert found["legalcloud_cluster_raw_bytes"][""] == pytest.approx(raw_bytes, rel=0.01)
        assert found["legalcloud_cluster_used_bytes"][""] == pytest.approx(
            told["stats"]["total_used_raw_bytes"], abs=0.02 * raw_bytes
        )
        assert found["legalcloud_cluster_until_full_bytes"][""] == pytest.approx(pool["stats"]["max_avail"], rel=0.05)
        assert found["legalcloud_cluster_history_samples"][""] >= 1
    silent = numbers(scrape(lab.nodes["tko-2"], lab.nodes["tko-2"]))
    assert silent["legalcloud_cluster_raw_bytes"] == {}


def test_the_user_who_asks_ceph_can_change_nothing_and_lies_on_monitors_alone(lab: Lab) -> None:
    keyring, node = "/etc/ceph/ceph.client.agent.keyring", lab.nodes["cwn-1"]

    assert node.text("stat", "--format=%U:%G %a", keyring).strip() == "root:root 600"
    for wish in (["osd", "set", "noout"], ["auth", "get", "client.admin"], ["config-key", "get", "x"]):
        with pytest.raises(NodeError, match=r"EACCES|access denied"):
            node.run(["ceph", "--id", "agent", "--connect-timeout", "5", *wish])
    with pytest.raises(NodeError):
        lab.nodes["cwn-2"].run(["test", "-e", keyring])


def test_a_node_that_cannot_be_reached_is_a_row_that_says_so(lab: Lab) -> None:
    inventory = load(lab.inventory)
    access = access_of(inventory)
    there, away = inventory.register.nodes[:2]
    nodes = (there, replace(away, address=type(away.address)("10.77.2.250")))

    ask = f"sudo -n {PROGRAM} node status --json"
    rows = gather(nodes, lambda one: over_ssh(one, access, ask, 5), 5)

    assert rows[0].status is not None
    assert (rows[1].status, rows[1].level) == (None, Level.UNKNOWN)
    assert "could not be asked" in rows[1].words or "did not answer" in rows[1].words


def test_a_statement_is_verified_on_the_controller_and_counts_on(node: Node, lab: Lab) -> None:
    ca_pem = Path(lab.variables["ca_dir"], "ca.crt").read_bytes()
    counters = []
    for _ in range(2):
        nonce = secrets.token_hex(32)
        raw = node.run([PROGRAM, "node", "statement", "--nonce", nonce])
        said, signer = statement.verify(raw, ca_pem=ca_pem, nonce=nonce, node=node.name, received_at=datetime.now(UTC))
        counters.append(said.counter)
        assert (signer.name, said.running) == (node.name, True)
        assert said.identity.machine_id == node.text("cat", "/etc/machine-id").strip()
        clock = said.probes["clock"]
        assert isinstance(clock, dict)
        assert isinstance(clock["facts"], dict)
        assert clock["facts"]["quality"] == "synchronised"
    assert counters[1] == counters[0] + 1


def test_the_agents_user_can_neither_sign_nor_count_nor_read_a_key(node: Node) -> None:
    as_agent = ["setpriv", "--reuid=legalcloud-agent", "--regid=legalcloud-agent", "--clear-groups", "--"]
    folders = ("/etc/legalcloud", "/etc/ceph", "/etc/credstore.encrypted", "/var/lib/legalcloud-statement")
    named = " -o ".join(f"-name {pattern}" for pattern in ("*.key", "*.pem", "counter", "*-pin", "*.keyring")).split()
    secrets_there = node.text("find", *folders, "-type", "f", "(", *named, ")").split()

    assert any(name.endswith("statement.key") for name in secrets_there)
    for name in secrets_there:
        with pytest.raises(NodeError, match="Permission denied"):
            node.run([*as_agent, "cat", name])


def test_the_service_is_locked_in(node: Node) -> None:
    shown = json.loads(node.text("systemd-analyze", "security", "--json=short", "--no-pager", UNIT))
    words = node.text("systemd-analyze", "security", "--no-pager", UNIT)

    exposure = float(words.rsplit(":", 1)[1].split()[0])
    assert shown
    assert exposure <= EXPOSURE_MOST


def test_the_agent_stays_small(node: Node) -> None:
    pid = node.text("systemctl", "show", UNIT, "--property=MainPID", "--value").strip()
    (line,) = (line for line in node.text("cat", f"/proc/{pid}/status").splitlines() if line.startswith("VmRSS:"))

    assert int(line.split()[1]) <= RSS_MOST_KIB


def test_a_killed_agent_is_back_and_serves(lab: Lab) -> None:
    node = lab.nodes["cwn-2"]
    node.run(["systemctl", "kill", "--signal=KILL", UNIT])

    def serves() -> bool:
        try:
            return "alive" in scrape(node, node, "/healthz")
        except NodeError:
            return False

    eventually(serves, seconds=30, hint=f"journalctl -u {UNIT}")


def test_without_its_helper_the_agent_serves_on_and_says_what_it_does_not_know(lab: Lab) -> None:
    node = lab.nodes["cwn-2"]
    ready(node)
    node.run(["systemctl", "stop", "legalcloud-agent-helper.socket"])
    try:
        eventually(
            lambda: numbers(scrape(node, node))["legalcloud_probe_success"]["osds"] == 0.0,
            seconds=60,
            hint="the probe osds runs every 30 s",
        )
        found = numbers(scrape(node, node))
        assert found["legalcloud_probe_success"]["pressure"] == 1.0
        assert len(found["legalcloud_osd_active"]) == 2, "what was seen last stays, with its age"
    finally:
        node.run(["systemctl", "start", "legalcloud-agent-helper.socket"])
    eventually(
        lambda: numbers(scrape(node, node))["legalcloud_probe_success"]["osds"] == 1.0, seconds=60, hint="likewise"
    )


def test_the_helper_refuses_whoever_is_not_the_agent_and_whatever_is_not_on_its_list(lab: Lab) -> None:
    node = lab.nodes["cwn-2"]
    ask = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('/run/legalcloud-agent-helper.sock');"
        " s.sendall(sys.argv[1].encode() + b'\\n'); sys.stdout.buffer.write(s.recv(200))"
    )
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]

    with pytest.raises(NodeError, match="PermissionError"):
        node.run([*nobody, "python3", "-c", ask, "ruleset"])
    for wish in ("reboot", "smart /etc/shadow", "smart /dev/vdb; id", "ruleset now"):
        assert node.text("python3", "-c", ask, wish).startswith("refused ")


def ruleset_of(node: Node, settings: str) -> tuple[dict[str, Any], str]:
    """Look once, now, beside the agent, which looks every minute; return facts and what is said of them."""
    told = from_json(node.run([PROGRAM, "node", "status", "--json", "--settings", settings], good=(1,)))
    (part,) = (part for part in told.parts if part.name == "ruleset")
    assert part.facts
    return dict(part.facts), "; ".join(line.words for line in part.lines)


def test_a_rule_added_by_hand_is_named_until_the_role_puts_the_rules_back(second: tuple[Node, str], lab: Lab) -> None:
    node, settings = second
    words = ("--tags", "firewall", "--skip-tags", "preflight", "--limit", node.name)
    file = f"/{ruleset.RECORDED}"
    recorded = node.text("cat", file)
    before, _said = ruleset_of(node, settings)

    # Behind the rule that drops all, where no packet comes.
    node.run(["nft", "add", "rule", "inet", "legalcloud", "forward", "accept", "comment", '"by hand"'])
    try:
        changed, said = ruleset_of(node, settings)
        predicted = lab.playbook("site.yml", *words, "--check")
        of_a_prediction = node.text("cat", file)
    finally:
        kept = lab.playbook("site.yml", *words)
    again = lab.playbook("site.yml", *words)
    after, said_after = ruleset_of(node, settings)

    assert node.text("stat", "--format=%U:%G %a", file).strip() == "root:root 644"
    assert before["table_sha256"] == before["sha256"] == recorded.strip()
    assert changed["table_sha256"] != changed["recorded"] == recorded.strip()
    assert "somebody changed one by hand" in said
    assert re.search(r"\bchanged=1\b", predicted.stdout), predicted.stdout + predicted.stderr
    assert of_a_prediction == recorded
    assert kept.returncode == 0, kept.stdout + kept.stderr
    assert re.search(r"\bchanged=0\b", again.stdout), again.stdout + again.stderr
    assert not re.search(r"\bchanged=[1-9]", again.stdout), again.stdout + again.stderr
    assert after["table_sha256"] == recorded.strip()
    assert "by hand" not in said_after
    eventually(
        lambda: numbers(scrape(node, node))["legalcloud_ruleset_as_recorded"] == {"": 1.0},
        seconds=90,
        hint="the agent looks every minute",
    )
