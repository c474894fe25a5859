#!/usr/bin/python
"""Ansible module: where the erasure of a tenant stands, and what its certificate says."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_erasure
short_description: Say what is left to do to erase a tenant, and make the body of the certificate
description:
  - Runs on the controller. The decisions are those of the package legalcloud.
  - C(planned) says the phase - destroy, certify, finish, final, or nothing.
  - C(noted) writes down what is about to be destroyed, so that a killed run can be finished.
  - C(certified) returns the body of the certificate. C(closed) drops the notes once it was written.
requirements: [legalcloud]
options:
  state: {description: What to do., type: str, choices: [planned, noted, certified, closed], required: true}
  tenant: {description: The tenant's id., type: str, required: true}
  inventory_dir: {description: The inventory; the tenant must have no file in it., type: path, required: true}
  folder: {description: Where records are kept., type: path, required: true}
  ca_file: {description: The CA of records., type: path, required: true}
  signer: {description: Common name of who signs records., type: str, default: Legal Cloud evidence}
  keys: {description: Keys that are there., type: list, elements: dict, default: []}
  holdings: {description: What M(tenant_holdings) returned., type: dict, default: {}}
  proof: {description: Refusals of the samples., type: list, elements: dict, default: []}
  objects_deleted: {description: Whether the objects were deleted too., type: bool, default: false}
  servers:
    description: "What each server has - C(node), C(snapshots), C(broken), C(aside) and C(kek_labels) of its token."
    type: list
    elements: dict
    default: []
  keep_days: {description: How long a snapshot is kept., type: int, default: 30}
attributes:
  check_mode: {support: full, description: Writes and drops no notes.}
  diff_mode: {support: none, description: The phase is returned.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: look | Find out where the erasure stands
  tenant_erasure:
    state: planned
    tenant: example-chambers
    inventory_dir: "{{ inventory_dir }}"
    folder: "{{ records_dir }}"
    ca_file: "{{ ca_dir }}/ca.crt"
    keys: "{{ __keys.found }}"
"""

RETURN = r"""
phase: {description: What is left to do., type: str, returned: planned}
certificate: {description: Path of the newest certificate., type: str, returned: planned}
samples: {description: Samples of an earlier run., type: list, elements: dict, returned: planned}
body: {description: Body of the certificate., type: dict, returned: certified}
final: {description: Whether it is final., type: bool, returned: certified}
not_final_before: {description: Until when it is not; empty if it is., type: str, returned: certified}
"""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from legalcloud import erasure, inventory
from legalcloud.errors import InputError, LegalcloudError
from legalcloud.records import erasures
from legalcloud.records.record import SIGNER, Record, moment, shown, verify


def standing(params: dict[str, Any], now: datetime) -> erasures.Standing:
    ca = Path(params["ca_file"]).read_bytes()

    def check(raw: bytes) -> Record:
        return verify(raw, ca_pem=ca, now=now, signer=params["signer"])[0]

    return erasures.standing(Path(params["folder"]), params["tenant"], keys=bool(params["keys"]), check=check)


def planned(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Say what is left to do. Raises: InputError if the tenant still has a file."""
    tenant = params["tenant"]
    if tenant in {one.id for one in inventory.load(Path(params["inventory_dir"])).tenants}:
        raise InputError(
            f"{params['inventory_dir']}/tenants/{tenant}.yml is there, and playbooks/tenants.yml would make keys anew",
            hint=f"If {tenant} has really left, remove that file first; data and keys stay until this playbook runs.",
        )
    found = standing(params, now)
    return {
        "changed": False,
        "phase": str(found.phase),
        "certificate": str(found.path or ""),
        "samples": list((found.notes or {}).get("samples", [])),  # type: ignore[arg-type]  # of our own file
    }


def noted(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Keep what an earlier, killed run has written of keys that it destroyed."""
    earlier = standing(params, now).notes or {}
    keys = {(key["mount"], key["name"]): key for key in [*earlier.get("keys", []), *params["keys"]]}  # type: ignore[misc]  # of our own file
    names = ("totals", "samples", "names", "uploads")
    holdings = {name: params["holdings"][name] for name in names} if not earlier else {n: earlier[n] for n in names}
    return {**holdings, "keys": list(keys.values()), "begun_at": earlier.get("begun_at", shown(now))}


def backups(servers: list[dict[str, Any]]) -> list[erasure.Backup]:
    """Name everything outside the live key manager that may hold the keys."""
    found = []
    for server in servers:
        node = server["node"]
        for one in server["snapshots"]:
            taken, label = moment(one["taken_at"]), one["kek_label"]
            found.append(erasure.Backup(node=node, name=one["name"], taken_at=taken, kek_label=label))
        unknown = [*server["broken"], *server["aside"]]
        found += [erasure.Backup(node=node, name=name, taken_at=None, kek_label=None) for name in unknown]
    return found


def certified(params: dict[str, Any], now: datetime) -> dict[str, Any]:
    found = standing(params, now)
    body: dict[str, Any]
    if found.notes is not None:
        body = first_body(params, found.notes, now)
    elif found.certificate is not None and found.path is not None:
        digest = hashlib.sha256(found.path.read_bytes()).hexdigest()
        body = {**found.certificate.body, "follows": {"file": found.path.name, "sha256": digest}}
    else:
        raise InputError(f"nothing is known of an erasure of {params['tenant']}", hint="Run the whole playbook.")
    life = erasure.Life(
        made_at=min(moment(str(key["created_at"])) for key in body["destroyed"]["keys"]),
        shredded_at=moment(str(body["shredded_at"])),
    )
    judged = erasure.finality(
        backups(params["servers"]),
        life=life,
        now=now,
        keep_days=params["keep_days"],
        keks={label for server in params["servers"] for label in server["kek_labels"]},
    )
    verdict = erasure.verdict(judged)
    return {
        "changed": False,
        "body": {**body, **verdict},
        "final": judged.final,
        "not_final_before": verdict["not_final_before"] or "",
    }


def first_body(params: dict[str, Any], notes: Any, now: datetime) -> dict[str, Any]:  # noqa: ANN401 -- our own file
    when = shown(now)
    keys = [{**key, "destroyed_by": when} for key in notes["keys"]]
    return {
        "tenant": {"id": params["tenant"], "name": notes["names"]},
        "shredded_at": when,
        "begun_at": notes["begun_at"],
        "destroyed": {
            "keys": keys,
            "data": erasure.destroyed(notes["totals"]),
            "unfinished_uploads": notes["uploads"],
            "objects_deleted": params["objects_deleted"],
        },
        "proof": params["proof"],
        "remains": erasure.remains(notes["totals"], objects_deleted=params["objects_deleted"]),
        "keep_days": params["keep_days"],
    }


def main() -> None:
    dicts = {"type": "list", "elements": "dict", "default": []}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["planned", "noted", "certified", "closed"], "required": True},
            "tenant": {"type": "str", "required": True},
            "inventory_dir": {"type": "path", "required": True},
            "folder": {"type": "path", "required": True},
            "ca_file": {"type": "path", "required": True},
            "signer": {"type": "str", "default": SIGNER},
            "keys": {**dicts, "no_log": False},
            "holdings": {"type": "dict", "default": {}},
            "proof": dicts,
            "objects_deleted": {"type": "bool", "default": False},
            "servers": dicts,
            "keep_days": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    params, now = module.params, datetime.now(UTC).replace(microsecond=0)
    folder, tenant = Path(params["folder"]), params["tenant"]
    result: dict[str, Any] = {"changed": params["state"] in {"noted", "closed"}}
    try:
        match params["state"]:
            case "planned":
                result = planned(params, now)
            case "certified":
                result = certified(params, now)
            case "noted" if not module.check_mode:
                erasures.take_notes(folder, tenant, noted(params, now))
            case "closed" if not module.check_mode:
                erasures.drop_notes(folder, tenant)
    except LegalcloudError as error:
        module.fail_json(msg=f"{error}. {error.hint}")
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
