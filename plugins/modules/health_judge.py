#!/usr/bin/python
"""Ansible module: judge the store and write the health report; runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health_judge
short_description: Store and read back an object, judge the cluster's answers, write the health report
description:
  - Runs on localhost with the Python of the controller, where the package legalcloud is.
  - Changes nothing in the cluster but an object that it stores, reads and deletes.
options:
  inventory_dir: {description: Folder of the inventory., type: path, required: true}
  report_file: {description: Where the report goes., type: path, required: true}
  answers: {description: What M(cluster_answers) returned., type: dict, required: true}
  script_current: {description: Whether the gateways' script is ours., type: bool, required: true}
  gateways: {description: What M(gateway_answers) returned, by gateway., type: dict, required: true}
  key_managers: {description: What M(openbao_status) returned, by server., type: dict, required: true}
  certificates:
    description: What M(certificate_expiry) returned, by node, and in C(wanted) the tag that renews each path.
    type: dict
    required: true
  data_pool: {description: Pool of the tenants' data., type: str, required: true}
  endpoint_url: {description: URL of the S3 endpoint., type: str, required: true}
  ca_file: {description: CA of the endpoint's certificate., type: path, required: true}
  bucket:
    description: Bucket for the object; empty leaves the endpoint untried, which counts as a problem.
    type: str
    default: ""
  keys_pattern:
    description: Pattern of files with the keys of the bucket's tenant, encrypted with age; the newest counts.
    type: str
    default: ""
  identity_file: {description: File with the age identity that opens it., type: path}
  object_bytes: {description: Size of the object in bytes., type: int, default: 4194304}
author: ["Hong Kong Legal Cloud"]
"""

EXAMPLES = r"""
- name: Judge the store
  health_judge:
    inventory_dir: "{{ inventory_dir }}"
    report_file: reports/health.json
    answers: "{{ __answers }}"
    script_current: true
    gateways: {tko-1: {plain_status: 404, lock_status: 403}}
    key_managers: {}
    certificates: {}
    data_pool: hk.rgw.buckets.data
    endpoint_url: https://s3.example
    ca_file: /etc/legalcloud/ca.crt
"""

RETURN = r"""
problems:
  description: What is not well, a line each.
  type: list
  returned: always
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from legalcloud import inventory
from legalcloud.errors import InputError, LegalcloudError
from legalcloud.health import certificates, keys, locks, parse, snapshots
from legalcloud.health.facts import RoundTrip
from legalcloud.health.judge import judge
from legalcloud.health.report import Report, to_json
from legalcloud.health.round_trip import round_trip
from legalcloud.reveal import open_revealed, write_whole


def tried(params: dict[str, Any]) -> RoundTrip | None:
    """Do the round trip if a bucket is named."""
    if not params["bucket"]:
        return None
    pattern = Path(params["keys_pattern"])
    files = sorted(pattern.parent.glob(pattern.name), key=lambda path: path.stat().st_mtime)
    if not files:
        raise InputError(
            f"no file is like {pattern}", hint="Run playbooks/tenants.yml; it reveals a tenant's keys once."
        )
    lines = Path(params["identity_file"]).read_text().splitlines()
    identity = next((line for line in lines if line.startswith("AGE-SECRET-KEY-")), "")
    if not identity:
        raise InputError(f"{params['identity_file']} holds no line AGE-SECRET-KEY-…", hint="Name an age identity file.")
    return round_trip(
        endpoint=params["endpoint_url"],
        ca_file=Path(params["ca_file"]),
        keys={name: str(value) for name, value in open_revealed(files[-1], identity=identity).items()},
        bucket=params["bucket"],
        size_bytes=params["object_bytes"],
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "inventory_dir": {"type": "path", "required": True},
            "report_file": {"type": "path", "required": True},
            "answers": {"type": "dict", "required": True},
            "script_current": {"type": "bool", "required": True},
            "gateways": {"type": "dict", "required": True},
            "key_managers": {"type": "dict", "required": True, "no_log": False},
            "certificates": {"type": "dict", "required": True},
            "data_pool": {"type": "str", "required": True},
            "endpoint_url": {"type": "str", "required": True},
            "ca_file": {"type": "path", "required": True},
            "bucket": {"type": "str", "default": ""},
            "keys_pattern": {"type": "str", "default": "", "no_log": False},
            "identity_file": {"type": "path"},
            "object_bytes": {"type": "int", "default": 4194304},
        },
        supports_check_mode=True,
    )
    params = module.params
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        known = inventory.load(Path(params["inventory_dir"]))
        answers = {prefix: text.encode() for prefix, text in params["answers"].items()}
        cluster = parse.cluster(
            answers["status"],
            answers["df"],
            answers["osd tree"],
            answers["versions"],
            data_pool=params["data_pool"],
        )
        guard = locks.parse(params["gateways"], script_current=params["script_current"])
        managers = keys.parse(params["key_managers"])
        kept = snapshots.parse(params["key_managers"])
        logins = certificates.parse(params["certificates"], now=now)
        trip = None if module.check_mode else tried(params)
    except LegalcloudError as error:
        module.fail_json(msg=f"{error} Remedy: {error.hint}")
    except OSError as error:
        module.fail_json(msg=f"{error}. Look at verify_keys_pattern and verify_identity_file.")
    report = Report(
        looked_at=now,
        inventory=known.folder.name,
        endpoint=params["endpoint_url"],
        tenants=tuple(tenant.id for tenant in known.tenants),
        cluster=cluster,
        round_trip=trip,
        locks=guard,
        key_managers=managers,
        snapshots=kept,
        logins=logins,
        problems=(
            *judge(cluster, trip, known.register),
            *locks.judge(guard),
            *keys.judge(managers),
            *snapshots.judge(kept),
            *certificates.judge(logins),
        ),
    )
    if not module.check_mode:
        write_whole(Path(params["report_file"]), to_json(report))
    problems = [f"{p.subject}: {p.what}. {p.remedy}" for p in report.problems]
    if problems:
        module.fail_json(msg="The store is not well.\n" + "\n".join(problems), problems=problems)
    module.exit_json(changed=False, problems=problems)


if __name__ == "__main__":
    main()
