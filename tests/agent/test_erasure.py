"""What stands against shredding a tenant, what it destroys, and when nothing can bring a key back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legalcloud.canonical import canonical
from legalcloud.erasure import (
    CLOCKS_DIFFER,
    SAMPLES,
    SHOWN,
    Backup,
    Encryption,
    Holdings,
    Life,
    Version,
    destroyed,
    finality,
    remains,
    verdict,
)
from legalcloud.errors import NotAuthenticError, ParseError
from legalcloud.records.erasures import Phase, drop_notes, notes_path, standing, take_notes
from legalcloud.records.record import Record

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TENANT = "firm-a"


def version(
    number: int = 0,
    *,
    encryption: Encryption = Encryption.TENANT,
    hold: bool = False,
    until: datetime | None = None,
) -> Version:
    return Version(
        bucket="firm-a-matters",
        key=f"案件/{number}",
        version_id=f"v{number}",
        bytes=10,
        encryption=encryption,
        legal_hold=hold,
        retain_until=until,
    )


def holdings(*versions: Version) -> Holdings:
    found = Holdings(now=NOW)
    for one in versions:
        found.add(one)
    return found


def test_nothing_stands_against_versions_whose_retention_is_over() -> None:
    assert holdings(version(), version(1, until=NOW), version(2, until=NOW - DAY)).refusal() == ""


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (version(7, hold=True), "firm-a-matters/案件/7 version v7: legal hold"),
        (version(8, until=NOW + DAY), "firm-a-matters/案件/8 version v8: retention until 2026-12-02T09:00:00Z"),
        (version(9, hold=True, until=NOW + DAY), "legal hold and retention until"),
    ],
)
def test_a_version_that_must_be_kept_is_named_with_its_reason(one: Version, says: str) -> None:
    refusal = holdings(version(), one).refusal()

    assert refusal.startswith("1 versions must be kept, so nothing was destroyed:\n")
    assert says in refusal


def test_a_refusal_names_the_first_ones_and_counts_the_rest() -> None:
    refusal = holdings(*(version(number, hold=True) for number in range(SHOWN + 5))).refusal()

    assert refusal.count("legal hold") == SHOWN
    assert refusal.endswith("and 5 more")


def test_versions_are_counted_by_bucket_and_encryption_and_some_are_sampled() -> None:
    many = [version(number) for number in range(10)]
    found = holdings(*many, version(20, encryption=Encryption.NONE), version(21, encryption=Encryption.CUSTOMER))

    assert [(row["encryption"], row["versions"], row["bytes"]) for row in found.totals()] == [
        ("customer key", 1, 10),
        ("none", 1, 10),
        ("tenant key", 10, 100),
    ]
    assert found.samples == many[:SAMPLES]


def test_a_certificate_counts_as_destroyed_only_what_the_tenants_key_encrypted() -> None:
    kinds = [kind for kind in Encryption for _ in range(2)]
    totals = holdings(*(version(number, encryption=kind) for number, kind in enumerate(kinds))).totals()

    left = remains(totals, objects_deleted=False)

    assert destroyed(totals) == {
        "versions": 2,
        "bytes": 20,
        "buckets": [{"bucket": "firm-a-matters", "versions": 2, "bytes": 20}],
    }
    assert {row["what"] for row in left if "versions" in row} == {
        "objects: none",
        "objects: customer key",
        "objects: another key",
        "objects: unknown",
    }
    assert all(row["why"] and set(row["why"]) == {"en", "zh_hant"} for row in left)  # type: ignore[arg-type]  # a mapping
    assert canonical(left)


def test_deleted_objects_do_not_remain_and_everything_else_does() -> None:
    totals = holdings(version(encryption=Encryption.NONE)).totals()

    kept = {row["what"] for row in remains(totals, objects_deleted=False)}
    gone = {row["what"] for row in remains(totals, objects_deleted=True)}

    assert kept - gone == {"objects: none", "ciphertext"}
    assert "operations log" in gone


LIFE = Life(made_at=NOW - 50 * DAY, shredded_at=NOW)


def backup(taken_at: datetime | None, kek: str | None = "kek-1") -> Backup:
    return Backup(node="tko-1", name="openbao.cms", taken_at=taken_at, kek_label=kek)


def judged(*backups: Backup, now: datetime = NOW, keks: tuple[str, ...] = ("kek-1",)) -> datetime | None:
    return finality(backups, life=LIFE, now=now, keep_days=30, keks=keks).not_final_before


def test_the_last_snapshot_from_before_says_when_it_can_be_final() -> None:
    assert judged(backup(NOW - 3 * DAY), backup(NOW - DAY), backup(NOW + DAY)) == NOW + 29 * DAY


def test_it_is_final_when_only_younger_snapshots_are_left() -> None:
    assert judged(backup(NOW + DAY), now=NOW + 40 * DAY) is None
    assert judged() is None


def test_a_snapshot_whose_hsm_key_is_gone_brings_nothing_back() -> None:
    assert judged(backup(NOW - DAY, "kek-1"), keks=("kek-2",)) is None


def test_a_snapshot_that_stayed_too_long_still_counts() -> None:
    """The timer may have stopped: what is there decides, not what should be."""
    assert judged(backup(NOW - DAY), now=NOW + 90 * DAY) == NOW + 90 * DAY + timedelta(seconds=1)


def test_clocks_may_differ() -> None:
    assert judged(backup(NOW + CLOCKS_DIFFER)) is not None
    assert judged(backup(NOW + CLOCKS_DIFFER + timedelta(seconds=1))) is None


def test_a_snapshot_from_before_the_key_was_made_brings_nothing_back() -> None:
    assert judged(backup(NOW - 50 * DAY - CLOCKS_DIFFER - timedelta(seconds=1))) is None
    assert judged(backup(NOW - 50 * DAY - CLOCKS_DIFFER)) is not None


def test_what_cannot_be_dated_or_opened_counts_against_us() -> None:
    assert judged(backup(None, None)) == NOW + 30 * DAY
    assert judged(backup(NOW - DAY, None), keks=()) == NOW + 29 * DAY


@given(st.lists(st.integers(-100, 100)), st.integers(0, 100))
def test_it_is_never_final_while_a_snapshot_from_before_is_there(days: list[int], later: int) -> None:
    found = finality(
        [backup(NOW + day * DAY) for day in days],
        life=LIFE,
        now=NOW + later * DAY,
        keep_days=30,
        keks={"kek-1"},
    )

    assert found.final == (not any(-50 <= day <= 0 for day in days))
    assert found.final or (found.not_final_before or NOW) > NOW + later * DAY


def test_the_verdict_names_what_could_bring_a_key_back() -> None:
    found = verdict(finality([backup(NOW - DAY)], life=LIFE, now=NOW, keep_days=30, keks={"kek-1"}))

    assert found == {
        "final": False,
        "not_final_before": "2026-12-30T09:00:00Z",
        "revivable_by": [
            {"node": "tko-1", "name": "openbao.cms", "taken_at": "2026-11-30T09:00:00Z", "kek_label": "kek-1"}
        ],
    }


def certificate(*, final: bool) -> Record:
    return Record(kind="erasure", subject=TENANT, issued_at=NOW, body={"final": final})


def phase(folder: Path, *, keys: bool, final: bool = False) -> Phase:
    return standing(folder, TENANT, keys=keys, check=lambda _: certificate(final=final)).phase


def test_an_erasure_goes_from_keys_to_a_final_certificate(tmp_path: Path) -> None:
    assert phase(tmp_path, keys=False) is Phase.NOTHING
    assert phase(tmp_path, keys=True) is Phase.DESTROY
    take_notes(tmp_path, TENANT, {"keys": []})
    assert phase(tmp_path, keys=True) is Phase.DESTROY  # killed between two keys
    assert phase(tmp_path, keys=False) is Phase.CERTIFY  # killed before the certificate
    (tmp_path / f"20261201T090000Z-erasure-{TENANT}.json").write_bytes(b"")
    drop_notes(tmp_path, TENANT)
    assert phase(tmp_path, keys=False) is Phase.FINISH
    assert phase(tmp_path, keys=False, final=True) is Phase.FINAL


def test_the_notes_are_for_root_only_and_are_no_record(tmp_path: Path) -> None:
    take_notes(tmp_path, TENANT, {"samples": ["案件/狀書"]})

    path = notes_path(tmp_path, TENANT)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_bytes()) == {"samples": ["案件/狀書"]}
    assert list(tmp_path.glob("*.json")) == []


def test_the_newest_certificate_counts_and_must_hold(tmp_path: Path) -> None:
    for day in ("20261201", "20261231"):
        (tmp_path / f"{day}T090000Z-erasure-{TENANT}.json").write_text(day)
    (tmp_path / "20270101T090000Z-erasure-firm-b.json").write_text("another's")

    def check(raw: bytes) -> Record:
        assert raw == b"20261231"
        raise NotAuthenticError("it was changed")

    with pytest.raises(NotAuthenticError):
        standing(tmp_path, TENANT, keys=False, check=check)


def test_notes_that_cannot_be_read_stop_the_run(tmp_path: Path) -> None:
    take_notes(tmp_path, TENANT, {})
    notes_path(tmp_path, TENANT).write_text("{")

    with pytest.raises(ParseError, match="is not JSON"):
        phase(tmp_path, keys=False)
