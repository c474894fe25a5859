"""What still fits on one node, as far as it can know alone."""

from __future__ import annotations

import pytest

from legalcloud.node.capacity import of_node
from legalcloud.node.osds import Drives, Osd, Ratios, State


def osd(number: int, used_bytes: int | None, total_bytes: int | None = 1000) -> Osd:
    return Osd(
        number=number,
        state=None if used_bytes is None else State.ACTIVE,
        problem=None,
        placement_groups=None,
        used_bytes=used_bytes,
        total_bytes=None if used_bytes is None else total_bytes,
        slow_operations=None,
        drives=Drives(data=(), db=None, wal=None),
    )


def test_a_node_has_room_until_its_fullest_osd_is_near_full() -> None:
    """Of 2,000 bytes 25 % are left until osd.2 has 85 %; half of what is written is parity."""
    found = of_node([osd(1, 100), osd(2, 600)], data_share=0.5, ratios=Ratios())

    assert (found.fullest_osd, found.fullest_share) == (2, 0.6)
    assert found.tenant_bytes == pytest.approx(250, abs=1)


def test_a_node_with_a_silent_osd_does_not_know_its_room() -> None:
    found = of_node([osd(1, 100), osd(2, None)], data_share=0.5, ratios=Ratios())

    assert (found.osds, found.osds_unknown, found.raw_bytes, found.tenant_bytes) == (2, 1, 1000, None)


def test_a_node_without_osds_knows_no_room() -> None:
    found = of_node([], data_share=0.5, ratios=Ratios())

    assert (found.fullest_osd, found.tenant_bytes) == (None, None)


def test_a_node_beyond_the_near_full_ratio_has_no_room_left() -> None:
    assert of_node([osd(1, 860)], data_share=0.5, ratios=Ratios()).tenant_bytes == 0
