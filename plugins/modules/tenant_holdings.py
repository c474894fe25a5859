#!/usr/bin/python
"""Ansible module: what a departing tenant's account holds, whether it can still be read, and its deletion."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_holdings
short_description: Look at every object version of a tenant, before and after its keys are destroyed
description:
  - Runs on the controller, as the root of the tenant's account.
  - C(looked) asks every version for its encryption, retention and legal hold. It returns names of objects, which may be
    privileged, so the task needs C(no_log).
  - C(withdrawn) takes every permission from the tenant's own user, and says what was stored since C(looked) began.
  - C(unreadable) fails unless every sample refuses to be read within the time.
  - C(deleted) deletes every version in every bucket of the account, and fails if any is left.
requirements: [boto3, legalcloud]
options:
  state: {description: What to do., type: str, choices: [looked, withdrawn, unreadable, deleted], required: true}
  tenant: {description: The tenant's id., type: str, required: true}
  endpoint_url: {description: The S3 endpoint; https., type: str, required: true}
  ca_file: {description: CA of its certificate., type: path, required: true}
  root: {description: "C(access_key) and C(secret_key) of the account's root user.", type: dict, required: true}
  since: {description: The C(begun_at) of C(looked)., type: str, default: ""}
  samples: {description: Samples that C(looked) returned., type: list, elements: dict, default: []}
  wait_seconds: {description: How long C(unreadable) tries., type: int, default: 120}
attributes:
  check_mode: {support: full, description: Deletes nothing and expects nothing to be unreadable.}
  diff_mode: {support: none, description: Counts are returned instead.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: look | Look at every version
  tenant_holdings:
    state: looked
    tenant: example-chambers
    endpoint_url: https://s3.example.hk
    ca_file: /etc/legalcloud/ca/ca.crt
    root: "{{ __root }}"
  no_log: true  # the root's key, and names of objects
"""

RETURN = r"""
refusal: {description: What must be kept; empty if nothing., type: str, returned: looked}
begun_at: {description: When the look began., type: str, returned: looked}
newer: {description: Number of versions that came since., type: int, returned: withdrawn}
totals: {description: "Versions and bytes by bucket and encryption.", type: list, elements: dict, returned: looked}
samples: {description: Versions to try before and after., type: list, elements: dict, returned: looked}
names: {description: "The firm's names, from its buckets' tags.", type: dict, returned: looked}
uploads: {description: Number of unfinished uploads., type: int, returned: looked}
proof: {description: Code of the refusal of each sample., type: list, elements: dict, returned: unreadable}
unproven: {description: Number of samples that are read or refused otherwise., type: int, returned: unreadable}
deleted: {description: Number of versions., type: int, returned: deleted}
"""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from ansible.module_utils import rgw_versions
from ansible.module_utils.basic import AnsibleModule
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from legalcloud.erasure import Holdings

AT_ONCE = 8
"""Requests at a time; a gateway has hundreds of threads for its clients."""

CLOCKS_DIFFER = timedelta(seconds=2)
"""Between controller and gateways; LastModified has whole seconds."""


def code(error: Exception) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def looked(s3: Any, tenant: str) -> dict[str, Any]:  # noqa: ANN401 -- boto3
    begun = datetime.now(UTC)
    holdings, unfinished = Holdings(now=begun), 0
    names: dict[str, str] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for bucket in [one["Name"] for one in s3.list_buckets().get("Buckets", [])]:
            batch: list[Any] = []
            for item in rgw_versions.listed(s3, bucket):
                batch.append(pool.submit(rgw_versions.look, s3, bucket, item, key_name=tenant, code=code))
                if len(batch) >= AT_ONCE * 16:  # no more than so many wait at once: there may be millions
                    holdings.add(batch.pop(0).result())
            for found in batch:
                holdings.add(found.result())
            names |= tags(s3, bucket)
            unfinished += len(rgw_versions.uploads(s3, bucket))
    samples = [{"bucket": one.bucket, "key": one.key, "version_id": one.version_id} for one in holdings.samples]
    opened = [one for one in samples if not rgw_versions.readable(s3, one, code)]
    return {
        "changed": False,
        "refusal": holdings.refusal(),
        "begun_at": begun.isoformat(),
        "totals": holdings.totals(),
        "samples": opened,
        "names": names,
        "uploads": unfinished,
    }


def tags(s3: Any, bucket: str) -> dict[str, str]:  # noqa: ANN401 -- boto3
    """Return the firm's names as onboarding wrote them."""
    try:
        found = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=bucket)["TagSet"]}
    except ClientError as error:
        if code(error) != "NoSuchTagSet":
            raise
        return {}
    return {lang: found[tag] for lang, tag in (("en", "firm-en"), ("zh_hant", "firm-zh-hant")) if tag in found}


def withdrawn(s3: Any, iam: Any, tenant: str, since: datetime, *, check: bool) -> dict[str, Any]:  # noqa: ANN401 -- boto3
    """Leave the tenant's user without a policy, which may do nothing; count what it has stored since a moment."""
    try:
        policies = iam.list_user_policies(UserName=tenant)["PolicyNames"]
    except ClientError as error:
        if code(error) != "NoSuchEntity":
            raise
        policies = []
    for name in [] if check else policies:
        iam.delete_user_policy(UserName=tenant, PolicyName=name)
    buckets = [one["Name"] for one in s3.list_buckets().get("Buckets", [])]
    found = (item for bucket in buckets for item in rgw_versions.listed(s3, bucket))
    newer = sum(item["LastModified"] >= since - CLOCKS_DIFFER for item in found)
    return {"changed": bool(policies), "newer": newer}


def unreadable(s3: Any, samples: list[dict[str, str]], seconds: int) -> dict[str, Any]:  # noqa: ANN401 -- boto3
    """Wait until the gateways refuse every sample for want of its key, which they may keep in memory for a while."""
    deadline = time.monotonic() + seconds
    while True:
        refusals = [(one, rgw_versions.readable(s3, one, code)) for one in samples]
        unproven = [one for one, refusal in refusals if refusal not in rgw_versions.UNREADABLE]
        if not unproven or time.monotonic() > deadline:
            break
        time.sleep(2)
    proof = [{"bucket": one["bucket"], "version_id": one["version_id"], "refusal": said} for one, said in refusals]
    return {"changed": False, "proof": proof, "unproven": len(unproven)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["looked", "withdrawn", "unreadable", "deleted"], "required": True},
            "tenant": {"type": "str", "required": True},
            "endpoint_url": {"type": "str", "required": True},
            "ca_file": {"type": "path", "required": True},
            "root": {"type": "dict", "required": True, "no_log": True},
            "since": {"type": "str", "default": ""},
            "samples": {"type": "list", "elements": "dict", "default": []},
            "wait_seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params = module.params
    session = boto3.Session(params["root"]["access_key"], params["root"]["secret_key"], region_name="default")
    config = Config(connect_timeout=10, read_timeout=60, retries={"max_attempts": 4}, max_pool_connections=AT_ONCE)
    options = {"endpoint_url": params["endpoint_url"], "verify": params["ca_file"], "config": config}
    s3 = session.client("s3", **options)
    try:
        match params["state"]:
            case "looked":
                result = looked(s3, params["tenant"])
            case "withdrawn":
                iam, since = session.client("iam", **options), datetime.fromisoformat(params["since"])
                result = withdrawn(s3, iam, params["tenant"], since, check=module.check_mode)
            case "unreadable":
                samples = [] if module.check_mode else params["samples"]
                result = unreadable(s3, samples, params["wait_seconds"])
            case _:
                buckets = [one["Name"] for one in s3.list_buckets().get("Buckets", [])]
                count = 0 if module.check_mode else sum(rgw_versions.delete_all(s3, bucket) for bucket in buckets)
                result = {"changed": bool(buckets), "deleted": count}
    except (ClientError, BotoCoreError, rgw_versions.LeftOverError) as error:
        module.fail_json(msg=f"tenant {params['tenant']}: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
