from __future__ import annotations

import base64
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.openbao import OpenBaoError
from ansible.module_utils.openpgp_armor import armored
from ansible.module_utils.openpgp_listing import PublicKey, parse, refusals
from plugins.modules import openbao_recovery_keys
from tests.plugins.node_module import run
from tests.plugins.openbao_sample import Recorded

CUSTODIANS = [{"name": "a", "fingerprint": "AA", "key": "a2V5"}, {"name": "b", "fingerprint": "BB", "key": "a2V5"}]
NO_BACKUP = OpenBaoError("no backed-up keys found", status=400)
IDLE = {"data": {"started": False, "n": 0, "t": 0, "required": 2}}
WAITS = {
    "data": {
        "started": True, "n": 2, "t": 2, "required": 2, "nonce": "n1", "verification_nonce": "v1",
        "pgp_fingerprints": ["aa", "bb"],
    }
}  # fmt: skip
KEPT = {"data": {"nonce": "set-1", "keys_base64": {"aa": ["AAAA"], "bb": ["BBBB"]}}}
# What bao 2.7.2 answered, shortened: five shares of which three are needed.
LISTING = """pub:-:255:22:3FFBB40DA8FDACD3:1795450640:::-:::cEC:::::ed25519:::0:
fpr:::::::::AA1F579C9D40DD90751CB08C3FFBB40DA8FDACD3:
uid:-::::1795450640::2BE6FB3DCC15A2B345B039C8DF11BA7050DA4D3F::Lab Custodian 1::::::::::0:
sub:-:255:18:B96BE07C7B3E81DA:1795450640::::::e:::::cv25519::
fpr:::::::::47223465E84AEA2A6A0C070CB96BE07C7B3E81DA:
"""


def answers(**changed: Any) -> Mapping[str, Any]:  # noqa: ANN401 -- JSON
    return {
        "GET sys/seal-status": {"n": 2, "t": 2},
        "GET sys/rotate/recovery/init": IDLE,
        "GET sys/rotate/recovery/backup": NO_BACKUP,
        "POST sys/rotate/recovery/init": {"data": {"nonce": "n1"}},
        "POST sys/rotate/recovery/update": {"data": {}},
        "POST sys/rotate/recovery/verify": {"data": {"complete": True}},
        "POST auth/token/lookup-accessor": {"data": {"policies": ["steward"]}},
        "LIST auth/token/accessors": ["one"],
    } | {key.replace("_", " ", 1).replace("_", "/"): value for key, value in changed.items()}


class Fleet:
    """What `steward` gives while a test lasts."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capsys = capsys
        self.bao = Recorded(answers())

        @contextmanager
        def steward() -> Iterator[Recorded]:
            yield self.bao

        monkeypatch.setattr(openbao_recovery_keys, "steward", steward)

    def answers(self, **changed: Any) -> None:  # noqa: ANN401 -- JSON
        self.bao = Recorded(answers(**changed))

    def run(self, *, check: bool = False, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 -- a module's arguments
        given = {"custodians": CUSTODIANS, "threshold": 2, **arguments}
        return run(self.capsys, "openbao_recovery_keys", given, check=check)


@pytest.fixture
def fleet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(capsys, monkeypatch)


def test_a_store_without_recovery_keys_gets_them_encrypted_and_kept(fleet: Fleet) -> None:
    fleet.answers(
        **{"GET_sys_seal-status": deque([{"n": 0, "t": 0}, {"n": 2, "t": 2}]), "GET_sys_rotate_recovery_backup": KEPT}
    )

    result = fleet.run()

    (body,) = [body for what, body in fleet.bao.calls if what == "POST sys/rotate/recovery/init"]
    assert body == {
        "secret_shares": 2, "secret_threshold": 2, "pgp_keys": ["a2V5", "a2V5"], "backup": True,
        "require_verification": False,
    }  # fmt: skip
    assert result["changed"]
    assert result["set"] == "set-1"
    assert sorted(result["shares"]) == ["AA", "BB"]


def test_a_store_with_recovery_keys_is_left_as_it_is_and_what_it_keeps_is_handed_out(fleet: Fleet) -> None:
    fleet.answers(GET_sys_rotate_recovery_backup=KEPT)

    result = fleet.run()

    assert not result["changed"]
    assert sorted(result["shares"]) == ["AA", "BB"]
    assert fleet.bao.told() == ["POST auth/token/lookup-accessor"]


def test_check_mode_makes_nothing(fleet: Fleet) -> None:
    fleet.answers(**{"GET_sys_seal-status": {"n": 0, "t": 0}})

    assert fleet.run(check=True)["changed"]
    assert fleet.bao.told() == ["POST auth/token/lookup-accessor"]


def test_a_key_that_openbao_cannot_use_leaves_no_rotation_behind(fleet: Fleet) -> None:
    fault = OpenBaoError("error parsing given PGP key", status=400)
    fleet.answers(**{"GET_sys_seal-status": {"n": 0, "t": 0}, "POST_sys_rotate_recovery_init": fault})

    assert "parsing given PGP key" in fleet.run()["msg"]
    assert fleet.bao.told()[-1] == "DELETE sys/rotate/recovery/init"


def test_a_root_token_is_counted(fleet: Fleet) -> None:
    fleet.answers(**{"POST_auth_token_lookup-accessor": {"data": {"policies": ["root"]}}})

    assert fleet.run()["root_tokens"] == 1


@pytest.mark.parametrize(
    ("status", "text"), [(400, "invalid accessor"), (403, "1 error occurred: * bad token")], ids=["index", "entry"]
)
def test_a_token_that_ended_meanwhile_is_no_root_token(fleet: Fleet, status: int, text: str) -> None:
    ended = OpenBaoError(f"POST auth/token/lookup-accessor at https://x: {status}: {text}", status=status)
    found = {"data": {"policies": ["root"]}}
    fleet.answers(
        **{"LIST_auth_token_accessors": ["one", "two"], "POST_auth_token_lookup-accessor": deque([ended, found])}
    )

    assert fleet.run()["root_tokens"] == 1


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, "internal error"),
        (500, "invalid accessor"),
        (403, "permission denied"),
        (400, "missing accessor"),
        (None, "no answer"),
    ],
)
def test_a_token_that_could_not_be_looked_up_is_not_taken_for_none(fleet: Fleet, status: int | None, text: str) -> None:
    fault = OpenBaoError(f"POST auth/token/lookup-accessor at https://x: {status}: {text}", status=status)
    fleet.answers(**{"POST_auth_token_lookup-accessor": fault})

    result = fleet.run()

    assert text in result["msg"]
    assert "root_tokens" not in result


def test_a_rotation_without_shares_only_asks_for_the_present_ones(fleet: Fleet) -> None:
    assert fleet.run(state="rotated")["needs"] == {"which": "present", "count": 2}
    assert fleet.bao.told() == ["POST auth/token/lookup-accessor"]


def test_the_present_shares_begin_a_rotation_that_the_new_ones_must_confirm(fleet: Fleet) -> None:
    result = fleet.run(state="rotated", shares=["s1", "s2"])

    (body,) = [body for what, body in fleet.bao.calls if what == "POST sys/rotate/recovery/init"]
    assert body["require_verification"] is True
    assert result["needs"] == {"which": "new", "count": 2}
    assert [body for what, body in fleet.bao.calls if what.endswith("update")] == [
        {"key": "s1", "nonce": "n1"},
        {"key": "s2", "nonce": "n1"},
    ]


def test_wrong_shares_end_the_rotation_and_not_the_present_ones(fleet: Fleet) -> None:
    wrong = OpenBaoError("recovery key verification failed", status=400)
    fleet.answers(POST_sys_rotate_recovery_update=wrong)

    result = fleet.run(state="rotated", shares=["s1", "s2"])

    assert "verification failed" in result["msg"]
    assert "s1" not in str(result["msg"])
    assert fleet.bao.told()[-1] == "DELETE sys/rotate/recovery/init"


def test_new_shares_confirm_the_rotation_that_waits_for_them(fleet: Fleet) -> None:
    fleet.answers(GET_sys_rotate_recovery_init=WAITS)

    result = fleet.run(state="rotated", shares=["s1", "s2"])

    assert result["needs"] == {"which": "", "count": 0}
    assert [body["nonce"] for what, body in fleet.bao.calls if what.endswith("verify")] == ["v1", "v1"]


def test_a_rotation_that_waits_hands_out_the_new_shares_again(fleet: Fleet) -> None:
    fleet.answers(GET_sys_rotate_recovery_init=WAITS, GET_sys_rotate_recovery_backup=KEPT)

    result = fleet.run(state="rotated")

    assert result["needs"] == {"which": "new", "count": 2}
    assert sorted(result["shares"]) == ["AA", "BB"]
    assert fleet.bao.told() == ["POST auth/token/lookup-accessor"]


def test_a_rotation_for_other_custodians_is_begun_anew(fleet: Fleet) -> None:
    other = {"data": WAITS["data"] | {"pgp_fingerprints": ["aa", "cc"]}}
    fleet.answers(GET_sys_rotate_recovery_init=other)

    assert fleet.run(state="rotated", shares=["s1", "s2"])["needs"]["which"] == "new"
    assert fleet.bao.told()[:2] == ["DELETE sys/rotate/recovery/init", "POST sys/rotate/recovery/init"]


def test_too_few_shares_are_refused_before_openbao_is_told(fleet: Fleet) -> None:
    result = fleet.run(state="rotated", shares=["s1"])

    assert "this step needs 2 of the present ones" in result["msg"]
    assert fleet.bao.told() == []


def test_forgetting_needs_no_custodians_and_happens_once(fleet: Fleet) -> None:
    fleet.answers(GET_sys_rotate_recovery_backup=deque([KEPT, NO_BACKUP]))

    assert fleet.run(state="forgotten")["changed"]
    assert "DELETE sys/rotate/recovery/backup" in fleet.bao.told()
    assert not fleet.run(state="forgotten")["changed"]


def test_gpg_reads_the_armor_back(tmp_path: Path) -> None:
    # A literal data packet with the text "share", as RFC 9580 has it.
    message = bytes([0xCB, 11, ord("b"), 0, 0, 0, 0, 0]) + b"share"

    done = subprocess.run(
        ["gpg", "--homedir", tmp_path, "--batch", "--quiet", "--decrypt"],  # noqa: S607 -- gpg of the PATH
        input=armored(message).encode(), capture_output=True, timeout=30, check=True,
    )  # fmt: skip

    assert done.stdout == b"share"
    assert base64.b64encode(message).decode() in armored(message)


def test_a_key_is_its_primary_fingerprint_and_usable_if_the_whole_key_can_encrypt() -> None:
    assert parse(LISTING) == [PublicKey(fingerprint="AA1F579C9D40DD90751CB08C3FFBB40DA8FDACD3", faults=())]


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("pub:-:", "pub:e:", "expired"),
        ("pub:-:", "pub:r:", "revoked"),
        ("::cEC:", "::cC:", "no valid part for encryption"),
        ("pub:-:", "sec:-:", "secret key"),
    ],
)
def test_a_key_that_cannot_take_a_share_says_why(was: str, becomes: str, says: str) -> None:
    key = parse(LISTING.replace(was, becomes, 1))[0]

    assert any(says in fault for fault in refusals({"a": key, "b": PublicKey(fingerprint="B", faults=())}, threshold=2))


@pytest.mark.parametrize(("threshold", "good"), [(1, False), (2, True), (3, True), (4, False)])
def test_a_threshold_is_two_at_least_and_their_number_at_most(threshold: int, good: bool) -> None:
    keys = {name: PublicKey(fingerprint=name, faults=()) for name in "abc"}

    assert (refusals(keys, threshold=threshold) == []) is good


def test_two_custodians_with_one_key_are_refused_by_name() -> None:
    key = PublicKey(fingerprint="F", faults=())

    (fault,) = refusals({"ada": key, "bao": key}, threshold=2)

    assert fault.startswith("ada and bao have one key, F")


def test_a_listing_with_too_few_fields_is_no_listing() -> None:
    with pytest.raises(ValueError, match="3 fields"):
        parse("pub:-:255\n")
