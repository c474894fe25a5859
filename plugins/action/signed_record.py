"""Makes a record's bytes on the controller, has the HSM of the task's host sign them, and writes the file here."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from legalcloud.errors import LegalcloudError
from legalcloud.records import record as records

TOOL = "/usr/local/sbin/legalcloud-hsm"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible ships no types
    """Two commands on the evidence host: its certificate, then a signature."""

    _requires_connection = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        del tmp
        result: dict[str, Any] = super().run(None, task_vars)
        _, arguments = self.validate_argument_spec(
            {
                "kind": {"type": "str", "required": True},
                "subject": {"type": "str", "required": True},
                "body": {"type": "dict", "required": True},
                "folder": {"type": "path", "required": True},
                "ca_file": {"type": "path", "required": True},
                "token": {"type": "str", "default": "evidence"},
                "key": {"type": "str", "default": "evidence", "no_log": False},
                "signer": {"type": "str", "default": records.SIGNER},
                "certificate_file": {"type": "path", "default": "/etc/legalcloud/hsm/evidence.crt"},
            }
        )
        record = records.Record(
            kind=arguments["kind"],
            subject=arguments["subject"],
            issued_at=datetime.now(UTC).replace(microsecond=0),
            body=arguments["body"],
        )
        try:
            records.to_payload(record)  # refuse what cannot stand in a record before the HSM is asked
            if self._task.check_mode:
                return {**result, "changed": True, "path": "", "sha256": ""}
            return {**result, **self._written(record, arguments, task_vars or {})}
        except LegalcloudError as error:
            message = f"signed_record, {record.kind} of {record.subject}: {error}. {error.hint}"
            raise AnsibleActionFail(message) from error
        except OSError as error:
            message = f"signed_record: {error.filename}: {error.strerror}. No record was kept: correct that folder."
            raise AnsibleActionFail(message) from error

    def _written(self, record: records.Record, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        def ask(argv: list[str], stdin: str = "") -> str:
            words = {"argv": argv, "stdin": stdin, "stdin_add_newline": False}
            done = self._execute_module("ansible.builtin.command", words, task_vars=variables)
            if done.get("failed"):
                said = (done.get("stderr") or done.get("stdout") or done.get("msg") or "").strip()
                message = f"signed_record: `{' '.join(argv)}` failed on the evidence host: {said}"
                raise AnsibleActionFail(message)
            return str(done["stdout"])

        def sign(data: bytes) -> bytes:
            answer = ask([TOOL, "sign", arguments["token"], arguments["key"]], data.decode())
            return base64.b64decode(json.loads(answer)["signature"])

        certificate = ask(["cat", arguments["certificate_file"]]).encode()
        raw = records.sign(record, certificate_pem=certificate, signature=sign)
        ca = Path(arguments["ca_file"]).read_bytes()
        records.verify(raw, ca_pem=ca, now=datetime.now(UTC), signer=arguments["signer"])
        path = records.keep(Path(arguments["folder"]), record, raw)
        return {"changed": True, "path": str(path), "sha256": hashlib.sha256(raw).hexdigest()}
