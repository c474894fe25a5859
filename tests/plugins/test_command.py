"""What a command printed reaches the module, all of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.command import run
from tests.plugins.node_module import ROOT

MODULES = sorted((ROOT / "plugins").rglob("*.py"))


def test_all_of_the_output_comes_even_of_a_process_that_ends_at_once() -> None:
    for _ in range(20):
        code, out, err = run(["sh", "-c", "head -c 300000 /dev/zero | tr '\\0' a; printf oh >&2; exit 3"])
        assert (code, len(out), err) == (3, 300_000, "oh")


def test_a_secret_goes_to_standard_input_as_it_is_and_nothing_waits_for_a_keyboard() -> None:
    assert run(["od", "-An", "-c"], text="pin")[1].split() == ["p", "i", "n"]
    assert run(["cat"]) == (0, "", "")


def test_a_program_that_is_not_there_is_an_error_in_words() -> None:
    assert run(["/no/such/program"]) == (127, "", "/no/such/program cannot be started: No such file or directory")


def test_bytes_that_are_no_text_do_not_end_the_module() -> None:
    assert run(["printf", "\\377x"]) == (0, "\N{REPLACEMENT CHARACTER}x", "")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_uses_the_run_command_that_may_lose_output(path: Path) -> None:
    assert ".run_command(" not in path.read_text()
