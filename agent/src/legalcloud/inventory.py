"""Load one inventory whole, or say everything that is wrong with it.

Read are hosts.yml, group_vars/all/*.yml (register.yml and plan.yml by schema) and tenants/*.yml; the other
variable files are read only to refuse that they change the register behind its back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from legalcloud import document
from legalcloud.document import Problem, RefusedError
from legalcloud.errors import InventoryError
from legalcloud.fleet import read_nodes
from legalcloud.register import Register
from legalcloud.schema import Cell, read_all, refuse_repeats
from legalcloud.siting import read_sites
from legalcloud.tenant import Tenant, read_tenant

T = TypeVar("T")

HOME_OF = {
    "legalcloud_sites": "group_vars/all/register.yml",
    "legalcloud_plan": "group_vars/all/plan.yml",
    "legalcloud_site": "hosts.yml",
    "legalcloud_rack": "hosts.yml",
    "legalcloud_drives": "hosts.yml",
}
"""The one file in which each key of the register may stand."""

HONG_KONG_TIME = timezone(timedelta(hours=8))
VAULT_HEADER = "$ANSIBLE_VAULT;"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Everything that one inventory says."""

    folder: Path
    register: Register
    tenants: tuple[Tenant, ...]
    plan: Mapping[str, object] | None
    """`legalcloud_plan` as written, its keys not yet checked; None before `legalcloud plan --write`."""
    variables: Mapping[str, object]
    """All of group_vars/all, merged; what Ansible Vault keeps stands as `Vaulted`, or is absent."""


def load(folder: Path, *, today: date | None = None) -> Inventory:
    """Load the inventory in a folder. `today` decides whether a waiver has expired: Hong Kong's date if None.

    Raises: InventoryError that lists every problem as `file:line: key: what is wrong. remedy.`
    """
    reading = _Reading(folder=folder, problems=[])
    if not folder.is_dir():
        raise InventoryError(f"{folder} is not a folder", hint="Name the folder that holds hosts.yml.")
    day = today or datetime.now(HONG_KONG_TIME).date()
    sites = reading.attempt(lambda: read_sites(reading.open("group_vars/all/register.yml"), day))
    nodes = reading.attempt(lambda: read_nodes(reading.open("hosts.yml"), sites))
    tenants = reading.tenants()
    variables = reading.variables()
    plan = reading.attempt(reading.plan)
    reading.refuse_strays()
    if reading.problems or sites is None or nodes is None:
        raise InventoryError(_listed(folder, reading.problems))
    return Inventory(
        folder=folder,
        register=Register(sites=sites, nodes=nodes),
        tenants=tenants,
        plan=plan,
        variables=MappingProxyType(variables),
    )


def _listed(folder: Path, problems: list[Problem]) -> str:
    ordered = sorted(set(problems), key=lambda problem: (problem.file, problem.line or 0, problem.key))
    count = "1 problem" if len(ordered) == 1 else f"{len(ordered)} problems"
    return "\n".join([f"{folder} has {count}", *(f"  {problem}" for problem in ordered)])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """One reading of one folder, and the problems found so far."""

    folder: Path
    problems: list[Problem]
    opened: dict[str, Cell | None] = field(default_factory=dict)

    def attempt(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except RefusedError:
            return None

    def open(self, name: str) -> Cell:
        """Open a file of the folder; one that was refused stays refused, without a second complaint."""
        if name not in self.opened:
            self.opened[name] = self.attempt(partial(self._read, name))
        cell = self.opened[name]
        if cell is None:
            raise RefusedError
        return cell

    def _read(self, name: str) -> Cell:
        path = self.folder / name
        node = document.read(path, file=str(path), problems=self.problems)
        return Cell(node=node, key="", file=str(path), problems=self.problems)

    def files(self, part: str) -> Iterator[str]:
        """List the .yml files of a folder; Ansible reads other endings too, so those are refused."""
        for path in sorted((self.folder / part).glob("*")):
            if path.name.startswith(".") or path.name.endswith("~"):
                continue
            if path.suffix == ".yml" and path.is_file():
                yield f"{part}/{path.name}"
            else:
                self.note(path, "is not a .yml file", "Rename it, or move it out of this folder")

    def note(self, path: Path, what: str, remedy: str) -> None:
        self.problems.append(Problem(file=str(path), line=None, key="", what=what, remedy=remedy))

    def tenants(self) -> tuple[Tenant, ...]:
        opened = [self.attempt(partial(self.open, name)) for name in self.files("tenants")]
        cells = [cell for cell in opened if cell is not None]
        read = list(read_all(cells, lambda cell: read_tenant(cell, Path(cell.file).stem)))
        refuse_repeats(
            (
                (bucket.name, cell.at("buckets", index, "name"))
                for cell, tenant in read
                for index, bucket in enumerate(tenant.buckets)
            ),
            "bucket name",
        )
        return tuple(tenant for _, tenant in read)

    def variables(self) -> dict[str, object]:
        """Merge the files that hold for all nodes, and refuse a variable that two of them set."""
        cells: dict[str, Cell] = {}
        for name in self.files("group_vars/all"):
            for key, cell in self.entries(name).items():
                if key in cells:
                    cell.note(f"is set in {cells[key].place} too", "Keep one: Ansible would take the later file's")
                cells.setdefault(key, cell)
        return {key: cell.plain for key, cell in cells.items()}

    def entries(self, name: str) -> dict[str, Cell]:
        """Open a file of variables, and refuse a key of the register that has its home elsewhere."""
        try:
            cell = self.open(name)
            if str(cell.plain).startswith(VAULT_HEADER):
                return {}
            entries = cell.entries()
        except RefusedError:
            return {}
        for key, value in entries.items():
            if HOME_OF.get(key, name) != name:
                value.note("does not belong in this file", f"Move it to {HOME_OF[key]}, its only place")
        return entries

    def plan(self) -> Mapping[str, object] | None:
        if not (self.folder / HOME_OF["legalcloud_plan"]).exists():
            return None
        fields = self.open(HOME_OF["legalcloud_plan"]).fields(("legalcloud_plan",))
        entries = fields.take("legalcloud_plan", Cell.entries)
        return fields.whole({key: cell.plain for key, cell in (entries or {}).items()})

    def refuse_strays(self) -> None:
        """Look into the variables of single groups and hosts, which Ansible prefers to those of all."""
        shared = self.folder / "group_vars" / "all"
        for part in ("group_vars", "host_vars"):
            for path in sorted((self.folder / part).rglob("*")):
                if path.is_file() and shared not in path.parents and not path.name.startswith("."):
                    self.entries(str(path.relative_to(self.folder)))
