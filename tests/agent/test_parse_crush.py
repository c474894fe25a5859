"""Whatever `ceph osd crush tree` prints becomes places or a ParseError."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.preflight_sample import DATA

from legalcloud.errors import ParseError
from legalcloud.preflight.facts import Place
from legalcloud.preflight.parse_crush import places

TREE = json.loads((DATA / "crush_tree.json").read_bytes())


def test_the_recorded_tree_gives_every_host_its_place() -> None:
    found = places(json.dumps(TREE))

    assert len(found) == 6
    assert found["cwn-2"] == Place(path=("root=hk", "datacenter=cwn", "rack=cwn-r2"), osds=2)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"nodes": [{"id": -1, "type": "host", "name": "a"}]}'])
def test_anything_else_is_a_parse_error(text: str) -> None:
    with pytest.raises(ParseError):
        places(text)


ids = st.integers(-4, 2)
buckets = st.lists(
    st.fixed_dictionaries(
        {"id": ids, "name": st.text(max_size=2), "type": st.sampled_from(["host", "rack", "osd"])},
        optional={"children": st.lists(ids | st.none(), max_size=3)},
    ),
    max_size=6,
)


@given(buckets)
def test_no_tree_however_tangled_keeps_the_reader(nodes: list[dict[str, object]]) -> None:
    try:
        places(json.dumps({"nodes": nodes}))
    except ParseError:
        return
