#!/usr/bin/python
"""Sets kernel parameters of the running node, all in one invocation."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_values
short_description: Set and compare kernel parameters of the running node
description:
  - Sets what C(/proc/sys) holds now; what it holds after a boot is a file in C(/etc/sysctl.d).
options:
  values:
    description: Parameter to value; white space inside a value is compared as one blank.
    type: dict
    default: {}
  expected: {description: Parameters that are only compared; a difference fails., type: dict, default: {}}
  read_only_is_error:
    description: False in a container, which cannot set its host's parameters; they are returned.
    type: bool
    default: true
attributes:
  check_mode: {support: full, description: Compares and sets nothing.}
  diff_mode: {support: full, description: Parameters that differ.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: run | Set the kernel's parameters
  sysctl_values:
    values: {fs.aio-max-nr: 1048576}
    expected: {kernel.hostname: tko-1}
"""

RETURN = r"""
unsettable:
  description: Parameters that this machine does not let us set, and that differ.
  type: list
  elements: str
  returned: always
"""

import errno
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

ROOT = Path("/proc/sys")
READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


def file_of(parameter: str) -> Path:
    return ROOT / parameter.replace(".", "/")


def read(parameter: str) -> str | None:
    try:
        return " ".join(file_of(parameter).read_text().split())
    except FileNotFoundError:
        return None


def differing(wanted: dict[str, object]) -> dict[str, tuple[str | None, str]]:
    """Return parameter to (what is, what should be) for those that differ."""
    pairs = {name: (read(name), " ".join(str(value).split())) for name, value in wanted.items()}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "values": {"type": "dict", "default": {}},
            "expected": {"type": "dict", "default": {}},
            "read_only_is_error": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    wrong = differing(module.params["expected"])
    if wrong:
        listed = "; ".join(f"{name} is {now!r}, not {wanted!r}" for name, (now, wanted) in wrong.items())
        module.fail_json(msg=f"This is not the expected node: {listed}. Compare ansible_host in hosts.yml.")
    unsettable: dict[str, str] = {}
    changed: dict[str, tuple[str | None, str]] = {}
    for name, (now, wanted) in differing(module.params["values"]).items():
        try:
            with file_of(name).open("r+") as stream:
                if not module.check_mode:
                    stream.write(wanted)
            changed[name] = (now, wanted)
        except FileNotFoundError:
            unsettable[name] = "this kernel does not know it"
        except OSError as error:
            if error.errno not in READ_ONLY:
                module.fail_json(msg=f"{name}: the kernel refuses {wanted!r}: {error.strerror}.")
            unsettable[name] = "read-only here"
    if unsettable and module.params["read_only_is_error"]:
        listed = "; ".join(f"{name}: {reason}" for name, reason in unsettable.items())
        module.fail_json(msg=f"Kernel parameters cannot be set: {listed}. In a container set them on its host.")
    module.exit_json(
        changed=bool(changed),
        unsettable=sorted(unsettable),
        diff={
            "before": "".join(f"{name} = {now}\n" for name, (now, _) in changed.items()),
            "after": "".join(f"{name} = {wanted}\n" for name, (_, wanted) in changed.items()),
        },
    )


if __name__ == "__main__":
    main()
