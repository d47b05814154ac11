"""A published gain is tested as a gain: the model's value under one condition less that under another."""

from __future__ import annotations

from typing import Any

import pytest

from cartsight.comparison.validation import run_validation
from cartsight.core.errors import InputError
from tests.scenario_builder import Raw, build, minimal_scenario, number


def _with_targets(**gain: Any) -> Raw:
    raw = minimal_scenario()
    target = {
        "label": "life-years",
        "arm": "autologous",
        "metric": "life_years_per_referred",
        "published": number(5.0, "life_years"),
        "tolerance": 0.5,
    }
    raw["validation"] = {
        "now": target,
        "later": {**target, "extra_wait_days": 60.0},
        "gain": {**target, "published": number(1.0, "life_years"), "less": "later", **gain},
    }
    return raw


def test_the_model_value_of_a_gain_is_the_difference_of_two_targets() -> None:
    results = {result.key: result for result in run_validation(build(_with_targets()), 1)}
    assert results["gain"].model == results["now"].model - results["later"].model
    assert results["gain"].model > 0.0
    assert results["gain"].passes == (abs(results["gain"].model - 1.0) <= 0.5)


@pytest.mark.parametrize("less", ["latter", "gain"])
def test_a_gain_over_no_other_target_is_an_error_with_the_nearest_name(less: str) -> None:
    with pytest.raises(InputError, match="no other target of this metric"):
        build(_with_targets(less=less))
