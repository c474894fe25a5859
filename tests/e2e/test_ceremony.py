"""What the key ceremony left behind: a record that holds, shares for custodians, and no secret anywhere else."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from tests.e2e.conftest import INVENTORY
from tests.e2e.nodes import ROOT, Lab

from legalcloud.records import record as records

CUSTODIANS = yaml.safe_load((INVENTORY / "group_vars/all/custodians.yml").read_text())
THRESHOLD = int(CUSTODIANS["key_ceremony_threshold"])
SHARE = re.compile(rb"[0-9a-f]{66}")
PLACES = ["/etc", "/home", "/root", "/run", "/srv", "/tmp", "/var"]  # noqa: S108 -- read only
SCAN = [
    "env",
    "LC_ALL=C",
    "grep",
    "--recursive",
    "--files-with-matches",
    "--fixed-strings",
    "--no-messages",
    "-f",
    "-",
    "--",
]
JOURNAL = "journalctl --no-pager | LC_ALL=C grep --count --fixed-strings -f /dev/fd/3 3<&0"
ROTATION_SECONDS = 300


class Shares(list[bytes]):
    """Decrypted shares; a failed test must not print them."""

    def __repr__(self) -> str:
        return f"<{len(self)} shares>"


def read(path: Path) -> records.Record:
    return records.read(path.read_bytes())


def latest(lab: Lab, *kinds: str) -> Path:
    """Return the newest record of these kinds; names begin with the time."""
    found = [path for kind in kinds for path in records_dir(lab).glob(f"*-{kind}-*.json")]
    assert found, f"{records_dir(lab)} has no record of {', '.join(kinds)}: run playbooks/key_ceremony.yml"
    return max(found, key=lambda path: path.name)


def records_dir(lab: Lab) -> Path:
    return lab.state_dir / "controller/records"


def share_files(lab: Lab) -> list[Path]:
    """Return the files of the shares that are in force, as the newest record names them."""
    record = read(latest(lab, "key-ceremony", "recovery-rotation"))
    folder = records_dir(lab) / "recovery-shares"
    by_hash = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in folder.rglob("*.asc")}
    return [by_hash[str(one["share_sha256"])] for one in record.body["custodians"]]  # type: ignore[index,call-overload,union-attr]  # a record's body is JSON


def decrypted(lab: Lab, files: Sequence[Path]) -> Shares:
    """Decrypt as each custodian would, with the key that the lab made for him."""
    shares = Shares()
    for number, path in enumerate(files, 1):
        home = lab.state_dir / f"custodians/custodian-{number}"
        words = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--decrypt", str(path)]
        shares.append(subprocess.run(words, capture_output=True, timeout=60, check=True).stdout.strip())
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], timeout=30, check=True)  # noqa: S607 -- of the PATH
    return shares


@pytest.fixture(scope="module")
def shares(lab: Lab) -> Shares:
    return decrypted(lab, share_files(lab))


@pytest.mark.ci
def test_the_record_is_authentic_and_names_custodians_hsms_and_programs(lab: Lab, ca_file: Path) -> None:
    raw = latest(lab, "key-ceremony").read_bytes()

    record, signer = records.verify(raw, ca_pem=ca_file.read_bytes(), now=datetime.now(UTC))

    body = json.loads(json.dumps(record.body))
    assert signer.curve == "secp384r1"
    assert body["root_tokens"] == 0
    assert body["threshold"] == THRESHOLD
    assert body["operator"] == CUSTODIANS["key_ceremony_operator"]
    assert [one["name"] for one in body["custodians"]] == [one["name"] for one in CUSTODIANS["key_ceremony_custodians"]]
    assert [one["name"] for one in body["servers"]] == list(lab.groups["kms"])
    for server in body["servers"]:
        assert server["hsm"]["label"] == "legalcloud-kms"
        assert server["hsm"]["serial"]
        assert server["bao_sha256"] == lab.nodes[server["name"]].text("sha256sum", "/opt/openbao/bin/bao").split()[0]


@pytest.mark.ci
def test_each_custodian_and_nobody_else_opens_his_share(lab: Lab, shares: Shares) -> None:
    files = share_files(lab)

    assert len(set(shares)) == len(files) == len(CUSTODIANS["key_ceremony_custodians"])
    assert all(SHARE.fullmatch(share) for share in shares)
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    other = ["gpg", "--homedir", str(lab.state_dir / "custodians/custodian-2"), "--batch", "--quiet", "--decrypt"]
    refused = subprocess.run([*other, str(files[0])], capture_output=True, timeout=60, check=False)
    assert refused.returncode != 0
    assert not SHARE.search(refused.stdout)


@pytest.mark.ci
def test_a_second_ceremony_says_what_it_found_and_changes_nothing(lab: Lab) -> None:
    before = sorted(records_dir(lab).rglob("*"))

    done = lab.playbook("key_ceremony.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "had its ceremony, and nothing was changed" in " ".join(done.stdout.split())
    assert not re.search(r"changed=[1-9]", done.stdout), done.stdout
    assert sorted(records_dir(lab).rglob("*")) == before


@pytest.mark.ci
def test_what_initialises_openbao_is_gone(lab: Lab) -> None:
    for node in lab.group("kms"):
        assert "init.hcl" not in node.text("ls", "/etc/openbao"), node.name


@pytest.mark.ci
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-e", "key_ceremony_threshold=1"], "a threshold of 1"),
        (["-e", "key_ceremony_threshold=6"], "a threshold of 6"),
        (["-e", "key_ceremony_operator="], "must say who ran the ceremony"),
        (["--limit", "kms[0]"], "All of them must be there"),
    ],
)
def test_an_unsound_ceremony_is_refused_before_anything_is_asked(lab: Lab, words: Sequence[str], says: str) -> None:
    done = lab.playbook("key_ceremony.yml", "--tags", "preflight", *words)

    assert done.returncode != 0
    assert says in " ".join((done.stdout + done.stderr).split())


@pytest.mark.ci
def test_no_share_is_on_the_controller_or_on_a_node(lab: Lab, shares: Shares) -> None:
    patterns = b"".join(share + b"\n" for share in shares)
    mine = [lab.state_dir / "controller", INVENTORY, ROOT / "reports", Path.home() / ".ansible"]
    mine += Path(tempfile.gettempdir()).glob("ansible*")

    found = subprocess.run(
        [*SCAN, *(str(path) for path in mine)], input=patterns, capture_output=True, timeout=120, check=False
    )
    assert found.stdout == b""
    for node in lab.nodes.values():
        # The patterns come on standard input, and so no process list shows them.
        assert node.run([*SCAN, *PLACES], patterns, good=(0, 1, 2)) == b"", node.name
        assert node.run(["sh", "-c", JOURNAL], patterns, good=(0, 1)).strip() == b"0", node.name


@pytest.mark.ci
def test_the_scan_sees_a_share_that_is_there(tmp_path: Path) -> None:
    share = b"0a" * 33
    (tmp_path / "leak").write_bytes(b"\0" * 100 + share + b"\0")

    done = subprocess.run([*SCAN, str(tmp_path)], input=share + b"\n", capture_output=True, timeout=60, check=False)

    assert done.stdout.decode().strip() == str(tmp_path / "leak")


def given(lab: Lab, shares: Sequence[bytes]) -> tuple[int, str]:
    """Run the playbook with shares from a file in memory; return its code and its words."""
    with tempfile.NamedTemporaryFile("w", dir="/dev/shm", suffix=".json") as file:
        json.dump({"key_ceremony_shares": [share.decode() for share in shares]}, file)
        file.flush()
        done = lab.playbook("rotate_recovery_keys.yml", "-e", f"@{file.name}", seconds=ROTATION_SECONDS)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.mark.long
def test_a_rotation_keeps_the_present_shares_until_the_new_ones_were_given(lab: Lab) -> None:
    old = decrypted(lab, share_files(lab))
    sets = set((records_dir(lab) / "recovery-shares").iterdir())

    code, said = given(lab, [old[0], old[1], b"00" * 33])
    assert code != 0
    assert "verification failed" in said
    code, said = given(lab, old[:THRESHOLD])  # after the failure, and so the present ones still hold
    assert code == 0, said
    (folder,) = set((records_dir(lab) / "recovery-shares").iterdir()) - sets
    by_name = {path.stem: path for path in folder.iterdir()}
    new = decrypted(lab, [by_name[path.stem] for path in share_files(lab)])
    code, said = given(lab, old[:THRESHOLD])  # the present ones cannot confirm
    assert code != 0
    assert "incorrect key shares" in said
    code, said = given(lab, new[1 : THRESHOLD + 1])
    assert code == 0, said

    assert decrypted(lab, share_files(lab)) == new
    code, said = given(lab, old[:THRESHOLD])
    assert code != 0, "the old shares still hold"
    code, said = given(lab, new[:1])
    assert f"needs {THRESHOLD} of the present ones" in said


@pytest.mark.long
def test_the_seals_key_is_rotated_there_and_back_and_the_spare_one_destroyed(lab: Lab) -> None:
    seal = {"lib": "/usr/lib/softhsm/libsofthsm2.so", "token_label": "legalcloud-kms", "key_label": "kek-test"}
    keys = {"kek-1": "aes-256", "kek-test": "aes-256", "login-ca": "ec-p384"}

    try:
        there = lab.playbook(
            "rotate_unseal_key.yml", "-e", json.dumps({"openbao_seal": seal, "hsm_kms_keys": keys}), seconds=900
        )
        assert there.returncode == 0, there.stdout + there.stderr
        assert "OpenBao is sealed with kek-test" in " ".join(there.stdout.split())
    finally:  # without the variables it is the way back, and kek-1 is then the key that seals
        back = lab.playbook("rotate_unseal_key.yml", "-e", "unseal_key_destroy=kek-1", seconds=900)
        gone = lab.playbook("rotate_unseal_key.yml", "-e", "unseal_key_destroy=kek-test", seconds=900)
    assert back.returncode != 0
    assert "it is OpenBao's unseal key now" in " ".join(back.stdout.split())
    assert gone.returncode == 0, gone.stdout + gone.stderr
    for node in lab.group("kms"):
        assert "kek-test" not in node.text("/usr/local/sbin/legalcloud-hsm", "describe", "kms"), node.name
