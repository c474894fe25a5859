"""How the controller reaches a node: as Ansible does, but only for one command that prints something."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from legalcloud.answer import whole
from legalcloud.errors import InputError, SourceError
from legalcloud.inventory import Inventory
from legalcloud.register import Node

_REFERENCE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_DEEPEST = 8
_SHOWN_LENGTH, _READ_BYTES = 200, 2**16
PORT = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How the controller reaches every node, as Ansible does."""

    user: str
    key: Path | None
    """None leaves it to the SSH agent and the user's own keys."""
    known_hosts: Path
    """Host keys; a node that is not in it, or shows another, is not spoken to."""
    port: int = PORT


def access_of(inventory: Inventory) -> Access:
    """Read from group_vars/all what Ansible's own connection reads. Raises: InputError."""
    names = {**inventory.variables, "inventory_dir": str(inventory.folder.resolve())}
    arguments = shlex.split(_resolved("ansible_ssh_common_args", names) or "")
    known = [word.partition("=")[2] for word in arguments if word.startswith("UserKnownHostsFile=")]
    key = _resolved("ansible_ssh_private_key_file", names)
    return Access(
        user=_resolved("ansible_user", names) or "root",
        key=Path(key).expanduser() if key else None,
        known_hosts=Path(known[0] if known else "~/.ssh/known_hosts").expanduser(),
        port=_port(names),
    )


def _port(names: Mapping[str, object]) -> int:
    text = _resolved("ansible_port", {**names, "ansible_port": str(names.get("ansible_port", PORT))}) or ""
    if not text.isdecimal():
        raise InputError(f"ansible_port is {text!r}, not a number", hint="Write the port of sshd.")
    return int(text)


def _resolved(name: str, variables: Mapping[str, object]) -> str | None:
    """Give a variable with the plain names in it replaced; None if it is not set."""
    value = variables.get(name)
    for _ in range(_DEEPEST):
        if not isinstance(value, str) or "{{" not in value:
            break
        value = _REFERENCE.sub(lambda found: str(variables.get(found[1], found[0])), value)
    if value is not None and (not isinstance(value, str) or "{{" in value or "{%" in value):
        raise InputError(
            f"{name} is {value!r}, which only Ansible can read", hint=f"Write {name} as text or with plain names."
        )
    return value


def over_ssh(node: Node, access: Access, command: str, seconds: float) -> bytes:
    """Return what a command prints on a node; `seconds` are for all of it. Raises: SourceError."""
    from fabric import Config, Connection  # noqa: PLC0415 -- only the controller has fabric
    from paramiko import RejectPolicy  # type: ignore[import-untyped]  # noqa: PLC0415 -- as above
    from paramiko.ssh_exception import SSHException  # type: ignore[import-untyped]  # noqa: PLC0415 -- as above

    until = time.monotonic() + seconds
    connection = Connection(
        str(node.address),
        user=access.user,
        port=access.port,
        connect_timeout=seconds,
        connect_kwargs={"key_filename": str(access.key)} if access.key else {},
        config=Config(overrides={"load_ssh_configs": False}),
    )
    try:
        connection.client.set_missing_host_key_policy(RejectPolicy())
        connection.client.load_host_keys(str(access.known_hosts))
        with connection:
            connection.open()
            channel = connection.transport.open_session(timeout=seconds)
            channel.exec_command(command)
            channel.shutdown_write()
            output = whole(channel, until=until)
            if not output:
                channel.status_event.wait(max(0.0, until - time.monotonic()))
                said = " ".join(channel.recv_stderr(_READ_BYTES).decode(errors="replace").split())[-_SHOWN_LENGTH:]
                raise SourceError(f"`{command}` ended with {channel.exit_status}: {said}")
    except TimeoutError as error:
        raise SourceError(f"did not answer in {seconds:g} s") from error
    except (SSHException, OSError, EOFError) as error:
        raise SourceError(f"could not be asked: {str(error) or type(error).__name__}") from error
    return output
