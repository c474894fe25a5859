"""A firm that leaves: what must be kept is kept, the rest is unreadable, and the certificate says the truth."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.departure import FIRM, KEY, LOCKED, PLAIN, Departure, departed
from tests.e2e.nodes import Lab
from tests.e2e.openbao_revival import Revival, without_snapshots

from legalcloud.canonical import canonical
from legalcloud.cli import main

pytestmark = pytest.mark.ci


@pytest.fixture(scope="module")
def client(endpoint_url: str, ca_file: Path) -> Callable[[Any, str], Any]:
    return lambda session, service: session.client(service, endpoint_url=endpoint_url, verify=str(ca_file))


@pytest.fixture(scope="module")
def departure(
    lab: Lab, inventory_folder: Path, tmp_path_factory: pytest.TempPathFactory, client: Callable[[Any, str], Any]
) -> Iterator[Departure]:
    with departed(lab, inventory_folder, tmp_path_factory.mktemp("departure"), client) as found:
        yield found


def verified(path: Path, trust: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["record", "verify", str(path), "--trust", str(trust), "--json"])
    printed = capsys.readouterr().out
    return code, json.loads(printed)["record"]["body"] if printed else {}


def test_a_tenant_that_is_not_named_twice_is_left_alone(departure: Departure) -> None:
    code, output = departure.shred("-e", "confirm=demo-chambers")

    assert code != 0
    assert "Say which, and say it twice" in output


def test_a_tenant_that_has_a_file_is_left_alone(departure: Departure) -> None:
    code, output = departure.shred("-e", "tenant=demo-chambers", "-e", "confirm=demo-chambers")

    assert code != 0
    assert "tenants/demo-chambers.yml is there" in output


def test_a_version_under_legal_hold_is_named_and_nothing_is_destroyed(departure: Departure) -> None:
    code, output = departure.shred()

    assert code != 0
    said = re.sub(r"\s+", " ", output)
    assert f"{LOCKED}/{KEY} version {departure.held}: legal hold and retention until" in said
    assert (departure.refusal(LOCKED), departure.refusal(PLAIN)) == ("", "")
    assert departure.certificates() == []


def test_a_run_that_was_stopped_is_finished_and_its_certificate_holds(
    departure: Departure, lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    departure.release()

    stopped, reason = departure.shred("-e", f"tenant_erasure_signing_host={lab.groups['storage'][-1]}")
    code, output = departure.shred()

    assert stopped != 0  # after the keys were destroyed: that host has no evidence key
    assert "evidence.crt" in reason
    assert code == 0, output
    assert {departure.refusal(LOCKED), departure.refusal(PLAIN)} == {"InvalidArgument"}
    (path,) = departure.certificates()
    trust = Path(lab.variables["ca_dir"]) / "ca.crt"
    code, body = verified(path, trust, capsys)
    assert code == 0
    assert [key["mount"] for key in body["destroyed"]["keys"]] == ["transit-s3", "transit-kms"]
    assert body["destroyed"]["data"]["versions"] == 2
    assert {proof["refusal"] for proof in body["proof"]} == {"InvalidArgument"}
    assert body["final"] is False
    assert body["not_final_before"] > body["shredded_at"]
    assert KEY not in path.read_text()

    document = json.loads(path.read_bytes())
    payload = base64.b64decode(document["payload"]).replace(b'"final":false', b'"final":true')
    (tmp_path / "changed.json").write_bytes(
        canonical({**document, "payload": base64.b64encode(payload).decode()}) + b"\n"
    )
    assert verified(tmp_path / "changed.json", trust, capsys)[0] == 4


def test_a_snapshot_from_before_and_the_hsm_bring_the_key_back(departure: Departure, lab: Lab) -> None:
    """So "not final" is the truth."""
    revival = Revival(lab.group("kms")[2])
    try:
        revival.restore(departure.snapshot)
        assert revival.has(f"transit-kms/keys/{FIRM}")
        assert not revival.has("transit-kms/keys/nobody")
    finally:
        revival.remove()


def test_a_second_run_writes_nothing_while_it_is_not_final(departure: Departure) -> None:
    before = departure.certificates()

    code, output = departure.shred()

    assert code == 0, output
    assert "not final before" in output
    assert departure.certificates() == before


def test_objects_are_not_deleted_once_a_certificate_says_that_they_were_left(departure: Departure) -> None:
    before = departure.certificates()

    code, output = departure.shred("-e", "tenant_erasure_delete_objects=true")

    assert code != 0
    assert "tenant_erasure_delete_objects works only" in " ".join(output.split())
    assert departure.certificates() == before


def test_a_folder_that_is_not_there_proves_nothing(departure: Departure) -> None:
    before = departure.certificates()

    code, output = departure.shred("-e", "tenant_erasure_snapshot_folder=/var/backups/moved")

    assert code != 0
    assert "/var/backups/moved is no folder here" in " ".join(output.split())
    assert departure.certificates() == before


def test_once_no_snapshot_is_left_the_certificate_is_final(
    departure: Departure, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after the days that snapshots are kept: the servers have none from before."""
    with without_snapshots(lab.group("kms")):
        code, output = departure.shred()

    assert code == 0, output
    first, last = departure.certificates()
    code, body = verified(last, Path(lab.variables["ca_dir"]) / "ca.crt", capsys)
    assert code == 0
    assert (body["final"], body["not_final_before"], body["revivable_by"]) == (True, None, [])
    assert body["follows"]["file"] == first.name
    again, output = departure.shred()
    assert again == 0
    assert departure.certificates() == [first, last]
