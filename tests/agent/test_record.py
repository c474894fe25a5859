"""What `legalcloud record` prints, how it ends, and what is kept."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.agent.signing_sample import DAY, authority, holder

from legalcloud.canonical import Json, canonical
from legalcloud.cli import main
from legalcloud.erasure import REMAINS, UNSHREDDED
from legalcloud.errors import InputError, ParseError
from legalcloud.records.record import Record, from_payload, keep, read, sign, to_payload, verify
from legalcloud.records.text import TITLES, lines

GLOSSARY = Path(__file__).parents[2] / "docs/glossary.md"
NOW = datetime.now(UTC).replace(microsecond=0)
CA = authority(start=NOW - 300 * DAY)
SIGNER = holder(CA, start=NOW - 30 * DAY, end=NOW + 30 * DAY)
ERASURE: dict[str, Json] = {
    "final": False,
    "shredded_at": "2026-12-01T09:00:00Z",
    "not_final_before": "2026-12-31T09:00:00Z",
    "tenant": {"id": "firm-a", "name": {"en": "Firm A", "zh_hant": "甲律師事務所"}},
    "destroyed": {"keys": [{"mount": "transit-s3", "name": "RGW1"}], "data": {"versions": 3, "bytes": 12}},
    "remains": [{"what": "operations log", "why": "kept by law\x1b[31m"}],
}


def record(kind: str = "erasure", body: dict[str, Json] | None = None, issued_at: datetime = NOW) -> Record:
    return Record(kind=kind, subject="firm-a", issued_at=issued_at, body=ERASURE if body is None else body)


def signed(one: Record) -> bytes:
    return sign(one, certificate_pem=SIGNER.pem, signature=SIGNER.sign)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    path, trust = keep(tmp_path / "records", record(), signed(record())), tmp_path / "ca.crt"
    trust.write_bytes(CA.pem)
    return str(path), str(trust)


def test_a_record_is_read_as_it_was_signed() -> None:
    found, signer = verify(signed(record()), ca_pem=CA.pem, now=NOW)

    assert found == record() == read(signed(record()))
    assert signer.name == "Legal Cloud evidence"


def test_the_kept_file_is_readable_by_all_and_never_replaced(tmp_path: Path) -> None:
    path = keep(tmp_path, record(), b"first")

    with pytest.raises(InputError, match="is there already"):
        keep(tmp_path, record(), b"second")

    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [found.name for found in tmp_path.iterdir()] == [f"{NOW:%Y%m%dT%H%M%SZ}-erasure-firm-a.json"]


def test_verify_says_who_signed_and_what(capsys: pytest.CaptureFixture[str], files: tuple[str, str]) -> None:
    code = main(["record", "verify", files[0], "--trust", files[1]])
    out = capsys.readouterr().out

    assert code == 0
    assert "authentic: signed by Legal Cloud evidence" in out
    for text in ("Certificate of erasure 資料銷毀證明書", "甲律師事務所", "NOT FINAL before 2026-12-31", "尚未最終"):
        assert text in out
    assert "\x1b" not in out


def test_verify_gives_machines_the_signer_and_the_record(
    capsys: pytest.CaptureFixture[str], files: tuple[str, str]
) -> None:
    assert main(["record", "verify", files[0], "--trust", files[1], "--json"]) == 0
    document = json.loads(capsys.readouterr().out)

    assert document["authentic"] is True
    assert document["signer"]["name"] == "Legal Cloud evidence"
    assert document["record"]["body"] == ERASURE


def test_a_changed_record_is_not_authentic(capsys: pytest.CaptureFixture[str], files: tuple[str, str]) -> None:
    path = Path(files[0])
    document = json.loads(path.read_bytes())
    final = to_payload(record(body={**ERASURE, "final": True, "not_final_before": None}))
    document["payload"] = base64.b64encode(final).decode()
    path.write_bytes(canonical(document) + b"\n")

    code = main(["record", "verify", files[0], "--trust", files[1]])

    assert code == 4
    assert "it was changed" in capsys.readouterr().err


def test_show_says_that_it_verified_nothing(capsys: pytest.CaptureFixture[str], files: tuple[str, str]) -> None:
    assert main(["record", "show", files[0]]) == 0

    assert "not verified" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["absent", "not-a-record"])
def test_what_cannot_be_read_ends_with_a_reason(
    capsys: pytest.CaptureFixture[str], files: tuple[str, str], tmp_path: Path, name: str
) -> None:
    (tmp_path / "not-a-record").write_text("{}\n")

    code = main(["record", "verify", str(tmp_path / name), "--trust", files[1]])

    assert code == {"absent": 2, "not-a-record": 3}[name]
    assert "remedy:" in capsys.readouterr().err


def test_a_record_from_the_future_is_not_called_forged(
    capsys: pytest.CaptureFixture[str], files: tuple[str, str], tmp_path: Path
) -> None:
    path = keep(tmp_path, record(issued_at=NOW + DAY), signed(record(issued_at=NOW + DAY)))

    assert main(["record", "verify", str(path), "--trust", files[1]]) == 3
    assert "this machine's clock says" in capsys.readouterr().err


def test_a_record_of_before_its_signers_certificate_is_not_authentic(tmp_path: Path, files: tuple[str, str]) -> None:
    early = record(issued_at=NOW - timedelta(days=31))
    path = keep(tmp_path, early, signed(early))

    assert main(["record", "verify", str(path), "--trust", files[1]]) == 4


@pytest.mark.parametrize("body", [{"a": 1.5}, {"a": {"b": [b"x"]}}])
def test_what_cannot_stand_in_a_record_is_refused_before_it_is_signed(body: dict[str, Json]) -> None:
    with pytest.raises(InputError, match=r"\$\.body\.a"):
        to_payload(record(body=body))


def test_a_word_that_would_leave_its_folder_is_refused() -> None:
    with pytest.raises(InputError, match=r"not of \[a-z0-9-\]"):
        to_payload(Record(kind="../erasure", subject="x", issued_at=NOW, body={}))


def test_a_record_of_another_form_is_not_guessed_at() -> None:
    raw = to_payload(record()).replace(b"records/v1", b"records/v2")

    with pytest.raises(ParseError, match="not a record of the form"):
        from_payload(raw)


def test_a_record_cannot_write_to_the_readers_terminal() -> None:
    text = "\n".join(lines(record()))

    assert "\x1b" not in text
    assert "kept by law\\u001b[31m" in text


def test_a_certificate_of_erasure_that_lacks_its_verdict_is_not_summed_up() -> None:
    with pytest.raises(ParseError, match="lacks what it must say"):
        list(lines(record(body={key: value for key, value in ERASURE.items() if key != "final"})))


def test_a_record_of_another_kind_is_shown_as_it_is() -> None:
    text = "\n".join(lines(record("drill", {"steps": [{"seconds": 3}, "plain"], "none": [], "well": True})))

    assert text.splitlines()[0] == "drill"
    assert "  - \n    seconds: 3".replace("- \n", "-\n") in text
    assert "none: none" in text
    assert "well: yes" in text


@pytest.mark.parametrize("texts", [*TITLES.values(), *REMAINS.values(), *UNSHREDDED.values()], ids=lambda pair: pair[0])
def test_both_languages_use_the_words_of_the_glossary(texts: tuple[str, str]) -> None:
    english, chinese = texts
    rows = [row.split(" | ") for row in GLOSSARY.read_text().splitlines() if row.startswith("| ")]
    words = {word.removeprefix("| "): term.removesuffix(" |") for word, _, term in rows[2:]}
    del words["record"]  # called 簽署紀錄 on its own, 紀錄 after the name of what it records

    missing = {
        word: term
        for word, term in words.items()
        if re.search(rf"\b{re.escape(word)}s?\b", english, re.IGNORECASE) and term not in chinese
    }

    assert len(words) > 30
    assert missing == {}
