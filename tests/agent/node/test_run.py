from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from legalcloud import run as run_module
from legalcloud.errors import CommandError, SourceTimeoutError
from legalcloud.run import run


def python(code: str, *, seconds: float = 10, most_bytes: int = 2**20) -> bytes:
    return run([sys.executable, "-c", code], seconds=seconds, most_bytes=most_bytes).good("python")


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ends(pid: int, *, within_seconds: float = 10) -> bool:
    """Whether a process, to which SIGKILL was sent a moment ago, goes: on a busy machine it needs its turn to die."""
    until = time.monotonic() + within_seconds
    while is_there(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not is_there(pid)


def test_output_and_errors_are_kept_apart_and_the_language_is_c() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; echo $LC_ALL; exit 3"], seconds=5)

    assert (done.exit_code, done.output, done.errors) == (3, b"out\nC\n", b"err\n")
    assert done.good("sh", allow=(0, 3)) == b"out\nC\n"
    with pytest.raises(CommandError, match="sh: exit code 3: err"):
        done.good("sh")


def test_a_command_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(CommandError, match="legalcloud-no-such cannot be started"):
        run(["legalcloud-no-such"], seconds=5)


def test_a_command_that_prints_200_megabytes_is_ended_early() -> None:
    began = time.monotonic()

    with pytest.raises(CommandError, match="said more than 1048576 bytes"):
        python("import sys\nfor _ in range(200): sys.stdout.write('x' * 2**20)")

    assert time.monotonic() - began < 5


def test_a_command_that_prints_nothing_gives_nothing() -> None:
    assert python("") == b""


def test_a_hung_command_is_killed_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "child"

    with pytest.raises(SourceTimeoutError, match=r"did not finish in 0\.5 s"):
        run(["sh", "-c", f"sleep 60 & echo $! > {mark}; wait"], seconds=0.5)

    assert ends(int(mark.read_text()))


def test_a_child_that_keeps_the_pipe_open_does_not_hold_us_beyond_the_limit() -> None:
    began = time.monotonic()

    with pytest.raises(SourceTimeoutError):
        run(["sh", "-c", "sleep 60 & exit 0"], seconds=0.5)

    assert time.monotonic() - began < 3


def test_a_command_that_closes_its_output_and_lives_on_is_killed_too() -> None:
    with pytest.raises(SourceTimeoutError):
        python("import os, time; os.close(1); os.close(2); time.sleep(60)", seconds=1)


def test_no_descriptor_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 -- only names are wanted

    for _ in range(5):
        run(["true"], seconds=5)
    with pytest.raises(SourceTimeoutError):
        run(["sleep", "60"], seconds=0.1)

    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208 -- fewer if an earlier test left one to the collector


def test_what_cannot_be_killed_is_not_started_again_until_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    argv = ("sleep", "0")
    with subprocess.Popen(["/bin/sleep", "60"]) as immortal:  # stands for one that waits for a device
        monkeypatch.setitem(run_module._STUCK, argv, immortal)
        with pytest.raises(SourceTimeoutError, match="still hangs"):
            run(argv, seconds=5)
        with pytest.raises(SourceTimeoutError, match="still hangs"):
            run(argv, seconds=5)
        immortal.kill()
        immortal.wait()

    assert run(argv, seconds=5).exit_code == 0
