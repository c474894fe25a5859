"""The repository as the rules see it: files, YAML documents, roles and tasks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Rule = Callable[[Path], list[str]]
"""Point it at a folder laid out like this repository; it names each fault: where, what, and the remedy."""

ROOT = Path(__file__).resolve().parents[2]

TASK_LISTS = ("block", "rescue", "always", "pre_tasks", "tasks", "post_tasks", "handlers")


class _Loader(yaml.SafeLoader):
    """Ansible's own tags (`!vault`, `!unsafe`) carry text, which is all that the rules look at."""


_Loader.add_multi_constructor("!", lambda _loader, _tag, node: node.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task, handler or block."""

    where: str
    """File and task name, as a message begins."""
    path: Path
    body: Mapping[str, Any]
    hidden: bool
    """True if this task or a block around it says `no_log: true`."""


def files(root: Path) -> list[Path]:
    """All files that are, or would be, in the repository; ignored ones are not."""
    if not (root / ".git").exists():
        return sorted(path for path in root.rglob("*") if path.is_file())
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 -- git of the PATH
        cwd=root, capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    paths = (root / name for name in listed.stdout.decode().split("\0") if name)
    return sorted(path for path in paths if path.is_file())


def texts(root: Path, *folders: str) -> Iterator[tuple[str, str]]:
    """Name and content of each text file, of the whole tree or of some folders."""
    for path in files(root):
        name = path.relative_to(root).as_posix()
        if folders and not name.startswith(tuple(f"{folder}/" for folder in folders)):
            continue
        raw = path.read_bytes()
        if b"\0" not in raw:
            yield name, raw.decode(errors="replace")


def load(path: Path) -> Any:  # noqa: ANN401 -- YAML is whatever a person wrote
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 -- a SafeLoader that knows two tags


def roles(root: Path) -> list[Path]:
    return sorted(path for path in (root / "roles").glob("*") if path.is_dir())


def tasks(root: Path) -> Iterator[Task]:
    """Every task of roles, playbooks and molecule scenarios, those inside blocks too."""
    found = (
        *root.glob("roles/**/*.y*ml"),
        *root.glob("playbooks/**/*.y*ml"),
        *root.glob("tests/molecule/**/*.y*ml"),
    )
    for path in sorted(found):
        document = load(path)
        if isinstance(document, list):
            yield from _tasks_of(document, path, path.relative_to(root).as_posix(), hidden=False)


def _tasks_of(entries: list[Any], path: Path, name: str, *, hidden: bool) -> Iterator[Task]:
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        hides = hidden or entry.get("no_log") is True
        if "hosts" not in entry:
            title = entry.get("name", "a task without a name")
            own = {key: value for key, value in entry.items() if key not in TASK_LISTS}
            yield Task(where=f'{name}: "{title}"', path=path, body=own, hidden=hides)
        for key in TASK_LISTS:
            if isinstance(entry.get(key), list):
                yield from _tasks_of(entry[key], path, name, hidden=hides)
