"""Tell whether a place lies in Hong Kong, as far as a public map of 1:10,000,000 can tell.

The map (data/hongkong.geojson) draws land, and its outlines may be off by a kilometre: it lacks reclaimed
ground, so part of Central and of Tseung Kwan O stands in its sea. Being near the *coast* therefore says
nothing about jurisdiction. What matters is how far the land of others, the Mainland and Macao, is:

- OUTSIDE: more than a kilometre from Hong Kong's land and closer to land of others, or more than two
  kilometres from Hong Kong's land whatever is near. No waiver helps.
- INSIDE: within a kilometre of Hong Kong's land, and two or more (both outlines may err) from land of others.
- NEAR_BORDER: all the rest. The map cannot tell; a surveyed coordinate and a person's word must.

The price of that caution: the airport, all on reclaimed ground, needs a waiver, and islets that the map lacks
(Tung Ping Chau, Po Toi) and the Hong Kong port area at Shenzhen Bay, which lies on the Mainland's side, are
refused. The map says where land is drawn, not what the law says, and nothing here proves that a machine
stands where the register says it does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from itertools import pairwise

MAP_ERROR_METRES = 1_000.0
"""How far an outline of the map may be from the truth, reclaimed ground included."""

_METRES_A_DEGREE = 111_195.0
"""Of latitude, on a sphere of 6,371 km; within 0.5 % here."""

_HOME = "Hong Kong"

_Point = tuple[float, float]
_Ring = tuple[_Point, ...]


class Verdict(StrEnum):
    """What the map says about one place."""

    INSIDE = "inside"
    NEAR_BORDER = "near the border"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One place against the map."""

    verdict: Verdict
    metres_to_hong_kong: float
    """To Hong Kong's land as drawn; 0 on it."""
    metres_to_others: float
    """To the nearest land of the Mainland or of Macao as drawn; 0 on it."""
    nearest_other: str

    def __str__(self) -> str:
        return (
            f"{self.verdict}: {self.metres_to_hong_kong / 1000:.1f} km from the land of {_HOME}"
            f" and {self.metres_to_others / 1000:.1f} km from that of {self.nearest_other}"
        )


def judge(latitude: float, longitude: float) -> Judgement:
    """Judge a place in degrees, WGS 84. Distances hold near Hong Kong: farther than 50 km they are rough."""
    metres = {name: _metres(latitude, longitude, rings) for name, rings in _lands().items()}
    home = metres.pop(_HOME)
    nearest = min(metres, key=metres.__getitem__)
    return Judgement(
        verdict=_verdict(home, metres[nearest]),
        metres_to_hong_kong=home,
        metres_to_others=metres[nearest],
        nearest_other=nearest,
    )


def _verdict(home: float, others: float) -> Verdict:
    if home > 2 * MAP_ERROR_METRES or (home > MAP_ERROR_METRES and others < home):
        return Verdict.OUTSIDE
    if home <= MAP_ERROR_METRES and others >= 2 * MAP_ERROR_METRES:
        return Verdict.INSIDE
    return Verdict.NEAR_BORDER


@cache
def _lands() -> dict[str, tuple[_Ring, ...]]:
    """Every ring of every land, holes included: the even-odd rule needs no more."""
    text = resources.files("legalcloud").joinpath("data/hongkong.geojson").read_text(encoding="utf-8")
    return {
        feature["properties"]["name"]: tuple(
            tuple((float(x), float(y)) for x, y in ring)
            for polygon in feature["geometry"]["coordinates"]
            for ring in polygon
        )
        for feature in json.loads(text)["features"]
    }


def _metres(latitude: float, longitude: float, rings: Sequence[_Ring]) -> float:
    """Measure to the nearest land on a plane that touches the globe at the place itself."""
    east = _METRES_A_DEGREE * math.cos(math.radians(latitude))
    crossings, nearest = 0, math.inf
    for (x1, y1), (x2, y2) in _sides(rings):
        ax, ay = (x1 - longitude) * east, (y1 - latitude) * _METRES_A_DEGREE
        bx, by = (x2 - longitude) * east, (y2 - latitude) * _METRES_A_DEGREE
        crossings += (ay > 0) != (by > 0) and ax - ay * (bx - ax) / (by - ay) > 0
        nearest = min(nearest, _metres_to_side(ax, ay, bx, by))
    return 0.0 if crossings % 2 else nearest


def _sides(rings: Sequence[_Ring]) -> Iterator[tuple[_Point, _Point]]:
    for ring in rings:
        yield from pairwise(ring)


def _metres_to_side(ax: float, ay: float, bx: float, by: float) -> float:
    """Measure from the origin to the side from a to b."""
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    along = 0.0 if length == 0 else min(1.0, max(0.0, -(ax * dx + ay * dy) / length))
    return math.hypot(ax + along * dx, ay + along * dy)
