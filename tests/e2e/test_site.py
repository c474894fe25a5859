"""No run prints a secret, and no node lets anybody read one."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.e2e.conftest import IDENTITY
from tests.e2e.nodes import Lab, Node

from legalcloud.reveal import open_revealed

pytestmark = pytest.mark.ci

READABLE = ["/boot", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr/local", "/var"]  # noqa: S108 -- read only
PLACED = re.compile(r"^sht-2 .*changed=[1-9]", re.MULTILINE)
BOOTSTRAP_KEYRING = "/var/lib/ceph/bootstrap-osd/ceph.keyring"


class Secrets(dict[str, str]):
    """Secrets by what they are; a failed test must not print them either."""

    def __repr__(self) -> str:
        return f"<{len(self)} secrets>"


@pytest.fixture(scope="module")
def secrets(lab: Lab) -> Secrets:
    """Every secret that the lab has, by what it is: keys of CephX, of S3 users, of the CA, of gateways and nodes."""
    found = {f"CephX key of {one['entity']}": one["key"] for one in lab.ceph("auth", "ls")["auth_dump"]}
    keyring = lab.admin().text("cat", f"/var/lib/ceph/mon/ceph-{lab.admin().name}/keyring")
    found["CephX key of mon."] = re.findall(r"key = (\S+)", keyring)[0]
    for uid in lab.admin().json("radosgw-admin", "user", "list"):
        for key in lab.admin().json("radosgw-admin", "user", "info", "--uid", uid)["keys"]:
            found[f"S3 key of {uid}"] = key["secret_key"]
    identity = next(line for line in IDENTITY.read_text().splitlines() if line.startswith("AGE-SECRET-KEY-"))
    for path in Path(lab.variables["tenants_reveal_dir"]).glob("demo-chambers.*.age"):
        found[f"revealed in {path.name}"] = str(open_revealed(path, identity=identity)["secret_access_key"])
    keys = {"the CA": (Path(lab.variables["ca_dir"]) / "ca.key").read_text()}
    for node in lab.nodes.values():
        for path_ in node.text("find", "/etc/legalcloud/pki", "-name", "*.key").split():
            keys[f"{node.name}:{path_}"] = node.text("cat", path_)
    found |= {f"private key of {name}": text.splitlines()[1] for name, text in keys.items()}
    assert len(found) > 30
    assert all(len(secret) >= 16 for secret in found.values())
    return Secrets(found)


class ProcessList(threading.Thread):
    """Reads every command line on this host, the lab's machines among them, until it is told to stop."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__(daemon=True)
        self.secrets = {secret.encode(): name for name, secret in secrets.items()}
        self.seen: set[bytes] = set()
        self.leaked: set[str] = set()
        self._end = threading.Event()

    def run(self) -> None:
        while not self._end.wait(0.1):
            for line in self._command_lines():
                if line not in self.seen:
                    self.seen.add(line)
                    self.leaked |= {name for secret, name in self.secrets.items() if secret in line}

    def stop(self) -> None:
        self._end.set()
        self.join()

    @staticmethod
    def _command_lines() -> Iterator[bytes]:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                yield path.read_bytes()
            except OSError:  # it ended meanwhile
                continue


@pytest.fixture(scope="module")
def runs(lab: Lab, secrets: Secrets) -> tuple[dict[str, CompletedProcess[str]], ProcessList]:
    """Run the playbooks as loudly as they can, once with a key to place anew, and watch all processes meanwhile."""
    lab.nodes["sht-2"].run(["rm", "--force", BOOTSTRAP_KEYRING])
    watch = ProcessList(secrets)
    watch.start()
    loud = ("-vvv", "--diff")
    done = {
        "site.yml": lab.playbook("site.yml", *loud, "--tags", "ceph_mon,ceph_mgr,ceph_osd,ceph_gateway"),
        "tenants.yml": lab.playbook("tenants.yml", *loud),
    }
    watch.stop()
    return done, watch


def leaked(text: str, secrets: Secrets) -> list[str]:
    return [name for name, secret in secrets.items() if secret in text]


def test_the_loudest_run_prints_no_secret_not_even_one_that_it_places(
    runs: tuple[dict[str, CompletedProcess[str]], ProcessList], lab: Lab, secrets: Secrets
) -> None:
    done, _ = runs
    for name, run in done.items():
        assert run.returncode == 0, f"{name}: {run.stdout[-3000:]}{run.stderr[-1000:]}"
        assert leaked(run.stdout + run.stderr, secrets) == [], name
    assert PLACED.search(done["site.yml"].stdout), "the run did not place the key that was taken from sht-2"
    assert leaked(lab.nodes["sht-2"].text("cat", BOOTSTRAP_KEYRING), secrets) == ["CephX key of client.bootstrap-osd"]


def test_no_process_has_a_secret_on_its_command_line(
    runs: tuple[dict[str, CompletedProcess[str]], ProcessList],
) -> None:
    _, watch = runs

    assert any(b"radosgw" in line for line in watch.seen), "the machines' processes are not to be seen from here"
    assert any(b"tenants.yml" in line for line in watch.seen)
    assert watch.leaked == set()


def anybody(node: Node, secrets: Secrets) -> list[str]:
    """Files with a secret in them that a user without any right can read."""
    patterns = "\n".join(secrets.values()).encode()
    argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
            "grep", "-rlsF", "--devices=skip", "-f", "-", *READABLE]  # fmt: skip
    return [f"{node.name}:{path}" for path in node.run(argv, patterns, good=(0, 1, 2)).decode().splitlines()]


def test_nobody_reads_a_secret_from_a_file_without_the_right_to_it(lab: Lab, secrets: Secrets) -> None:
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda node: anybody(node, secrets), lab.nodes.values()))

    assert [path for paths in found for path in paths] == []


def test_that_search_would_find_a_secret_that_lies_open(lab: Lab, secrets: Secrets) -> None:
    node, path = lab.nodes["sht-2"], "/var/tmp/legalcloud-planted"  # noqa: S108 -- a planted fault
    try:
        node.run(["tee", path], next(iter(secrets.values())).encode())
        node.run(["chmod", "0644", path])
        assert anybody(node, secrets) == [f"sht-2:{path}"]
    finally:
        node.run(["rm", path])


def test_no_journal_has_a_secret_in_it(lab: Lab, secrets: Secrets) -> None:
    with ThreadPoolExecutor() as pool:
        journals = list(
            pool.map(lambda node: node.text("journalctl", "--no-pager", "--output=cat"), lab.nodes.values())
        )

    assert all(journals)
    assert [leaked(journal, secrets) for journal in journals] == [[] for _ in journals]
