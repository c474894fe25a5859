"""This repository keeps the rules of the house."""

from __future__ import annotations

import pytest
from tests.house.rules import RULES
from tests.house.tree import ROOT, Rule


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_house_keeps_its_rule(rule: Rule) -> None:
    if faults := rule(ROOT):
        pytest.fail("\n".join(faults), pytrace=False)
