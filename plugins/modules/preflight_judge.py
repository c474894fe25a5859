#!/usr/bin/python
"""Ansible module: judge the inventory and what its nodes said. Runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_judge
short_description: Judge facts of all nodes, write the report, refuse what is unsafe
description:
  - Runs on the controller with the Python that has the package legalcloud.
  - The report is what this run says, not a state. Writing it is no change, and happens in check mode too.
options:
  inventory_dir: {description: Folder that holds hosts.yml., type: path, required: true}
  answers: {description: Result of preflight_facts by node; empty if silent., type: dict, required: true}
  limits: {description: Variables of role preflight without their prefix., type: dict, required: true}
  report_file: {description: Where the JSON report goes., type: path, required: true}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Judge
  preflight_judge:
    inventory_dir: "{{ inventory_dir }}"
    answers: {tko-1: "{{ hostvars['tko-1'].preflight_node }}"}
    limits: "{{ __preflight_limits }}"
    report_file: reports/preflight.json
"""

RETURN = r"""
summary:
  description: One line.
  type: str
  returned: always
drives_written_off:
  description: Serials of drives that are missing and may be, by node.
  type: dict
  returned: success
warnings_found:
  description: Findings that do not refuse.
  type: list
  elements: str
  returned: success
"""

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from legalcloud import advisories, inventory, plan
    from legalcloud.errors import LegalcloudError, ParseError
    from legalcloud.preflight import limits, parse, placeholders
    from legalcloud.preflight.finding import DRIVE_PRESENT, Case, Outcome
    from legalcloud.preflight.judge import judge
    from legalcloud.preflight.report import Report, findings_text, to_json
except ImportError as error:
    MISSING: str | None = str(error)
else:
    MISSING = None


def report_on(params: dict[str, Any], now: datetime) -> Report:
    """Judge. Raises: LegalcloudError if the inventory, a variable or our own files cannot be read."""
    folder = Path(params["inventory_dir"])
    loaded = inventory.load(folder, today=now.astimezone(inventory.HONG_KONG_TIME).date())
    facts, problems = {}, {}
    for name, answer in params["answers"].items():
        if "facts" not in answer:
            problems[name] = answer.get("msg", "gave no facts")
            continue
        try:
            facts[name] = parse.node_facts(answer["facts"])
        except ParseError as error:
            problems[name] = str(error)
    case = Case(
        register=loaded.register,
        plan=None if loaded.plan is None else plan.parse(loaded.plan, str(folder / "group_vars/all/plan.yml")),
        facts=facts,
        problems=problems,
        limits=limits.parse(params["limits"]),
        advisories=advisories.shipped(),
        placeholders=placeholders.left(loaded),
        today=now.astimezone(inventory.HONG_KONG_TIME).date(),
    )
    return Report(made_at=now, inventory=folder.name, results=judge(case))


def write(path: Path, content: bytes) -> None:
    """Replace the file in one step, so that no reader meets half a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(name).chmod(0o644)
    Path(name).replace(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "inventory_dir": {"type": "path", "required": True},
            "answers": {"type": "dict", "required": True},
            "limits": {"type": "dict", "required": True},
            "report_file": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    if MISSING is not None:
        module.fail_json(msg=f"{missing_required_lib('legalcloud')} ({MISSING}; {sys.executable})")
    path = Path(module.params["report_file"])
    try:
        report = report_on(module.params, datetime.now(UTC))
        write(path, to_json(report))
    except LegalcloudError as error:
        module.fail_json(msg=f"{error}\nremedy: {error.hint}")
    except OSError as error:
        module.fail_json(msg=f"preflight_report_file: {path} cannot be written: {error}")
    else:
        conclude(module, report)


def conclude(module: AnsibleModule, report: Report) -> None:
    """End the task: with what refuses, or with what only warns."""
    if report.refusals:
        module.fail_json(
            msg=f"{report.summary()}\n{findings_text(report.refusals)}\n"
            "Nothing was changed. `legalcloud preflight` shows this as a table.",
            summary=report.summary(),
        )
    module.exit_json(
        changed=False,
        summary=report.summary(),
        warnings_found=findings_text(report.warnings).splitlines(),
        drives_written_off=drives_written_off(report),
    )


def drives_written_off(report: Report) -> dict[str, list[str]]:
    """Return the drives that are missing with a waiver: serials by node."""
    found: dict[str, list[str]] = {}
    for result in report.results:
        if result.check == DRIVE_PRESENT and result.outcome is Outcome.WAIVED:
            node, _slash, serial = result.subject.partition("/")
            found.setdefault(node, []).append(serial)
    return found


if __name__ == "__main__":
    main()
