#!/usr/bin/python
"""Ansible module: buckets, user, policy and key of each tenant, through the S3 endpoint."""

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_tenants
short_description: Keep the buckets, the user, the policy and the key of each tenant
description:
  - Runs on the controller, as the root of each tenant's account, over TLS.
  - A new secret key is written to a file encrypted to the tenant's age recipient and to nowhere else.
  - Everything is looked at and decided before the first change.
  - Buckets that no file names are reported, never deleted.
requirements: [boto3, legalcloud]
options:
  endpoint_url: {description: The S3 endpoint; https., type: str, required: true}
  ca_file: {description: File with the CA of the endpoint's certificate., type: path, required: true}
  reveal_dir: {description: Folder for the encrypted files C(ID.ACCESSKEY.age)., type: path, required: true}
  tenants: {description: Tenants as C(tenant_files) returns them., type: list, elements: dict, required: true}
  roots: {description: Keys of the root users as C(rgw_accounts) returns them., type: dict, required: true}
  rotate:
    description: Ids of tenants whose key is replaced; the old one ends at once.
    type: list
    elements: str
    default: []
  weaken:
    description: Names of buckets whose retention may get shorter or weaker, or whose versioning may end.
    type: list
    elements: str
    default: []
attributes:
  check_mode: {support: full, description: Names the steps that it would take.}
  diff_mode: {support: full, description: Names the steps; never a key.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: configure | Keep buckets, policies and keys
  s3_tenants:
    endpoint_url: https://s3.example.hk
    ca_file: /etc/legalcloud/ca/ca.crt
    reveal_dir: /etc/legalcloud/revealed
    tenants: "{{ __tenants_files.tenants }}"
    roots: "{{ __tenants_accounts.roots }}"
"""

RETURN = r"""
steps:
  description: What was, or would be, done; tenant, thing and step.
  type: list
  elements: str
  returned: always
unmanaged:
  description: Buckets of the tenants' accounts that no file names.
  type: list
  elements: str
  returned: always
revealed:
  description: Files with new keys.
  type: list
  elements: str
  returned: always
"""

import json
from pathlib import Path
from typing import Any

from ansible.module_utils import rgw_bucket
from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.rgw_account import account_id
from ansible.module_utils.rgw_key import KeyPlan, key_plan
from ansible.module_utils.rgw_policy import POLICY_NAME, revealed_key, tenant_policy

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    from legalcloud.reveal import reveal
except ImportError:
    boto3 = None  # type: ignore[assignment]  # absent: main says so


def code(error: Exception) -> str:
    """Return the S3 or IAM code of a refusal; empty for any other error."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


class Firm:
    """One tenant at the gateway; `look` first, then `act`."""

    def __init__(self, wanted: dict[str, Any], root: dict[str, str] | None, params: dict[str, Any]) -> None:
        self.wanted, self.id, self.root = wanted, wanted["id"], root
        self.endpoint_url, self.folder = params["endpoint_url"], Path(params["reveal_dir"])
        self.rotate = self.id in params["rotate"]
        self.weaken = params["weaken"]
        self.buckets = {b["name"]: rgw_bucket.wanted_state(b, wanted["names"], self.id) for b in wanted["buckets"]}
        self.bucket_steps: dict[str, list[str]] = {}
        self.unmanaged: list[str] = []
        self.user_exists = False
        self.policy: object = None
        self.foreign_policies: list[str] = []
        self.attached_policies: list[str] = []
        self.keys: KeyPlan = key_plan(keys=(), revealed=None, rotate=False)
        if root:
            session = boto3.Session(root["access_key"], root["secret_key"], region_name="default")
            options = {
                "endpoint_url": params["endpoint_url"],
                "verify": params["ca_file"],
                "config": Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 4}),
            }
            self.s3, self.iam = session.client("s3", **options), session.client("iam", **options)

    def look(self) -> None:
        """Compare gateway and file. An account that check mode has not made has nothing to look at."""
        owned = {b["Name"] for b in self.s3.list_buckets().get("Buckets", [])} if self.root else set()
        for name, wanted in self.buckets.items():
            seen = rgw_bucket.look(self.s3, name, code) if name in owned else None
            self.bucket_steps[name] = rgw_bucket.steps(name, seen, wanted, weaken=name in self.weaken)
        self.unmanaged = sorted(owned - set(self.buckets))
        if self.root:
            self._look_at_user()

    def _look_at_user(self) -> None:
        try:
            policies = self.iam.list_user_policies(UserName=self.id)["PolicyNames"]
        except ClientError as error:
            if code(error) == "NoSuchEntity":
                return
            raise
        self.user_exists = True
        self.foreign_policies = [name for name in policies if name != POLICY_NAME]
        attached = self.iam.list_attached_user_policies(UserName=self.id)["AttachedPolicies"]
        self.attached_policies = [policy["PolicyArn"] for policy in attached]
        if POLICY_NAME in policies:
            answer = self.iam.get_user_policy(UserName=self.id, PolicyName=POLICY_NAME)
            self.policy = answer["PolicyDocument"]
        listed = self.iam.list_access_keys(UserName=self.id)["AccessKeyMetadata"]
        keys = {key["AccessKeyId"] for key in listed if key["Status"] == "Active"}
        self.keys = key_plan(keys=keys, revealed=revealed_key(self.policy), rotate=self.rotate)
        inactive = {key["AccessKeyId"] for key in listed} - keys
        self.keys = KeyPlan(keep=self.keys.keep, remove=tuple(sorted({*self.keys.remove, *inactive})))

    @property
    def policy_differs(self) -> bool:
        wanted = tenant_policy(tuple(self.buckets), str(self.keys.keep), self.id)
        return self.keys.make or bool(self.policy != wanted)

    @property
    def steps(self) -> list[str]:
        """All that `act` will do, in words that hold no secret."""
        words = [f"bucket {name}: {step}" for name, steps in self.bucket_steps.items() for step in steps]
        words += [] if self.user_exists else ["user: create"]
        words += [f"policy {name}: remove" for name in (*self.foreign_policies, *self.attached_policies)]
        words += ["key: make and reveal"] if self.keys.make else []
        words += [f"policy {POLICY_NAME}: write"] if self.policy_differs else []
        words += [f"key {key}: remove" for key in self.keys.remove]
        return [f"{self.id}: {word}" for word in words]

    def act(self) -> list[str]:
        """Take the steps; return the files made. A killed run repeats what it did not finish."""
        for name, steps in self.bucket_steps.items():
            for step in steps:
                rgw_bucket.apply(self.s3, name, step, self.buckets[name])
        if not self.user_exists:
            self.iam.create_user(UserName=self.id)
        for name in self.foreign_policies:
            self.iam.delete_user_policy(UserName=self.id, PolicyName=name)
        for arn in self.attached_policies:
            self.iam.detach_user_policy(UserName=self.id, PolicyArn=arn)
        made = [self._make_key()] if self.keys.make else []
        if self.policy_differs or made:
            key = made[0] if made else str(self.keys.keep)
            document = tenant_policy(tuple(self.buckets), key, self.id)
            self.iam.put_user_policy(UserName=self.id, PolicyName=POLICY_NAME, PolicyDocument=json.dumps(document))
        for key in self.keys.remove:
            self.iam.delete_access_key(UserName=self.id, AccessKeyId=key)
            self._file(key).unlink(missing_ok=True)
        return [str(self._file(key)) for key in made]

    def _file(self, key: str) -> Path:
        return self.folder / f"{self.id}.{key}.age"

    def _make_key(self) -> str:
        """Make a key and write its file; the policy that names it, and so makes it count, comes after."""
        key = self.iam.create_access_key(UserName=self.id)["AccessKey"]
        document = {
            "tenant": self.id,
            "name": self.wanted["names"],
            "account_id": account_id(self.id),
            "endpoint_url": self.endpoint_url,
            "buckets": sorted(self.buckets),
            "access_key_id": key["AccessKeyId"],
            "secret_access_key": key["SecretAccessKey"],
        }
        reveal(self._file(key["AccessKeyId"]), recipient=self.wanted["reveal_to"], document=document)
        return str(key["AccessKeyId"])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "endpoint_url": {"type": "str", "required": True},
            "ca_file": {"type": "path", "required": True},
            "reveal_dir": {"type": "path", "required": True},
            "tenants": {"type": "list", "elements": "dict", "required": True},
            "roots": {"type": "dict", "required": True, "no_log": True},
            "rotate": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "weaken": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    if boto3 is None:
        module.fail_json(msg=missing_required_lib("boto3"))
    params, revealed = module.params, []
    firms = [Firm(wanted, params["roots"].get(wanted["id"]), params) for wanted in params["tenants"]]
    firm = None
    try:
        for firm in firms:
            firm.look()
        steps = [step for firm in firms for step in firm.steps]
        for firm in [] if module.check_mode else firms:
            revealed += firm.act()
    except rgw_bucket.BucketConflictError as error:
        module.fail_json(msg=f"tenants/{firm.id if firm else '-'}.yml: {error} No bucket was touched.")
    except (ClientError, BotoCoreError, OSError) as error:
        module.fail_json(msg=f"tenant {firm.id if firm else '-'}: {error}", revealed=revealed)
    for firm in firms:
        for name in firm.unmanaged:
            module.warn(
                f"bucket {name} of {firm.id} is in no tenant file: its data stays, {firm.id} cannot reach it. "
                "Name it in the file again, or empty and delete it by hand."
            )
    module.exit_json(
        changed=bool(steps),
        steps=steps,
        unmanaged=[f"{firm.id}: {name}" for firm in firms for name in firm.unmanaged],
        revealed=revealed,
        diff={"before": "", "after": "".join(f"{step}\n" for step in steps)},
    )


if __name__ == "__main__":
    main()
