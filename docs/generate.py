"""Writes the reference pages: variables from the roles' argument specs, verbs from the command's parser."""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from legalcloud.cli import build_parser
from legalcloud.node import metrics, subjects

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_IN_HELP = re.compile(r"\s*\(?default: %\(default\)s\)?")  # has a column of its own
HEAD = "<!-- Made by docs/generate.py: change the source and type `make docs`. -->\n"


def roles_page(root: Path) -> str:
    lines = ["# Variables of the roles", "", HEAD]
    lines.append(
        "From each role's `meta/argument_specs.yml`. "
        "A required variable has no default; the role refuses to start without it."
    )
    for spec in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        entries = yaml.safe_load(spec.read_text(encoding="utf-8"))["argument_specs"]
        for entry, content in entries.items():
            title = spec.parents[1].name + ("" if entry == "main" else f", entry `{entry}`")
            lines += [
                "",
                f"## {title}",
                "",
                _wrapped(content.get("description") or content.get("short_description") or ""),
            ]
            rows = list(_rows(content.get("options") or {}, prefix=""))
            if rows:
                lines += ["", "| variable | type | default | meaning |", "| --- | --- | --- | --- |", *rows]
    return "\n".join(lines) + "\n"


def _wrapped(text: str | list[str]) -> str:
    return textwrap.fill(_cell(text) or "No description.", 110, break_long_words=False, break_on_hyphens=False)


def _rows(options: Mapping[str, Mapping[str, Any]], *, prefix: str) -> Iterator[str]:
    for name, option in options.items():
        kind = option.get("type", "str")
        if kind == "list" and "elements" in option:
            kind = f"list of {option['elements']}"
        default = "required" if option.get("required") else ""
        if "default" in option:
            default = f"`{_cell(json.dumps(option['default'], ensure_ascii=False))}`"
        meaning = _cell(option.get("description", ""))
        if "choices" in option:
            meaning += " One of: " + ", ".join(f"`{choice}`" for choice in option["choices"]) + "."
        yield f"| `{prefix}{name}` | {kind} | {default} | {meaning} |"
        yield from _rows(option.get("options") or {}, prefix=f"{prefix}{name}.")


def _cell(text: str | list[str]) -> str:
    """One line without what would end a table's cell."""
    joined = " ".join(text) if isinstance(text, list) else text
    return " ".join(joined.split()).replace("|", "\\|")


def cli_page(_root: Path) -> str:
    """From the parser's actions, not its help text, which differs between versions of Python."""
    parser = build_parser()
    lines = [
        "# The command `legalcloud`",
        "",
        HEAD,
        _cell(parser.description or ""),
        "",
        _cell(parser.epilog or "").capitalize() + ".",
    ]
    return "\n".join([*lines, *_verbs(parser, "legalcloud")]) + "\n"


def _verbs(parser: argparse.ArgumentParser, prefix: str) -> Iterator[str]:
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, verb in action.choices.items():
            title = f"{prefix} {name}"
            yield from ("", f"## {title}", "", _wrapped(verb.description or summaries.get(name, "")))
            rows = list(_arguments(verb))
            if rows:
                yield from ("", "| argument | default | meaning |", "| --- | --- | --- |", *rows)
            yield from _verbs(verb, title)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
            continue
        value = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
        shown = " ".join(value) if isinstance(value, tuple) else value
        names = ", ".join(action.option_strings)
        if not names:
            names = shown
        elif action.nargs != 0:
            names += f" {shown}"
        default = "" if action.default in (None, False, argparse.SUPPRESS) else f"`{action.default}`"
        if action.required:
            default = "required"
        meaning = _cell(DEFAULT_IN_HELP.sub("", action.help or ""))
        if action.choices:
            meaning += " One of: " + ", ".join(f"`{choice}`" for choice in action.choices) + "."
        yield f"| `{_cell(names)}` | {_cell(default)} | {meaning.strip()} |"


def metrics_page(_root: Path) -> str:
    lines = ["# Metrics of the node agent", "", HEAD]
    lines.append(_wrapped("From the table in `agent/src/legalcloud/node/`. A number that is not known has no series."))
    return "\n".join([*lines, "", *metrics.page(subjects.ALL)]) + "\n"


PAGES: Mapping[str, Callable[[Path], str]] = {
    "docs/reference/roles.md": roles_page,
    "docs/reference/cli.md": cli_page,
    "docs/reference/metrics.md": metrics_page,
}


def stale(root: Path) -> list[str]:
    """Names of the pages that differ from what their sources say now."""
    return [
        name
        for name, page in PAGES.items()
        if not (root / name).exists() or (root / name).read_text(encoding="utf-8") != page(root)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="Write nothing; fail if a page differs from its source.")
    if parser.parse_args().check:
        for name in (found := stale(ROOT)):
            print(f"{name} lags behind its source: type `make docs` and commit it.", file=sys.stderr)  # noqa: T201 -- a command
        return 1 if found else 0
    for name, page in PAGES.items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_text(page(ROOT), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
