from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugins.module_utils.drive_contents import LUKS_OURS, bluestore_label, luks_header
from plugins.module_utils.osd_drives import Seen, decide, seen
from tests.plugins.ceph_sample import FOLDER

OURS, ANOTHERS = "5f1d9c1e-7a57-4d0b-9c31-2f0b6c1b8a10", "0b7b1a52-6f0e-4f43-9a0e-6f5a6f4c2d77"
LABEL = (FOLDER.parents[2] / "agent/data/preflight/osd.label").read_bytes()


def drive(*signatures: str, fsid: str | None = None, osd: str | None = None, finished: bool = False) -> Seen:
    return Seen(device="/dev/vdb", signatures=signatures, fsid=fsid, osd=osd, finished=finished)


def locked() -> Seen:
    return Seen(device="/dev/vdb", signatures=(LUKS_OURS,), fsid=OURS, osd=None, finished=False, locked=True)


def luks(subsystem: str = LUKS_OURS, tokens: dict[str, Any] | None = None) -> bytes:
    """Lay out the first header of LUKS2 as its specification (1.1.2, section 2) does; only what we read is filled."""
    head = bytearray(16384)
    head[0:8] = b"LUKS\xba\xbe\x00\x02"
    head[24 : 24 + len(OURS)] = OURS.encode()
    head[208 : 208 + len(subsystem)] = subsystem.encode()
    named = {"0": {"type": "systemd-tpm2"}, "1": {"type": "legalcloud", "keyslots": ["0"], "key": "k-1"}}
    text = json.dumps({"keyslots": {}, "tokens": named if tokens is None else tokens}).encode()
    head[4096 : 4096 + len(text)] = text
    return bytes(head)


def test_a_header_of_ours_names_its_cluster_and_its_keys() -> None:
    assert luks_header(luks()) == {"ceph_fsid": OURS, "keys": ["k-1"]}


@pytest.mark.parametrize("head", [b"", b"LUKS", luks(subsystem="other"), luks()[:24], bytes(16384)])
def test_anything_else_is_no_header_of_ours(head: bytes) -> None:
    assert luks_header(head) is None


def test_where_the_first_header_is_damaged_the_second_one_names_the_keys() -> None:
    damaged, second = luks()[:4096] + b"\0" * 12288, b"SKUL" + luks()[4:]

    assert luks_header(damaged + second) == {"ceph_fsid": OURS, "keys": ["k-1"]}
    assert luks_header(damaged + luks()) == {"ceph_fsid": OURS, "keys": []}
    assert luks_header(luks(tokens={}) + second) == {"ceph_fsid": OURS, "keys": []}


@given(st.binary(max_size=400))
def test_a_damaged_header_is_still_ours_and_names_no_key_that_is_not_there(text: bytes) -> None:
    head = luks()[:4096] + text

    found = luks_header(head)

    assert found is not None
    assert found["ceph_fsid"] == OURS


def test_an_empty_drive_becomes_an_osd_and_ours_is_left_as_it_is() -> None:
    drives = {"A": drive(), "B": drive("ceph_bluestore", fsid=OURS, osd="3")}

    assert decide(drives, OURS, []) == (["A"], [])


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (None, "B: no drive of this node has this serial"),
        (drive("ext4"), "B (/dev/vdb) holds ext4; if that may be lost, name the serial"),
        (drive("gpt", "PMBR"), "B (/dev/vdb) holds gpt, PMBR; if"),
        (drive("ceph_bluestore", fsid=ANOTHERS, osd="0"), f"B (/dev/vdb) holds ceph_bluestore of cluster {ANOTHERS};"),
        (drive("ceph_bluestore", fsid=OURS), f"B (/dev/vdb) holds ceph_bluestore of cluster {OURS};"),
    ],
)
def test_a_drive_with_anything_else_on_it_is_refused(found: Seen | None, complaint: str) -> None:
    _, refused = decide({"A": drive(), "B": found}, OURS, [])

    assert len(refused) == 1
    assert refused[0].startswith(complaint)


def test_a_drive_that_the_operator_gives_up_is_prepared_and_no_other() -> None:
    drives = {"A": drive("ext4"), "B": drive("xfs")}

    prepare, refused = decide(drives, OURS, ["A"])

    assert prepare == ["A"]
    assert [text.split()[0] for text in refused] == ["B"]


def test_a_drive_that_is_written_off_may_be_missing_and_no_other() -> None:
    drives = {"A": None, "B": None, "C": drive()}

    prepare, refused = decide(drives, OURS, [], written_off=["A"])

    assert prepare == ["C"]
    assert [text.split(":")[0] for text in refused] == ["B"]


def test_a_drive_that_is_written_off_and_there_all_the_same_is_judged_like_any_other() -> None:
    assert decide({"A": drive("ext4")}, OURS, [], written_off=["A"])[1] == decide({"A": drive("ext4")}, OURS, [])[1]


def test_giving_up_a_serial_does_not_touch_an_osd_of_this_cluster() -> None:
    assert decide({"A": drive("ceph_bluestore", fsid=OURS, osd="3")}, OURS, ["A"]) == ([], [])


def test_a_recorded_label_names_the_cluster_and_the_osd() -> None:
    label = bluestore_label(LABEL)
    assert label is not None

    found = seen({"device": "/dev/vdb", "signatures": ["ceph_bluestore"], "bluestore": label, "luks": None}, None)

    assert (found.fsid, found.osd) == (label["ceph_fsid"], label["whoami"])
    assert decide({"A": found}, str(label["ceph_fsid"]), []) == ([], [])
    assert decide({"A": found}, ANOTHERS, [])[1]


def test_a_damaged_label_is_still_somebodys_data() -> None:
    found = seen({"device": "/dev/vdb", "signatures": [], "bluestore": bluestore_label(LABEL[:80]), "luks": None}, None)

    assert found.signatures == ("bluestore",)
    assert decide({"A": found}, OURS, [])[0] == []


def test_an_encrypted_drive_that_is_open_is_known_by_what_is_inside_and_a_locked_one_by_its_header() -> None:
    drive = {"device": "/dev/vdb", "signatures": ["crypto_LUKS"], "bluestore": None, "luks": luks_header(luks())}
    label = bluestore_label(LABEL)
    assert label is not None

    opened, closed = seen(drive, {"bluestore": label}), seen(drive, None)

    assert (opened.fsid, opened.osd, opened.finished, opened.locked) == (
        label["ceph_fsid"],
        label["whoami"],
        True,
        False,
    )
    assert (closed.fsid, closed.osd, closed.finished, closed.locked) == (OURS, None, False, True)
    assert decide({"A": opened}, str(label["ceph_fsid"]), []) == ([], [])
    assert decide({"A": closed}, OURS, []) == ([], [])
    assert decide({"A": closed}, ANOTHERS, [])[1]


def test_a_locked_drive_that_the_operator_gives_up_is_made_anew() -> None:
    assert decide({"A": locked()}, OURS, ["A"]) == (["A"], [])


def test_a_stranger_s_encryption_is_somebody_s_data_also_where_a_run_was_interrupted() -> None:
    header = luks_header(luks(subsystem=""))
    found = seen({"device": "/dev/vdb", "signatures": ["crypto_LUKS"], "bluestore": None, "luks": header}, None)

    prepare, refused = decide({"A": found}, OURS, [], ["A"])

    assert (header, prepare) == (None, [])
    assert "crypto_LUKS" in refused[0]


contents = st.builds(
    Seen,
    device=st.just("/dev/vdb"),
    signatures=st.lists(st.sampled_from(["ext4", "xfs", "gpt", "ceph_bluestore", "LVM2_member"]), max_size=2).map(
        tuple
    ),
    fsid=st.sampled_from([None, OURS, ANOTHERS]),
    osd=st.sampled_from([None, "0"]),
    finished=st.booleans(),
)


@given(st.dictionaries(st.sampled_from("ABCDEF"), st.none() | contents), st.sets(st.sampled_from("ABCDEF"), max_size=3))
def test_nothing_with_a_signature_is_written_to_unless_it_was_named(
    drives: dict[str, Seen | None], named: set[str]
) -> None:
    prepare, refused = decide(drives, OURS, sorted(named))

    for serial in prepare:
        found = drives[serial]
        assert found is not None
        assert not found.signatures or serial in named
        assert not (found.fsid == OURS and found.osd)
    for serial, found in drives.items():
        kept = found is not None and found.fsid == OURS and found.osd is not None
        assert kept + (serial in prepare) + any(text.startswith(serial) for text in refused) == 1


@pytest.mark.parametrize("half", [drive("ceph_bluestore"), drive("ceph_bluestore", fsid=OURS, osd="3")])
def test_an_osd_that_an_interrupted_run_left_half_made_is_made_anew(half: Seen) -> None:
    assert decide({"A": half}, OURS, [], ["A"]) == (["A"], [])


def test_an_osd_that_was_finished_is_never_made_anew_whatever_the_mark_says() -> None:
    whole = drive("ceph_bluestore", fsid=OURS, osd="3", finished=True)

    assert decide({"A": whole}, OURS, [], ["A"]) == ([], [])


def test_half_a_lock_without_a_key_is_made_anew() -> None:
    header = luks_header(luks(tokens={}))
    found = seen({"device": "/dev/vdb", "signatures": ["crypto_LUKS"], "bluestore": None, "luks": header}, None)

    assert not found.locked
    assert decide({"A": found}, OURS, [], ["A"]) == (["A"], [])
    assert "legalcloud-osd of cluster" in decide({"A": found}, OURS, [])[1][0]


def test_a_lock_that_names_a_key_is_not_made_anew_on_the_word_of_a_mark() -> None:
    assert decide({"A": locked()}, OURS, [], ["A"]) == ([], [])
    assert decide({"A": locked()}, ANOTHERS, [], ["A"])[0] == []


def test_a_drive_that_got_somebody_s_file_system_since_is_not_taken_for_half_an_osd() -> None:
    prepare, refused = decide({"A": drive("ext4")}, OURS, [], ["A"])

    assert prepare == []
    assert "ext4" in refused[0]


def test_the_recorded_label_is_of_a_finished_osd() -> None:
    contents = {
        "device": "/dev/vdb",
        "signatures": ["ceph_bluestore"],
        "bluestore": bluestore_label(LABEL),
        "luks": None,
    }

    found = seen(contents, None)

    assert found.finished is True
