from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.agent.node import fuzz
from tests.agent.node.node_sample import HERE, settings, world
from tests.agent.signing_sample import authority

from legalcloud.errors import ParseError
from legalcloud.health.keys import State
from legalcloud.node import keys, openbao
from legalcloud.node.keys import Keys
from legalcloud.node.openbao import Backup
from legalcloud.node.subject import Level

DATA = HERE / "data/keys"
AT = 1795464903.0
"""2026-11-23T20:15:03Z."""


def sample(name: str) -> bytes:
    return (DATA / name).read_bytes()


def facts(**parts: Any) -> Keys:  # noqa: ANN401 -- any part
    served = openbao.server(sample("standby_health.json"), sample("standby_leader.json"))
    made = Keys(server=served, hsm_away_seconds=0.0, backup=None, gateway_served=None)
    return replace(made, **parts)


def words(found: Keys, level: Level) -> str:
    return "\n".join(line.words for line in keys.lines(found) if line.level is level)


@pytest.mark.parametrize(("role", "leads"), [("active", True), ("standby", False)])
def test_a_recorded_server_serves_and_says_whom_it_follows(role: str, leads: bool) -> None:
    found = openbao.server(sample(f"{role}_health.json"), sample(f"{role}_leader.json"))

    assert (found.state, found.version, found.leads, found.leader) == (State.SERVING, "2.7.2", leads, "tko-1")


@pytest.mark.parametrize(
    ("health", "state"),
    [("sealed_health.json", State.SEALED), ("new_health.json", State.NOT_INITIALISED), (None, State.SILENT)],
)
def test_a_server_that_does_not_serve_leads_nobody_and_is_a_finding(health: str | None, state: State) -> None:
    found = openbao.server(sample(health) if health else None, sample("active_leader.json"))

    assert (found.state, found.leads, found.leader) == (state, None, None)
    assert f"OpenBao here is {state}" in words(facts(server=found), Level.FINDING)
    assert words(facts(server=found), Level.GOOD) == ""


def test_a_key_manager_that_never_tried_a_snapshot_is_not_good_and_has_a_zero() -> None:
    assert "no snapshot of OpenBao was ever tried here" in words(facts(backup=None), Level.UNKNOWN)
    (good,) = [metric for metric in keys.METRICS if metric.name == "legalcloud_openbao_backup_good"]
    assert [value for _, value in good.samples(facts(backup=None))] == [False]
    assert [value for _, value in good.samples(facts(backup=None, server=None))] == [None]


def test_without_the_agent_s_key_nobody_knows_of_the_hsm_and_the_rest_stays(tmp_path: Path) -> None:
    assert keys._hsm_away_seconds("https://127.0.0.1:1", settings(tmp_path).tls) is None


def test_a_gateway_whose_proxy_lost_its_configuration_reaches_no_key_manager(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(authority("the CA").pem)
    found = keys.read(world(settings(tmp_path, services=(keys.PROXY_UNIT,)), root=tmp_path))

    assert found.gateway_served is False


def test_a_server_without_a_leader_is_not_good() -> None:
    found = openbao.server(sample("standby_health.json"), b'{"leader_address": ""}')

    assert found.leader is None
    assert "follows nobody" in words(facts(server=found), Level.FINDING)


@pytest.mark.parametrize("health", [b"{}", b'{"initialized": true, "sealed": "no"}', b"sealed", b'{"sealed": false}'])
def test_half_an_answer_of_a_server_is_refused_and_never_read_as_unsealed(health: bytes) -> None:
    with pytest.raises(ParseError):
        openbao.server(health, None)


def test_the_hsm_s_absence_is_read_in_seconds() -> None:
    away = sample("metrics.txt").replace(b'time{cluster="legalcloud"} 0', b'time{cluster="legalcloud"} 61500')

    assert openbao.hsm_away_seconds(sample("metrics.txt")) == 0
    assert openbao.hsm_away_seconds(away) == 61.5
    assert "has not answered OpenBao for 62 s" in words(facts(hsm_away_seconds=61.5), Level.FINDING)


def test_metrics_before_the_first_check_of_the_seal_count_as_an_hsm_that_answers() -> None:
    young = b"".join(line for line in sample("metrics.txt").splitlines(keepends=True) if b"unreachable" not in line)

    assert openbao.hsm_away_seconds(young) == 0


def test_metrics_that_are_none_leave_the_hsm_unknown() -> None:
    for raw in (b"", b"404 page not found\n", sample("metrics.txt").replace(b'"} 0', b'"} soon')):
        with pytest.raises(ParseError):
            openbao.hsm_away_seconds(raw)
    assert "nobody knows whether the HSM answers" in words(facts(hsm_away_seconds=None), Level.UNKNOWN)


def test_a_recorded_backup_tells_its_age() -> None:
    found = openbao.backup(sample("backup.json"), now=AT)

    assert found.good
    assert found.age_seconds is not None
    assert 0 <= found.age_seconds <= 3600
    assert words(facts(backup=found), Level.FINDING) == ""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Backup(good=True, age_seconds=26 * 3600, count=9), "26.0 h old"),
        (Backup(good=False, age_seconds=60, count=9), "the last try failed"),
        (openbao.backup(sample("backup_none.json"), now=AT), "no snapshot on this node"),
    ],
)
def test_a_backup_that_is_old_or_failed_or_missing_is_a_finding(found: Backup, said: str) -> None:
    assert said in words(facts(backup=found), Level.FINDING)


def test_a_gateway_that_reaches_no_key_manager_is_a_finding_and_one_that_is_not_there_is_nothing() -> None:
    assert "reaches no key manager" in words(facts(gateway_served=False), Level.FINDING)
    assert "gateway" not in words(facts(gateway_served=None), Level.GOOD)


def test_a_node_without_openbao_or_gateway_has_no_series_and_no_words(tmp_path: Path) -> None:
    nothing = Keys(server=None, hsm_away_seconds=None, backup=None, gateway_served=None)

    assert list(keys.lines(nothing)) == []
    assert [pair for metric in keys.METRICS for pair in metric.samples(nothing) if pair[1] is not None] == []


def test_reading_a_node_whose_servers_are_away_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_tls: object, *, shown: bool = False) -> ssl.SSLContext:
        assert not shown, "nobody serves, so nobody is shown a certificate"
        return ssl.create_default_context()

    monkeypatch.setattr(openbao, "context", silent)
    monkeypatch.setattr(keys, "PROXY", "https://127.0.0.1:1")
    (tmp_path / keys.PROXY_FILE).parent.mkdir(parents=True)
    (tmp_path / keys.PROXY_FILE).touch()
    (tmp_path / openbao.BACKUP).parent.mkdir(parents=True)
    (tmp_path / openbao.BACKUP).write_bytes(sample("backup.json"))

    found = keys.read(world(replace(settings(), openbao="https://127.0.0.1:1"), root=tmp_path))

    assert found.server is not None
    assert found.server.state is State.SILENT
    assert (found.gateway_served, found.hsm_away_seconds) == (False, None)
    assert found.backup is not None


def samples(*names: str) -> list[bytes]:
    return [sample(name) for name in names]


@fuzz.lengths
def test_whatever_openbao_says_of_its_health_is_facts_or_a_parse_error(mutations: int) -> None:
    answers = samples("active_health.json", "standby_health.json", "sealed_health.json", "new_health.json")

    fuzz.facts_or_parse_error(lambda raw: openbao.server(raw, None), answers, mutations)


@fuzz.lengths
def test_whatever_openbao_says_of_its_leader_is_facts_or_a_parse_error(mutations: int) -> None:
    health, answers = sample("active_health.json"), samples("active_leader.json", "standby_leader.json")

    fuzz.facts_or_parse_error(lambda raw: openbao.server(health, raw), answers, mutations)


@fuzz.lengths
def test_whatever_metrics_openbao_gives_are_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(openbao.hsm_away_seconds, samples("metrics.txt"), mutations)


@fuzz.lengths
def test_whatever_a_backup_leaves_is_facts_or_a_parse_error(mutations: int) -> None:
    found = samples("backup.json", "backup_none.json")

    fuzz.facts_or_parse_error(lambda raw: openbao.backup(raw, now=AT), found, mutations)
