"""What gateways refuse by script, HAProxy refuses first; verify.yml sees a gateway that does not (ADR 0017)."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.e2e.nodes import ROOT, Lab
from tests.e2e.tenant_lab import FIRM, PLAIN, status

pytestmark = pytest.mark.ci

TENANT = "luaprobe"
"""Scripts of this tenant run for requests that name a bucket of it, and for no others."""
ABORT = "return RGW_ABORT_REQUEST\n"
BUSY = "local begun = os.clock()\nwhile os.clock() - begun < 1.2 do end\n"
CLI = ("radosgw-admin", "script")
SCRIPT = ("--context=prerequest", f"--tenant={TENANT}")


@pytest.fixture
def probe(lab: Lab) -> Iterator[Lab]:
    yield lab
    lab.admin().run([*CLI, "rm", *SCRIPT])


def answer_to(lab: Lab, script: str) -> int:
    """Put a script for the probe's tenant; return what the first gateway answers to a request that meets it."""
    lab.admin().run([*CLI, "put", *SCRIPT, "--infile=/dev/stdin"], script.encode())
    url = f"http://127.0.0.1:7480/{TENANT}:none"
    return int(lab.group("gateways")[0].text("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url))


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        (ABORT, 403),
        (BUSY + ABORT, 403),
        ("local text = string.rep('x', 200000)\n" + ABORT, 403),
        ("error('broken')\n" + ABORT, 404),
    ],
    ids=["refuses", "slow", "large", "broken"],
)
def test_a_script_meets_no_limit_and_a_broken_one_lets_the_request_through(
    probe: Lab, script: str, answer: int
) -> None:
    assert answer_to(probe, script) == answer


def test_our_script_refuses_what_it_fails_to_judge(probe: Lab) -> None:
    whole = (ROOT / "roles/tenants/files/requests.lua").read_text()
    begin = "pcall(function()\n"

    assert answer_to(probe, whole) == 404
    assert answer_to(probe, whole.replace(begin, f"{begin}  error('broken')\n")) == 403


@pytest.mark.parametrize("lock", [{"ObjectLockMode": "GOVERNANCE"}, {"ObjectLockLegalHoldStatus": "ON"}], ids=str)
@pytest.mark.parametrize("size_bytes", [0, 20_000_000])
def test_haproxy_refuses_a_firm_before_a_gateway_is_asked(
    tenant_session: Callable[[str], boto3.Session],
    endpoint_url: str,
    ca_file: Path,
    lock: dict[str, Any],
    size_bytes: int,
) -> None:
    s3 = tenant_session(FIRM).client("s3", endpoint_url=endpoint_url, verify=str(ca_file))

    with pytest.raises(ClientError) as refusal:
        s3.put_object(Bucket=PLAIN, Key="own-lock", Body=bytes(size_bytes), **lock)

    assert status(refusal.value) == 403
    assert refusal.value.response["Error"]["Message"] == "Object Lock is set by the operator."


COPY = {"X-Amz-Copy-Source": "/a/b"}
AES256 = {"X-Amz-Server-Side-Encryption": "AES256"}
ENCRYPTION = "x-amz-server-side-encryption"


@pytest.mark.parametrize(
    ("query", "headers", "said"),
    [
        ("?append", {}, "not appended"),
        ("?x=1&%61ppend=1&position=0", {}, "not appended"),
        ("?appendix", {}, None),
        ("", COPY, "A copy must ask"),
        ("", COPY | {"X-Amz-Server-Side-Encryption": "aws:kms"}, "A copy must ask"),
        (f"?{ENCRYPTION}=aws:kms", COPY | AES256, "A copy must ask"),
        (f"?{ENCRYPTION.replace('x', '%78')}=x", COPY | AES256, "A copy must ask"),
        ("", COPY | AES256 | {f"{ENCRYPTION}-customer-algorithm": "AES256"}, "A copy must ask"),
        ("", COPY | AES256 | {"X-Goog-Server-Side-Encryption": "none"}, "A copy must ask"),
        ("", COPY | {ENCRYPTION: ["AES256", "aws:kms"]}, "A copy must ask"),
        ("", COPY | {ENCRYPTION: ["aws:kms", "AES256"]}, "A copy must ask"),
        ("", COPY | {ENCRYPTION: ["AES256", "AES256"]}, "A copy must ask"),
        ("", COPY | {ENCRYPTION: "AES256,"}, "A copy must ask"),
        ("", COPY | {ENCRYPTION: "none, AES256"}, "A copy must ask"),
        ("?a=1;uploadId=z", COPY, "A copy must ask"),
        ("?;uploadId=z", COPY, "A copy must ask"),
        ("?xuploadId=z&uploadIdx", COPY, "A copy must ask"),
        ("", COPY | AES256, None),
        ("?uploadId", COPY, None),
        ("?partNumber=1&uploadId=x", COPY, None),
        ("", {"X_Amz_Copy_Source": "/a/b"}, "has an underscore"),
        ("", {"x-amz-object_lock-mode": "GOVERNANCE"}, "has an underscore"),
        ("", {"X_Forwarded_For": "203.0.113.1"}, "has an underscore"),
        ("", {"X-Amz-Meta-a_b": "1"}, None),
        ("", {"X-Amz_Meta-a": "1"}, "has an underscore"),
    ],
)
def test_haproxy_refuses_what_would_be_stored_in_the_clear(
    lab: Lab, ca_file: Path, query: str, headers: Mapping[str, str | list[str]], said: str | None
) -> None:
    context = ssl.create_default_context(cafile=str(ca_file))
    connection = http.client.HTTPSConnection(lab.variables["ingress_s3_name"], timeout=10, context=context)

    connection.putrequest("PUT", f"/no-such-bucket/x{query}")
    for name, value in ({"Content-Length": "0"} | dict(headers)).items():
        for one in [value] if isinstance(value, str) else value:  # a list is a header that comes twice
            connection.putheader(name, one)
    connection.endheaders()
    answer = connection.getresponse().read().decode()
    connection.close()

    ours = any(words in answer for words in ("not appended", "A copy must ask", "has an underscore"))
    assert ours == (said is not None)
    assert (said or "") in answer


def test_verify_looks_at_every_gateway_and_names_a_script_that_is_not_ours(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "other.lua").write_text("return 0\n")
    report = tmp_path / "health.json"
    changed = {"verify_script_file": f"{tmp_path}/other.lua", "verify_report_file": str(report)}

    done = lab.playbook("verify.yml", "-e", json.dumps(changed))

    found = json.loads(report.read_bytes())
    assert done.returncode != 0
    assert "gateways' script" in {problem["subject"] for problem in found["problems"]}
    assert {gateway["name"] for gateway in found["locks"]["gateways"]} == set(lab.groups["gateways"])
    assert {gateway["lock_status"] for gateway in found["locks"]["gateways"]} == {403}
    assert found["round_trip"]["lock_status"] == 403
