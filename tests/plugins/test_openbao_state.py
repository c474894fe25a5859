"""When a server may restart, and which audit devices would stop OpenBao."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import Environment
from plugins.module_utils.openbao_state import (
    Server,
    audit_devices,
    audit_refusals,
    parse_health,
    restart_refusal,
    shared_disks,
)
from tests.plugins.node_module import ROOT

GOOD = Server(initialized=True, sealed=False)
SEALED = Server(initialized=True, sealed=True)
NEW = Server(initialized=False, sealed=True)


def devices(*names: str) -> dict[str, str]:
    return {name: f"/var/log/{name}/audit.log" for name in names}


@pytest.mark.parametrize("own", [None, SEALED, NEW])
def test_a_server_that_does_not_serve_may_always_restart(own: Server | None) -> None:
    assert restart_refusal(own, {"b": None, "c": None}) == ""


def test_a_server_restarts_while_the_others_are_a_quorum() -> None:
    assert restart_refusal(GOOD, {"b": GOOD, "c": GOOD}) == ""
    assert restart_refusal(GOOD, {"b": GOOD, "c": GOOD, "d": GOOD, "e": SEALED}) == ""


@pytest.mark.parametrize(("other", "words"), [(None, "no answer"), (SEALED, "sealed"), (NEW, "not initialised")])
def test_a_server_that_the_quorum_needs_is_left_running_and_the_missing_one_is_named(
    other: Server | None, words: str
) -> None:
    assert restart_refusal(GOOD, {"b": GOOD, "c": other}) == (
        f"without it 1 of 3 servers would serve, and 2 are needed: c ({words})"
    )


def test_a_lone_server_may_restart() -> None:
    assert restart_refusal(GOOD, {}) == ""


@pytest.mark.parametrize("answer", [None, {}, {"initialized": True}, {"errors": []}])
def test_an_answer_that_is_none_is_no_server(answer: dict[str, Any] | None) -> None:
    assert parse_health(answer) is None


@pytest.mark.parametrize("sealed", [True, None, "false", 0])
def test_whatever_is_not_plainly_unsealed_is_sealed(sealed: object) -> None:
    assert parse_health({"initialized": True, "sealed": sealed}) == SEALED


def test_the_template_s_devices_are_read_back() -> None:
    template = (ROOT / "roles/openbao/templates/audit.hcl.j2").read_text()
    wanted = devices("file-1", "file-2")
    wishes = [{"name": name, "path": path} for name, path in wanted.items()]

    text = Environment(trim_blocks=True, autoescape=True).from_string(template).render(openbao_audit=wishes)

    assert audit_devices(text) == wanted


def test_an_edited_device_is_refused_and_a_new_or_dropped_one_is_not() -> None:
    present = devices("file-1", "file-2")

    assert audit_refusals(present, devices("file-2", "file-3")) == []
    (refusal,) = audit_refusals(present, {"file-1": "/elsewhere", "file-2": present["file-2"]})
    assert "audit device file-1 writes to /var/log/file-1/audit.log and would write to /elsewhere" in refusal


def test_folders_on_one_file_system_are_grouped() -> None:
    assert shared_disks(["a", "b", "c"], {"a": 1, "b": 2, "c": 1}) == [["a", "c"]]
    assert shared_disks(["a", "b"], {"a": 1, "b": 2}) == []
