#!/usr/bin/python
"""What one OpenBao server says of itself, unread; changes nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: openbao_status
short_description: Ask one OpenBao server, its unit and its log what state it is in
description:
  - Runs on the server's node and needs no token. Returns what was said, for a reader on the controller.
  - Asks only questions.
options:
  unit: {description: The systemd unit., type: str, default: openbao.service}
  port: {description: Port of the API., type: int, default: 8200}
  metrics_port: {description: Port of the metrics., type: int, default: 8210}
  ca_path:
    description: CA of the server's certificate.
    type: path
    default: /usr/local/share/ca-certificates/legalcloud.crt
  snapshot_status:
    description: File in which the program that takes snapshots says how it went.
    type: path
    default: /var/lib/legalcloud/openbao-backup.json
  snapshot_timer: {description: The timer that runs it., type: str, default: openbao-backup.timer}
  certificate: {description: Stem of the node's own certificate and key., type: path, default: /etc/legalcloud/pki/node}
attributes:
  check_mode: {support: full, description: It changes nothing.}
  diff_mode: {support: none, description: It changes nothing.}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Ask each server
  openbao_status:
  register: __status
"""

RETURN = r"""
unit: {description: Properties of the unit., type: dict, returned: always}
health: {description: Answer of C(sys/health); null without one., type: dict, returned: always}
leader: {description: Answer of C(sys/leader); null without one., type: dict, returned: always}
audited_status:
  description: HTTP status of a request that OpenBao answers only once it is in an audit file; null if it was not asked.
  type: int
  returned: always
certificate: {description: Why its certificate is not trusted; empty if it is., type: str, returned: always}
reason: {description: The last C(reason=) in its log since it started., type: str, returned: always}
said: {description: The last error in its log since it started., type: str, returned: always}
metrics: {description: Metrics by name; null if nobody gave them., type: dict, returned: always}
snapshot:
  description:
    - C(status) as the program that takes snapshots wrote it, null with a C(problem) if it cannot be read; the longest
      time between two runs of its timer as C(interval_seconds), null if the timer names none; C(now) on this node.
  type: dict
  returned: always
"""

import http.client
import itertools
import json
import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run
from ansible.module_utils.openbao_probe import HEALTH, ask, context, fetch

AUDITED = "/v1/sys/internal/ui/mounts"
METRICS = "/v1/sys/metrics?format=prometheus"
SAMPLE = re.compile(r"^(vault_(?:seal_unreachable_time|autopilot_\w+|audit_log_\w+_failure))(?:\{.*\})? (\S+)$", re.M)
REASON = re.compile(r"\breason=([a-z0-9-]+)")
TROUBLE = re.compile(r"\[(?:ERROR|WARN)\]|^Error |Failed to set up credentials")
CALENDAR = re.compile(r"OnCalendar=(.+?) ; next_elapse=")
ELAPSE = re.compile(r"(?:Next elapse|Iter(?:ation|\.) #\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$", re.M)
RUNS = 200
"""Of the timer, among which is its longest pause: with one an hour they span a week."""
LINES, LINES_OF_A_START = 400, 60
LONGEST = 300


def shown(module: AnsibleModule, unit: str) -> dict[str, str]:
    properties = "LoadState,ActiveState,SubState,Result,ExecMainStatus,InvocationID"
    _, out, _ = run(["systemctl", "show", f"--property={properties}", unit])
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def journal(module: AnsibleModule, unit: Mapping[str, str]) -> list[str]:
    """Return the last lines since the service started; of one that does not run, those of its last tries."""
    if unit.get("ActiveState") == "active":
        since = [f"_SYSTEMD_INVOCATION_ID={unit['InvocationID']}", f"--lines={LINES}"]
    else:
        since = [f"--unit={module.params['unit']}", f"--lines={LINES_OF_A_START}"]
    _, out, _ = run(["journalctl", *since, "--output=cat", "--no-pager"])
    return str(out).splitlines()


def trust(host: str, port: int, ca_path: str) -> tuple[ssl.SSLContext, str]:
    """Return the context to ask with, and why the server's certificate is not trusted.

    With an untrusted one we still ask: only this node's loopback address, and nothing is sent that must not be read.
    """
    strict = context(ca_path)
    try:
        fetch(host, port, f"/v1/{HEALTH}", tls=strict)
    except ssl.SSLCertVerificationError as error:
        loose = ssl.create_default_context()
        loose.check_hostname = False
        loose.verify_mode = ssl.CERT_NONE
        return loose, error.verify_message
    except (OSError, http.client.HTTPException):
        pass  # the questions that follow say that nobody answers
    return strict, ""


def status_of(host: str, port: int, path: str, tls: ssl.SSLContext) -> int | None:
    try:
        status: int = fetch(host, port, path, tls=tls)[0]
    except (OSError, http.client.HTTPException):
        return None
    return status


def metrics(host: str, port: int, tls: ssl.SSLContext) -> dict[str, float] | None:
    try:
        status, body = fetch(host, port, METRICS, tls=tls)
    except (OSError, http.client.HTTPException):
        return None
    if status != http.client.OK:
        return None
    return {name: float(value) for name, value in SAMPLE.findall(body.decode())}


def snapshot(module: AnsibleModule) -> dict[str, Any]:
    path = Path(module.params["snapshot_status"])
    try:
        status, problem = json.loads(path.read_bytes()), ""
    except FileNotFoundError:
        status, problem = None, f"there is no {path}: none was ever taken"
    except (OSError, ValueError) as error:
        status, problem = None, f"{path} cannot be read: {error}"
    return {
        "status": status,
        "problem": problem,
        "interval_seconds": interval_seconds(module),
        "now": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def interval_seconds(module: AnsibleModule) -> float | None:
    zone = {"TZ": "UTC"}
    timer = module.params["snapshot_timer"]
    _, shown, _ = run(["systemctl", "show", "--property=TimersCalendar", timer], environment=zone)
    calendars = CALENDAR.findall(shown)
    if not calendars:
        return None
    command = ["systemd-analyze", "calendar", f"--iterations={RUNS}", *calendars]
    _, listed, _ = run(command, environment=zone)
    times = sorted(datetime.fromisoformat(f"{time}+00:00") for time in ELAPSE.findall(listed))
    return max(((later - one).total_seconds() for one, later in itertools.pairwise(times)), default=None)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "default": "openbao.service"},
            "port": {"type": "int", "default": 8200},
            "metrics_port": {"type": "int", "default": 8210},
            "ca_path": {"type": "path", "default": "/usr/local/share/ca-certificates/legalcloud.crt"},
            "certificate": {"type": "path", "default": "/etc/legalcloud/pki/node"},
            "snapshot_status": {"type": "path", "default": "/var/lib/legalcloud/openbao-backup.json"},
            "snapshot_timer": {"type": "str", "default": "openbao-backup.timer"},
        },
        supports_check_mode=True,
    )
    params = module.params
    host, port = "127.0.0.1", params["port"]
    unit = shown(module, params["unit"])
    lines = journal(module, unit)
    tls, problem = trust(host, port, params["ca_path"])
    health = ask(host, HEALTH, tls=tls, port=port)
    unsealed = bool(health) and health.get("sealed") is False
    authenticated = context(params["ca_path"], params["certificate"])
    if problem:
        authenticated.check_hostname, authenticated.verify_mode = False, ssl.CERT_NONE
    module.exit_json(
        changed=False,
        unit=unit,
        health=health,
        leader=ask(host, "sys/leader", tls=tls, port=port),
        audited_status=status_of(host, port, AUDITED, tls) if unsealed else None,
        certificate=problem,
        reason=next((found[-1] for line in reversed(lines) if (found := REASON.findall(line))), ""),
        said=next((line.strip()[:LONGEST] for line in reversed(lines) if TROUBLE.search(line)), ""),
        metrics=metrics(host, params["metrics_port"], authenticated),
        snapshot=snapshot(module),
    )


if __name__ == "__main__":
    main()
