"""Talk to the monitors through librados: one connection, any number of commands, no `ceph` process for each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class CephError(Exception):
    """The cluster refused a command or gave no answer."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


def text(value: object) -> str:
    """Write a value as Ceph stores it: true and false in small letters."""
    return str(value).lower() if isinstance(value, bool) else str(value)


class Cluster:
    """A connection as client.admin; use it as a context."""

    def __init__(self, *, timeout_seconds: int = 60, name: str = "client.admin") -> None:
        try:
            import rados  # noqa: PLC0415 -- only nodes with Ceph have it
        except ImportError as error:
            raise CephError(
                f"the package python3-rados is not installed on this node ({error}). Role ceph installs it; before the "
                "first run of playbooks/site.yml nothing that asks the cluster can be checked."
            ) from error
        self._timeout = timeout_seconds
        wait = str(timeout_seconds)
        conf = {"client_mount_timeout": wait, "rados_mon_op_timeout": wait, "rados_osd_op_timeout": wait}
        try:
            self._rados = rados.Rados(name=name, conffile="/etc/ceph/ceph.conf", conf=conf)
            self._rados.connect(timeout=timeout_seconds)
        except rados.Error as error:
            raise CephError(
                f"no monitor let us in within {timeout_seconds} s: {error}. "
                "Look at `systemctl status ceph-mon@$(hostname)` on the monitors."
            ) from error

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *unused: object) -> None:
        self._rados.shutdown()

    def raw(self, arguments: Mapping[str, Any], data: bytes = b"") -> tuple[int, bytes, str]:
        command = json.dumps({"format": "json", **arguments})
        code, out, status = self._rados.mon_command(command, data, timeout=self._timeout)
        return code, out, status

    def ask(self, prefix: str, data: bytes = b"", **arguments: Any) -> Any:  # noqa: ANN401 -- JSON
        code, out, status = self.raw({"prefix": prefix, **arguments}, data)
        if code != 0:
            shown = " ".join([prefix, *(f"{k}={v}" for k, v in arguments.items())])
            raise CephError(f"`{shown}` ended with {code}: {status}", code)
        return json.loads(out) if out.strip() else None
