from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plugins.module_utils.lab_host import LabError, cgroup, mount_points
from plugins.module_utils.lab_host import run as run_on_host
from plugins.modules.lab_cache import nginx_pid
from plugins.modules.lab_image import image_path
from plugins.modules.lab_machine import decide, digest
from tests.plugins.node_module import run

WISH: dict[str, Any] = {
    "name": "unit-1",
    "image": "/nowhere/image",
    "interfaces": [{"name": "host0", "bridge": "lc-unit"}],
    "drives": [{"serial": "A", "device": "/dev/vdb", "size_bytes": 4096}],
    "files": [{"path": "/etc/hostname", "mode": "0644", "content": "unit-1\n"}],
}


@pytest.mark.parametrize(
    ("state", "running", "plugged", "made_from", "action"),
    [
        ("running", False, False, None, "create"),  # never made, or killed while it was made
        ("running", True, True, "old", "create"),
        ("running", False, False, "new", "start"),  # killed, or the host was started again
        ("running", True, False, "new", "plug"),  # the run was killed before the bridge had its interface
        ("running", True, True, "new", "none"),
        ("killed", True, True, "new", "kill"),
        ("killed", False, False, "new", "none"),
        ("absent", True, True, "new", "remove"),
        ("absent", False, False, None, "remove"),
    ],
)
def test_whatever_state_a_machine_is_in_there_is_one_thing_to_do(
    state: str, made_from: str | None, action: str, *, running: bool, plugged: bool
) -> None:
    assert decide(state, running=running, plugged=plugged, made_from=made_from, wanted="new") == action


def test_each_part_of_the_specification_asks_for_a_new_machine_and_its_folder_does_not() -> None:
    here = digest(WISH | {"folder": "/a", "state": "running"})

    assert digest(WISH | {"folder": "/b", "state": "killed"}) == here
    for key in WISH:
        assert digest(WISH | {key: "another"}) != here


def test_check_mode_predicts_a_machine_and_makes_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "unit-1"

    result = run(capsys, "lab_machine", WISH | {"folder": str(folder)}, check=True)

    assert (result["changed"], result["action"]) == (True, "create")
    assert not folder.exists()


def test_a_machine_that_never_was_is_removed_without_a_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for check in (True, False):
        result = run(
            capsys, "lab_machine", {"name": "unit-1", "folder": str(tmp_path / "x"), "state": "absent"}, check=check
        )
        assert result["changed"] is False


def test_an_image_is_named_by_everything_that_goes_into_it() -> None:
    wish: dict[str, Any] = {
        "folder": "/images",
        "name": "node",
        "suite": "forky",
        "sources": [],
        "check_valid_until": True,
        "packages": ["sudo"],
        "files": [],
        "commands": [],
    }

    assert image_path(wish) == image_path(dict(wish))
    for key, other in (("suite", "trixie"), ("packages", ["passwd"]), ("commands", [["true"]]), ("files", [{}])):
        assert image_path(wish | {key: other}) != image_path(wish)


def test_an_image_is_predicted_in_check_mode_and_not_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = {"folder": str(tmp_path / "images"), "name": "node", "suite": "forky", "packages": ["sudo"]}

    result = run(capsys, "lab_image", arguments, check=True)

    assert result["changed"] is True
    assert not (tmp_path / "images").exists()


def test_a_pid_file_that_names_somebody_elses_process_is_not_our_mirror(tmp_path: Path) -> None:
    (tmp_path / "nginx.pid").write_text("1\n")
    assert nginx_pid(tmp_path) is None
    (tmp_path / "nginx.pid").write_text("")
    assert nginx_pid(tmp_path) is None
    assert nginx_pid(tmp_path / "absent") is None


def test_the_mirror_is_predicted_in_check_mode_and_not_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(capsys, "lab_cache", {"folder": str(tmp_path / "mirror"), "configuration": "x"}, check=True)

    assert result["changed"] is True
    assert not (tmp_path / "mirror").exists()


def test_mounts_below_a_folder_are_found_the_deepest_first_and_neighbours_are_not() -> None:
    everything = mount_points(Path("/proc"))

    assert Path("/proc") in everything
    assert everything == sorted(everything, key=lambda path: len(str(path)), reverse=True)
    assert mount_points(Path("/pro")) == []


def test_a_command_that_fails_says_its_own_words() -> None:
    with pytest.raises(LabError, match=r"`ls /nowhere/at/all` ended with 2: .*nowhere"):
        run_on_host(["ls", "/nowhere/at/all"])
    with pytest.raises(LabError, match="no-such-program"):
        run_on_host(["no-such-program"])


def test_machines_have_control_groups_of_their_own_below_the_labs() -> None:
    assert cgroup("tko-1").parent == cgroup("tko-2").parent
    assert cgroup("tko-1").parts[-2:] == ("legalcloud-lab", "tko-1")
