"""`check` finds what would stop a comparison only after its first run: a correlation that cannot be drawn."""

from __future__ import annotations

import pytest

from cartsight.comparison.checking import check_arms
from cartsight.core.errors import InputError
from tests.scenario_builder import build, minimal_scenario, probability


def test_a_correlation_with_a_misspelt_number_is_found_by_check() -> None:
    raw = minimal_scenario()
    raw["arms"] = {"other_care": raw["arms"]["other_care"]}
    raw["population"]["female"] = probability(0.4, low=0.3, high=0.5, interval="confidence_95")
    raw["analysis"]["correlations"] = [
        {"first": "population.female", "second": "population.femal", "rho": 0.5, "reason": "a slip"}
    ]
    with pytest.raises(InputError, match="two uncertain numbers") as caught:
        check_arms(build(raw))
    assert caught.value.field == "analysis.correlations.0"
    assert caught.value.hint is not None
