"""When a new unseal key counts as in use, so that the old one may be destroyed; and what proves it later."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from plugins.filter.ceremony import told_at, unseal_proofs, unwrapped_doubts, upgrade_fault
from tests.agent.signing_sample import DAY, authority, holder

from legalcloud.records.record import Record, keep, sign

NOW = datetime.now(UTC).replace(microsecond=0)
CA = authority(start=NOW - 300 * DAY)
SIGNER = holder(CA, start=NOW - 30 * DAY, end=NOW + 30 * DAY)
STRANGER = authority(start=NOW - 300 * DAY)

STARTING = "2026-11-23T10:00:01.000Z [INFO]  core: post-unseal setup starting\n"
UPGRADING = "2026-11-23T10:00:02.000Z [INFO]  core: upgrading stored keys\n"
FAILED = '2026-11-23T10:00:02.100Z [WARN]  core: post-unseal upgrade seal keys failed: error="failed to decrypt"\n'
COMPLETE = "2026-11-23T10:00:03.000Z [INFO]  core: post-unseal setup complete\n"
WRITTEN = datetime(2026, 11, 23, 10, 0, 0, 500000, tzinfo=UTC).timestamp()


def server(*, active: bool, journal: str = "", started: str = "10:00:00.900000") -> dict[str, Any]:
    shown = f"InvocationID=0a1b\nExecMainStartTimestamp=Mon 2026-11-23 {started} UTC"
    return {
        "__key_ceremony_told": {"stat": {"mtime": WRITTEN}},
        "__key_ceremony_leads": {"active": active},
        "__key_ceremony_process": {"stdout": shown},
        "__key_ceremony_log": {"stdout": journal},
    }


def doubts(**servers: dict[str, Any]) -> str:
    return "; ".join(unwrapped_doubts(sorted(servers), servers))


@pytest.mark.parametrize(
    "journal",
    [
        STARTING + UPGRADING + COMPLETE,
        STARTING + COMPLETE,  # another one wrapped it before
        STARTING + UPGRADING + FAILED + COMPLETE + STARTING + UPGRADING + COMPLETE,
    ],
)
def test_a_server_that_became_active_without_the_warning_has_wrapped_the_root_key(journal: str) -> None:
    assert upgrade_fault(journal) == ""
    assert doubts(a=server(active=True, journal=journal), b=server(active=False)) == ""


@pytest.mark.parametrize(
    ("journal", "says"),
    [
        ("", "does not say in its log that it became active"),
        (UPGRADING + COMPLETE, "does not say in its log that it became active"),
        (STARTING + UPGRADING, "does not say in its log that it finished"),
        (STARTING + UPGRADING + FAILED + COMPLETE, "upgrade seal keys failed"),
        (STARTING + FAILED + COMPLETE, "upgrade seal keys failed"),
        (STARTING + UPGRADING + COMPLETE + STARTING + UPGRADING + FAILED + COMPLETE, "upgrade seal keys failed"),
    ],
)
def test_the_words_before_the_attempt_prove_nothing(journal: str, says: str) -> None:
    assert says in upgrade_fault(journal)
    assert f"the active server a {upgrade_fault(journal)}" in doubts(a=server(active=True, journal=journal))


def test_only_the_present_active_server_counts() -> None:
    good, bad = STARTING + UPGRADING + COMPLETE, STARTING + UPGRADING + FAILED + COMPLETE

    assert doubts(a=server(active=False, journal=bad), b=server(active=True, journal=good)) == ""
    assert "active server b says" in doubts(a=server(active=False, journal=good), b=server(active=True, journal=bad))
    assert "none said so" in doubts(a=server(active=False, journal=good))
    assert "a and b said so" in doubts(a=server(active=True, journal=good), b=server(active=True, journal=good))


def test_a_process_that_read_an_older_configuration_is_found_on_any_server() -> None:
    good = server(active=True, journal=STARTING + COMPLETE)

    old = server(active=False, started="10:00:00.499999")
    assert doubts(a=good, b=old) == "the server on b is older than its configuration"
    never = server(active=False) | {"__key_ceremony_process": {"stdout": "InvocationID=\nExecMainStartTimestamp="}}
    assert doubts(a=good, b=never) == "nothing is known of the process on b"
    assert doubts(a=good, b={}) == "nothing is known of the process on b"
    unread = server(active=False) | {"__key_ceremony_told": {}}
    assert doubts(a=good, b=unread) == "nothing is known of the configuration on b"


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    (tmp_path / "ca.crt").write_bytes(CA.pem)
    return str(tmp_path / "ca.crt")


def place(folder: Path, *, kind: str = "unseal-key-rotation", subject: str = "kek-2", **body: Any) -> str:  # noqa: ANN401 -- JSON
    record = Record(kind=kind, subject=subject, issued_at=NOW, body={"configured_at": {"a": 5, "b": 6}} | body)
    return str(keep(folder, record, sign(record, certificate_pem=SIGNER.pem, signature=SIGNER.sign)))


def test_a_record_of_this_key_and_this_configuration_proves_it(tmp_path: Path, ca_file: str) -> None:
    path = place(tmp_path / "records")

    assert unseal_proofs([path], "kek-2", {"a": 5, "b": 6}, ca_file) == [path]


def test_other_labels_older_configurations_and_other_signers_prove_nothing(tmp_path: Path, ca_file: str) -> None:
    path, told = place(tmp_path / "records"), {"a": 5, "b": 6}

    assert unseal_proofs([path], "kek-1", told, ca_file) == []
    assert unseal_proofs([path], "kek-2", told | {"b": 7}, ca_file) == []
    assert unseal_proofs([path], "kek-2", told | {"c": 1}, ca_file) == []
    assert unseal_proofs([place(tmp_path / "other", kind="key-ceremony")], "kek-2", told, ca_file) == []
    assert unseal_proofs([place(tmp_path / "unread", configured_at={"a": 0})], "kek-2", {"a": 0}, ca_file) == []
    Path(ca_file).write_bytes(STRANGER.pem)
    assert unseal_proofs([path], "kek-2", told, ca_file) == []
    Path(path).write_text("{}")
    assert unseal_proofs([path], "kek-2", told, ca_file) == []


def test_when_a_configuration_was_written_is_whole_seconds_and_nought_if_nobody_could_look() -> None:
    assert told_at(["a", "b"], {"a": server(active=False), "b": {}}) == {"a": int(WRITTEN), "b": 0}
