#!/usr/bin/python
"""Keeps a node's keys and certificates; the keys are made here and never leave."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_certificate
short_description: Keep a node's keys and certificates
description:
  - Makes an EC P-256 key for each certificate where there is none, keeps owner, group and mode of all files,
    and returns a signing request for each certificate that is missing, unfit or about to end.
  - Called again with C(signed), it checks each certificate against key, CA and names, and installs it.
  - Files are C(NAME.key), C(NAME.crt) and, if combined, C(NAME.pem): certificate, then key, as for HAProxy.
requirements: [python3-cryptography]
options:
  folder: {description: Where the files are; it must exist., type: path, required: true}
  ca_certificate:
    description: The CA's certificate as PEM; empty only in check mode.
    type: str
    required: true
  renew_before_days: {description: A certificate that ends sooner is renewed., type: int, required: true}
  certificates:
    description: What should be there.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Stem of the files., type: str, required: true}
      common_name: {description: Common name of the subject., type: str, required: true}
      names:
        description: Subject alternative names as C(DNS:name) or C(IP:address).
        type: list
        elements: str
        required: true
      owner: {description: Owner of the files with the key., type: str, default: root}
      group: {description: Group of the files with the key., type: str, default: root}
      key_mode: {description: Mode of the files with the key., type: str, default: "0600"}
      combined: {description: Whether to write C(NAME.pem) too., type: bool, default: false}
      purpose:
        description: Whether the certificate is for TLS, or for signing documents and for nothing in TLS.
        type: str
        choices: [tls, signing]
        default: tls
  signed: {description: Name to certificate as PEM., type: dict, default: {}}
attributes:
  check_mode: {support: full, description: Says what it would make and which certificates it would ask for.}
  diff_mode: {support: none, description: Reasons are returned instead; keys are never shown.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: configure | Make keys and requests
  node_certificate:
    folder: /etc/legalcloud/pki
    ca_certificate: "{{ lookup('ansible.builtin.file', certificate_ca_dir + '/ca.crt') }}"
    renew_before_days: 30
    certificates:
      - {name: node, common_name: tko-1, names: ["DNS:tko-1", "IP:10.77.1.11"], group: ceph, key_mode: "0640"}
  register: __certificate_state
"""

RETURN = r"""
requests:
  description:
    - Name, reasons and request of each unfit certificate.
    - The request is PEM; it is empty in check mode if there is no key yet.
  type: list
  elements: dict
  returned: always
changed_paths:
  description: Files that were, or would be, made or corrected.
  type: list
  elements: str
  returned: always
"""

import grp
import pwd
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.certificate_state import Certificate, Wish, reasons
from ansible.module_utils.file_placement import commit, observe, own, stage
from ansible.module_utils.placed_files import Kind, Observed, Wanted, plan

try:
    from ansible.module_utils import x509_files
except ImportError:
    x509_files = None


class Keeper:
    """One certificate and its files."""

    def __init__(self, module: AnsibleModule, entry: dict[str, Any], changed: list[str]) -> None:
        self.module = module
        self.entry = entry
        self.changed = changed
        self.stem = Path(module.params["folder"]) / entry["name"]
        self.ca: bytes = module.params["ca_certificate"].encode()
        try:
            self.names = x509_files.canonical_names(entry["names"])
            self.uid, self.gid = pwd.getpwnam(entry["owner"]).pw_uid, grp.getgrnam(entry["group"]).gr_gid
        except ValueError as error:
            module.fail_json(msg=f"certificate {entry['name']}: {error}.")
        except KeyError as error:
            if not module.check_mode:
                problem = f"certificate {entry['name']}: {error.args[0]}"
                module.fail_json(msg=f"{problem}. Install the package that makes it first.")
            self.uid = self.gid = 0

    def place(self, suffix: str, content: bytes | None, *, holds_key: bool) -> None:
        """Bring one file to a content (None: keep the present one) and to its owner and mode."""
        path = self.stem.with_name(self.stem.name + suffix)
        observed: Observed = observe(path)
        wanted = Wanted(
            path=str(path),
            kind=Kind.FILE,
            content=observed.content if content is None else content,
            mode=int(self.entry["key_mode"], 8) if holds_key else 0o644,
            uid=self.uid if holds_key else 0,
            gid=self.gid if holds_key else 0,
        )
        changes = plan(wanted, observed)
        if not changes:
            return
        self.changed.append(str(path))
        if self.module.check_mode:
            return
        if wanted.content != observed.content:
            staged = stage(path, wanted.content, folder=path.parent)
            own(staged, mode=wanted.mode, uid=wanted.uid, gid=wanted.gid)
            commit(staged, path)
        else:
            own(path, mode=wanted.mode, uid=wanted.uid, gid=wanted.gid)

    def content(self, suffix: str) -> bytes | None:
        found: bytes | None = observe(self.stem.with_name(self.stem.name + suffix)).content
        return found

    def keep(self, signed: str | None) -> dict[str, Any] | None:
        """Keep all files; return the request if a new certificate is needed."""
        if self.content(".key") is None:
            self.place(".key", x509_files.new_key(), holds_key=True)
        else:
            self.place(".key", None, holds_key=True)
        pem = self.content(".key")
        if pem is None:
            return {"name": self.entry["name"], "request": "", "reasons": ["there is no key"]}
        key = self.load(pem)
        if signed is not None:
            self.install(signed.encode(), key)
        certificate = self.read(self.content(".crt"), key)
        why = self.reasons(certificate)
        if why:
            csr = x509_files.request(
                key, common_name=self.entry["common_name"], names=self.names, purpose=self.entry["purpose"]
            )
            return {"name": self.entry["name"], "request": csr.decode(), "reasons": list(why)}
        present = self.content(".crt") or b""
        self.place(".crt", None, holds_key=False)
        if self.entry["combined"]:
            self.place(".pem", present + pem, holds_key=True)
        return None

    def load(self, pem: bytes) -> Any:  # noqa: ANN401 -- a key of a library that may be missing
        try:
            key = x509_files.load_key(pem)
        except ValueError as error:
            key = self.module.fail_json(msg=f"{self.stem}.key: {error}. Move it away; the next run makes another.")
        return key

    def install(self, signed: bytes, key: Any) -> None:  # noqa: ANN401 -- as above
        why = self.reasons(self.read(signed, key))
        if why:
            self.module.fail_json(
                msg=f"{self.stem}.crt: the signed certificate will not do: {'; '.join(why)}. "
                "Compare the CA of the controller and the clocks of both."
            )
        self.place(".crt", signed, holds_key=False)

    def read(self, pem: bytes | None, key: Any) -> Certificate | None:  # noqa: ANN401 -- as above
        if pem is None or not self.ca:
            return None
        try:
            found: Certificate = x509_files.read(pem, key=key, ca_pem=self.ca)
        except ValueError:
            return None  # not a certificate: as if there were none, and a new one replaces it
        return found

    def reasons(self, certificate: Certificate | None) -> tuple[str, ...]:
        wish = Wish(
            common_name=self.entry["common_name"],
            names=frozenset(self.names),
            renew_before=timedelta(days=self.module.params["renew_before_days"]),
            purpose=self.entry["purpose"],
        )
        why: tuple[str, ...] = reasons(certificate, wish, now=datetime.now(UTC))
        return why


def main() -> None:
    certificate = {
        "name": {"type": "str", "required": True},
        "common_name": {"type": "str", "required": True},
        "names": {"type": "list", "elements": "str", "required": True},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "key_mode": {"type": "str", "default": "0600", "no_log": False},
        "combined": {"type": "bool", "default": False},
        "purpose": {"type": "str", "choices": ["tls", "signing"], "default": "tls"},
    }
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "ca_certificate": {"type": "str", "required": True},
            "renew_before_days": {"type": "int", "required": True},
            "certificates": {"type": "list", "elements": "dict", "required": True, "options": certificate},
            "signed": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    if x509_files is None:
        module.fail_json(msg=missing_required_lib("cryptography") + " On Debian: python3-cryptography.")
    changed: list[str] = []
    requests = []
    for entry in module.params["certificates"]:
        request = Keeper(module, entry, changed).keep(module.params["signed"].get(entry["name"]))
        if request is not None:
            requests.append(request)
    module.exit_json(changed=bool(changed), changed_paths=changed, requests=requests)


if __name__ == "__main__":
    main()
