"""Real places against the map, and the map's arithmetic against another implementation."""

from __future__ import annotations

import json
import math
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import affinity
from shapely.geometry import Point, shape

from legalcloud.boundary import MAP_ERROR_METRES, Judgement, Verdict, judge

MAP = json.loads(resources.files("legalcloud").joinpath("data/hongkong.geojson").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        pytest.param(22.2819, 114.1589, id="Central, whose shore the map lacks"),
        pytest.param(22.3960, 114.1960, id="Fo Tan in Sha Tin"),
        pytest.param(22.2872, 114.2733, id="Tseung Kwan O Industrial Estate, reclaimed"),
        pytest.param(22.2660, 114.2410, id="Chai Wan"),
        pytest.param(22.3630, 114.1350, id="Kwai Chung"),
        pytest.param(22.3120, 114.2256, id="Kwun Tong"),
        pytest.param(22.4270, 114.2100, id="Science Park, reclaimed"),
        pytest.param(22.4560, 114.1900, id="Tai Po Industrial Estate"),
        pytest.param(22.5013, 114.1277, id="Sheung Shui, three kilometres from the border"),
        pytest.param(22.4445, 114.0222, id="Yuen Long"),
    ],
)
def test_places_of_hong_kong_away_from_the_border_are_inside(latitude: float, longitude: float) -> None:
    assert judge(latitude, longitude).verdict is Verdict.INSIDE


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        pytest.param(22.5147, 114.0658, id="Lok Ma Chau"),
        pytest.param(22.5285, 114.1135, id="Lo Wu"),
        pytest.param(22.5475, 114.2260, id="Sha Tau Kok"),
        pytest.param(22.5190, 114.0780, id="the Loop at Lok Ma Chau"),
        pytest.param(22.5560, 114.2370, id="Shatoujiao, on the other side by a few hundred metres"),
        pytest.param(22.3080, 113.9185, id="the airport, which the map does not draw"),
    ],
)
def test_where_the_map_cannot_tell_it_says_so(latitude: float, longitude: float) -> None:
    assert judge(latitude, longitude).verdict is Verdict.NEAR_BORDER


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        pytest.param(22.5410, 114.0579, id="Futian in Shenzhen"),
        pytest.param(22.5484, 114.1310, id="Luohu in Shenzhen"),
        pytest.param(22.4830, 113.9160, id="Shekou in Shenzhen"),
        pytest.param(22.1987, 113.5439, id="Macao"),
        pytest.param(22.2710, 113.5767, id="Zhuhai"),
        pytest.param(23.1291, 113.2644, id="Guangzhou"),
        pytest.param(22.0000, 114.4000, id="the open sea"),
        pytest.param(51.5074, -0.1278, id="London"),
        pytest.param(114.1960 - 90, 22.3960, id="latitude and longitude mixed up"),
        pytest.param(90.0, 0.0, id="the north pole"),
        pytest.param(-90.0, -180.0, id="the south pole"),
    ],
)
def test_places_elsewhere_are_outside(latitude: float, longitude: float) -> None:
    assert judge(latitude, longitude).verdict is Verdict.OUTSIDE


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        pytest.param(22.3070, 114.3670, id="Basalt Island"),
        pytest.param(22.1650, 114.2550, id="Po Toi"),
        pytest.param(22.5035, 113.9450, id="the port area at Shenzhen Bay"),
    ],
)
def test_ground_of_hong_kong_that_the_map_cannot_vouch_for_is_refused(latitude: float, longitude: float) -> None:
    assert judge(latitude, longitude).verdict is Verdict.OUTSIDE


def test_a_judgement_names_both_distances_and_the_nearer_neighbour() -> None:
    shekou, macao = judge(22.4830, 113.9160), judge(22.1987, 113.5439)

    assert str(shekou) == "outside: 5.3 km from the land of Hong Kong and 0.5 km from that of the Mainland"
    assert macao.nearest_other == "Macao"
    assert macao.metres_to_others == 0


def test_the_map_carries_its_source_and_licence() -> None:
    assert "Natural Earth 1:10m" in MAP["source"]
    assert "public domain" in MAP["licence"]


EAST, NORTH = 111_195.0 * math.cos(math.radians(22.35)), 111_195.0
FLAT = {
    feature["properties"]["name"]: affinity.scale(shape(feature["geometry"]), EAST, NORTH, origin=(0, 0))
    for feature in MAP["features"]
}


@given(
    latitude=st.floats(22.1, 22.7),
    longitude=st.floats(113.8, 114.5),
)
def test_distances_agree_with_shapely(latitude: float, longitude: float) -> None:
    place = Point(longitude * EAST, latitude * NORTH)
    others = {name: land.distance(place) for name, land in FLAT.items() if name != "Hong Kong"}

    found = judge(latitude, longitude)

    # the two planes touch the globe at different latitudes: 0.3 % apart at the rim
    assert found.metres_to_hong_kong == pytest.approx(FLAT["Hong Kong"].distance(place), rel=0.004, abs=2)
    assert found.metres_to_others == pytest.approx(min(others.values()), rel=0.004, abs=2)


@given(latitude=st.floats(22.1, 22.7), longitude=st.floats(113.8, 114.5))
def test_no_place_that_the_map_draws_as_land_of_others_is_inside(latitude: float, longitude: float) -> None:
    found: Judgement = judge(latitude, longitude)

    if found.verdict is Verdict.INSIDE:
        assert found.metres_to_others >= 2 * MAP_ERROR_METRES
