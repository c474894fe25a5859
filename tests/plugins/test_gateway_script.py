"""The gateways' script refuses what it fails to judge; what it judges is tried on a gateway (test_refusals.py)."""

from __future__ import annotations

from tests.plugins.node_module import ROOT

SCRIPT = ROOT / "roles/tenants/files/requests.lua"


def test_everything_that_can_fail_stands_inside_pcall_and_its_failure_is_a_refusal() -> None:
    lines = SCRIPT.read_text().splitlines()
    code = [line for line in lines if line.strip() and not line.lstrip().startswith("--")]
    end = code.index("end)")

    assert code[0] == "local whole, answer = pcall(function()"
    assert end > 1
    assert all(line.startswith("  ") for line in code[1:end])
    assert code[end + 1 :] == ["if not whole then", "  return RGW_ABORT_REQUEST", "end", "return answer"]
