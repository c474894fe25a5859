"""Rules about tasks that ansible-lint's strictest profile does not see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.house.tree import TASK_LISTS, Task, tasks

SECRET = re.compile(r"passw|passphrase|secret|token|keyring|private_?key|privkey|credential|(^|_)pin(_|$)", re.I)
"""A name that contains one of these is taken to hold a secret..."""
HARMLESS = re.compile(
    r"_(path|file|dir|name|label|owner|group|mode|uri|url|bytes|days|seconds|bits|type|length|hosts|lock)$",
    re.I,
)
"""... unless it ends in one of these, when it only says where or what kind."""
PRINTS_A_SECRET = re.compile(r"\bauth\s+(get|print|export|ls|list|dump)|config-key\s+(get|dump)")
CARRIES_CONTENT = {
    "assemble", "blockinfile", "command", "copy", "debug", "expect", "fetch", "lineinfile", "raw", "replace",
    "script", "set_fact", "slurp", "template", "unarchive", "uri",
}  # fmt: skip
"""For these modules a path to a secret is as good as the secret: it passes through them."""
CARRIES_NOTHING = {
    "add_host", "apt", "assert", "fail", "file", "group", "group_by", "import_playbook", "import_role",
    "import_tasks", "include_role", "include_tasks", "meta", "service", "stat", "systemd_service", "wait_for",
}  # fmt: skip
KEYWORDS = {
    "any_errors_fatal", "async", "become", "become_method", "become_user", "changed_when", "check_mode",
    "collections", "connection", "debugger", "delay", "delegate_facts", "delegate_to", "diff", "failed_when",
    "ignore_errors", "ignore_unreachable", "listen", "loop_control", "module_defaults", "name", "no_log",
    "notify", "poll", "register", "retries", "run_once", "tags", "throttle", "timeout", "until",
    "when", *TASK_LISTS,
}  # fmt: skip
NAMES_IN_JINJA = re.compile(r"{{(.*?)}}|{%(.*?)%}", re.S)
STRING_IN_JINJA = re.compile(r"'[^']*'|\"[^\"]*\"")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
PATH_WORDS = re.compile(
    r"[^/\s]*(?:keyring|private|secret|passw|passphrase|token|credential)[^/\s]*|[^/\s]+[.-]key\b", re.I
)


def no_failure_is_swallowed(root: Path) -> list[str]:
    faults = []
    for task in tasks(root):
        if "ignore_errors" in task.body:
            faults.append(f"{task.where}: ignore_errors; name the expected failure in failed_when, with its reason")
        if task.body.get("failed_when") is False:
            faults.append(f"{task.where}: failed_when: false; name the return codes that are expected")
    return faults


def no_task_uses_a_shell(root: Path) -> list[str]:
    return [
        f"{task.where}: the shell module; use command with a list, or a module of our own"
        for task in tasks(root)
        if _module(task) == "shell"
    ]


def every_secret_is_hidden(root: Path) -> list[str]:
    faults = []
    for task in tasks(root):
        if "no_log" in task.body and task.body["no_log"] is not True:
            faults.append(f"{task.where}: no_log is {task.body['no_log']!r}; it is the constant true or absent")
        mentioned = sorted(set(_secrets_in(task)))
        if mentioned and not task.hidden:
            faults.append(f"{task.where}: handles {', '.join(mentioned)}; add no_log: true  # what it protects")
    return faults


def tasks_carry_the_name_of_their_file(root: Path) -> list[str]:
    return [
        f'{task.where}: the name must begin with "{task.path.stem} | "'
        for task in tasks(root)
        if task.path.parent.name == "tasks" and task.path.parent.parent.parent.name == "roles"
        if task.path.stem != "main" and not str(task.body.get("name", "")).startswith(f"{task.path.stem} | ")
    ]


def _module(task: Task) -> str:
    """Tell the module's short name, or "" for a block or a play's import."""
    for key in task.body:
        if key not in KEYWORDS and not key.startswith("with_") and key not in {"loop", "vars", "args", "environment"}:
            return str(key).rpartition(".")[2]
    return ""


def _secrets_in(task: Task) -> Iterator[str]:
    """Names in the task's arguments, variables and loop that hold a secret, as far as a name can tell."""
    module = _module(task)
    if module in CARRIES_NOTHING or not module:
        return
    content = module in CARRIES_CONTENT
    for key, value in task.body.items():
        if key in KEYWORDS:
            continue
        yield from _walk(key if key == "environment" else "", value, content=content)


def _walk(key: str, value: Any, *, content: bool) -> Iterator[str]:  # noqa: ANN401 -- YAML is whatever a person wrote
    match value:
        case dict():
            for name, inner in value.items():
                yield from _walk(str(name), inner, content=content)
        case list():
            for inner in value:
                yield from _walk(key, inner, content=content)
            if match := PRINTS_A_SECRET.search(" ".join(str(inner) for inner in value)):
                yield match.group(0)
        case str():
            yield from _secrets_in_text(key, value, content=content)


def _secrets_in_text(key: str, value: str, *, content: bool) -> Iterator[str]:
    is_path = value.startswith("/") or value.endswith("/")
    if value and not is_path and _is_secret(key):
        yield key
    for expression in NAMES_IN_JINJA.finditer(value):
        bare = STRING_IN_JINJA.sub("", expression.group(0))
        reads = "lookup(" in bare
        yield from (name for name in IDENTIFIER.findall(bare) if _is_secret(name) or (reads and SECRET.search(name)))
    if match := PRINTS_A_SECRET.search(value):
        yield match.group(0)
    if content and key in {"src", "dest", "path"}:
        yield from PATH_WORDS.findall(NAMES_IN_JINJA.sub("", value))


def _is_secret(name: str) -> bool:
    return bool(SECRET.search(name)) and name != "update_password" and not HARMLESS.search(name)
