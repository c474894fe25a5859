from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from legalcloud.cli import main
from legalcloud.errors import InputError
from legalcloud.node.settings import PORT, Pace, Settings, Shards, load
from legalcloud.register import Drive, DriveUse

WHOLE = """\
node: tko-1
site: tko
rack: r1
listen: {address: 10.77.1.11}
tls: {certificate: /etc/pki/agent.crt, key: /etc/pki/agent.key, ca: /etc/pki/ca.crt, clients: [tko-3, cwn-3]}
statement: {certificate: /etc/legalcloud/pki/s.crt, key: /etc/legalcloud/pki/s.key, ca: /etc/legalcloud/pki/ca.crt}
drives:
  - {serial: LAB-tko-1-1, use: osd}
services: [chrony.service, ceph-osd@1.service]
filesystems: [/, /var/lib]
openbao: https://127.0.0.1:8200
plan: {k: 3, m: 3, shards_per_site: 2}
watches_cluster: true
probes: {units: {every_seconds: 60}}
paths: {history: /var/lib/history}
"""


def read(folder: Path, text: str) -> Settings:
    file = folder / "agent.yml"
    file.write_text(text)
    return load(file, probes=("units", "pressure"))


def refused(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(folder, text)
    return str(caught.value)


def test_a_whole_file_is_read_and_what_is_left_out_has_its_usual_value(tmp_path: Path) -> None:
    told = read(tmp_path, WHOLE)

    assert (told.node, told.listen.address, told.listen.port) == ("tko-1", ip_address("10.77.1.11"), PORT)
    assert told.tls.clients == ("tko-3", "cwn-3")
    assert told.drives == (Drive(serial="LAB-tko-1-1", use=DriveUse.OSD),)
    assert told.plan == Shards(k=3, m=3, shards_per_site=2)
    assert told.plan.data_share == 0.5
    assert told.watches_cluster
    assert told.filesystems == (Path("/"), Path("/var/lib"))
    assert told.probes == {"units": Pace(every_seconds=60, deadline_seconds=None)}
    assert (told.paths.history, told.paths.status) == (
        Path("/var/lib/history"),
        Path("/run/legalcloud-agent/status.sock"),
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("site: tko\n", "", ":1: lacks the key site. Add it; the variables of the role agent"),
        ("node: tko-1", "node: TKO", ":1: node: is 'TKO'. Use a-z"),
        ("{address: 10.77.1.11}", "{address: tko-1}", ":4: listen.address: is 'tko-1', not an IP address. Write"),
        ("{address: 10.77.1.11}", "{address: 10.77.1.11, port: 0}", ":4: listen.port: is 0. Write a port between"),
        ("key: /etc/pki/agent.key", "key: agent.key", ":5: tls.key: is 'agent.key', not an absolute path"),
        (", clients: [tko-3, cwn-3]", "", ":5: tls: lacks the key clients. Add it"),
        ("[tko-3, cwn-3]", "[]", ":5: tls.clients: is empty. List at least one"),
        ("[tko-3, cwn-3]", "['*']", ":5: tls.clients[0]: is '*'. Write a name as it stands in the client's"),
        ("use: osd", "use: tape", ":8: drives[0].use: is 'tape'. Choose from: osd"),
        ("chrony.service", "chrony", ":9: services[0]: is 'chrony'. Write the unit's whole name"),
        ("chrony.service", "--version.service; ls", "services[0]"),
        ("{units:", "{unit:", "probes.unit: is not a key that belongs here. Known keys: pressure, units"),
        ("every_seconds: 60", "every_seconds: fast", "probes.units.every_seconds: is 'fast'. Write seconds between"),
        ("https://127", "ftp://127", ":11: openbao: is 'ftp://127.0.0.1:8200'. Write https://HOST:PORT"),
        (
            "{k: 3, m: 3, shards_per_site: 2}",
            "{k: 0, m: 3, shards_per_site: 2}",
            ":12: plan.k: is 0. Write a whole number of at least 1",
        ),
        ("shards_per_site: 2", "shards_per_site: 4", ":12: plan: spreads 3+3 shards by 4. Copy it from plan.yml"),
        ("watches_cluster: true", "watches_cluster: hk", ":13: watches_cluster: is 'hk'. Write true or false"),
        ("plan: {k: 3, m: 3, shards_per_site: 2}", "", ":13: watches_cluster: needs the plan. Add the key plan"),
        ("/var/lib/history", "/var/../history", ":15: paths.history: is '/var/../history', not an absolute path"),
    ],
)
def test_a_wrong_value_is_refused_with_file_line_key_and_remedy(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert WHOLE.count(old) >= 1

    assert said in refused(tmp_path, WHOLE.replace(old, new, 1))


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    said = refused(tmp_path, WHOLE.replace("node: tko-1", "node: TKO").replace("osd}", "tape}")).splitlines()

    assert len(said) == 2
    assert all(line.startswith(f"{tmp_path}/agent.yml:") for line in said)


def test_a_serial_that_stands_twice_is_refused(tmp_path: Path) -> None:
    twice = WHOLE.replace("services:", "  - {serial: LAB-tko-1-1, use: osd}\nservices:")

    assert "repeats serial LAB-tko-1-1" in refused(tmp_path, twice)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yml: is missing\. Write it; the variables of the role agent"):
        load(tmp_path / "absent.yml", probes=())


def test_check_says_that_a_file_is_sound_or_what_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "agent.yml"
    file.write_text(WHOLE)
    assert main(["node", "check", str(file)]) == 0
    assert "is sound: tko-1 at tko, listens on 10.77.1.11 port 9640" in capsys.readouterr().out

    file.write_text(WHOLE.replace("rack: r1", "rack: r 1"))
    assert main(["node", "check", str(file)]) == 2
    assert f"{file}:3: rack: is 'r 1'" in capsys.readouterr().err
