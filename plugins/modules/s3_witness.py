#!/usr/bin/python
"""Ansible module: one object that is stored before something dangerous and read after it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_witness
short_description: Store an object before something dangerous, read it back after, and delete it
description:
  - Runs on the controller with a tenant's own key, from the file that was revealed to the tenant.
  - The body follows from the name, so nothing is kept between the two calls.
requirements: [boto3, legalcloud]
options:
  state:
    description: C(stored), C(same) (fails unless it is there, byte for byte, within the time), or C(absent).
    type: str
    choices: [stored, same, absent]
    required: true
  name: {description: Name of the object., type: str, required: true}
  bucket: {description: Bucket of the tenant., type: str, required: true}
  endpoint_url: {description: The S3 endpoint., type: str, required: true}
  ca_file: {description: CA of its certificate., type: path, required: true}
  keys_pattern: {description: Pattern of the tenant's revealed files; the newest counts., type: str, required: true}
  identity_file: {description: File with the age identity that opens it., type: path, required: true}
  wait_seconds: {description: How long to go on trying., type: int, default: 60}
attributes:
  check_mode: {support: full, description: Stores, reads and deletes nothing.}
  diff_mode: {support: none, description: The object means nothing.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: Read the witness
  s3_witness:
    state: same
    name: drill-1
    bucket: demo-chambers-scratch
    endpoint_url: https://s3.example.hk
    ca_file: /etc/legalcloud/ca/ca.crt
    keys_pattern: /etc/legalcloud/revealed/demo-chambers.*.age
    identity_file: identity.txt
"""

RETURN = r"""
encryption:
  description: The object's x-amz-server-side-encryption; empty if it has none.
  type: str
  returned: when stored or read
tries:
  description: How often it was tried.
  type: int
  returned: always
"""

import hashlib
import time
from pathlib import Path
from typing import Any

import boto3
from ansible.module_utils.basic import AnsibleModule
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from legalcloud.errors import LegalcloudError
from legalcloud.reveal import open_revealed

SIZE = 4096


def body(name: str) -> bytes:
    return hashlib.shake_256(name.encode()).digest(SIZE)


def client(params: dict[str, Any]) -> Any:  # noqa: ANN401 -- boto3
    pattern = Path(params["keys_pattern"])
    newest = max(pattern.parent.glob(pattern.name), key=lambda path: path.stat().st_mtime)
    lines = Path(params["identity_file"]).read_text().splitlines()
    key = open_revealed(newest, identity=next(line for line in lines if line.startswith("AGE-SECRET-KEY-")))
    return boto3.client(
        "s3",
        endpoint_url=params["endpoint_url"],
        verify=params["ca_file"],
        aws_access_key_id=str(key["access_key_id"]),
        aws_secret_access_key=str(key["secret_access_key"]),
        region_name="default",
        config=Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 1}),
    )


def attempt(s3: Any, params: dict[str, Any]) -> tuple[str, str]:  # noqa: ANN401 -- boto3
    """Do it once; return what is wrong, empty if nothing is, and the encryption."""
    where = {"Bucket": params["bucket"], "Key": params["name"]}
    match params["state"]:
        case "stored":
            answer = s3.put_object(**where, Body=body(params["name"]))
        case "same":
            answer = s3.get_object(**where)
            if answer["Body"].read() != body(params["name"]):
                return "it has other bytes than were stored", ""
        case _:
            answer = s3.delete_object(**where)
    return "", str(answer.get("ServerSideEncryption", ""))


def main() -> None:
    text = {"type": "str", "required": True}
    path = {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "state": {**text, "choices": ["stored", "same", "absent"]},
            "name": text,
            "bucket": text,
            "endpoint_url": text,
            "ca_file": path,
            "keys_pattern": {**text, "no_log": False},
            "identity_file": path,
            "wait_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    params = module.params
    if module.check_mode:
        module.exit_json(changed=params["state"] != "same", tries=0)
    try:
        s3 = client(params)
    except (OSError, ValueError, StopIteration, LegalcloudError) as error:
        module.fail_json(msg=f"no key opens for {params['bucket']}: {error}. Look at keys_pattern and identity_file.")
    deadline, tries = time.monotonic() + params["wait_seconds"], 0
    while True:
        tries += 1
        try:
            wrong, encryption = attempt(s3, params)
        except (BotoCoreError, ClientError) as error:
            wrong, encryption = str(error), ""
        if not wrong:
            module.exit_json(changed=params["state"] != "same", encryption=encryption, tries=tries)
        if time.monotonic() > deadline:
            module.fail_json(msg=f"{params['bucket']}/{params['name']} is not {params['state']}: {wrong}", tries=tries)
        time.sleep(1)


if __name__ == "__main__":
    main()
