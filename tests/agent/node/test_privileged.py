from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from tests.agent.node.node_sample import HERE, Commands
from tests.agent.signing_sample import authority

from legalcloud.errors import CommandError, SourceTimeoutError
from legalcloud.node import privileged
from legalcloud.node.privileged import DEEDS, Deed, answer, ask, certificates, unpacked
from legalcloud.run import Done, run

ANYTHING = (re.compile(r"\w+"),)
SLOW = Deed(arguments=ANYTHING, seconds=0.3, do=lambda limited, number: limited(["sleep", number]))


def ask_for(line: bytes, folder: Path, *answers: tuple[tuple[str, ...], bytes]) -> bytes:
    return answer(line, locks=folder / "locks", run_it=Commands(dict(answers)))


@contextmanager
def serving(path: Path, reply: Callable[[bytes], bytes]) -> Iterator[list[bytes]]:
    """Answer one request on a socket, as systemd and the helper do."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def one() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(4096))
                connection.sendall(reply(heard[0]))

        thread = threading.Thread(target=one, daemon=True)
        thread.start()
        yield heard
        thread.join(5)


def test_a_deed_runs_its_own_command_with_the_argument_last(tmp_path: Path) -> None:
    said = ask_for(b"smart /dev/sda\n", tmp_path, (("smartctl", "--json", "-x", "/dev/sda"), b"{}"))

    assert said == b"done 0 2 0\n{}"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"ruleset",
        b"reboot\n",
        b"smart\n",
        b"smart /dev/sda /dev/sdb\n",
        b"smart /etc/shadow\n",
        b"smart /dev/../etc/shadow\n",
        b"smart /dev/sda;id\n",
        b"smart --scan\n",
        b"smart /dev/sda\n\n",
        b"smart /dev/sda\nruleset\n",
        b"osds 1\n",
        b"cluster 3 3\n",
        b"cluster 3 3 0\n",
        b"cluster 3 3 --id=admin\n",
        b"osds\0\n",
        b"hsm ../kms\n",
        b"ruleset \n",
        b"\xff\xfe\n",
    ],
)
def test_anything_else_is_refused_and_nothing_is_started(line: bytes, tmp_path: Path) -> None:
    commands = Commands({(): b"started"})

    said = answer(line, locks=tmp_path / "locks", run_it=commands)

    assert said.startswith(b"refused 0 ")
    assert commands.asked == []


def test_a_command_that_hangs_is_late_and_killed(tmp_path: Path) -> None:
    said = answer(b"slow 60\n", deeds={"slow": SLOW}, locks=tmp_path / "locks")

    assert said.startswith(b"late 0 ")
    with pytest.raises(SourceTimeoutError, match="sleep did not finish"):
        unpacked(said, "slow 60")


def test_who_asks_the_same_at_one_moment_waits_for_his_turn(tmp_path: Path) -> None:
    def ask(line: bytes) -> bytes:
        return answer(line, deeds={"slow": SLOW}, locks=tmp_path / "locks")

    with ThreadPoolExecutor() as all_of_them:
        said = list(all_of_them.map(ask, [b"slow 0\n"] * 4))

    assert all(one.startswith(b"done 0 ") for one in said)


def test_the_same_is_not_started_again_while_it_hangs_but_something_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privileged, "_LOCK_SECONDS", 0.2)
    locks = tmp_path / "locks"
    with privileged._alone(locks, b"slow 60\n") as lock:
        hanging = subprocess.Popen(
            ["/bin/sleep", "5"], pass_fds=(lock,)
        )  # inherits the lock, as a command of ours does
    try:
        again = answer(b"slow 60\n", deeds={"slow": SLOW}, locks=locks)
        other = answer(b"slow 0\n", deeds={"slow": SLOW}, locks=locks)
    finally:
        hanging.kill()
        hanging.wait()
    after = answer(b"slow 60\n", deeds={"slow": SLOW}, locks=locks)

    assert b"asked before, and has not ended" in again
    assert other.startswith(b"done 0 ")
    assert b"did not finish" in after


def test_an_exit_code_and_errors_come_through() -> None:
    done = unpacked(b"done 4 2 3\n{}bad", "smart /dev/sda")

    assert done == Done(exit_code=4, output=b"{}", errors=b"bad")


@pytest.mark.parametrize("raw", [b"", b"done 0 5 0\nabc", b"done 0 1 0\nabc", b"done\n", b"hello"])
def test_an_answer_that_is_not_whole_is_an_error(raw: bytes) -> None:
    with pytest.raises(CommandError, match="ended its answer"):
        unpacked(raw, "ruleset")


def test_the_agent_asks_over_the_socket_in_one_line(tmp_path: Path) -> None:
    with serving(tmp_path / "s", lambda _: b"done 0 2 0\n{}") as heard:
        done = ask(tmp_path / "s", "smart", "/dev/sda")

    assert (done.output, heard) == (b"{}", [b"smart /dev/sda\n"])


def test_a_helper_that_is_not_there_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file") as caught:
        ask(tmp_path / "s", "ruleset")

    assert "legalcloud-agent-helper.socket" in caught.value.hint


def test_the_program_answers_on_its_standard_output_and_ends(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from legalcloud.node.privileged import main; sys.exit(main())"],
        input=b"reboot\n",
        capture_output=True,
        timeout=20,
        check=True,
    )

    assert done.stdout == b"refused 0 21 0\nthere is no such deed"


def test_certificates_are_told_by_path_and_a_broken_one_is_null(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki/ca.crt").write_bytes(authority().pem)
    (tmp_path / "broken.crt").write_bytes(b"nothing")
    (tmp_path / "pki/ca.key").write_bytes(b"a key")

    told = json.loads(certificates(partial(run, seconds=5), folder=tmp_path).output)

    assert told[f"{tmp_path}/broken.crt"] is None
    assert "subject=CN=test CA" in told[f"{tmp_path}/pki/ca.crt"]
    assert len(told) == 2


def cluster_answers(**instead: bytes) -> tuple[tuple[tuple[str, ...], bytes], ...]:
    """Let Ceph answer as it did on the lab, to the agent's own user and to no other."""
    user = ("ceph", "--id", "agent", "--connect-timeout", "5")
    recorded = {name: (HERE / f"samples/osds/{name}.json").read_bytes() for name in ("osd_df_tree", "osd_dump")}
    told = {**recorded, **instead}
    return tuple(((*user, *name.split("_"), "--format", "json"), raw) for name, raw in told.items())


def test_what_still_fits_into_the_cluster_is_worked_out_before_it_is_told(tmp_path: Path) -> None:
    told = json.loads(unpacked(ask_for(b"cluster 3 3 2\n", tmp_path, *cluster_answers()), "cluster").output)

    assert (told["raw_bytes"], told["osds_down"], told["limited_by"]) == (12 * 2**33, 0, "osd.10")
    assert 0 < told["advised_bytes"] < told["until_full_bytes"] < told["raw_bytes"] / 2


@pytest.mark.parametrize("instead", [{"osd_df_tree": b"{}"}, {"osd_dump": b""}])
def test_what_ceph_does_not_tell_is_refused_and_not_guessed(instead: dict[str, bytes], tmp_path: Path) -> None:
    said = ask_for(b"cluster 3 3 2\n", tmp_path, *cluster_answers(**instead))

    with pytest.raises(CommandError, match="ceph osd d"):
        unpacked(said, "cluster")


def test_a_cluster_without_a_quorum_is_an_error_in_ceph_s_own_words(tmp_path: Path) -> None:
    def no_quorum(argv: Sequence[str], *, seconds: float) -> Done:
        assert seconds <= DEEDS["cluster"].seconds
        return Done(exit_code=1, output=b"", errors=b"[errno 110] RADOS timed out (error connecting to the cluster)")

    said = answer(b"cluster 3 3 2\n", locks=tmp_path / "locks", run_it=no_quorum)

    with pytest.raises(CommandError, match=r"ceph osd df tree: exit code 1: \[errno 110\] RADOS timed out"):
        unpacked(said, "cluster")


def test_no_deed_can_be_given_a_path_of_ones_own() -> None:
    for deed in DEEDS.values():
        for form in deed.arguments:
            assert not any(form.fullmatch(word) for word in ("/etc/shadow", "../x", "-x", "a b", "a\n", ""))


def test_the_lock_folder_is_for_root_alone(tmp_path: Path) -> None:
    ask_for(b"ruleset\n", tmp_path)

    assert (tmp_path / "locks").stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "locks").iterdir()] == [0o600]
    assert (tmp_path / "locks").stat().st_uid == os.getuid()
