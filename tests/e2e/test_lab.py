"""The lab itself: a second run changes nothing, nothing leaves it, and a host that cannot hold it is told why."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.nodes import Lab, eventually

pytestmark = pytest.mark.ci

OUTSIDE = "198.51.100.1"
"""Documentation address: nothing answers there."""
VICTIM = "sht-2"
"""A node with OSDs and nothing else."""
RECAP = re.compile(r"^localhost .*changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


def host(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def counted(name: str) -> int:
    found = re.search(r"packets (\d+)", host("nft", "list", "counter", "inet", "legalcloud_lab", name))
    assert found
    return int(found[1])


def knock(*prefix: str, address: str, port: int) -> int:
    """Try to open a connection with what stands before bash in `prefix`; return bash's exit code."""
    argv = [*prefix, "timeout", "2", "bash", "-c", f"echo > /dev/tcp/{address}/{port}"]
    return subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode


@pytest.fixture(scope="module")
def core(lab: Lab) -> tuple[str, ...]:
    """Words that run a command of this host in the network of the router between the sites."""
    for init in Path("/proc").glob("[0-9]*/root/etc/hostname"):
        try:
            inside = init.read_text() == "core\n"
        except OSError:  # it ended meanwhile
            continue
        if inside:
            return ("nsenter", f"--net=/proc/{init.parts[2]}/ns/net")
    pytest.fail("No machine called core runs: type `make lab`.", pytrace=False)


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    done = lab.playbook("lab.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert RECAP.findall(done.stdout) == [("0", "0", "0")]


def test_what_the_router_sends_outside_is_dropped_and_counted_at_the_edge(core: tuple[str, ...]) -> None:
    before = counted("outside")

    assert knock(*core, address=OUTSIDE, port=443) != 0
    assert counted("outside") > before


@pytest.fixture
def open_node(lab: Lab) -> Iterator[str]:
    """Let one node send to the outside address, as a node whose firewall failed would."""
    node = lab.nodes[VICTIM]
    rule = [
        "nft",
        "--echo",
        "--handle",
        "insert",
        "rule",
        "inet",
        "legalcloud",
        "output",
        "ip",
        "daddr",
        OUTSIDE,
        "accept",
    ]
    handle = re.search(r"# handle (\d+)", node.text(*rule))
    assert handle
    yield node.name
    node.run(["nft", "delete", "rule", "inet", "legalcloud", "output", "handle", handle[1]])


def test_what_a_node_with_a_broken_firewall_sends_outside_is_dropped_at_the_edge(lab: Lab, open_node: str) -> None:
    before = counted("outside")

    lab.nodes[open_node].run(["timeout", "2", "bash", "-c", f"echo > /dev/tcp/{OUTSIDE}/443"], good=(1, 124))

    assert counted("outside") > before


def test_a_nodes_own_firewall_stops_it_before_the_edge(lab: Lab) -> None:
    before = counted("outside")

    lab.nodes[VICTIM].run(["timeout", "2", "bash", "-c", f"echo > /dev/tcp/{OUTSIDE}/443"], good=(1, 124))

    assert counted("outside") == before


def test_the_host_lets_the_lab_reach_its_package_mirror_and_nothing_else(core: tuple[str, ...]) -> None:
    before = counted("host_refused")

    assert knock(*core, address="10.77.0.1", port=3142) == 0
    assert knock(*core, address="10.77.0.1", port=22) != 0
    assert counted("host_refused") > before


def test_a_node_gets_packages_from_the_mirror_and_nothing_else(lab: Lab) -> None:
    node, mirror = lab.nodes[VICTIM], "http://10.77.0.1:3142"
    ask = ["curl", "--silent", "--max-time", "20", "--output", "/dev/null", "--write-out", "%{http_code}"]

    assert node.text(*ask, f"{mirror}/debian/dists/forky/Release") == "200"
    assert node.text(*ask, f"{mirror}/elsewhere") == "404"


@pytest.mark.parametrize(
    ("variables", "reason", "remedy"),
    [
        ('{"lab_memory_min_bytes": 1099511627776000}', "MiB of memory; the lab needs", "use a host with more memory"),
        ('{"lab_disk_min_bytes": 1099511627776000}', "MB free; the lab needs", "free some space, or set lab_state_dir"),
    ],
    ids=["memory", "disk"],
)
def test_a_host_that_is_too_small_is_refused_with_the_remedy(
    lab: Lab, tmp_path: Path, variables: str, reason: str, remedy: str
) -> None:
    done = lab.playbook("lab.yml", "--tags", "preflight", "-e", f"lab_state_dir={tmp_path}", "-e", variables)
    words = " ".join(done.stdout.split())

    assert done.returncode != 0
    assert reason in words
    assert f"Remedy: {remedy}" in words
    assert list(tmp_path.iterdir()) == []


def test_a_user_who_is_not_root_is_refused_with_the_remedy(lab: Lab, tmp_path: Path) -> None:
    """In a name space of users without a map root is nobody, and owns its files: only the check can stop the run."""
    nobody = ["unshare", "--user", "env"]
    nobody += [f"{name}={tmp_path}" for name in ("HOME", "ANSIBLE_LOCAL_TEMP", "ANSIBLE_REMOTE_TEMP")]
    done = lab.playbook("lab.yml", "--tags", "preflight", "-e", f"lab_state_dir={tmp_path}", prefix=nobody)
    words = " ".join(done.stdout.split())

    assert done.returncode != 0
    assert "this is not root. Remedy: run the same command as root" in words, done.stdout + done.stderr


def test_check_mode_says_what_a_changed_machine_would_cost_and_touches_nothing(lab: Lab, tmp_path: Path) -> None:
    machines = lab.state_dir / "machines"
    made_from = {path: (path.read_text(), path.stat().st_mtime) for path in machines.glob("*/made-from")}
    names = '{"lab_names": [{"address": "10.77.255.99", "names": ["planned.lab.legalcloud.test"]}]}'
    hosts = Path("/etc/hosts").read_text()

    done = lab.playbook("lab.yml", "--check", "-e", names)

    assert done.returncode == 0, done.stdout + done.stderr
    assert RECAP.findall(done.stdout) == [("1", "0", "0")]
    assert Path("/etc/hosts").read_text() == hosts
    assert {path: (path.read_text(), path.stat().st_mtime) for path in machines.glob("*/made-from")} == made_from


def test_a_killed_machine_comes_back_and_its_osds_rejoin_by_themselves(lab: Lab) -> None:
    def up() -> set[int]:
        return {osd["osd"] for osd in lab.ceph("osd", "dump")["osds"] if osd["up"]}

    def healthy() -> bool:
        return bool(lab.ceph("health")["status"] == "HEALTH_OK")

    eventually(
        healthy, seconds=120, hint="the cluster should be HEALTH_OK before a machine is killed: `ceph health detail`"
    )
    own = {osd["id"] for osd in lab.ceph("osd", "metadata") if osd["hostname"] == VICTIM}
    lab.nodes[VICTIM].close()

    assert lab.machine(VICTIM, "killed") == "kill"
    eventually(lambda: not up() & own, seconds=60, hint=f"the OSDs of {VICTIM} should be seen as down")
    done = lab.playbook("lab.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert RECAP.findall(done.stdout) == [("1", "0", "0")]
    eventually(lambda: own <= up(), seconds=90, hint=f"`systemctl status ceph-osd-activate` on {VICTIM}")
    eventually(healthy, seconds=120, hint="`ceph health detail` on a monitor")
