"""The pages of NVMe drives in what `smartctl --json -x` prints: logs 2 and 6 of the NVM Express base specification."""

from __future__ import annotations

from legalcloud.node.drive_facts import Condition, SelfTest
from legalcloud.tree import Tree

_HEALTH, _SELF_TEST = "nvme_smart_health_information_log", "nvme_self_test_log"
PARTS = (_HEALTH, _SELF_TEST)
CRITICAL_WARNINGS = (
    "spare below threshold",
    "temperature out of range",
    "reliability degraded",
    "media read-only",
    "volatile memory backup failed",
    "persistent memory region unreliable",
)
"""Bit 0 first."""
_WARNING_BITS = 8


def condition(tree: Tree) -> Condition:
    def health(key: str) -> int | None:
        return tree.maybe(_HEALTH, key, read=Tree.count)

    return Condition(
        wear_percent=health("percentage_used"),
        spare_percent=health("available_spare"),
        spare_threshold_percent=health("available_spare_threshold"),
        media_errors=health("media_errors"),
        critical_warnings=_warnings(health("critical_warning")),
        self_test=_self_test(tree),
        temperature_celsius=tree.maybe(_HEALTH, "temperature", read=Tree.integer),
        powered_hours=health("power_on_hours"),
    )


def _warnings(bits: int | None) -> tuple[str, ...] | None:
    if bits is None or bits >> _WARNING_BITS:
        return None
    names = [*CRITICAL_WARNINGS, *(f"bit {bit}" for bit in range(len(CRITICAL_WARNINGS), _WARNING_BITS))]
    return tuple(name for bit, name in enumerate(names) if bits >> bit & 1)


def _self_test(tree: Tree) -> SelfTest | None:
    if tree.maybe(_SELF_TEST, "current_self_test_operation", "value", read=Tree.count):
        return SelfTest.RUNNING
    tests = tree.maybe(_SELF_TEST, "table", read=lambda table: tuple(table.elements()))
    if tests:
        result = tests[0].maybe("self_test_result", "value", read=Tree.count)
        return None if result is None else _RESULTS.get(result)
    idle = tree.maybe(_SELF_TEST, "current_self_test_operation", "value", read=Tree.count) == 0
    return SelfTest.NEVER if idle and tests is None else None


_RESULTS = {
    0: SelfTest.PASSED,
    **dict.fromkeys((5, 6, 7), SelfTest.FAILED),
    **dict.fromkeys((1, 2, 3, 4, 8, 9), SelfTest.ABORTED),
}
