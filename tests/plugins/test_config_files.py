from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.plugins.node_module import ROOT, run

ME, MINE = str(os.getuid()), str(os.getgid())


def entry(path: Path, content: str | None = "new\n", **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- any option
    packed: dict[str, Any] = {"path": str(path), "state": "file", "mode": "0644", "owner": ME, "group": MINE}
    packed |= {"validate": [], "secret": False, **more}
    if content is not None:
        packed["content"] = base64.b64encode(content.encode()).decode()
    return packed


def place(capsys: pytest.CaptureFixture[str], *entries: dict[str, Any], check: bool = False) -> dict[str, Any]:
    payload = base64.b64encode(zlib.compress(json.dumps(entries).encode())).decode()
    return run(capsys, "config_files", {"payload": payload}, check=check)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_second_run_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wishes = (entry(tmp_path / "d", None, state="directory", mode="0750"), entry(tmp_path / "d/a"))

    first, second = place(capsys, *wishes), place(capsys, *wishes)

    assert first["changed_paths"] == [str(tmp_path / "d"), str(tmp_path / "d/a")]
    assert second["changed"] is False
    assert (tmp_path / "d/a").read_text() == "new\n"
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o750


def test_check_mode_predicts_and_touches_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_text("old\n")
    wishes = (
        entry(tmp_path / "a"),
        entry(tmp_path / "deep/b"),
        entry(tmp_path / "c", owner="no-such-user"),
    )

    result = place(capsys, *wishes, check=True)

    assert result["changed_paths"] == [str(tmp_path / name) for name in ("a", "deep/b", "c")]
    assert (tmp_path / "a").read_text() == "old\n"
    assert names(tmp_path) == ["a"]


def test_one_refused_file_keeps_all_others_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_text("old\n")

    result = place(capsys, entry(tmp_path / "a"), entry(tmp_path / "b", "bad\n", validate=["grep", "-q", "good", "%s"]))

    assert result["failed"] is True
    assert f"{tmp_path / 'b'}: grep refuses the new content; nothing was replaced" in result["msg"]
    assert (tmp_path / "a").read_text() == "old\n"
    assert names(tmp_path) == ["a"]


def test_a_validated_file_is_placed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = place(capsys, entry(tmp_path / "b", "good\n", validate=["grep", "-q", "good", "%s"]))

    assert result["changed"] is True
    assert names(tmp_path) == ["b"]


def test_the_validators_words_about_a_secret_are_kept_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = place(capsys, entry(tmp_path / "s", "hunter2", secret=True, validate=["sh", "-c", "cat %s >&2; exit 1"]))

    assert result["failed"] is True
    assert "hunter2" not in str(result)


def test_a_mode_alone_is_corrected_without_a_new_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a"
    path.write_text("new\n")
    path.chmod(0o600)
    before = path.stat().st_ino

    result = place(capsys, entry(path))

    assert result["files"] == {str(path): ["mode"]}
    assert path.stat().st_ino == before
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "target").write_text("theirs\n")
    (tmp_path / "a").symlink_to(tmp_path / "target")

    place(capsys, entry(tmp_path / "a"))

    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "target").read_text() == "theirs\n"


def test_absence_is_reached_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_text("x")
    wish = entry(tmp_path / "a", None, state="absent")

    assert place(capsys, wish)["files"] == {str(tmp_path / "a"): ["removed"]}
    assert place(capsys, wish)["changed"] is False


def test_a_missing_folder_and_an_unknown_group_say_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "List it before, with state: directory" in place(capsys, entry(tmp_path / "no/a"))["msg"]
    assert "no group 'no-such'. Install the package" in place(capsys, entry(tmp_path / "a", group="no-such"))["msg"]


def play(tmp_path: Path, files: list[dict[str, Any]], *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a playbook with one task against this machine, without becoming anyone."""
    (tmp_path / "templates").mkdir(exist_ok=True)
    (tmp_path / "templates/a.j2").write_text("# {{ ansible_managed }}\n{% if word %}\nword={{ word }}\n{% endif %}\n")
    tasks = [
        {"config_files": {"files": files}, "register": "placed", "notify": "Tell"},
        {"debug": {"msg": "paths={{ placed.changed_paths }}"}},
    ]
    handlers = [{"name": "Tell", "debug": {"msg": "TOLD"}}]
    variables = {"word": "plum", "ansible_python_interpreter": sys.executable}
    book = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": variables}]
    book[0] |= {"tasks": tasks, "handlers": handlers}
    (tmp_path / "book.yml").write_text(yaml.safe_dump(book))
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", *flags]
    return subprocess.run(
        [*command, str(tmp_path / "book.yml")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_play_renders_places_notifies_and_shows_no_secret(tmp_path: Path) -> None:
    out = tmp_path / "out"
    files: list[dict[str, Any]] = [
        {"path": str(out), "state": "directory"},
        {"path": str(out / "a.conf"), "template": "a.j2"},
        {"path": str(out / "key"), "content": "hunter2 {{ word }}", "mode": "0600", "secret": True},
    ]
    files = [{**file, "owner": ME, "group": MINE} for file in files]

    first, second = play(tmp_path, files, "--diff", "-vvv"), play(tmp_path, files)

    assert first.returncode == 0, first.stdout
    assert "word=plum" in (out / "a.conf").read_text()
    assert "+word=plum" in first.stdout
    assert (out / "key").read_text() == "hunter2 plum"
    assert "hunter2" not in first.stdout + first.stderr
    assert "TOLD" in first.stdout
    assert "TOLD" not in second.stdout
    assert "changed=0" in second.stdout


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([{"path": "/x/a", "content": "1"}, {"path": "/x/a", "content": "2"}], "/x/a is listed twice"),
        ([{"path": "/x/a", "content": "1", "mode": 420}], "mode 420 of /x/a is not like"),
        ([{"path": "/x/a"}], "needs exactly one of template, content, source"),
        ([{"path": "x/a", "content": "1"}], "x/a is not an absolute path"),
        ([{"path": "/x/a", "content": "1", "src": "b"}], "Unsupported parameters"),
    ],
    ids=["twice", "mode", "nothing", "relative", "unknown"],
)
def test_a_wrong_entry_is_refused_on_the_controller(tmp_path: Path, files: list[dict[str, Any]], said: str) -> None:
    done = play(tmp_path, files)

    assert done.returncode != 0
    assert said in " ".join(done.stdout.split()) + " ".join(done.stderr.split())
