"""What the loader accepts, and every refusal with its place and its remedy."""

from __future__ import annotations

import tempfile
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.agent.inventory_sample import HOSTS, PLAN, REGISTER, SOUND, TENANT, TODAY, Sample

from legalcloud.document import Vaulted
from legalcloud.errors import InventoryError
from legalcloud.inventory import load
from legalcloud.register import Drive, DriveUse

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path / "fleet")


def test_a_sound_inventory_becomes_facts() -> None:
    inventory = load(SOUND, today=TODAY)
    one, two = inventory.register.sites
    node = inventory.register.nodes[0]

    assert (one.id, one.name.en, one.name.zh_hant, one.border_waiver) == ("one", "Sha Tin", "沙田", None)
    assert two.subnets == (ip_network("10.2.0.0/24"), ip_network("fd00:2::/64"))
    assert (node.name, node.address, node.site, node.rack) == ("one-1", ip_address("10.1.0.11"), "one", "r1")
    assert node.drives == tuple(Drive(serial=serial, use=DriveUse.OSD) for serial in ("S-1", "S-2"))
    assert node.groups == {"storage"}
    assert [node.name for node in inventory.register.group("mons")] == ["two-2"]
    assert [tenant.id for tenant in inventory.tenants] == ["firm-a"]
    assert inventory.plan == {"k": 2, "m": 2}
    assert inventory.variables["ceph_package_source"] == "debian"


@pytest.mark.parametrize(("name", "nodes", "drives"), [("lab", 6, 12), ("example", 9, 36)])
def test_the_inventories_of_this_repository_are_sound(name: str, nodes: int, drives: int) -> None:
    inventory = load(REPOSITORY / "inventories" / name, today=TODAY)

    assert len(inventory.register.sites) == 3
    assert len(inventory.register.nodes) == nodes
    assert sum(len(node.drives) for node in inventory.register.nodes) == drives
    assert inventory.plan is not None
    assert all(site.border_waiver is None for site in inventory.register.sites)


def test_before_the_first_plan_there_is_none(sample: Sample) -> None:
    (sample.folder / PLAN).unlink()

    assert sample.load().plan is None


def test_what_ansible_vault_keeps_is_neither_opened_nor_shown(sample: Sample) -> None:
    sample.write("group_vars/all/secret.yml", "pin: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n")
    sample.write("group_vars/all/sealed.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n")

    pin = sample.load().variables["pin"]

    assert isinstance(pin, Vaulted)
    assert str(pin) == "a value kept by Ansible Vault"


def test_an_unsafe_text_of_ansible_is_a_text(sample: Sample) -> None:
    sample.write("group_vars/all/motd.yml", "motd: !unsafe '{{ braces }}'\n")

    assert sample.load().variables["motd"] == "{{ braces }}"


WAIVER = "{reason: Survey plan 1, surveyed_by: Example Surveyors, expires: 2026-12-01}"
LO_WU = ("latitude: 22.3960\n    longitude: 114.1960", "latitude: 22.5285\n    longitude: 114.1135")


def test_a_site_near_the_border_passes_with_a_waiver_until_its_last_day(sample: Sample) -> None:
    sample.change(REGISTER, *LO_WU).change(REGISTER, "operator:", f"border_waiver: {WAIVER}\n    operator:")

    waiver = sample.load().register.site("one").border_waiver

    assert waiver is not None
    assert (waiver.reason, waiver.surveyed_by, waiver.expires) == (
        "Survey plan 1",
        "Example Surveyors",
        TODAY,
    )


def test_a_waiver_does_not_bring_shenzhen_into_hong_kong(sample: Sample) -> None:
    sample.change(REGISTER, "latitude: 22.3960\n    longitude: 114.1960", "latitude: 22.541\n    longitude: 114.0579")
    sample.change(REGISTER, "operator:", f"border_waiver: {WAIVER}\n    operator:")

    assert sample.refusals() == [
        f"{REGISTER}:8: legalcloud_sites[0].latitude: 22.541, 114.0579 is outside: "
        "2.9 km from the land of Hong Kong and 0.0 km from that of the Mainland. "
        "Correct the coordinates; no waiver admits a site outside Hong Kong."
    ]


def test_a_site_near_the_border_without_a_waiver_is_refused(sample: Sample) -> None:
    (problem,) = sample.change(REGISTER, *LO_WU).refusals()

    assert problem.startswith(f"{REGISTER}:7: legalcloud_sites[0].latitude: 22.5285, 114.1135 is near the border")
    assert problem.endswith("Have the place surveyed and add border_waiver: {reason, surveyed_by, expires}.")


def test_an_expired_waiver_is_refused(sample: Sample) -> None:
    late = WAIVER.replace("2026-12-01", "2026-11-30")
    sample.change(REGISTER, *LO_WU).change(REGISTER, "operator:", f"border_waiver: {late}\n    operator:")

    (problem,) = sample.refusals()

    assert problem.startswith(f"{REGISTER}:6: legalcloud_sites[0].border_waiver.expires: expired on 2026-11-30, and")
    assert problem.endswith("Have the place surveyed again and set a new date.")


SITE_REFUSALS = [
    ("id: one", "id: One", "legalcloud_sites[0].id: is 'One'. Use a-z, 0-9 and inner hyphens"),
    ("id: two", "id: one", f"legalcloud_sites[1].id: repeats id one of {REGISTER}:2"),
    (
        "    operator: Example\n",
        "",
        "legalcloud_sites[0]: lacks the key operator. Add it; inventories/example shows",
    ),
    (
        "operator:",
        "operater: x\n    operator:",
        "operater: is not a key that belongs here. Known keys: id, name,",
    ),
    (
        "operator: Example",
        "operator: 7",
        "operator: is 7, not a text. Write a text in one line, in quotes if",
    ),
    ("operator: Example", "operator: ''", "operator: is '', not a text"),
    ("operator: Example", "operator: no", "operator: is False, not a text"),
    ("operator: Example", "operator: [a]", "operator: is ['a'], not a text"),
    (
        "zh_hant: 沙田",
        "zh_hant: Sha Tin",
        "name.zh_hant: is 'Sha Tin', without a Chinese character. Write it in Trad",
    ),
    (
        "zh_hant: 柴灣",
        "zh_hant: 柴湾",
        "name.zh_hant: is '柴湾', with Simplified 湾. Write the Traditional characters",
    ),
    (", zh_hant: 沙田", "", "legalcloud_sites[0].name: lacks the key zh_hant"),
    ("{en: Sha Tin, zh_hant: 沙田}", "沙田", "legalcloud_sites[0].name: is '沙田', not a mapping"),
    ("latitude: 22.3960", "latitude: 122.3", "latitude: is 122.3. Write degrees north between -90 and 90"),
    ("latitude: 22.3960", "latitude: .nan", "latitude: is nan. Write degrees north between -90 and 90"),
    ("latitude: 22.3960", "latitude: true", "latitude: is True. Write degrees north"),
    (
        "longitude: 114.1960",
        "longitude: '114'",
        "longitude: is '114'. Write degrees east between -180 and 180",
    ),
    (
        "10.1.0.0/24",
        "10.1.0.1/24",
        "subnets[0]: is not a subnet: 10.1.0.1/24 has host bits set. Write its first",
    ),
    ("10.1.0.0/24", "10.1.0.0", "subnets[0]: is 10.1.0.0, without a prefix length. Write it as 10.0.1.0/24"),
    ("[10.1.0.0/24]", "[]", "legalcloud_sites[0].subnets: is empty. List at least one"),
    ("[10.1.0.0/24]", "10.1.0.0/24", "legalcloud_sites[0].subnets: is '10.1.0.0/24', not a list"),
    (
        "10.2.0.0/24",
        "10.1.0.0/16",
        f"10.1.0.0/16 overlaps 10.1.0.0/24 of {REGISTER}:9. Give each site subnets of",
    ),
    ("operator:", "border_waiver: {reason: x}\n    operator:", "border_waiver: lacks the key surveyed_by"),
    (
        "operator:",
        "border_waiver: {reason: x, surveyed_by: x, expires: '2026'}\n    operator:",
        "border_waiver.expires: is '2026', not a date. Write it as YYYY-MM-DD, without quotes",
    ),
    (
        "legalcloud_sites:",
        "x: 1\nlegalcloud_sites:",
        "x: is not a key that belongs here. Known keys: legalcloud_sites",
    ),
]

NODE_REFUSALS = [
    ("      legalcloud_rack: r1\n", "", "all.hosts.one-1: lacks the key legalcloud_rack"),
    (
        "legalcloud_rack: r1",
        "legalcloud_rack: 1",
        "legalcloud_rack: is 1, not a text. Write a text in one line, in q",
    ),
    ("legalcloud_rack: r1", "legalcloud_rack: r 1", "legalcloud_rack: is 'r 1'. Use a-z, 0-9, . _ and -"),
    (
        "legalcloud_rack:",
        "legalcloud_rak: r1\n      legalcloud_rack:",
        "legalcloud_rak: is not a key that belongs",
    ),
    (
        "legalcloud_site: one",
        "legalcloud_site: six",
        "is 'six', not a site of the register. Choose from: one, two",
    ),
    (
        "ansible_host: 10.1.0.11",
        "ansible_host: one-1.lan",
        "is 'one-1.lan', not an IP address. Write the address its",
    ),
    (
        "10.1.0.11",
        "10.9.0.11",
        "10.9.0.11 is in no subnet of site one. Use an address in 10.1.0.0/24, or correct",
    ),
    (
        "10.1.0.11",
        "10.2.0.11",
        f"ansible_host: repeats address 10.2.0.11 of {HOSTS}:7. Give each its own address",
    ),
    (
        "serial: S-3",
        "serial: S-1",
        f"legalcloud_drives[0].serial: repeats serial S-1 of {HOSTS}:12. Give each its",
    ),
    ("serial: S-2", "serial: S-1", f"legalcloud_drives[1].serial: repeats serial S-1 of {HOSTS}:12"),
    (
        "serial: S-1",
        "serial: 12345",
        "serial: is 12345, not a text. Write a text in one line, in quotes if it looks",
    ),
    ("use: osd", "use: cache", "legalcloud_drives[0].use: is 'cache'. Choose from: osd"),
    ("{serial: S-1, use: osd}", "{serial: S-1}", "legalcloud_drives[0]: lacks the key use"),
    (
        "      legalcloud_drives:\n        - {serial: S-3, use: osd}\n",
        "",
        "all.hosts.two-1: is in the group storage and has no drive. List its drives by serial",
    ),
    (
        "legalcloud_drives:\n        - {serial: S-3, use: osd}\n",
        "legalcloud_drives: []\n",
        "legalcloud_drives: is empty. List at least one",
    ),
    (
        "mons:",
        "monitors:",
        "all.children.monitors: is not a key that belongs here. Known keys: storage, mons, mgrs,",
    ),
    ("storage:", "mgrs:", "all.children: lacks the key storage"),
    (
        "        two-2:\n",
        "        two-9:\n",
        "all.children.mons.hosts.two-9: is not under all.hosts. Add it there",
    ),
    (
        "        two-2:\n",
        "        one-1:\n",
        "all.hosts.two-2: is in no group. Add it under all.children to one of",
    ),
    (
        "        two-2:\n",
        "        two-2: {x: 1}\n",
        "two-2: has variables here. Move them to all.hosts.two-2, the one",
    ),
    ("        two-2:\n", "", "all.children.mons.hosts: is empty, not a mapping"),
    (
        "    ansible_user: root",
        "    legalcloud_rack: r1",
        "all.vars.legalcloud_rack: does not belong in vars. Write it",
    ),
    (
        "  mons:\n",
        "  mons:\n      children: {x: }\n",
        "all.children.mons.children: is not a key that belongs here",
    ),
    (
        "all:\n",
        "all:\n  host: 1\n",
        "all.host: is not a key that belongs here. Known keys: hosts, children, vars",
    ),
    (
        "    one-1:",
        "    one_1:",
        "all.hosts.one_1: 'one_1' cannot name a node. Use a-z, 0-9 and inner hyphens",
    ),
    ("    one-1:", "    storage:", "all.hosts.storage: 'storage' cannot name a node"),
    ("    one-1:", "    two:", "all.hosts.two: two is also the id of a site. Rename the node"),
    ("    one-1:", "    1:", "all.hosts: has the key 1, which is not a text. Put the key in quotes"),
]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        *((REGISTER, *case) for case in SITE_REFUSALS),
        *((HOSTS, *case) for case in NODE_REFUSALS),
        (
            PLAN,
            "legalcloud_plan:",
            "plan:",
            "plan: is not a key that belongs here. Known keys: legalcloud_plan",
        ),
        (
            PLAN,
            "legalcloud_plan:\n  k: 2\n  m: 2\n",
            "legalcloud_plan: 4\n",
            "legalcloud_plan: is 4, not a mapping",
        ),
    ],
)
def test_each_fault_is_refused_with_its_key_and_a_remedy(
    sample: Sample, file: str, old: str, new: str, message: str
) -> None:
    problems = [problem.replace(f"{sample.folder}/", "") for problem in sample.change(file, old, new).refusals()]

    assert any(message in problem and problem.startswith(f"{file}:") for problem in problems), problems


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: 1\nb: 2\na: 3\n", ":3: has the key 'a' twice (first on line 1). Keep one.", id="twice"),
        pytest.param("a: {b: 1, b: 2}\n", ":1: has the key 'b' twice (first on line 1)", id="twice, nested"),
        pytest.param("a: &x [1]\nb: *x\n", ":2: uses a YAML alias. Write the value out.", id="alias"),
        pytest.param("a: {<<: {b: 1}}\n", ":1: has a key that is not one plain word", id="merge"),
        pytest.param("[a]: 1\n", ":1: has a key that is not one plain word", id="list as key"),
        pytest.param("a: !!python/object:x y\n", ":1: uses a YAML tag. Remove it; only !vault", id="tag"),
        pytest.param("a: !unsafe [1]\n", ":1: has the tag !unsafe on more than one value", id="tag on list"),
        pytest.param(
            "a: 2026-02-30\n",
            ":1: has a value that YAML cannot turn into timestamp. Correct or quote",
            id="day",
        ),
        pytest.param("a: [1\n", ":2: is not one YAML document: expected ',' or ']'", id="syntax"),
        pytest.param(
            "a: 1\n---\nb: 1\n",
            ":2: is not one YAML document: but found another document",
            id="two documents",
        ),
        pytest.param('a: "\\UFFFFFFFF"\n', ": is not one YAML document: a wrong escape or", id="escape"),
        pytest.param("a: " + "[" * 60 + "]" * 60, ":1: nests deeper than 50 levels. Flatten it.", id="deep"),
        pytest.param("a: " + "[" * 1500, ": is not one YAML document:", id="endless"),
        pytest.param("- a\n", ":1: is ['a'], not a mapping", id="list"),
        pytest.param("", ": is empty. Write it", id="empty"),
        pytest.param("ceph_package_source: x\n", "ceph.yml:1 too. Keep one: Ansible would take", id="set twice"),
        pytest.param("legalcloud_rack: r1\n", "not belong in this file. Move it to hosts.yml, its only", id="rack"),
        pytest.param("legalcloud_plan: {}\n", "Move it to group_vars/all/plan.yml, its only place", id="plan"),
    ],
)
def test_a_file_of_variables_must_be_plain_yaml(sample: Sample, text: str, message: str) -> None:
    problems = sample.write("group_vars/all/extra.yml", text).refusals()

    assert any(problem.startswith("group_vars/all/extra.yml") and message in problem for problem in problems), problems


def test_bytes_that_are_not_utf_8_are_refused(sample: Sample) -> None:
    (sample.folder / REGISTER).write_bytes("legalcloud_sites: 沙田".encode("big5"))

    assert sample.refusals() == [f"{REGISTER}: is not UTF-8 at byte 18. Save it as UTF-8."]


@pytest.mark.parametrize("file", [HOSTS, REGISTER])
def test_a_missing_file_is_named(sample: Sample, file: str) -> None:
    (sample.folder / file).unlink()

    assert f"{file}: is missing. Write it; inventories/example shows its form." in sample.refusals()


def test_a_folder_in_place_of_a_file_is_refused(sample: Sample) -> None:
    (sample.folder / HOSTS).unlink()
    (sample.folder / HOSTS).mkdir()

    assert sample.refusals() == [f"{HOSTS}: cannot be read: Is a directory. Make it a readable file."]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="is not a folder") as refused:
        load(tmp_path / "nowhere")

    assert refused.value.hint == "Name the folder that holds hosts.yml."


@pytest.mark.parametrize("file", ["tenants/firm-b.yaml", "group_vars/all/more.json", "group_vars/all/sub/x.yml"])
def test_a_file_that_ansible_or_a_person_would_believe_is_read_but_is_not_is_refused(sample: Sample, file: str) -> None:
    problems = sample.write(file, "a: 1\n").refusals()

    assert any("is not a .yml file. Rename it, or move it out of this folder." in problem for problem in problems)


@pytest.mark.parametrize("file", ["group_vars/mons/x.yml", "group_vars/all.yml", "host_vars/one-1.yml"])
def test_no_other_file_can_change_the_register_behind_its_back(sample: Sample, file: str) -> None:
    problems = sample.write(file, "legalcloud_site: two\n").refusals()

    assert problems == [
        f"{file}:1: legalcloud_site: does not belong in this file. Move it to hosts.yml, its only place."
    ]


def test_all_problems_of_all_files_are_listed_at_once(sample: Sample) -> None:
    sample.change(REGISTER, "latitude: 22.3960", "latitude: 1000")
    sample.change(HOSTS, "10.1.0.11", "10.2.0.11")
    sample.change(TENANT, "objects: 1000000", "objects: 0")

    places = [problem.split(": ")[:2] for problem in sample.refusals()]

    assert places == [
        [f"{REGISTER}:7", "legalcloud_sites[0].latitude"],
        [f"{HOSTS}:15", "all.hosts.two-1.ansible_host"],
        [f"{TENANT}:5", "quota.objects"],
    ]


def test_an_unreadable_register_does_not_make_every_node_wrong(sample: Sample) -> None:
    assert len(sample.change(REGISTER, "id: one", "id: One").refusals()) == 1


def test_an_unreadable_group_does_not_make_its_members_idle(sample: Sample) -> None:
    assert sample.change(HOSTS, "        two-2:\n", "").refusals() == [
        f"{HOSTS}:30: all.children.mons.hosts: is empty, not a mapping. Write keys and values under it."
    ]


def test_a_key_cannot_write_to_the_terminal(sample: Sample) -> None:
    problems = sample.change(REGISTER, "legalcloud_sites:", '"\\e[2J": 1\nlegalcloud_sites:').refusals()

    assert any("'\\x1b[2J'" in problem for problem in problems)
    assert "\x1b" not in "".join(problems)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates()
KEYS = st.sampled_from(
    [
        "all",
        "hosts",
        "children",
        "storage",
        "one-1",
        "ansible_host",
        "legalcloud_site",
        "legalcloud_drives",
        "vars",
        "legalcloud_sites",
        "legalcloud_plan",
        "id",
        "name",
        "en",
        "zh_hant",
        "subnets",
        "border_waiver",
        "latitude",
        "quota",
        "bytes",
        "buckets",
        "object_lock",
        "contact",
        "reveal_to",
        "subscription",
    ]
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=6)
)
FILES = st.sampled_from([HOSTS, REGISTER, PLAN, TENANT, "group_vars/all/ceph.yml", "host_vars/one-1.yml"])
LEAN = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])


def load_or_refuse(file: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sample = Sample(Path(folder) / "fleet")
        sample.write(file, "")
        (sample.folder / file).write_bytes(content)
        try:
            sample.load()
        except InventoryError as refused:
            message = str(refused)
        else:
            message = ""
    assert message.replace("\n", "").isprintable()
    assert message == "" or "1 problem" in message or " problems\n" in message


@LEAN
@given(file=FILES, tree=TREES)
def test_any_yaml_is_an_inventory_or_an_inventory_error(file: str, tree: object) -> None:
    load_or_refuse(file, yaml.safe_dump(tree, allow_unicode=True).encode(errors="surrogatepass"))


@LEAN
@given(file=FILES, text=st.text(alphabet="{}[]:,&*!?|>'\"%@`#-\\ \n\ta0<=~.U", max_size=80))
def test_any_text_is_an_inventory_or_an_inventory_error(file: str, text: str) -> None:
    load_or_refuse(file, text.encode())


@LEAN
@given(file=FILES, content=st.binary(max_size=60))
def test_any_bytes_are_an_inventory_or_an_inventory_error(file: str, content: bytes) -> None:
    load_or_refuse(file, content)


@LEAN
@given(data=st.data(), file=st.sampled_from([HOSTS, REGISTER, TENANT]))
def test_a_sound_file_with_one_line_spoilt_is_an_inventory_or_an_inventory_error(
    data: st.DataObject, file: str
) -> None:
    lines = (SOUND / file).read_text().splitlines()
    index = data.draw(st.integers(0, len(lines) - 1))
    key, _, _ = lines[index].partition(":")
    value = yaml.safe_dump(data.draw(TREES), default_flow_style=True, width=10_000, allow_unicode=True)
    lines[index] = f"{key}: {value.removesuffix('...' + chr(10)).strip()}"

    load_or_refuse(file, "\n".join(lines).encode(errors="surrogatepass"))
