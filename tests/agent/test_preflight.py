"""Parsers, advisories, waivers, deferral, report and command of preflight."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agent.preflight_sample import (
    DATA,
    FSID,
    TIME_SOURCE,
    answer,
    good_case,
    variables,
    with_drive,
    with_facts,
)

from legalcloud import advisories
from legalcloud.errors import Exit, InputError, LegalcloudError, ParseError
from legalcloud.preflight import limits, parse
from legalcloud.preflight.facts import Echo, NodeFacts, TimeAnswer
from legalcloud.preflight.finding import Case, Outcome
from legalcloud.preflight.judge import BY_ID, judge
from legalcloud.preflight.report import Report, findings_text, from_json, to_json

DEBIAN_13 = "18.2.7+ds-1+deb13u1"
CVES = ("CVE-2025-30156", "CVE-2026-39944", "CVE-2026-50152", "CVE-2026-54330")
WAIVER = {
    "check": "drive-size",
    "subject": "tko-1/LAB-tko-1-2",
    "reason": "spare part",
    "expires": "2026-11-23",
}


def sample(name: str) -> NodeFacts:
    return parse.node_facts(answer(name))


def test_a_recorded_node_with_an_osd_is_read_whole() -> None:
    facts = sample("provisioned")

    assert facts.provisioned
    assert (facts.system.os_id, facts.system.os_codename, facts.system.systemd) == ("debian", "forky", 262)
    assert facts.system.packages is not None
    assert facts.system.packages["ceph-osd"].installed == "20.2.4+ds-2"
    assert facts.drives is not None
    ours = facts.drives["LAB-pf-1-1"]
    assert (ours.device, ours.size_bytes, ours.signatures) == ("/dev/vdb", 6 * 2**30, ("ceph_bluestore",))
    assert [(mark.cluster_fsid, mark.osd) for mark in ours.marks] == [(FSID, "0")]
    assert ("ceph-osd", 6800) in {(seen.process, seen.port) for seen in facts.network.listeners}


def test_a_recorded_bare_node_follows_a_time_source_and_has_empty_drives() -> None:
    facts = sample("bare")

    assert not facts.provisioned
    assert facts.clock.synchronised
    assert facts.clock.sources == (TIME_SOURCE,)
    assert facts.drives is not None
    assert [seen.signatures for seen in facts.drives.values()] == [(), ()]


def test_a_server_s_system_disk_is_found_through_lvm() -> None:
    raw = answer("bare")
    raw["drives"]["lsblk"] = json.loads((DATA / "lsblk_server.json").read_bytes())
    raw["drives"]["seen"] = {
        "S3RVSYS0001": {
            "device": "/dev/sda",
            "size_bytes": 1,
            "signatures": ["gpt"],
            "begun": False,
            "bluestore": None,
            "luks": None,
        }
    }

    facts = parse.node_facts(raw)

    assert facts.system_disks == {"/dev/sda"}
    assert facts.drives is not None
    assert facts.drives["S3RVSYS0001"].mounts == ("/", "/boot/efi")


def test_an_encrypted_osd_is_ours_by_the_tags_of_its_volume() -> None:
    raw = answer("bare")
    raw["drives"]["seen"]["LAB-pf-2-1"]["signatures"] = ["LVM2_member"]
    raw["drives"]["volumes"] = [{"device": "/dev/vdb", "volume": "vg/lv", "ceph_fsid": FSID, "whoami": "7"}]
    seen = (parse.node_facts(raw).drives or {})["LAB-pf-2-1"]
    case = with_drive(good_case(), signatures=seen.signatures, marks=seen.marks)

    (result,) = (r for r in judge(case, [BY_ID["drive-empty"]]) if r.subject == "tko-1/LAB-tko-1-2")

    assert result.outcome is Outcome.OK
    assert "our OSD 7" in result.seen


@pytest.mark.parametrize(("release", "candidate"), [("trixie", DEBIAN_13), ("bookworm", "16.2.15+ds-0+deb12u2")])
def test_what_debian_offers_is_read_from_apt(release: str, candidate: str) -> None:
    found = parse.apt_policy((DATA / f"apt_policy_{release}.txt").read_text())

    assert found["ceph-mon"].installed is None
    assert found["ceph-mon"].candidate == candidate


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"format": 2}, "facts.format"),
        ({"cores": "two"}, "facts.cores"),
        ({"cores": True}, "facts.cores"),
        ({"network": {}}, "facts.network.time"),
        ({"python": "?"}, "facts.python"),
        ({"commands": {**answer("bare")["commands"], "chrony_tracking": "0,1,2"}}, "3 fields, not 14"),
        ({"commands": {**answer("bare")["commands"], "chrony_sources": "^,*,a"}}, "3 fields, not 10"),
    ],
)
def test_a_wrong_answer_is_refused_by_its_place(change: dict[str, Any], place: str) -> None:
    with pytest.raises(ParseError, match=place):
        parse.node_facts(answer("bare") | change)


def _spoil(value: Any, choose: st.DataObject) -> Any:  # noqa: ANN401 -- any JSON
    """Replace one value somewhere below by something else."""
    if isinstance(value, dict) and value and choose.draw(st.integers(0, 5)):
        key = choose.draw(st.sampled_from(sorted(value)))
        return {**value, key: _spoil(value[key], choose)}
    if isinstance(value, list) and value and choose.draw(st.integers(0, 3)):
        place = choose.draw(st.integers(0, len(value) - 1))
        return [*value[:place], _spoil(value[place], choose), *value[place + 1 :]]
    if isinstance(value, str) and choose.draw(st.booleans()):
        return value[: choose.draw(st.integers(0, len(value)))] + choose.draw(st.sampled_from([",", "\n", " x\n"]))
    return choose.draw(st.sampled_from([None, True, -1, 1.5, "", "x", [], {}, [None], {"problem": "p"}]))


@settings(max_examples=40)
@given(choose=st.data())
def test_a_spoilt_answer_gives_facts_or_a_parse_error_and_nothing_else(choose: st.DataObject) -> None:
    spoilt = _spoil(copy.deepcopy(answer("provisioned")), choose)

    try:
        facts = parse.node_facts(spoilt)
    except ParseError as error:
        assert "facts" in str(error) or "chronyc" in str(error)  # noqa: PT017 -- both outcomes are allowed
    else:
        assert judge(replace(good_case(), facts={**good_case().facts, "tko-1": facts}))


def test_debian_13_s_ceph_has_four_cves_and_the_manager_s_fault() -> None:
    found = {advisory.id for advisory in advisories.shipped() if advisory.affects(DEBIAN_13)}

    assert found == {*CVES, "mgr-pyo3-subinterpreters"}


@pytest.mark.parametrize(
    ("version", "faults"),
    [
        ("19.2.5-1~bpo12+1", 4),
        ("19.2.6-1~bpo12+1", 0),
        ("20.2.3+ds-1", 4),
        ("20.2.4+ds-2", 0),
        ("20.1.0-1", 4),
        ("18.2.7-1~bpo12+1", 4),
        ("16.2.15+ds-0+deb12u2", 4),
    ],
)
def test_a_fix_counts_in_its_own_series_only(version: str, faults: int) -> None:
    assert sum(advisory.affects(version) for advisory in advisories.shipped()) == faults


def test_an_advisory_file_with_a_hole_is_refused() -> None:
    with pytest.raises(ParseError, match="component"):
        advisories.parse(b"ceph: [{id: X}]")


def test_a_planned_version_is_judged_where_the_upstream_source_is_not_there_yet() -> None:
    case = good_case(package_source="upstream", ceph_version_planned="20.2.3-1~bpo12+1")
    bare = with_facts(case, system={"packages": parse.apt_policy((DATA / "apt_policy_bookworm.txt").read_text())})

    (result,) = (r for r in judge(bare, [BY_ID["ceph-advisories"]]) if r.subject == "tko-1")

    assert result.outcome is Outcome.FAILED
    assert "20.2.3-1~bpo12+1" in result.seen
    unplanned = replace(bare, limits=replace(bare.limits, ceph_version_planned=None))
    (result,) = (r for r in judge(unplanned, [BY_ID["ceph-advisories"]]) if r.subject == "tko-1")
    assert result.outcome is Outcome.UNKNOWN


def test_a_waiver_holds_on_its_last_day_for_its_subject_only() -> None:
    case = with_drive(good_case(waivers=[WAIVER]), size_bytes=1)
    small = replace(case, limits=replace(case.limits, drive_bytes_min=7 * 2**30))

    outcomes = {result.subject: result.outcome for result in judge(small, [BY_ID["drive-size"]])}

    assert outcomes["tko-1/LAB-tko-1-2"] is Outcome.WAIVED
    assert outcomes["tko-1/LAB-tko-1-1"] is Outcome.FAILED


def test_an_expired_waiver_waives_nothing_and_is_a_finding_itself() -> None:
    case = with_drive(good_case(waivers=[WAIVER | {"expires": "2026-11-22"}]), size_bytes=1)

    refused = {result.check for result in judge(case) if result.refuses}

    assert refused == {"waivers", "drive-size"}


def test_no_waiver_opens_the_system_s_drive() -> None:
    waiver = WAIVER | {"check": "drive-not-system"}
    case = with_facts(good_case(waivers=[waiver]), node={"system_disks": frozenset({"/dev/vdc"})})

    assert {result.check for result in judge(case) if result.refuses} == {"waivers", "drive-not-system"}


def without(case: Case, name: str) -> Case:
    """Let a node be down, as those that are up see it."""
    facts = {
        here: replace(
            seen,
            network=replace(
                seen.network,
                echoes={**(seen.network.echoes or {}), name: Echo(small=False, full=False, problem="timed out")},
            ),
        )
        for here, seen in case.facts.items()
        if here != name
    }
    return replace(case, facts=facts, problems={name: "Connection timed out"})


def test_a_node_that_is_written_off_takes_one_waived_line_and_stops_nobody() -> None:
    case = without(good_case(waivers=[WAIVER | {"check": "node-answers", "subject": "tko-2"}]), "tko-2")

    results = judge(case)

    assert [result for result in results if result.refuses or result.warns] == []
    about = [(r.check, r.outcome) for r in results if r.subject.split("/")[0] == "tko-2"]
    assert about == [("node-answers", Outcome.WAIVED)]


def test_a_node_is_written_off_by_name_and_day_only() -> None:
    for change in ({"subject": "cwn-2"}, {"expires": "2026-11-22"}):
        waiver = WAIVER | {"check": "node-answers", "subject": "tko-2"} | change
        refused = {result.check for result in judge(without(good_case(waivers=[waiver]), "tko-2")) if result.refuses}

        assert {"node-answers", "memory-per-osd", "drive-not-system", "peers-answer"} <= refused


def test_a_node_that_answers_is_judged_whatever_was_written_off() -> None:
    waiver = WAIVER | {"check": "node-answers", "subject": "tko-1"}
    case = with_drive(good_case(waivers=[waiver]), signatures=("ext4",), marks=())

    assert {result.check for result in judge(case) if result.refuses} == {"drive-empty"}


def test_a_drive_that_is_written_off_takes_one_waived_line() -> None:
    case = with_drive(good_case(waivers=[WAIVER | {"check": "drive-present"}]), device=None, claimed_by=())

    results = judge(case)

    assert [result for result in results if result.refuses] == []
    about = [(r.check, r.outcome) for r in results if r.subject == WAIVER["subject"]]
    assert about == [("drive-present", Outcome.WAIVED)]


def test_a_serial_on_two_devices_is_never_written_off() -> None:
    two = ("/dev/sda", "/dev/sdb")
    case = with_drive(good_case(waivers=[WAIVER | {"check": "drive-present"}]), device=None, claimed_by=two)

    assert {"drive-not-system", "drive-unused"} <= {result.check for result in judge(case) if result.refuses}


@pytest.mark.parametrize("missing", ["reason", "expires", "check"])
def test_a_waiver_without_reason_or_day_is_refused(missing: str) -> None:
    raw = {key: value for key, value in WAIVER.items() if key != missing}

    with pytest.raises(InputError, match=rf"preflight_waivers\[0\]\.{missing} is missing"):
        limits.parse(variables(waivers=[raw]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"waivers": [WAIVER | {"expires": "soon"}]}, "'soon' is not a day"),
        ({"waivers": [WAIVER | {"until": "x"}]}, "unknown key until"),
        ({"python_min": "three"}, "without meaning"),
        ({"ports": [{"port": 1}]}, "without meaning"),
    ],
)
def test_a_wrong_variable_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        limits.parse(variables(**change))


def test_what_site_yml_brings_is_deferred_before_it_ran_and_refused_after() -> None:
    checks = [BY_ID[name] for name in ("clock-synchronised", "name-forward", "name-reverse")]
    bare: dict[str, dict[str, Any]] = {
        "clock": {"chrony_problem": "chronyc: not found"},
        "network": {"forward": {}, "reverse": {}},
    }
    after = with_facts(good_case(), **bare)
    before = with_facts(good_case(), system={"cluster_fsid": None}, **bare)

    def outcomes(case: Any) -> set[Outcome]:  # noqa: ANN401 -- Case
        return {result.outcome for result in judge(case, checks) if result.subject == "tko-1"}

    assert outcomes(before) == {Outcome.DEFERRED}
    assert outcomes(after) == {Outcome.UNKNOWN, Outcome.FAILED}
    repair = replace(after, limits=replace(after.limits, site_follows=True))
    assert outcomes(repair) == {Outcome.DEFERRED}


def test_a_wrong_name_is_refused_even_before_site_yml_ran() -> None:
    case = with_facts(good_case(), system={"cluster_fsid": None}, network={"forward": {"tko-1": ("203.0.113.7",)}})

    (result,) = (r for r in judge(case, [BY_ID["name-forward"]]) if r.subject == "tko-1")

    assert result.outcome is Outcome.FAILED


def test_a_port_held_by_the_long_named_right_process_is_fine() -> None:
    rule = {"port": 9100, "group": "storage", "process": "prometheus-node-exporter"}

    (result, *_others) = judge(good_case(ports=[rule]), [BY_ID["ports"]])

    assert result.outcome is Outcome.OK
    assert ("prometheus-node", 9100) in {(s.process, s.port) for s in sample("provisioned").network.listeners}


def test_a_time_source_that_is_far_off_counts_even_if_chrony_is_content() -> None:
    off = TimeAnswer(addresses=(TIME_SOURCE,), offset_seconds=3.0, problem=None)

    (result, *_others) = judge(with_facts(good_case(), clock={"answers": {TIME_SOURCE: off}}), [BY_ID["clock-offset"]])

    assert result.outcome is Outcome.FAILED


def a_report(*, good: bool) -> Report:
    case = good_case() if good else with_drive(good_case(), size_bytes=1)
    return Report(made_at=datetime(2026, 11, 23, 5, 0, tzinfo=UTC), inventory="lab", results=judge(case))


@pytest.mark.parametrize("good", [True, False])
def test_a_report_comes_back_from_json_as_it_went(good: bool) -> None:
    report = a_report(good=good)

    assert from_json(to_json(report)) == report
    assert json.loads(to_json(report))["verdict"] == ("good" if good else "refused")


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"format": "other/1"}', b"\xff", b'{"format": 1}'])
def test_what_is_no_report_is_a_parse_error(raw: bytes) -> None:
    with pytest.raises(ParseError):
        from_json(raw)


def test_the_words_for_a_log_say_what_where_why_and_what_to_do() -> None:
    text = findings_text(a_report(good=False).refusals)

    assert "drive-size [refuse]" in text
    assert "failed  tko-1/LAB-tko-1-2: 0.0 GiB" in text
    assert "why:" in text
    assert "remedy: Fit a larger drive" in text


def test_a_silent_node_takes_one_line_and_not_forty() -> None:
    case = good_case()
    facts = {name: seen for name, seen in case.facts.items() if name != "sht-2"}
    results = judge(replace(case, facts=facts, problems={"sht-2": "Connection timed out"}))
    report = Report(made_at=datetime(2026, 11, 23, tzinfo=UTC), inventory="lab", results=results)

    text = findings_text(report.refusals)

    assert text.count("sht-2") == 2
    assert "unknown sht-2: Connection timed out" in text
    assert len(report.refusals) > 20
    assert f"{len(report.refusals) - 1} more questions to sht-2 have no answer" in text


def run_command(*arguments: str) -> int:
    import argparse  # noqa: PLC0415 -- only here

    from legalcloud.commands import preflight  # noqa: PLC0415 -- the verb under test

    parser = argparse.ArgumentParser()
    preflight.add_parser(parser.add_subparsers(dest="verb"))
    args = parser.parse_args(["preflight", *arguments])
    code: int = args.run(args)
    return code


@pytest.mark.parametrize(("good", "code"), [(True, Exit.GOOD), (False, Exit.FINDINGS)])
def test_the_command_shows_the_last_report(
    good: bool, code: Exit, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "preflight.json"
    file.write_bytes(to_json(a_report(good=good)))

    assert run_command("--report", str(file)) == code
    shown = capfd.readouterr().out
    assert ("drive-size" in shown) is not good
    assert "preflight of lab" in shown


def test_the_command_prints_the_report_for_machines_as_it_is(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    file = tmp_path / "preflight.json"
    file.write_bytes(to_json(a_report(good=False)))

    run_command("--report", str(file), "--json")

    assert capfdbinary.readouterr().out == file.read_bytes()


def test_without_a_report_the_command_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(LegalcloudError) as caught:
        run_command("--report", str(tmp_path / "none.json"))

    assert caught.value.exit_code == Exit.UNKNOWN
    assert "playbooks/preflight.yml" in caught.value.hint
