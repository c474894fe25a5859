"""Records the samples beside it from the lab that stands: python -m tests.plugins.data.ceph.record."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from tests.e2e.nodes import ROOT, lab_from

FOLDER = Path(__file__).parent
JSON = {
    "config_dump.json": ("ceph", "config", "dump", "--format", "json"),
    "crush_rule_dump.json": ("ceph", "osd", "crush", "rule", "dump", "--format", "json"),
    "crush_tree.json": ("ceph", "osd", "crush", "tree", "--format", "json"),
    "osd_dump.json": ("ceph", "osd", "dump", "--format", "json"),
    "period.json": ("radosgw-admin", "period", "get"),
    "zone.json": ("radosgw-admin", "zone", "get", "--rgw-zone", "hk"),
    "zonegroup.json": ("radosgw-admin", "zonegroup", "get", "--rgw-zonegroup", "hk"),
}
UNUSED = ("osds", "osd_xinfo", "crush_node_flags", "device_class_flags", "blocklist", "range_blocklist")
"""Parts of `osd dump` that no module of ours reads."""


def main() -> None:
    node = lab_from(ROOT / "inventories/lab").admin()
    for name, argv in JSON.items():
        answer = node.json(*argv)
        if name == "osd_dump.json":
            answer = {key: value for key, value in answer.items() if key not in UNUSED}
        if name == "zone.json":
            assert not any(answer["system_key"].values()), "the zone has a key: it must not be recorded"
        (FOLDER / name).write_text(json.dumps(answer, indent=1, ensure_ascii=False) + "\n")
    auth = node.json("ceph", "auth", "ls", "--format", "json")["auth_dump"]
    without_keys = [{"entity": entry["entity"], "caps": entry["caps"]} for entry in auth]
    (FOLDER / "auth_ls.json").write_text(json.dumps({"auth_dump": without_keys}, indent=1) + "\n")
    (FOLDER / "crush_map.txt").write_bytes(node.run(["crushtool", "-d", "-"], node.run(["ceph", "osd", "getcrushmap"])))
    simple = node.text("mktemp", "-d").strip()
    node.run(["osdmaptool", "--createsimple", "3", f"{simple}/osdmap", "--clobber"])
    node.run(["osdmaptool", f"{simple}/osdmap", "--export-crush", f"{simple}/crush"])
    (FOLDER / "crush_map_simple.txt").write_bytes(node.run(["crushtool", "-d", f"{simple}/crush"]))
    node.run(["rm", "-r", simple])
    version = node.text("ceph", "--version").strip()
    now = datetime.now(tz=UTC).date()
    argvs = "".join(f"{name}: {' '.join(argv)}\n" for name, argv in JSON.items())
    (FOLDER / "VERSION").write_text(
        f"{version}\nrecorded {now} on the lab's first monitor by record.py\n\n{argvs}"
        "osd_dump.json: without the parts that no module of ours reads\n"
        "auth_ls.json: ceph auth ls --format json, without keys\n"
        "crush_map.txt: ceph osd getcrushmap, through crushtool -d\n"
        "crush_map_simple.txt: as Ceph makes a map by itself: osdmaptool --createsimple 3, through crushtool -d\n"
    )


if __name__ == "__main__":
    main()
