"""The store is called well only if everything that the register names is there and an object came back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legalcloud.cli import main
from legalcloud.errors import ParseError
from legalcloud.health import keys, parse
from legalcloud.health.certificates import Login
from legalcloud.health.facts import Cluster, RoundTrip
from legalcloud.health.judge import judge
from legalcloud.health.locks import Gateway, Locks
from legalcloud.health.report import Report, from_json, to_json
from legalcloud.health.snapshots import Snapshots
from legalcloud.inventory import load

DATA = Path(__file__).parent / "data" / "health"
LAB = load(Path(__file__).parents[2] / "inventories" / "lab").register
POOL = "hk.rgw.buckets.data"
TRIP = RoundTrip(
    bucket="firm-files", size_bytes=4194304, put_seconds=0.08, get_seconds=0.03, same=True, lock_status=403
)
LOCKS = Locks(script_current=True, gateways=(Gateway(name="tko-1", plain_status=404, lock_status=403, problem=None),))
NAMES = ("status", "df", "osd_tree", "versions")


def cluster(**changes: Any) -> Cluster:  # noqa: ANN401 -- JSON
    """Parse the recorded answers, each changed by a function."""
    texts = []
    for name in NAMES:
        document = json.loads((DATA / f"{name}.json").read_bytes())
        changes.get(name, lambda _: None)(document)
        texts.append(json.dumps(document).encode())
    return parse.cluster(*texts, data_pool=POOL)


def said(**changes: Any) -> str:  # noqa: ANN401 -- JSON
    return "\n".join(f"{p.subject}: {p.what}" for p in judge(cluster(**changes), TRIP, LAB))


def test_the_recorded_lab_is_well() -> None:
    found = cluster()

    assert judge(found, TRIP, LAB) == ()
    assert found.mons_in_quorum == ("tko-1", "cwn-1", "sht-1")
    assert found.gateways == ("cwn-1", "sht-1", "tko-1")
    assert {site.name: (site.osds_up, site.osds) for site in found.sites} == {
        "cwn": (4, 4),
        "sht": (4, 4),
        "tko": (4, 4),
    }
    assert found.versions == ("20.2.4",)
    assert 0.4 < found.available_bytes / found.raw_bytes < 0.5  # 3+3 halves it, and Ceph keeps 5 % back


def test_a_raised_health_check_is_a_problem_under_its_code() -> None:
    def warn(status: dict[str, Any]) -> None:
        status["health"] = {
            "status": "HEALTH_WARN",
            "checks": {"OSD_DOWN": {"severity": "HEALTH_WARN", "summary": {"message": "1 osds down", "count": 1}}},
        }

    assert said(status=warn) == "OSD_DOWN: 1 osds down"


def test_a_status_that_is_not_ok_is_a_problem_even_without_a_check() -> None:
    assert said(status=lambda s: s["health"].update(status="HEALTH_ERR")) == "cluster: HEALTH_ERR"


def test_a_monitor_out_of_the_quorum_is_named() -> None:
    assert said(status=lambda s: s["quorum_names"].remove("sht-1")) == "sht-1: its monitor is not there"


def test_a_gateway_that_is_gone_is_named() -> None:
    def lose(status: dict[str, Any]) -> None:
        daemons = status["servicemap"]["services"]["rgw"]["daemons"]
        gone = next(k for k, g in daemons.items() if k != "summary" and g["metadata"]["hostname"] == "cwn-1")
        del daemons[gone]

    assert said(status=lose) == "cwn-1: its gateway is not there"


def test_no_gateway_service_at_all_names_every_gateway() -> None:
    assert said(status=lambda s: s["servicemap"]["services"].pop("rgw")).count("its gateway is not there") == 3


def test_an_osd_that_is_down_is_counted_at_its_site() -> None:
    def down(tree: dict[str, Any]) -> None:
        next(node for node in tree["nodes"] if node["type"] == "osd")["status"] = "down"

    assert "3 of 4 registered drives have an OSD that is up" in said(osd_tree=down)


def test_a_site_that_the_cluster_lacks_is_a_problem() -> None:
    def lose(tree: dict[str, Any]) -> None:
        next(node for node in tree["nodes"] if node["name"] == "sht")["name"] = "elsewhere"

    text = said(osd_tree=lose)
    assert "site sht: 0 of 4 registered drives" in text
    assert "site elsewhere: the cluster has OSDs there, and the register has no such site" in text


def test_groups_that_are_not_active_and_clean_are_a_problem() -> None:
    states = [{"state_name": "active+clean", "count": 60}, {"state_name": "active+undersized+degraded", "count": 4}]

    assert said(status=lambda s: s["pgmap"].update(pgs_by_state=states)) == (
        "placement groups: 4 are active+undersized+degraded"
    )


def test_a_scrub_of_clean_groups_is_no_problem() -> None:
    states = [{"state_name": "active+clean+scrubbing+deep", "count": 64}]

    assert said(status=lambda s: s["pgmap"].update(pgs_by_state=states)) == ""


def test_two_versions_side_by_side_are_a_problem() -> None:
    other = "ceph version 20.2.5 (0000) tentacle (stable)"

    assert said(versions=lambda v: v["overall"].update({other: 1})) == "versions: 20.2.4, 20.2.5 run side by side"


def test_an_endpoint_that_nobody_tried_is_not_well() -> None:
    (problem,) = judge(cluster(), None, LAB)

    assert problem.subject == "S3 endpoint"
    assert problem.what.startswith("unknown")


def test_an_object_that_came_back_changed_is_a_problem() -> None:
    changed = RoundTrip(bucket="b", size_bytes=1, put_seconds=0.1, get_seconds=0.1, same=False, lock_status=403)

    (problem,) = judge(cluster(), changed, LAB)

    assert "came back changed" in problem.what


def test_an_endpoint_that_takes_a_lock_of_the_client_s_own_is_a_problem() -> None:
    (problem,) = judge(cluster(), replace(TRIP, lock_status=200), LAB)

    assert "answers 200 instead of 403" in problem.what


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_without_a_field_that_we_need_is_a_parse_error(name: str) -> None:
    with pytest.raises(ParseError):
        cluster(**{name: lambda document: document.clear()})


def test_a_cluster_without_the_data_pool_says_so() -> None:
    with pytest.raises(ParseError, match=r"no pool hk\.rgw\.buckets\.data"):
        cluster(df=lambda df: df["pools"].clear())


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JUNK = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


@given(st.sampled_from(NAMES), JUNK)
def test_any_json_is_facts_or_a_parse_error(name: str, junk: object) -> None:
    texts = [(DATA / f"{n}.json").read_bytes() if n != name else json.dumps(junk).encode() for n in NAMES]
    try:
        parse.cluster(*texts, data_pool=POOL)
    except ParseError:
        return


def report(trip: RoundTrip | None = TRIP) -> Report:
    found = cluster()
    return Report(
        looked_at=datetime(2026, 12, 1, 8, 0, tzinfo=UTC),
        inventory="lab",
        endpoint="https://s3.example",
        tenants=("示例",),
        cluster=found,
        round_trip=trip,
        locks=LOCKS,
        key_managers=keys.parse(json.loads((DATA.parent / "key_managers" / "three.json").read_text())),
        snapshots=(Snapshots(name="tko-1", age_seconds=840, interval_seconds=3600, said="it was taken"),),
        logins=(Login(node="tko-1", path="/x.crt", tag="openbao_agent", left_days=None, said="nobody looked"),),
        problems=judge(found, trip, LAB),
    )


@pytest.mark.parametrize("trip", [TRIP, None])
def test_a_report_reads_back_as_it_was_written(trip: RoundTrip | None) -> None:
    assert from_json(to_json(report(trip))) == report(trip)


@pytest.mark.parametrize(("trip", "code"), [(TRIP, 0), (None, 1)])
def test_the_command_shows_the_report_and_its_exit_code_says_whether_all_is_well(
    trip: RoundTrip | None, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "health.json"
    file.write_bytes(to_json(report(trip)))

    assert main(["health", "--report", str(file)]) == code
    shown = capsys.readouterr().out
    assert "https://s3.example" in shown
    assert "tko-1 14 min old" in shown
    assert "tko-1 unknown" in shown
    assert ("All is well." in shown) == (code == 0)
    assert ("unknown: nobody stored" in shown) == (code == 1)


def test_without_a_report_the_command_could_not_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["health", "--report", str(tmp_path / "none.json")]) == 3
    assert "playbooks/verify.yml" in capsys.readouterr().err


def test_a_report_that_cannot_be_read_could_not_tell(tmp_path: Path) -> None:
    file = tmp_path / "health.json"
    file.write_text('{"looked_at": 1}')

    assert main(["health", "--report", str(file)]) == 3
