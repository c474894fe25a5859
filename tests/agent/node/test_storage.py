"""The subjects `osds` and `forecast`: what they say of recorded answers, and of a history that grows."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agent.node.node_sample import Commands, settings
from tests.agent.node.test_capacity import osd
from tests.agent.node.test_osds import LOOK

from legalcloud.errors import SourceError
from legalcloud.node import filling, history, storage
from legalcloud.node.capacity import of_node
from legalcloud.node.filling import Filling
from legalcloud.node.forecast import Outlook
from legalcloud.node.history import Sample
from legalcloud.node.osds import Osd, Ratios, State
from legalcloud.node.settings import Shards
from legalcloud.node.storage import Storage
from legalcloud.node.subject import Level, World
from legalcloud.register import Drive, DriveUse
from legalcloud.run import Done

HOUR, DAY = 3600, 86400
NOW = 1_796_000_000
TIB = 2**40


def facts(*found: Osd, without_osd: tuple[str, ...] = ()) -> Storage:
    return Storage(osds=found, capacity=of_node(found, data_share=0.5, ratios=Ratios()), without_osd=without_osd)


def words(found: Storage, level: Level) -> str:
    return "; ".join(line.words for line in storage.lines(found) if line.level is level)


def series(found: Storage, name: str) -> dict[tuple[str, ...], float]:
    (metric,) = (metric for metric in storage.METRICS if metric.name == name)
    return {labels: value for labels, value in metric.samples(found) if value is not None}


def test_an_active_osd_with_room_is_nothing_but_good() -> None:
    found = facts(osd(1, 100))

    assert (words(found, Level.FINDING), words(found, Level.UNKNOWN)) == ("", "")
    assert "fullest is osd.1 with 10%" in words(found, Level.GOOD)


def test_a_stopped_osd_is_a_finding_and_has_a_series_that_says_0() -> None:
    found = facts(replace(osd(1, None), state=State.STOPPED), osd(2, 100))

    assert "osd.1 is stopped" in words(found, Level.FINDING)
    assert series(found, "legalcloud_osd_active") == {("1", "", ""): 0, ("2", "", ""): 1}
    assert series(found, "legalcloud_osd_used_ratio") == {("2",): 0.1}
    assert series(found, "legalcloud_node_tenant_free_bytes") == {}, "the stopped one may be the fullest"


def test_an_osd_that_did_not_answer_is_unknown_and_has_no_series() -> None:
    found = facts(replace(osd(1, None), problem="`status` was not answered in time"))

    assert "osd.1 could not be asked whole" in words(found, Level.UNKNOWN)
    assert series(found, "legalcloud_osd_active") == {}


@pytest.mark.parametrize(("used", "said"), [(850, "near full"), (900, "backfill full"), (950, "is full")])
def test_a_full_osd_is_a_finding(used: int, said: str) -> None:
    assert said in words(facts(osd(1, used)), Level.FINDING)


def test_an_empty_osd_is_0_and_not_unknown() -> None:
    assert series(facts(osd(1, 0)), "legalcloud_osd_used_ratio") == {("1",): 0}


def test_operations_that_wait_are_a_finding() -> None:
    assert "3 operations of osd.1" in words(facts(replace(osd(1, 1), slow_operations=3)), Level.FINDING)


def test_a_drive_without_an_osd_is_a_finding() -> None:
    assert "drive SN9 is there and carries no OSD" in words(facts(osd(1, 1), without_osd=("SN9",)), Level.FINDING)


def a_world(folder: Path, look: bytes = LOOK) -> World:
    (folder / "etc/legalcloud").mkdir(parents=True)
    (folder / "etc/legalcloud/lab-drives.json").write_text("{}")
    told = replace(
        settings(folder),
        drives=(Drive(serial="SN1", use=DriveUse.OSD),),
        plan=Shards(k=3, m=3, shards_per_site=2),
        paths=replace(settings(folder).paths, history=folder / "history"),
    )

    def ask(name: str, *_arguments: str) -> Done:
        assert name == "osds"
        return Done(exit_code=0, output=look, errors=b"")

    return World(settings=told, run=Commands({("lsblk",): b'{"blockdevices": []}'}), ask=ask, root=folder)


def test_what_the_helper_found_and_the_plan_become_room_for_tenants(tmp_path: Path) -> None:
    found = storage.read(a_world(tmp_path))

    assert [one.number for one in found.osds] == [1, 8]
    assert found.capacity.tenant_bytes is not None
    assert 0.4 < found.capacity.tenant_bytes / found.capacity.raw_bytes < 0.425
    assert found.without_osd == (), "a drive that is absent is another subject's"


def test_every_look_adds_an_hour_and_without_weeks_of_them_nobody_can_say(tmp_path: Path) -> None:
    found = filling.read(replace(a_world(tmp_path), keeps=True))

    assert (found.samples, found.problem, found.forecast.outlook) == (1, None, Outlook.UNKNOWN)
    assert [line.level for line in filling.lines(found)] == [Level.UNKNOWN]
    assert len(history.read(tmp_path / "history").samples) == 1


def test_an_hour_with_a_silent_osd_has_no_sample_since_it_would_look_like_a_mass_delete(tmp_path: Path) -> None:
    document = json.loads(LOOK)
    document["8"] = {"problem": "no answer", "drives": document["8"]["drives"]}

    with pytest.raises(SourceError, match="1 of 2 OSDs"):
        filling.read(a_world(tmp_path, json.dumps(document).encode()))
    assert not (tmp_path / "history").exists()


def grown(folder: Path, *, per_day: int, days: int = 40) -> Filling:
    past = tuple(
        Sample(at_seconds=NOW - hour * HOUR, used_bytes=TIB - hour * per_day // 24, total_bytes=4 * TIB)
        for hour in range(days * 24, 0, -1)
    )
    history.write(folder / "history", history.History(samples=past))
    new = Sample(at_seconds=NOW, used_bytes=TIB, total_bytes=4 * TIB)
    return filling.keep(folder / "history", new, full_bytes=int(0.95 * 4 * TIB))


def test_a_node_that_is_full_within_two_months_is_a_finding_with_its_interval(tmp_path: Path) -> None:
    found = grown(tmp_path, per_day=TIB // 20, days=18)

    (line,) = filling.lines(found)
    assert (line.level, found.forecast.outlook) == (Level.FINDING, Outlook.FILLING)
    assert line.words.startswith("full in about 56 days (between ")
    (metric,) = (one for one in filling.METRICS if one.name == "legalcloud_node_until_full_seconds")
    told = {labels[0]: value for labels, value in metric.samples(found) if value}
    assert told["soonest"] <= told["likely"] == pytest.approx(56 * DAY, rel=0.02)


def test_a_node_that_hardly_fills_is_good(tmp_path: Path) -> None:
    assert [line.level for line in filling.lines(grown(tmp_path, per_day=1000))] == [Level.GOOD]


def test_a_history_that_cannot_be_written_is_said_and_costs_no_forecast(tmp_path: Path) -> None:
    new = Sample(at_seconds=NOW, used_bytes=1, total_bytes=2)
    found = filling.keep(tmp_path / "absent/history", new, full_bytes=2)

    assert found.problem is not None
    assert "cannot be written" in found.problem
    assert "history: " in next(iter(filling.lines(found))).words


def test_a_history_that_cannot_be_read_now_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grown(tmp_path, per_day=1000)
    path = tmp_path / "history"
    whole = path.read_bytes()
    monkeypatch.setattr(history, "read", lambda path: history.History(problem=f"{path}: EIO", unreadable=True))

    new = Sample(at_seconds=NOW + 3600, used_bytes=TIB, total_bytes=4 * TIB)
    found = filling.keep(path, new, full_bytes=4 * TIB)

    assert path.read_bytes() == whole
    assert found.problem == f"{path}: EIO"


def test_a_look_that_is_not_the_daemons_writes_nothing(tmp_path: Path) -> None:
    filling.read(a_world(tmp_path))

    assert [path for path in tmp_path.rglob("*") if "history" in path.name] == []


def test_a_link_in_the_place_of_the_new_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".history.new").symlink_to(victim)

    filling.keep(tmp_path / "history", Sample(at_seconds=NOW, used_bytes=1, total_bytes=2), full_bytes=2)

    assert victim.read_text() == "precious"
