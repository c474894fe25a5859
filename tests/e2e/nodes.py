"""The lab as tests reach it: its variables as Ansible resolves them, and its nodes over SSH."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fabric
from paramiko import RejectPolicy, SSHException  # type: ignore[import-untyped]  # paramiko ships no types

ROOT = Path(__file__).parents[2]
GROUPS = ("storage", "mons", "mgrs", "gateways", "kms")
OF_THE_FLEET = (
    "lab_state_dir", "ca_dir", "ingress_s3_name", "ingress_addresses", "tenants_endpoint_url", "tenants_ca_file",
    "tenants_reveal_dir", "legalcloud_sites", "legalcloud_plan", "ceph_fsid",
)  # fmt: skip
OF_A_NODE = (
    "ansible_host", "ansible_user", "ansible_ssh_private_key_file", "ansible_ssh_common_args", "legalcloud_site",
    "legalcloud_rack", "legalcloud_drives",
)  # fmt: skip
NODE_SECONDS = 120


class NodeError(Exception):
    """A command on a node failed."""


def tool(
    program: str, *words: str, seconds: float = 300, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a program of the virtual environment (ansible, ansible-playbook, legalcloud) from the root.

    `prefix` goes before it, such as setpriv with its words.
    """
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    command = [*prefix, str(Path(sys.executable).with_name(program)), *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )


def resolved(inventory: Path) -> dict[str, Any]:
    """Ask Ansible once for every variable that tests need: `fleet`, `groups` and, by name, `nodes`."""
    fleet = ", ".join(f"'{name}': {name}" for name in OF_THE_FLEET)
    groups = ", ".join(f"'{name}': groups['{name}']" for name in GROUPS)
    columns = ", ".join(
        f"'{name}': groups['storage'] | map('extract', hostvars, '{name}') | list" for name in OF_A_NODE
    )
    wish = json.dumps({"msg": f"{{{{ {{'fleet': {{{fleet}}}, 'groups': {{{groups}}}, 'columns': {{{columns}}}}} }}}}"})
    done = tool("ansible", "localhost", "-i", str(inventory), "-m", "ansible.builtin.debug", "-a", wish)
    _, found, answer = done.stdout.partition("=> ")
    if done.returncode != 0 or not found:
        raise NodeError(f"ansible could not resolve the variables of {inventory}: {done.stdout}{done.stderr}")
    message: dict[str, Any] = json.loads(answer)["msg"]
    columns_by_name = message.pop("columns")
    message["nodes"] = {
        name: {key: columns_by_name[key][number] for key in OF_A_NODE}
        for number, name in enumerate(message["groups"]["storage"])
    }
    return message


@dataclass(slots=True, kw_only=True)
class Node:
    """One machine of the lab; the connection is opened at the first command and kept."""

    name: str
    address: str
    user: str
    key: Path
    known_hosts: Path
    _connection: fabric.Connection | None = field(default=None, repr=False)

    def run(self, argv: Sequence[str], stdin: bytes = b"", *, good: Sequence[int] = (0,)) -> bytes:
        """Run one command as root and return what it printed; raises NodeError unless it ends with a `good` code."""
        command = f"sudo -- {shlex.join(argv)}"
        try:
            _, out, err = self._open().client.exec_command(command, timeout=NODE_SECONDS)
        except (OSError, EOFError, SSHException):  # the machine was killed since, or its sshd begins just now
            self.close()
            time.sleep(2)
            _, out, err = self._open().client.exec_command(command, timeout=NODE_SECONDS)
        out.channel.sendall(stdin)
        out.channel.shutdown_write()
        printed: bytes = out.read()
        words = err.read().decode(errors="replace").strip()
        if (code := out.channel.recv_exit_status()) not in good:
            raise NodeError(f"{self.name}: `{shlex.join(argv)}` ended with {code}: {words}")
        return printed

    def text(self, *argv: str) -> str:
        return self.run(argv).decode()

    def json(self, *argv: str) -> Any:  # noqa: ANN401 -- JSON
        return json.loads(self.run(argv))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> fabric.Connection:
        if self._connection is not None and not self._connection.is_connected:
            self.close()  # the machine was killed since
        if self._connection is None:
            connection = fabric.Connection(
                self.address,
                user=self.user,
                config=fabric.Config(overrides={"load_ssh_configs": False}),
                connect_timeout=10,
                connect_kwargs={"key_filename": str(self.key), "allow_agent": False, "look_for_keys": False},
            )
            # Fabric trusts any host by itself; ours have keys that the lab pinned.
            connection.client.load_host_keys(str(self.known_hosts))
            connection.client.set_missing_host_key_policy(RejectPolicy())
            connection.open()
            self._connection = connection
        return self._connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """The lab that stands."""

    inventory: Path
    variables: Mapping[str, Any]
    """Of the whole fleet, by name; templates are resolved."""
    groups: Mapping[str, Sequence[str]]
    host_variables: Mapping[str, Mapping[str, Any]]
    nodes: Mapping[str, Node]

    @property
    def state_dir(self) -> Path:
        return Path(self.variables["lab_state_dir"])

    @property
    def known_hosts(self) -> Path:
        return self.state_dir / "known_hosts"

    def group(self, name: str) -> list[Node]:
        return [self.nodes[host] for host in self.groups[name]]

    def admin(self) -> Node:
        """Return the first monitor, where the administrator's keyring is."""
        return self.group("mons")[0]

    def ceph(self, *words: str) -> Any:  # noqa: ANN401 -- JSON
        return self.admin().json("ceph", "--connect-timeout", "10", *words, "--format", "json")

    def playbook(
        self, name: str, *words: str, seconds: float = 600, prefix: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        arguments = ("-i", str(self.inventory), f"playbooks/{name}", *words)
        return tool("ansible-playbook", *arguments, seconds=seconds, prefix=prefix)

    def machine(self, name: str, state: str) -> str:
        """Bring a machine to a state as the module lab_machine knows it (killed); return what was done."""
        words = f"name={name} folder={self.state_dir}/machines/{name} state={state}"
        python = f"ansible_python_interpreter={sys.executable}"
        done = tool("ansible", "localhost", "-e", python, "-m", "lab_machine", "-a", words)
        if done.returncode != 0:
            raise NodeError(f"{name} did not become {state}: {done.stdout}{done.stderr}")
        return str(json.loads(done.stdout.partition("=> ")[2])["action"])


def lab_from(inventory: Path) -> Lab:
    """Make the lab of an inventory; no node is asked yet."""
    found = resolved(inventory)
    state_dir = Path(found["fleet"]["lab_state_dir"])
    return Lab(
        inventory=inventory,
        variables=found["fleet"],
        groups=found["groups"],
        host_variables=found["nodes"],
        nodes={
            name: Node(
                name=name,
                address=own["ansible_host"],
                user=own["ansible_user"],
                key=Path(own["ansible_ssh_private_key_file"]),
                known_hosts=state_dir / "known_hosts",
            )
            for name, own in found["nodes"].items()
        },
    )


def eventually(what: Callable[[], bool], *, seconds: float, hint: str) -> None:
    """Ask every half second until it is so; fail with the hint if it is not in time."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not after {seconds} s: {hint}"
        time.sleep(0.5)
