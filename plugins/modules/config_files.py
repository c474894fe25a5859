#!/usr/bin/python
"""Places all files of a role on a node in one invocation."""

from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
short_description: Place all files of a role on a node in one invocation
description:
  - Renders any number of templates on the controller and places them, with directories and removals, in one
    module invocation on the node.
  - Every file that would change is first written beside its target and validated. Only when all of them are
    valid is each one renamed into place, so a broken file replaces nothing.
  - Not for large files. Contents travel in the module's arguments, compressed; keep their sum to a few MiB.
options:
  files:
    description: What to place, in this order; list a directory before the files in it.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Absolute path on the node., type: path, required: true}
      state:
        description: With C(absent) a file or a link is removed, never a directory.
        type: str
        choices: [file, directory, absent]
        default: file
      template:
        description:
          - A template of the role, rendered as M(ansible.builtin.template) does.
          - C(ansible_managed) is one constant line.
        type: str
      content: {description: The content itself., type: str}
      source:
        description: A file of the role, or an absolute path on the controller, copied byte for byte.
        type: str
      mode:
        description: Octal, quoted, with a leading zero. Left out it is 0644, for directories 0755.
        type: str
      owner: {description: Name or number., type: str, default: root}
      group: {description: Name or number., type: str, default: root}
      validate:
        description: Command and arguments that must succeed; C(%s) stands for the new file not yet placed.
        type: list
        elements: str
        default: []
      secret:
        description: Show nothing of the content in a diff, and nothing that the validation prints.
        type: bool
        default: false
attributes:
  check_mode:
    support: full
    description: Predicts the changes; validation runs only if its program is installed.
  diff_mode: {support: full, description: One entry for each changed path.}
author: [Legal Cloud]
"""

EXAMPLES = r"""
- name: configure | Write the configuration of chrony
  config_files:
    files:
      - path: /etc/chrony/chrony.conf
        template: chrony.conf.j2
        validate: [chronyd, -p, -f, "%s"]
      - {path: /etc/chrony/keys, content: "{{ clock_key }}", mode: "0640", group: _chrony, secret: true}
      - {path: /etc/chrony/sources.d/old.sources, state: absent}
  no_log: true  # clock_key
  register: __clock_files
  notify: Restart chrony

# A handler for one of several files: when: "'/etc/chrony/chrony.conf' in __clock_files.changed_paths"
"""

RETURN = r"""
changed_paths:
  description: The paths that changed, or would change, in the order of the task.
  type: list
  elements: str
  returned: always
files:
  description: For each path the list of its changes - created, content, mode, owner, removed.
  type: dict
  returned: always
"""

import base64
import contextlib
import grp
import json
import os
import pwd
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.command import run
from ansible.module_utils.file_placement import commit, observe, own, stage
from ansible.module_utils.placed_files import Change, ConflictError, Kind, Wanted, diff, plan


class Placement:
    """One entry of the task on its way into place."""

    def __init__(self, module: AnsibleModule, entry: dict[str, Any]) -> None:
        self.module = module
        self.path = Path(entry["path"])
        self.validate: list[str] = entry["validate"]
        self.secret: bool = entry["secret"]
        self.staged: Path | None = None
        content = entry.get("content")
        self.wanted = Wanted(
            path=entry["path"],
            kind=Kind(entry["state"]),
            content=base64.b64decode(content) if content is not None else None,
            mode=int(entry["mode"], 8),
            uid=self._number(entry["owner"], "owner"),
            gid=self._number(entry["group"], "group"),
        )
        self.observed = observe(self.path)
        try:
            self.changes = plan(self.wanted, self.observed)
        except ConflictError as error:
            module.fail_json(msg=str(error))

    def _number(self, name: str, role: str) -> int | None:
        if name.isdecimal():
            return int(name)
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid if role == "owner" else grp.getgrnam(name).gr_gid
        if not self.module.check_mode:
            self.module.fail_json(
                msg=f"{self.path}: this node has no {role} {name!r}. Install the package that makes it first."
            )
        return None  # it may come with a package that check mode did not install

    def stage(self) -> None:
        """Write the new content beside its target, or make the directory, and validate."""
        if self.wanted.kind is Kind.DIRECTORY:
            if Change.CREATED in self.changes and not self.module.check_mode:
                self.path.mkdir(mode=0o700, parents=True)
            return
        if self.wanted.content is None or not {Change.CREATED, Change.CONTENT} & set(self.changes):
            return
        folder = Path(tempfile.gettempdir()) if self.module.check_mode else self.path.parent
        if not folder.is_dir():
            self.module.fail_json(msg=f"{self.path}: its folder does not exist. List it before, with state: directory.")
        staged = self.staged = stage(self.path, self.wanted.content, folder=folder)
        self._own(staged)
        if self.validate:
            self._validate(staged)

    def _validate(self, staged: Path) -> None:
        if self.module.check_mode and shutil.which(self.validate[0]) is None:
            return
        command = [part.replace("%s", str(staged)) for part in self.validate]
        code, out, err = run(command)
        if code:
            said = "its output is not shown, it may hold the secret" if self.secret else (err or out).strip()
            self.module.fail_json(
                msg=f"{self.path}: {self.validate[0]} refuses the new content; nothing was replaced. {said}"
            )

    def _own(self, path: Path) -> None:
        own(path, mode=self.wanted.mode, uid=self.wanted.uid, gid=self.wanted.gid)

    def commit(self) -> None:
        if Change.REMOVED in self.changes:
            self.path.unlink()
        elif self.staged is not None:
            commit(self.staged, self.path)
            self.staged = None
        elif self.changes:
            self._own(self.path)

    def forget(self) -> None:
        if self.staged is not None:
            with contextlib.suppress(FileNotFoundError):
                self.staged.unlink()


def main() -> None:
    # The action plugin of the same name checks the task's arguments and packs the contents: as one opaque
    # value they reach neither the node's journal nor Ansible's output, and public diffs stay readable.
    module = AnsibleModule(
        argument_spec={"payload": {"type": "str", "required": True, "no_log": True}}, supports_check_mode=True
    )
    entries = json.loads(zlib.decompress(base64.b64decode(module.params["payload"])))
    os.umask(0o077)
    placements = [Placement(module, entry) for entry in entries]
    try:
        for placement in placements:
            placement.stage()
        if not module.check_mode:
            for placement in placements:
                placement.commit()
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}. Look at the node's disk and mounts.")
    finally:
        for placement in placements:
            placement.forget()
    changed = [placement for placement in placements if placement.changes]
    module.exit_json(
        changed=bool(changed),
        changed_paths=[str(placement.path) for placement in changed],
        files={str(placement.path): [str(change) for change in placement.changes] for placement in placements},
        diff=[diff(p.wanted, p.observed, p.changes, secret=p.secret) for p in changed],
    )


if __name__ == "__main__":
    main()
