"""A firm that leaves and whose unreadable objects are deleted as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.departure import LOCKED, PLAIN, departed
from tests.e2e.nodes import Lab

from legalcloud.cli import main

pytestmark = pytest.mark.long


@pytest.fixture
def client(endpoint_url: str, ca_file: Path) -> Callable[[Any, str], Any]:
    return lambda session, service: session.client(service, endpoint_url=endpoint_url, verify=str(ca_file))


def test_no_version_is_left_and_the_certificate_says_so(
    lab: Lab,
    inventory_folder: Path,
    tmp_path: Path,
    client: Callable[[Any, str], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with departed(lab, inventory_folder, tmp_path, client) as firm:
        firm.release()

        code, output = firm.shred("-e", "tenant_erasure_delete_objects=true")

        assert code == 0, output
        for bucket in (LOCKED, PLAIN):
            left = firm.root.list_object_versions(Bucket=bucket)
            assert (left.get("Versions", []), left.get("DeleteMarkers", [])) == ([], []), bucket
        (path,) = firm.certificates()
        trust = str(Path(lab.variables["ca_dir"]) / "ca.crt")
        assert main(["record", "verify", str(path), "--trust", trust, "--json"]) == 0
        body = json.loads(capsys.readouterr().out)["record"]["body"]
        assert body["destroyed"]["objects_deleted"] is True
        assert "ciphertext" not in {one["what"] for one in body["remains"]}
