from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugins.module_utils.drive_contents import bluestore_label
from plugins.modules.ceph_osd import Seen, decide, seen
from tests.plugins.ceph_sample import FOLDER

OURS, ANOTHERS = "5f1d9c1e-7a57-4d0b-9c31-2f0b6c1b8a10", "0b7b1a52-6f0e-4f43-9a0e-6f5a6f4c2d77"
LABEL = (FOLDER.parents[2] / "agent/data/preflight/osd.label").read_bytes()


def drive(*signatures: str, fsid: str | None = None, osd: str | None = None, finished: bool | None = False) -> Seen:
    return Seen(device="/dev/vdb", signatures=signatures, fsid=fsid, osd=osd, finished=finished)


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


def test_giving_up_a_serial_does_not_touch_an_osd_of_this_cluster() -> None:
    assert decide({"A": drive("ceph_bluestore", fsid=OURS, osd="3")}, OURS, ["A"]) == ([], [])


def test_a_recorded_label_names_the_cluster_and_the_osd() -> None:
    label = bluestore_label(LABEL)
    assert label is not None

    found = seen({"device": "/dev/vdb", "signatures": ["ceph_bluestore"], "bluestore": label}, [])

    assert (found.fsid, found.osd) == (label["ceph_fsid"], label["whoami"])
    assert decide({"A": found}, str(label["ceph_fsid"]), []) == ([], [])
    assert decide({"A": found}, ANOTHERS, [])[1]


def test_a_damaged_label_is_still_somebodys_data() -> None:
    found = seen({"device": "/dev/vdb", "signatures": [], "bluestore": bluestore_label(LABEL[:80])}, [])

    assert found.signatures == ("bluestore",)
    assert decide({"A": found}, OURS, [])[0] == []


def test_an_osd_on_a_logical_volume_is_known_by_its_tags() -> None:
    volume: dict[str, str | None] = {"device": "/dev/sdb", "volume": "ceph-1/osd-1", "ceph_fsid": OURS, "whoami": "7"}

    found = seen({"device": "/dev/sdb", "signatures": ["LVM2_member"], "bluestore": None}, [volume])

    assert decide({"A": found}, OURS, []) == ([], [])


contents = st.builds(
    Seen,
    device=st.just("/dev/vdb"),
    signatures=st.lists(st.sampled_from(["ext4", "xfs", "gpt", "ceph_bluestore", "LVM2_member"]), max_size=2).map(
        tuple
    ),
    fsid=st.sampled_from([None, OURS, ANOTHERS]),
    osd=st.sampled_from([None, "0"]),
    finished=st.sampled_from([None, False, True]),
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


def test_on_a_volume_the_mark_asks_a_person() -> None:
    volume = drive("LVM2_member", fsid=OURS, osd="7", finished=None)

    prepare, refused = decide({"A": volume}, OURS, [], ["A"])

    assert prepare == []
    assert "cannot be told" in refused[0]
    assert decide({"A": volume}, OURS, ["A"], ["A"]) == (["A"], [])


def test_a_drive_that_got_somebody_s_file_system_since_is_not_taken_for_half_an_osd() -> None:
    prepare, refused = decide({"A": drive("ext4")}, OURS, [], ["A"])

    assert prepare == []
    assert "ext4" in refused[0]


def test_the_recorded_label_is_of_a_finished_osd() -> None:
    found = seen({"device": "/dev/vdb", "signatures": ["ceph_bluestore"], "bluestore": bluestore_label(LABEL)}, [])

    assert found.finished is True
