"""The node's side of preflight: serials, drives, the network, and the modules under a real Ansible."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from plugins.module_utils import drive_contents, drive_serials, node_network

from legalcloud.preflight import parse

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/agent/data/preflight"
FSID = "6a7bb2f4-0d52-4d0a-9d5b-1d3f7d7c1a01"
SERVER = json.loads((DATA / "lsblk_server.json").read_bytes())
NVME_LINKS = {
    "nvme-NVME_3.8T_PHNV0007": "/dev/nvme0n1",
    "nvme-NVME_3.8T_PHNV0007_1": "/dev/nvme0n1",
    "ata-HDD_16T_ZL2DATA0001": "/dev/sdb",
    "ata-HDD_16T_ZL2DATA0001-part1": "/dev/sdb1",
}
NTP_MODE_SERVER = 0x24
NTP_EPOCH = 2_208_988_800


def test_serials_come_from_lsblk_without_blanks_and_from_links_where_lsblk_has_none() -> None:
    found = drive_serials.resolve(SERVER, {}, NVME_LINKS)

    assert found["S3RVSYS0001"] == "/dev/sda"
    assert found["ZL2DATA0001"] == "/dev/sdb"
    assert found["PHNV0007"] == "/dev/nvme0n1"


def test_a_lab_drive_that_lsblk_does_not_list_is_found_by_the_lab_file() -> None:
    assert drive_serials.resolve({"blockdevices": []}, {"LAB-a-1": "/dev/vdb"}, {}) == {"LAB-a-1": "/dev/vdb"}


def test_a_serial_that_two_devices_claim_is_nobodys() -> None:
    lab = {"ZL2DATA0001": "/dev/vdb"}

    assert "ZL2DATA0001" not in drive_serials.resolve(SERVER, lab, NVME_LINKS)
    assert drive_serials.candidates(SERVER, lab, {})["ZL2DATA0001"] == {"/dev/sdb", "/dev/vdb"}


@pytest.mark.parametrize(
    ("mode", "content", "said"),
    [
        (0o666, "{}", "writable by nobody else"),
        (0o644, "[", "not JSON"),
        (0o644, '{"A": 1}', "serial to device"),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="the file must belong to root")
def test_a_lab_file_that_anybody_can_write_or_that_is_garbage_is_refused(
    mode: int, content: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / drive_serials.LAB_FILE.lstrip("/")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    path.chmod(mode)

    with pytest.raises(drive_serials.DriveSerialError, match=said):
        drive_serials.lab_drives(tmp_path)


def test_a_production_node_has_no_lab_file() -> None:
    assert drive_serials.lab_drives(Path("/nonexistent")) == {}


def test_the_label_of_a_real_osd_names_its_cluster_and_gives_no_key() -> None:
    label = drive_contents.bluestore_label((DATA / "osd.label").read_bytes())

    assert label == {
        "osd_uuid": "d0f331bc-8955-4597-9513-9f69e5b442d6",
        "ceph_fsid": FSID,
        "whoami": "0",
        "ready": "ready",
    }
    assert b"osd_key" in (DATA / "osd.label").read_bytes()


@pytest.mark.parametrize("length", range(60, 640, 7))
def test_a_damaged_label_is_still_known_as_bluestore(length: int) -> None:
    label = drive_contents.bluestore_label((DATA / "osd.label").read_bytes()[:length])

    assert label is not None
    assert label["ceph_fsid"] is None


def test_an_empty_drive_has_no_label() -> None:
    assert drive_contents.bluestore_label(bytes(4096)) is None


def test_the_tags_of_a_volume_name_its_cluster_and_keep_the_lockbox_secret() -> None:
    found = drive_contents.volumes(lambda _argv: (DATA / "lvs.json").read_text())

    assert found[0] == {
        "device": "/dev/sdb",
        "volume": "ceph-6f1c/osd-block-9a01",
        "ceph_fsid": FSID,
        "whoami": "7",
    }
    assert found[1]["ceph_fsid"] is None
    assert "SECRET" not in str(found)


def run(argv: Sequence[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10).stdout


def test_a_drive_with_a_file_system_is_seen_by_size_and_signature(tmp_path: Path) -> None:
    image = tmp_path / "drive"
    image.touch()
    os.truncate(image, 2**20)
    assert drive_contents.look(str(image), run)["signatures"] == []
    run(["/usr/sbin/mkswap", str(image)])

    seen = drive_contents.look(str(image), run)

    assert (seen["size_bytes"], seen["signatures"], seen["bluestore"]) == (2**20, ["swap"], None)


def test_loopback_answers_small_and_full_echoes() -> None:
    seen = node_network.echoes({"self": "127.0.0.1", "six": "::1"}, 1500, wait_seconds=1)

    assert seen["self"] == {"small": True, "full": True}


def test_a_packet_larger_than_the_way_is_not_full() -> None:
    seen = node_network.echoes({"self": "127.0.0.1"}, 65_600, wait_seconds=0.4)

    assert seen["self"]["small"]
    assert not seen["self"]["full"]
    assert seen["self"]["problem"]


def test_a_listening_port_is_seen_with_the_process_that_holds_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        held = [seen for seen in node_network.listeners() if seen["port"] == port]

    assert held == [{"port": port, "process": Path("/proc/self/comm").read_text().strip()}]


def test_interfaces_carry_mtu_and_addresses() -> None:
    assert "127.0.0.1" in node_network.interfaces()["lo"]["addresses"]


def ntp(sent: float, *, offset: float, stratum: int = 2, first: int = NTP_MODE_SERVER) -> bytes:
    origin, server = (int((moment + NTP_EPOCH) * 2**32) for moment in (sent, sent + offset))
    return struct.pack("!BB22xQQQ", first, stratum, origin, server, server)


def test_an_ntp_reply_gives_the_offset_half_way_between_question_and_answer() -> None:
    found = node_network.time_answer(ntp(1000.0, offset=0.25), sent=1000.0, came=1000.1)

    assert found == {"offset_seconds": 0.2, "stratum": 2}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"short", "5 bytes"),
        (ntp(999.0, offset=0), "does not belong"),
        (ntp(1000.0, offset=0, first=0x23), "does not belong"),
        (ntp(1000.0, offset=0, first=0xE4), "not synchronised"),
        (ntp(1000.0, offset=0, stratum=0), "not synchronised"),
    ],
)
def test_an_ntp_reply_that_proves_nothing_gives_no_offset(reply: bytes, said: str) -> None:
    found = node_network.time_answer(reply, sent=1000.0, came=1000.1)

    assert said in found["problem"]
    assert "offset_seconds" not in found


def test_a_job_that_hangs_or_fails_costs_only_itself() -> None:
    def fail() -> None:
        raise OSError("no route")

    done = node_network.in_time(
        {"good": lambda: 1, "bad": fail, "slow": lambda: threading.Event().wait(3)}, seconds=0.2
    )

    assert done == {"good": 1, "bad": {"problem": "no route"}, "slow": {"problem": "no answer in 0.2 s"}}


def ansible(module: str, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Run one module on this machine, as Ansible does: packed with its module_utils."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(Path(sys.executable).with_name("ansible")),
            "localhost",
            "--connection=local",
            f"--extra-vars=ansible_python_interpreter={sys.executable}",
            f"--module-name={module}",
            f"--args={json.dumps(arguments)}",
            f"--tree={folder}",
        ]
        subprocess.run(command, capture_output=True, timeout=60, check=False, cwd=ROOT)
        result: dict[str, Any] = json.loads((Path(folder) / "localhost").read_bytes())
    return result


@pytest.fixture(scope="module")
def gathered() -> dict[str, Any]:
    return ansible(
        "preflight_facts",
        {
            "node": "here",
            "nodes": {"here": "127.0.0.1"},
            "serials": ["NO-SUCH-SERIAL"],
            "time_sources": ["127.0.0.1"],
        },
    )


def test_one_call_gathers_everything_that_the_judge_reads(gathered: dict[str, Any]) -> None:
    facts = parse.node_facts(gathered["facts"])

    assert gathered["changed"] is False
    assert facts.node == "here"
    assert facts.system.cores == len(os.sched_getaffinity(0))
    assert facts.drives is not None
    assert facts.drives["NO-SUCH-SERIAL"].device is None


def test_the_judge_writes_the_report_and_refuses_with_remedies(gathered: dict[str, Any], tmp_path: Path) -> None:
    report = tmp_path / "reports/preflight.json"
    from tests.agent.preflight_sample import variables  # noqa: PLC0415 -- the agent's sample, for this test only

    result = ansible(
        "preflight_judge",
        {
            "inventory_dir": str(ROOT / "inventories/lab"),
            "answers": {"tko-1": gathered, "tko-2": {"unreachable": True, "msg": "Failed to connect"}},
            "limits": variables(report_file=None),
            "report_file": str(report),
        },
    )

    assert "node-answers [refuse]" in result["msg"]
    assert "tko-2: Failed to connect" in result["msg"]
    assert "remedy:" in result["msg"]
    written = json.loads(report.read_bytes())
    assert written["verdict"] == "refused"
    assert {"tko-1", "cwn-2"} <= {entry["subject"] for entry in written["results"]}


def test_a_wrong_inventory_is_refused_with_file_and_remedy(tmp_path: Path) -> None:
    result = ansible("register_check", {"inventory_dir": str(tmp_path)})

    assert "hosts.yml" in result["msg"]
    assert "remedy:" in result["msg"]


def test_the_lab_s_inventory_is_a_register() -> None:
    result = ansible("register_check", {"inventory_dir": str(ROOT / "inventories/lab")})

    assert len(result["nodes"]) == 6
