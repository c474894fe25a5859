"""Locked drives are opened before anything is decided; what stays closed ends the run, half-made headers do not."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.openbao import OpenBaoError
from ansible.module_utils.osd_drives import Seen
from plugins.modules import ceph_osd

FSID = "5f1d9c1e-7a57-4d0b-9c31-2f0b6c1b8a10"


class RefusedError(Exception):
    """The module ended with this message."""


class Module:
    """Stands for AnsibleModule."""

    def __init__(self, *, overwrite: tuple[str, ...] = (), check: bool = False) -> None:
        self.params = {"method": "luks", "fsid": FSID, "overwrite": list(overwrite)}
        self.check_mode = check

    def fail_json(self, msg: str) -> None:
        raise RefusedError(msg)


@pytest.fixture(autouse=True)
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return what was run; it always fails."""
    words: list[list[str]] = []

    def fails(argv: list[str]) -> tuple[int, str, str]:
        words.append(argv)
        return 1, "", "A (/dev/A) stays locked: Vault is sealed"

    monkeypatch.setattr(ceph_osd, "run", fails)
    return words


class Node(ceph_osd.Node):
    """Sees given drives: those of the first look, then those of the next."""

    def __init__(self, module: Any, *looks: dict[str, Seen | None]) -> None:  # noqa: ANN401 -- a stand-in
        super().__init__(module)
        self.looks = list(looks)

    def drives(self) -> dict[str, Seen | None]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def drive(**more: Any) -> Seen:  # noqa: ANN401 -- any field
    given = {"signatures": ("legalcloud-osd",), "fsid": FSID, "osd": None, "finished": False} | more
    return Seen(device="/dev/A", **given)


LOCKED = drive(locked=True)
ASLEEP = drive(osd="99999", finished=True)
HALF_MADE = drive()


def test_half_a_header_starts_nothing_and_stops_nothing(ran: list[list[str]]) -> None:
    module = Module()

    assert Node(module, {"A": HALF_MADE, "B": None}).open() is False
    assert ran == []


@pytest.mark.parametrize("closed", [LOCKED, ASLEEP])
def test_what_stays_closed_or_asleep_ends_the_run_with_its_serial_and_what_was_said(closed: Seen) -> None:
    with pytest.raises(RefusedError, match=r"^Nothing was written to any drive\. .*: A\. .*Vault is sealed"):
        Node(Module(), {"A": closed}).open()


def test_one_that_the_operator_gives_up_may_stay_closed_and_no_other(ran: list[list[str]]) -> None:
    module = Module(overwrite=("A",))

    assert Node(module, {"A": LOCKED, "B": HALF_MADE}).open() is True
    assert ran == [[ceph_osd.ACTIVATE]]
    with pytest.raises(RefusedError, match=r": B\. "):
        Node(module, {"A": LOCKED, "B": ASLEEP}).open()


def test_trouble_with_a_drive_that_is_not_asleep_is_no_trouble_of_this_run() -> None:
    opened = drive(osd="99999")

    assert Node(Module(), {"A": LOCKED}, {"A": opened}).open() is True


def test_check_mode_says_that_it_would_and_runs_nothing(ran: list[list[str]]) -> None:
    module = Module(check=True)

    assert Node(module, {"A": LOCKED}).open() is True
    assert ran == []


def test_openbao_s_refusal_to_keep_a_new_key_ends_the_run_with_the_drive_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise OpenBaoError("POST drive-keys/data: 503: Vault is sealed")

    monkeypatch.setattr("plugins.modules.ceph_osd.Settings.read", refuse)

    with pytest.raises(RefusedError, match=r"^A: POST drive-keys.* Vault is sealed.* Then run this again"):
        Node(Module(), {}).seal("A", "/dev/A")
