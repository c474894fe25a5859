"""Whole nodes for tests of the exposition: facts of every subject, from recorded answers through the real parsers.

A new subject needs its facts here, in each of the three; `test_exposition.py` says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.agent.node.node_sample import HERE
from tests.agent.node.test_osds import LOOK, SERIALS

from legalcloud.advisories import shipped
from legalcloud.node import (
    certificates,
    clock,
    hsm,
    openbao,
    osds,
    packages,
    pressure,
    ruleset,
    serials,
    smart,
    subjects,
    units,
)
from legalcloud.node.capacity import ClusterCapacity, of_node
from legalcloud.node.cluster_watch import Cluster
from legalcloud.node.cluster_watch import Seen as SeenCluster
from legalcloud.node.drives import Drives
from legalcloud.node.filesystems import Room
from legalcloud.node.filling import Filling
from legalcloud.node.forecast import forecast
from legalcloud.node.history import Sample
from legalcloud.node.hsm import Hsm
from legalcloud.node.keys import Keys
from legalcloud.node.osds import Osd, Ratios
from legalcloud.node.packages import Packages, Updates
from legalcloud.node.pressure import Pressure
from legalcloud.node.probe import Seen
from legalcloud.node.ruleset import Ruleset
from legalcloud.node.serials import Fleet
from legalcloud.node.storage import Storage
from legalcloud.node.units import Units

Facts = Mapping[str, object]
"""By subject."""
NOW = 1_795_464_160.0
"""2026-11-23T20:02:40Z, when most of the samples were recorded."""
GIB, HOUR, DAY = 2**30, 3600, 86400


def raw(name: str) -> bytes:
    return (HERE / "data" / name).read_bytes()


def looks(facts: Facts, *, age_seconds: float = 4.0) -> tuple[Seen[object], ...]:
    """Say that every probe has just succeeded; those without facts have failed, and so often that all is stale."""
    return tuple(
        Seen(
            name=name,
            facts=facts.get(name),
            age_seconds=None if facts.get(name) is None else age_seconds,
            stale=facts.get(name) is None,
            success=facts.get(name) is not None,
            duration_seconds=0.25,
            problem=None,
        )
        for name in subjects.NAMES
    )


def storage_node(drives: int = 2) -> Facts:
    """Say what a healthy node says that holds data and nothing else, beyond two drives on such as tell all they can."""
    well, two = smart.parse(raw("smart/ata_ssd.json")), osds.osds(LOOK, SERIALS)
    loquacious = replace(well, condition=replace(well.condition, media_errors=0))
    more = [f"SN{number}" for number in range(drives - len(two))]
    told = {**dict.fromkeys(SERIALS.values(), well), **dict.fromkeys(more, loquacious)}
    others = (
        replace(two[0], number=100 + number, drives=osds.Drives(data=(serial,), db=None, wal=None))
        for number, serial in enumerate(more)
    )
    return {
        **_every_node(),
        "units": services("chrony.service", "ceph-osd@1.service", "nftables.service"),
        "drives": Drives(
            fleet=Fleet(present={serial: f"/dev/{serial}" for serial in told}, absent=(), ambiguous={}, unexpected=()),
            facts=told,
            problems={},
        ),
        "osds": storage((*two, *others)),
        "forecast": filling(),
        "certificates": certificates.parse(some_certificates("ca", "node", "s3", "gateway"), now=NOW),
        "ruleset": as_loaded(raw("ruleset/storage.json")),
    }


def gateway_node() -> Facts:
    """Say what a healthy node says that has a monitor, a gateway and OpenBao with its HSM, and no drive for data."""
    health, leader = raw("keys/active_health.json"), raw("keys/active_leader.json")
    capacity = ClusterCapacity(
        raw_bytes=48 * GIB,
        used_bytes=6 * GIB,
        osds_down=0,
        fullest_osd=3,
        fullest_share=0.15,
        until_full_bytes=19 * GIB,
        advised_bytes=14 * GIB,
        reserve_bytes=2 * GIB,
        limited_by="osd.3 without cwn-1",
    )
    return {
        **_every_node(),
        "units": services("chrony.service", "ceph-mon.target", "nftables.service", "ceph-radosgw@rgw.tko-1.service"),
        "drives": Drives(fleet=Fleet(present={}, absent=(), ambiguous={}, unexpected=()), facts={}, problems={}),
        "osds": storage(()),
        "cluster": Cluster(seen=SeenCluster(capacity=capacity, filling=filling())),
        "keys": Keys(
            server=openbao.server(health, leader),
            hsm_away_seconds=openbao.hsm_away_seconds(raw("keys/metrics.txt")),
            backup=openbao.backup(raw("keys/backup.json"), now=NOW),
            gateway_served=True,
        ),
        "hsm": Hsm(tokens={name: hsm.token(raw(f"hsm/{name}.json")) for name in ("evidence", "kms")}),
        "certificates": certificates.parse(raw("certificates/gateway.json"), now=NOW),
        "ruleset": as_loaded(raw("ruleset/gateway.json")),
    }


def broken_node() -> Facts:
    """Say what a node says on which each thing is absent, failed or silent; `forecast` and `cluster` have no facts."""
    document = json.loads(LOOK)
    document["1"] = {"stopped": True, "drives": document["1"]["drives"]}
    document["8"] = {"problem": "no answer", "drives": document["8"]["drives"]}
    return {
        "units": Units(
            expected=units.show(b"LoadState=not-found\nActiveState=inactive\nSubState=dead\n", ("chrony.service",)),
            failed=units.failed(raw("units/failed_two.json")),
        ),
        "drives": Drives(
            fleet=Fleet(
                present={"SN-FAILING": "/dev/sda", "SN-SILENT": "/dev/sdb", "SN-VIRTUAL": "/dev/vda"},
                absent=("SN-ABSENT",),
                ambiguous={"SN-TWIN": ("/dev/sdc", "/dev/sdd")},
                unexpected=serials.disks(raw("drives/lsblk_lab.json"))[:1],
            ),
            facts={
                "SN-FAILING": smart.parse(raw("smart/ata_hdd_failing.json")),
                "SN-SILENT": None,
                "SN-VIRTUAL": smart.parse(raw("smart/virtual.json")),
            },
            problems={"SN-SILENT": "`smart /dev/sdb`: did not finish in 30 s"},
        ),
        "osds": storage(osds.osds(json.dumps(document).encode(), {}), without_osd=("SN-VIRTUAL",)),
        "keys": Keys(
            server=openbao.server(None, None),
            hsm_away_seconds=None,
            backup=openbao.backup(raw("keys/backup_none.json"), now=NOW),
            gateway_served=False,
        ),
        "hsm": Hsm(tokens={name: hsm.token(raw(f"hsm/{name}.json")) for name in ("absent", "pin_wrong")}),
        "certificates": certificates.parse(b'{"/etc/legalcloud/pki/node.crt": null}', now=NOW),
        "clock": clock.parse(raw("clock/unsynchronised.csv"), b"", now=NOW),
        "ruleset": ruleset.parse(b'{"nftables": [{"metainfo": {}}]}', recorded="0" * 64),
        "packages": Packages(
            ceph=None,
            faults=None,
            advisories_age_days=45,
            kernel="6.12.57+deb13-amd64",
            kernel_installed=None,
            reboot_needed=None,
            updates=None,
            lists_age_seconds=None,
        ),
        "pressure": Pressure(
            memory=None, stalls=dict.fromkeys(pressure.RESOURCES), rooms={"/absent": None}, up_seconds=None
        ),
    }


def _every_node() -> Facts:
    installed = packages.installed(raw("packages/dpkg.txt"))
    return {
        "forecast": Filling(forecast=forecast((), now_seconds=int(NOW), full_bytes=0), samples=0, problem=None),
        "cluster": Cluster(seen=None),
        "keys": Keys(server=None, hsm_away_seconds=None, backup=None, gateway_served=None),
        "hsm": Hsm(tokens={}),
        "clock": clock.parse(raw("clock/tracking.csv"), raw("clock/sources.csv"), now=NOW),
        "packages": Packages(
            ceph=packages.ceph_version(installed),
            faults=packages.judge(installed, shipped()),
            advisories_age_days=1,
            kernel="6.12.57+deb13-amd64",
            kernel_installed="6.12.57+deb13-amd64",
            reboot_needed=False,
            updates=Updates(pending=0, security=0),
            lists_age_seconds=HOUR,
        ),
        "pressure": Pressure(
            memory=pressure.memory(raw("pressure/meminfo")),
            stalls={name: pressure.stall(raw(f"pressure/{name}")) for name in pressure.RESOURCES},
            rooms={"/": Room(size_bytes=100 * GIB, free_bytes=50 * GIB, inodes=10**6, free_inodes=900_000)},
            up_seconds=pressure.up_seconds(raw("pressure/uptime")),
        ),
    }


def as_loaded(listed: bytes) -> Ruleset:
    return ruleset.parse(listed, recorded=ruleset.parse(listed).table_sha256)


def services(*names: str) -> Units:
    """Take so many of the recorded units."""
    blocks = dict(zip(UNITS, raw("units/show.txt").strip().split(b"\n\n"), strict=True))
    shown = b"\n\n".join(blocks[name] for name in names)
    return Units(expected=units.show(shown, names), failed=units.failed(raw("units/failed_none.json")))


UNITS = (
    "chrony.service",
    "ceph-osd@1.service",
    "ceph-mon.target",
    "nftables.service",
    "absent.service",
    "ceph-radosgw@rgw.tko-1.service",
)
"""In the order of the sample."""


def storage(found: Sequence[Osd], *, without_osd: tuple[str, ...] = ()) -> Storage:
    return Storage(osds=tuple(found), capacity=of_node(found, data_share=0.5, ratios=Ratios()), without_osd=without_osd)


def filling() -> Filling:
    """Grow by one percent a day for forty days."""
    past = [
        Sample(at_seconds=int(NOW) - hour * HOUR, used_bytes=(5000 - hour) * GIB // 10, total_bytes=1000 * GIB)
        for hour in range(40 * 24, -1, -1)
    ]
    ahead = forecast(past, now_seconds=int(NOW), full_bytes=950 * GIB)
    return Filling(forecast=ahead, samples=len(past), problem=None)


def some_certificates(*stems: str) -> bytes:
    """Take so many of the recorded ones."""
    told = json.loads(raw("certificates/gateway.json"))
    return json.dumps({path: told[path] for path in (f"/etc/legalcloud/pki/{stem}.crt" for stem in stems)}).encode()
