from __future__ import annotations

from tests.plugins.role_text import variable

KEYS = ["ssh-ed25519 AAAA"]


def test_the_sudo_rule_of_a_user_with_a_dot_is_in_a_file_that_sudo_reads() -> None:
    """A file of sudoers.d with a dot in its name is skipped without a word."""
    files = variable("base", "__base_files_of_users", base_users=[{"name": "a.user", "sudo": True, "ssh_keys": KEYS}])

    (rule,) = [entry for entry in files if entry["path"].startswith("/etc/sudoers.d/")]
    assert "." not in rule["path"].removeprefix("/etc/sudoers.d/")
    assert rule["content"] == "a.user ALL=(ALL:ALL) NOPASSWD: ALL\n"
    assert rule["mode"] == "0440"


def test_a_user_without_sudo_has_no_rule() -> None:
    files = variable("base", "__base_files_of_users", base_users=[{"name": "user", "ssh_keys": KEYS}])

    assert {"path": "/etc/sudoers.d/legalcloud-user", "state": "absent"} in files
