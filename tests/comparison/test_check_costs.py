"""`cartsight check` works the budget out, so that a cost driver that no plant counts shows before the first run."""

from __future__ import annotations

import pytest

from cartsight.comparison.checking import check_arms
from cartsight.core.errors import InputError
from tests.scenario_builder import Raw, build, days, minimal_scenario, number


def test_a_driver_that_the_arm_does_not_count_is_refused_by_the_check() -> None:
    activity: Raw = {"driver": "cleanings", "kind": "other", "amount": number(10, "usd_2024/unit")}
    scenario = build(arms={"autologous": {"costs": {"activities": {"cleaning": activity}}}})
    with pytest.raises(InputError, match="do not count this cost driver") as caught:
        check_arms(scenario)
    assert caught.value.field == "arms.autologous (costs.activities.cleaning.driver)"
    check_arms(build(scenario_with_cleaning(activity)))


def scenario_with_cleaning(activity: Raw) -> Raw:
    """Return the scenario of the tests with clean-downs to count."""
    raw = minimal_scenario()
    raw["arms"]["autologous"]["costs"]["activities"] = {"cleaning": activity}
    raw["arms"]["autologous"]["process"]["clean_down"] = days(1)
    return raw
