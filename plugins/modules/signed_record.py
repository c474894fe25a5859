#!/usr/bin/python
"""Documentation of the action `signed_record`, which does the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: signed_record
short_description: Write a record that the HSM on this host has signed
description:
  - Makes the record's bytes on the controller, has them signed in the token on the host of the task (delegate it to
    the evidence host), checks the signature against the CA, and writes the file on the controller.
  - The file is new each time, and mode 0644; none is ever replaced. Nothing in it may be secret.
options:
  kind: {description: "What kind of record; of [a-z0-9-].", type: str, required: true}
  subject: {description: "What it is about; of [a-z0-9-].", type: str, required: true}
  body:
    description: What it says. Text, whole numbers, booleans, lists and dictionaries; a float is refused.
    type: dict
    required: true
  folder: {description: Folder on the controller., type: path, required: true}
  ca_file: {description: Certificate of the CA on the controller., type: path, required: true}
  token: {description: Token of C(legalcloud-hsm) on the host., type: str, default: evidence}
  key: {description: Label of its key., type: str, default: evidence}
  signer: {description: Common name of that key's certificate., type: str, default: Legal Cloud evidence}
  certificate_file:
    description: Certificate of that key on the host.
    type: path
    default: /etc/legalcloud/hsm/evidence.crt
attributes:
  check_mode: {support: full, description: Refuses what cannot stand in a record; signs and writes nothing.}
  diff_mode: {support: none, description: The record is the file.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: Keep the record of the drill
  signed_record:
    kind: restore-drill
    subject: openbao
    folder: "{{ records_dir }}"
    ca_file: "{{ ca_dir }}/ca.crt"
    body: {recovery_seconds: 42}
  delegate_to: "{{ records_signing_host }}"
"""

RETURN = r"""
path:
  description: The file on the controller; empty in check mode.
  type: str
  returned: always
sha256:
  description: SHA-256 of the file.
  type: str
  returned: always
"""
