"""Read the nodes of hosts.yml: where each stands, what it is for, and its drives."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address

from legalcloud.document import RefusedError
from legalcloud.register import GROUPS, Drive, DriveUse, Node, Site
from legalcloud.schema import IDENTIFIER, Cell, every, read_all, refuse_repeats, shown

NODE_KEYS = ("ansible_host", "legalcloud_site", "legalcloud_rack")
RACK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+/-]{0,127}")
RESERVED = {"hk", "all", "ungrouped", "localhost", "default", *GROUPS}
"""Names that the placement map or Ansible already uses."""


def read_nodes(hosts: Cell, sites: Sequence[Site] | None) -> tuple[Node, ...]:
    """Read every node; `sites` is None when they could not be read: then nothing is compared with them."""
    top = hosts.fields(("all",))
    everything = top.whole(top.take("all", lambda cell: cell.fields(("hosts", "children"), ("vars",))))
    cells = everything.take("hosts", Cell.entries)
    children = everything.take("children", lambda cell: cell.fields(("storage",), GROUPS[1:]))
    everything.whole(None)
    if not cells:
        everything.cells["hosts"].refuse("is empty", "List at least one node")
    everything.maybe("vars", _read_vars)
    named = list(read_all(children.cells.values(), _read_group))
    members = _members(dict(named_group for _, named_group in named), cells)
    read = [
        entry for name, host in cells.items() for entry in read_all([host], partial(_read_node, name, members[name]))
    ]
    if len(named) == len(children.cells) and not children.refused:
        _refuse_idle(read)
    refuse_repeats(((str(node.address), cell.at("ansible_host")) for cell, node in read), "address")
    refuse_repeats(
        (
            (drive.serial, cell.at("legalcloud_drives", index, "serial"))
            for cell, node in read
            for index, drive in enumerate(node.drives)
        ),
        "serial",
    )
    if sites is not None:
        for cell, node in read:
            _compare(cell, node, {site.id: site for site in sites})
    if len(read) < len(cells) or children.refused:
        raise RefusedError
    return tuple(node for _, node in read)


def _members(groups: Mapping[str, Mapping[str, Cell]], hosts: Mapping[str, Cell]) -> Mapping[str, frozenset[str]]:
    members: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for group, entries in groups.items():
        for name, entry in entries.items():
            if name not in hosts:
                entry.note("is not under all.hosts", "Add it there with its site, rack and drives, or remove it here")
            elif entry.plain is not None:
                entry.note("has variables here", f"Move them to all.hosts.{name}, the one place for them")
            members[name] |= {group}
    return members


def _read_group(cell: Cell) -> tuple[str, Mapping[str, Cell]]:
    fields = cell.fields(("hosts",), ("vars",))
    fields.maybe("vars", _read_vars)
    return fields.whole((cell.key.rsplit(".", 1)[-1], fields.take("hosts", Cell.entries)))


def _read_vars(cell: Cell) -> None:
    for key, value in cell.entries().items():
        if key.startswith("legalcloud_"):
            value.note("does not belong in vars", "Write it on each node under all.hosts")


def _refuse_idle(read: Sequence[tuple[Cell, Node]]) -> None:
    for cell, node in read:
        if not node.groups:
            cell.note("is in no group", f"Add it under all.children to one of: {', '.join(GROUPS)}")


def _read_node(name: str, groups: frozenset[str], cell: Cell) -> Node:
    if not IDENTIFIER.fullmatch(name) or name in RESERVED:
        cell.note(f"{shown(name)} cannot name a node", "Use a-z, 0-9 and inner hyphens, and no name already in use")
    fields = cell.fields(NODE_KEYS, ("legalcloud_drives",), strict="legalcloud_")
    drives = fields.maybe("legalcloud_drives", lambda value: every(value, read_drive))
    if "storage" in groups and "legalcloud_drives" not in fields.cells:
        cell.note("is in the group storage and has no drive", "List its drives by serial in legalcloud_drives")
    return fields.whole(
        Node(
            name=name,
            address=fields.take("ansible_host", _read_address),
            site=fields.take("legalcloud_site", Cell.text),
            rack=fields.take("legalcloud_rack", lambda value: value.matching(RACK, "Use a-z, 0-9, . _ and -")),
            drives=drives or (),
            groups=groups,
        )
    )


def _read_address(cell: Cell) -> IPv4Address | IPv6Address:
    try:
        return ip_address(cell.text())
    except ValueError:
        return cell.refuse(f"is {shown(cell.plain)}, not an IP address", "Write the address itself, not a name")


def read_drive(cell: Cell) -> Drive:
    fields = cell.fields(("serial", "use"))
    return fields.whole(
        Drive(
            serial=fields.take(
                "serial", lambda value: value.matching(SERIAL, "Write the serial as printed on the drive")
            ),
            use=fields.take("use", lambda value: DriveUse(value.choice(DriveUse))),
        )
    )


def _compare(cell: Cell, node: Node, sites: Mapping[str, Site]) -> None:
    if node.name in sites:
        cell.note(f"{node.name} is also the id of a site", "Rename the node, for example with a number")
    if node.site not in sites:
        place = cell.at("legalcloud_site")
        place.note(f"is {shown(node.site)}, not a site of the register", f"Choose from: {', '.join(sites)}")
        return
    subnets = sites[node.site].subnets
    if not any(node.address in subnet for subnet in subnets):
        cell.at("ansible_host").note(
            f"{node.address} is in no subnet of site {node.site}",
            f"Use an address in {', '.join(map(str, subnets))}, or correct the subnets",
        )
