from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.agent.node import fuzz
from tests.agent.node.node_sample import HERE, TLS, issue, settings, world, write
from tests.agent.signing_sample import authority

from legalcloud.errors import ParseError
from legalcloud.node import certificates, privileged
from legalcloud.node.certificates import Certificates
from legalcloud.node.subject import Level
from legalcloud.run import Done, run

RECORDED = (HERE / "data/certificates/gateway.json").read_bytes()
NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
NODE = "/etc/legalcloud/pki/node.crt"


def told(*, now: datetime = NOW) -> Certificates:
    return certificates.parse(RECORDED, now=now.timestamp())


def words(facts: Certificates, level: Level) -> list[str]:
    return [line.words for line in certificates.lines(facts) if line.level is level]


def test_every_recorded_certificate_is_read_with_names_issuer_and_end() -> None:
    node = told().by_path[NODE]

    assert node is not None
    assert (node.subject, node.names) == ("CN=tko-1", ("tko-1", "10.77.1.11"))
    assert node.issuer == "CN=Legal Cloud internal CA,O=Hong Kong Legal Cloud,C=HK"
    assert node.not_after == datetime(2027, 2, 21, 18, 57, 39, tzinfo=UTC)
    assert 89 < node.left_days < 90
    assert None not in told().by_path.values()


def test_fresh_certificates_are_one_good_line() -> None:
    assert words(told(), Level.GOOD) == ["all 9 certificates last 90 days or more"]
    assert words(told(), Level.FINDING) == []


@pytest.mark.parametrize(
    ("days", "said"), [(68, ""), (69, "expires in 21 days, on 2027-02-21"), (91, "has expired, on 2027-02-21")]
)
def test_a_certificate_that_nobody_renews_is_named_before_it_ends_and_after(days: int, said: str) -> None:
    found = [line for line in words(told(now=NOW + timedelta(days=days)), Level.FINDING) if NODE in line]

    assert [line.split(") ")[1] for line in found] == ([said] if said else [])


def test_a_file_that_is_no_certificate_is_unknown_and_costs_no_other() -> None:
    raw = json.dumps(json.loads(RECORDED) | {"/etc/legalcloud/pki/other.crt": None, NODE: "subject=CN=tko-1\n"})

    facts = certificates.parse(raw.encode(), now=NOW.timestamp())

    assert [path for path, one in facts.by_path.items() if one is None] == [NODE, "/etc/legalcloud/pki/other.crt"]
    assert len(words(facts, Level.UNKNOWN)) == 2
    assert words(facts, Level.GOOD) == []


def test_a_certificate_that_ought_to_be_there_and_is_not_is_a_finding() -> None:
    place = world(replace(settings(Path("/etc/legalcloud/pki")), certificates=(Path(NODE), Path("/etc/gone.crt"))))

    facts = certificates.read(replace(place, ask=lambda *_: Done(exit_code=0, output=RECORDED, errors=b"")))

    assert "/etc/gone.crt" in facts.missing
    assert NODE not in facts.missing
    assert "/etc/gone.crt is not there" in words(facts, Level.FINDING)
    assert not any(one.startswith("all ") for one in words(facts, Level.GOOD))


def test_no_certificates_at_all_are_not_good() -> None:
    facts = certificates.parse(b"{}", now=NOW.timestamp())

    assert words(facts, Level.UNKNOWN) == ["no certificate was found"]


def test_an_answer_that_is_no_object_is_refused() -> None:
    with pytest.raises(ParseError):
        certificates.parse(b"[]", now=0)


def test_what_the_helper_reads_with_openssl_is_what_the_agent_understands(tmp_path: Path) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=10)
    write(tmp_path, "node", issue(authority(), "tko-1", purposes=TLS, end=end))
    (tmp_path / "broken.crt").write_text("nothing")

    done = privileged.certificates(lambda argv: run(argv, seconds=10), folder=tmp_path)
    facts = certificates.parse(done.output, now=end.timestamp() - 60)

    node = facts.by_path[str(tmp_path / "node.crt")]
    assert node is not None
    assert (node.subject, node.not_after, node.left_seconds) == ("CN=tko-1", end, 60)
    assert facts.by_path[str(tmp_path / "broken.crt")] is None


@fuzz.lengths
def test_whatever_the_helper_says_is_facts_or_a_parse_error(mutations: int) -> None:
    fuzz.facts_or_parse_error(lambda raw: certificates.parse(raw, now=NOW.timestamp()), [RECORDED], mutations)
