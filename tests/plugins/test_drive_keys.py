from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import pytest
from ansible.module_utils.openbao import OpenBaoError
from plugins.module_utils.drive_keys import (
    DriveKeyError,
    Keys,
    Settings,
    locked,
    logged_in,
    mapper,
    pipe_into,
    seal,
    unlock,
)

FSID = "5f1d9c1e-7a57-4d0b-9c31-2f0b6c1b8a10"
SETTINGS = Settings(owner="drive-tko-1", servers=("https://a", "https://b"), ca="", certificate="", key="")


class Server:
    """Keeps what it is given; stands for `openbao.Client`, whose calls it has."""

    def __init__(self, address: str = "https://a", *, away: bool = False, forgets: bool = False) -> None:
        self.address, self.token = address, ""
        self.away, self.forgets = away, forgets
        self.kept: dict[str, Any] = {}
        self.calls: list[str] = []

    def close(self) -> None:
        self.calls.append("close")

    def read(self, path: str) -> dict[str, Any] | None:
        self.calls.append(f"read {path}")
        return {"data": {"data": self.kept[path]["data"]}} if path in self.kept else None

    def write(self, path: str, body: Any = None) -> dict[str, Any]:  # noqa: ANN401 -- as the client's
        if self.away:
            raise OpenBaoError(f"{self.address}: no answer")
        self.calls.append(f"write {path}")
        if path == "auth/cert/login":
            return {"auth": {"client_token": f"token of {body['name']}"}}
        if not self.forgets:
            self.kept[path] = body
        return {}


class Pipe:
    """Notes each command and what went into it."""

    def __init__(self) -> None:
        self.ran: list[tuple[list[str], bytes]] = []

    def __call__(self, argv: Sequence[str], text: bytes) -> None:
        self.ran.append((list(argv), text))


def keys(server: Server) -> Keys:
    return Keys(server, "drive-tko-1")


def test_a_key_is_kept_below_its_node_and_never_over_another() -> None:
    server = Server()

    name, passphrase = keys(server).make("S1")

    (body,) = server.kept.values()
    assert list(server.kept) == [f"drive-keys/data/drive-tko-1/{name}"]
    assert body["options"] == {"cas": 0}
    assert (base64.b64decode(body["data"]["passphrase"]), body["data"]["serial"]) == (passphrase, "S1")
    assert len(passphrase) == 32


def test_a_drive_is_not_touched_if_its_key_cannot_be_read_back() -> None:
    pipe = Pipe()

    with pytest.raises(DriveKeyError, match="S1: OpenBao did not give back"):
        seal("S1", "/dev/vdb", FSID, keys(Server(forgets=True)), pipe)

    assert pipe.ran == []


def test_the_passphrase_goes_into_cryptsetup_and_onto_no_command_line() -> None:
    server, pipe = Server(), Pipe()
    seal("S1", "/dev/vdb", FSID, keys(server), pipe)
    (name,) = (path.rpartition("/")[2] for path in server.kept)
    passphrase = keys(server).fetch(name)
    assert passphrase is not None

    opened = unlock("S1", "/dev/vdb", ["gone", name], keys(server), pipe)

    formatted, imported, unlocked = pipe.ran
    assert (formatted[1], unlocked[1]) == (passphrase, passphrase)
    assert name.encode() in imported[1]
    assert passphrase not in imported[1]
    assert str(opened) == "/dev/mapper/osd-S1"
    for argv, _ in pipe.ran:
        assert base64.b64encode(passphrase).decode() not in " ".join(argv)
        assert argv[0] == "cryptsetup"


@pytest.mark.parametrize(("names", "said"), [(["k-1"], "no key k-1 for"), ([], "none is named")])
def test_a_drive_whose_key_is_not_this_node_s_says_so(names: list[str], said: str) -> None:
    with pytest.raises(DriveKeyError, match=said) as raised:
        unlock("S1", "/dev/vdb", names, keys(Server()), Pipe())

    assert "moved from another node" in str(raised.value)


def test_the_next_server_is_asked_and_the_token_ends_with_the_work() -> None:
    servers = {"https://a": Server("https://a", away=True), "https://b": Server("https://b")}

    with logged_in(SETTINGS, servers.__getitem__) as found:
        assert found.owner == "drive-tko-1"
        assert servers["https://b"].token == "token of drive"  # noqa: S105 -- no secret

    assert servers["https://b"].calls == ["write auth/cert/login", "write auth/token/revoke-self", "close"]


def test_when_no_server_answers_each_is_named() -> None:
    with (
        pytest.raises(DriveKeyError, match=r"no OpenBao server lets drive-tko-1 in: https://a: .*; https://b: "),
        logged_in(SETTINGS, lambda address: Server(address, away=True)),
    ):
        pass


def test_an_error_of_the_work_is_not_taken_for_a_server_that_is_away() -> None:
    servers = {address: Server(address) for address in SETTINGS.servers}

    with (
        pytest.raises(OpenBaoError, match="of the work"),
        logged_in(SETTINGS, servers.__getitem__),
    ):
        raise OpenBaoError("of the work")

    assert servers["https://b"].calls == []


def test_what_openbao_says_instead_of_a_key_names_the_drive_and_the_remedy() -> None:
    class Sealed(Server):
        def read(self, path: str) -> dict[str, Any] | None:
            raise OpenBaoError(f"GET {path}: 503: Vault is sealed")

    with pytest.raises(DriveKeyError, match=r"^S1 \(/dev/vdb\) stays locked: .* 503: Vault is sealed") as raised:
        unlock("S1", "/dev/vdb", ["k-1"], keys(Sealed()), Pipe())

    assert "docs/runbooks/drive-locked.md" in str(raised.value)


@pytest.mark.parametrize("kept", [{}, None, {"passphrase": 1}, {"passphrase": "x"}])
def test_a_passphrase_that_is_none_of_ours_is_an_error_of_that_drive(kept: dict[str, Any] | None) -> None:
    server = Server()
    server.kept["drive-keys/data/drive-tko-1/k-1"] = {"data": kept}

    with pytest.raises(DriveKeyError, match=r"^S1 \(/dev/vdb\) stays locked: .*drive-tko-1/k-1 is no passphrase"):
        unlock("S1", "/dev/vdb", ["k-1"], keys(server), Pipe())


def test_only_drives_of_ours_that_are_closed_and_name_a_key_are_locked() -> None:
    ours, others = {"luks": {"ceph_fsid": FSID, "keys": ["k-1"]}}, {"luks": None}
    half_made = {"luks": {"ceph_fsid": FSID, "keys": []}}

    assert locked({"NO-SUCH-SERIAL": ours, "B": others, "C": half_made}) == {"NO-SUCH-SERIAL": ours}


def test_a_serial_of_any_letters_becomes_a_name_of_the_mapper() -> None:
    assert str(mapper("S3 A/1_x")) == "/dev/mapper/osd-S3_A_1_x"


def test_a_command_that_fails_is_told_without_what_went_into_it() -> None:
    with pytest.raises(DriveKeyError, match="ended with 3: no such slot") as raised:
        pipe_into(["sh", "-c", "cat > /dev/null; echo no such slot >&2; exit 3"], b"the secret")

    assert "the secret" not in str(raised.value)
