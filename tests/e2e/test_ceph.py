"""What the Ceph roles promise, on every node of the lab and of the cluster as a whole."""

from __future__ import annotations

import json
import re
import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from socket import create_connection
from typing import Any
from uuid import uuid4

import boto3
import pytest
import yaml
from testinfra.host import Host
from tests.e2e.nodes import Lab, eventually

pytestmark = pytest.mark.ci
testinfra_hosts = ["ansible://storage?sudo=true"]

MODES = ("ms_cluster_mode", "ms_service_mode", "ms_client_mode",
         "ms_mon_cluster_mode", "ms_mon_service_mode", "ms_mon_client_mode")  # fmt: skip
TENANT, BUCKET = "demo-chambers", "demo-chambers-scratch"
REPLICATED, ERASURE = 1, 3
"""Numbers of pool types in `ceph osd dump`."""


def output(host: Host, command: str) -> str:
    done = host.run(command)
    assert done.rc == 0, f"{command}: {done.stderr}"
    return str(done.stdout)


def name_of(host: Host) -> str:
    return str(host.ansible.get_variables()["inventory_hostname"])


def listening(host: Host) -> dict[str, set[str]]:
    """Addresses with their ports on which each program of Ceph listens."""
    found: dict[str, set[str]] = {}
    for line in output(host, "ss -Hltnp").splitlines():
        if program := re.search(r'users:\(\("(ceph-\w+|radosgw)"', line):
            found.setdefault(program[1], set()).add(line.split()[3])
    return found


# Every node.


def test_ceph_conf_is_roots_and_names_the_monitors_by_version_2_alone(host: Host, lab: Lab) -> None:
    file = host.file("/etc/ceph/ceph.conf")
    settings = dict(line.split(" = ", 1) for line in file.content_string.splitlines() if " = " in line)

    assert (file.user, file.group, file.mode) == ("root", "root", 0o644)
    assert settings["fsid"] == lab.variables["ceph_fsid"]
    assert settings["mon_host"] == ",".join(f"[v2:{node.address}:3300]" for node in lab.group("mons"))
    assert "key" not in settings


def test_no_daemon_speaks_version_1_of_the_protocol(host: Host) -> None:
    ports = {place.rpartition(":")[2] for places in listening(host).values() for place in places}

    assert ports
    assert "6789" not in ports
    assert all(port in {"3300", "7480", "8443", "9283"} or 6800 <= int(port) <= 7568 for port in ports), ports


def test_nothing_of_ceph_listens_on_every_address(host: Host) -> None:
    places = {place for places in listening(host).values() for place in places}

    assert not [place for place in places if place.startswith(("0.0.0.0:", "*:", "[::]:"))]


def test_each_running_daemon_encrypts_whatever_it_says(host: Host) -> None:
    sockets = output(host, "find /run/ceph -name '*.asok'").split()

    assert sum("osd" in socket for socket in sockets) == 2
    for socket in sockets:
        running = json.loads(output(host, f"ceph daemon {socket} config show"))
        assert {running[mode] for mode in MODES} == {"secure"}, socket
        assert running["ms_bind_msgr1"] == "false", socket


def test_an_osd_runs_on_each_registered_drive(host: Host, lab: Lab) -> None:
    """The daemon says which device it has open; the node says which device carries which serial."""
    name = name_of(host)
    registered = {drive["serial"] for drive in lab.host_variables[name]["legalcloud_drives"]}
    devices = json.loads(host.file("/etc/legalcloud/lab-drives.json").content_string)
    # stat prints hexadecimal, Ceph decimal numbers of the device.
    numbers = {
        serial: ":".join(str(int(n, 16)) for n in output(host, f"stat --format=%t:%T {device}").strip().split(":"))
        for serial, device in devices.items()
    }
    opened = [osd["bluestore_bdev_dev"] for osd in lab.ceph("osd", "metadata") if osd["hostname"] == name]

    assert set(devices) == registered
    assert sorted(numbers.values()) == sorted(opened)


def test_the_administrators_keyring_is_on_monitors_alone_and_for_root_alone(host: Host, lab: Lab) -> None:
    file = host.file("/etc/ceph/ceph.client.admin.keyring")

    assert file.exists == (name_of(host) in lab.groups["mons"])
    if file.exists:
        assert (file.user, file.mode) == ("root", 0o600)


def test_keyrings_are_for_their_daemons_alone(host: Host) -> None:
    found = output(host, "find /etc/ceph /var/lib/ceph -name '*keyring*' -type f -printf '%m %u %p\\n'").splitlines()

    assert found
    for line in found:
        mode, user, path = line.split(" ", 2)
        assert (mode, user) in {("600", "ceph"), ("600", "root")}, path


def test_what_runs_also_comes_back_after_a_boot(host: Host, lab: Lab) -> None:
    name = name_of(host)
    units = [f"ceph-{kind}@{name}" for kind in ("mon", "mgr") if name in lab.groups[f"{kind}s"]]
    units += [
        line.split()[0] for line in output(host, "systemctl list-units --plain --no-legend 'ceph-osd@*'").splitlines()
    ]

    assert sum(unit.startswith("ceph-osd@") for unit in units) == 2
    for unit in units:
        assert host.service(unit).is_running
        assert host.service(unit).is_enabled
    if name in lab.groups["gateways"]:
        assert f"ceph-radosgw@rgw.{name}.service" in output(
            host, "systemctl show ceph-radosgw.target --property=Wants --value"
        )
        assert host.service("ceph-radosgw.target").is_enabled


# The cluster.


def test_a_daemon_that_crashes_is_known_to_the_cluster(lab: Lab) -> None:
    victim = next(node for node in lab.group("storage") if node not in lab.group("mons"))
    earlier = {crash["crash_id"] for crash in lab.ceph("crash", "ls")}
    unit = victim.text("systemctl", "list-units", "--plain", "--no-legend", "ceph-osd@*").split()[0]

    victim.run(["systemctl", "kill", "--signal=SEGV", unit])
    eventually(lambda: victim.text("ls", "/var/lib/ceph/crash").split() != ["posted"], seconds=30, hint="crash_dir")
    victim.run(["systemctl", "restart", "ceph-crash.service"])  # it looks when it starts, and then every ten minutes
    eventually(lambda: len(lab.ceph("crash", "ls")) > len(earlier), seconds=60, hint="journalctl -u ceph-crash")

    found = [crash for crash in lab.ceph("crash", "ls") if crash["crash_id"] not in earlier]
    eventually(lambda: victim.text("ls", "/var/lib/ceph/crash").split() == ["posted"], seconds=60, hint="ceph-crash")
    for crash in found:
        lab.admin().run(["ceph", "crash", "rm", crash["crash_id"]])
    assert [crash["entity_name"] for crash in found] == [unit.replace("ceph-osd@", "osd.").removesuffix(".service")]
    assert {crash["crash_id"] for crash in lab.ceph("crash", "ls")} == earlier
    eventually(lambda: lab.ceph("status")["health"]["status"] == "HEALTH_OK", seconds=60, hint="ceph health detail")


def test_a_manager_that_starts_leaves_no_reports_of_crashes(lab: Lab) -> None:
    manager = lab.group("mgrs")[-1]

    def number() -> int | None:
        """Of the running instance, as the monitors know it."""
        told = lab.ceph("mgr", "dump")
        known = {one["name"]: one["gid"] for one in told["standbys"]} | {told["active_name"]: told["active_gid"]}
        gid: int | None = known.get(manager.name)
        return gid

    before = number()
    manager.run(["systemctl", "restart", f"ceph-mgr@{manager.name}.service"])
    eventually(lambda: number() not in {None, before}, seconds=90, hint="ceph mgr dump")  # it has loaded its modules

    assert manager.text("ls", "/var/lib/ceph/crash").split() == ["posted"]
    eventually(lambda: lab.ceph("status")["health"]["status"] == "HEALTH_OK", seconds=60, hint="ceph health detail")


def test_the_monitors_have_addresses_of_version_2_alone(lab: Lab) -> None:
    monitors = lab.ceph("mon", "dump")["mons"]

    assert sorted(monitor["name"] for monitor in monitors) == sorted(lab.groups["mons"])
    assert {address["type"] for monitor in monitors for address in monitor["public_addrs"]["addrvec"]} == {"v2"}


def test_every_daemon_has_the_same_version(lab: Lab) -> None:
    versions = lab.ceph("versions")["overall"]

    assert len(versions) == 1
    assert sum(versions.values()) == 12 + sum(len(lab.groups[kind]) for kind in ("mons", "mgrs", "gateways"))


def test_osds_stand_where_the_register_says_in_root_hk_alone(lab: Lab) -> None:
    nodes = {node["id"]: node for node in lab.ceph("osd", "tree")["nodes"]}
    parent = {child: node["name"] for node in nodes.values() for child in node.get("children", ())}
    number = {node["name"]: id_ for id_, node in nodes.items()}

    assert [node["name"] for node in nodes.values() if node["type"] == "root"] == ["hk"]
    hosted: Counter[str] = Counter()
    for id_, node in nodes.items():
        if node["type"] != "osd":
            continue
        host = parent[id_]
        own = lab.host_variables[host]
        rack = parent[number[host]]
        hosted[host] += 1
        assert rack == f"{own['legalcloud_site']}-{own['legalcloud_rack']}"
        assert parent[number[rack]] == own["legalcloud_site"]
        assert parent[number[own["legalcloud_site"]]] == "hk"
    assert hosted == {name: len(own["legalcloud_drives"]) for name, own in lab.host_variables.items()}
    assert not [osd for osd in lab.ceph("osd", "metadata") if osd["hostname"] != parent[osd["id"]]]


def test_the_managers_metrics_answer_on_loopback_alone(lab: Lab) -> None:
    active = lab.nodes[lab.ceph("mgr", "dump")["active_name"]]

    for node in lab.group("mgrs"):
        places = [line.split()[3] for line in node.text("ss", "-Hltn").splitlines()]
        assert {place for place in places if place.endswith(":9283")} <= {"127.0.0.1:9283"}
    assert "ceph_health_status" in active.text("curl", "-sS", "--max-time", "20", "http://127.0.0.1:9283/metrics")
    with pytest.raises(OSError, match=r"timed out|refused"):
        create_connection((active.address, 9283), timeout=1)


def test_the_central_configuration_is_the_inventorys(lab: Lab) -> None:
    wished = yaml.safe_load((lab.inventory / "group_vars/all/ceph.yml").read_text())["ceph_cluster_options"]
    stored = {(row["section"], row["name"]): row["value"] for row in lab.ceph("config", "dump") if not row["mask"]}

    assert wished
    for section, options in wished.items():
        for name, value in options.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            found = stored[section, name]
            assert found == text or float(found) == float(text), f"{section}/{name}"


def test_old_and_careless_clients_are_turned_away(lab: Lab) -> None:
    options = {row["name"]: row["value"] for row in lab.ceph("config", "dump")}
    health = lab.ceph("health", "detail")["checks"]

    assert options["auth_allow_insecure_global_id_reclaim"] == "false"
    assert options["mon_allow_pool_delete"] == "false"
    assert not [check for check in health if check.startswith("AUTH_")]


# Pools and where their data lies.


def pools(lab: Lab) -> dict[str, dict[str, Any]]:
    return {pool["pool_name"]: pool for pool in lab.ceph("osd", "dump")["pools"]}


def rules(lab: Lab) -> dict[str, int]:
    return {rule["rule_name"]: rule["rule_id"] for rule in lab.ceph("osd", "crush", "rule", "dump")}


def test_the_data_pool_is_as_the_plan_says(lab: Lab) -> None:
    plan, pool = lab.variables["legalcloud_plan"], pools(lab)["hk.rgw.buckets.data"]
    profile = lab.ceph("osd", "erasure-code-profile", "get", pool["erasure_code_profile"])

    assert (int(profile["k"]), int(profile["m"])) == (plan["k"], plan["m"]) == (3, 3)
    assert profile["crush-root"] == "hk"
    assert (pool["type"], pool["size"], pool["min_size"]) == (ERASURE, plan["k"] + plan["m"], plan["min_size"])
    assert pool["crush_rule"] == rules(lab)["hk-ec"]
    assert {"ec_optimizations", "bulk"} <= set(pool["flags_names"].split(","))


def test_every_other_pool_has_a_copy_in_each_site(lab: Lab) -> None:
    found, number = pools(lab), rules(lab)["hk-rep"]

    others = {name: pool for name, pool in found.items() if pool["type"] == REPLICATED}

    assert found.keys() - others.keys() == {"hk.rgw.buckets.data"}
    assert {".rgw.root", "hk.rgw.buckets.index", "hk.rgw.meta"} <= others.keys()
    for name, pool in others.items():
        assert (pool["crush_rule"], pool["size"], pool["min_size"]) == (number, 3, 2), name


def test_shards_and_copies_lie_in_the_sites_that_the_plan_says(lab: Lab) -> None:
    host = {osd["id"]: osd["hostname"] for osd in lab.ceph("osd", "metadata")}
    kind = {pool["pool_id"]: pool["type"] for pool in lab.ceph("osd", "pool", "ls", "detail")}
    sites = {site["id"] for site in lab.variables["legalcloud_sites"]}
    groups = lab.ceph("pg", "dump", "pgs_brief")["pg_stats"]

    def spread(osds: Iterable[int]) -> Mapping[str, int]:
        return Counter(lab.host_variables[host[osd]]["legalcloud_site"] for osd in osds)

    assert {kind[int(group["pgid"].partition(".")[0])] for group in groups} == {REPLICATED, ERASURE}
    for group in groups:
        each = 2 if kind[int(group["pgid"].partition(".")[0])] == ERASURE else 1
        assert spread(group["up"]) == dict.fromkeys(sites, each), group["pgid"]
        assert len({host[osd] for osd in group["up"]}) == len(group["up"]), group["pgid"]


# Gateways.


def test_each_gateway_shows_a_certificate_of_our_authority_and_no_old_tls(lab: Lab, ca_file: Path) -> None:
    for node in lab.group("gateways"):
        context = ssl.create_default_context(cafile=str(ca_file))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        with (
            create_connection((node.address, 8443), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=node.name) as secure,
        ):
            assert secure.version() in {"TLSv1.2", "TLSv1.3"}


def test_a_gateway_without_tls_is_for_its_own_node_alone(lab: Lab) -> None:
    for node in lab.group("gateways"):
        places = {line.split()[3] for line in node.text("ss", "-Hltn").splitlines()}
        assert {place for place in places if place.endswith(":7480")} == {"127.0.0.1:7480"}
        with pytest.raises(OSError, match=r"timed out|refused"):
            create_connection((node.address, 7480), timeout=1)


def test_the_operations_log_says_who_read_which_object_from_where(
    lab: Lab, endpoint_url: str, ca_file: Path, tenant_session: Callable[[str], boto3.Session]
) -> None:
    mark = uuid4().hex
    key = f"案件/{mark}.txt"
    s3 = tenant_session(TENANT).client("s3", endpoint_url=endpoint_url, verify=str(ca_file), region_name="default")
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"read me")
    with create_connection((str(lab.variables["ingress_addresses"][0]), 443), timeout=5) as connection:
        here = connection.getsockname()[0]

    def reads() -> list[dict[str, Any]]:
        argv = ["grep", "--fixed-strings", mark, "/var/log/ceph/ops-log.json"]
        # 1: no such line; 2: no such file, at a gateway that nobody has asked anything yet.
        lines = [line for node in lab.group("gateways") for line in node.run(argv, good=(0, 1, 2)).splitlines()]
        entries = [json.loads(line) for line in lines]
        return [entry for entry in entries if entry["operation"] == "get_obj"]

    try:
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"read me"
        eventually(lambda: bool(reads()), seconds=10, hint="no gateway noted the read in /var/log/ceph/ops-log.json")
        (entry,) = reads()
    finally:
        s3.delete_object(Bucket=BUCKET, Key=key)

    assert (entry["bucket"], entry["object"]) == (BUCKET, key)
    assert entry["remote_addr"] == here
    assert entry["http_status"] == "200"
    assert entry["user"] != "anonymous"


def test_the_operations_log_is_not_for_all_to_read(lab: Lab) -> None:
    for node in lab.group("gateways"):
        mode = int(node.text("stat", "--format=%a", "/var/log/ceph").strip(), 8)
        assert mode & 0o007 == 0
