"""The one-way sensitivity moves a number that the two arms only repeat from a third."""

from __future__ import annotations

from cartsight.comparison.compare import compare
from tests.scenario_builder import build, minimal_scenario, money, number, utility


def test_a_number_written_in_a_third_arm_is_moved_where_the_leading_pair_repeats_it() -> None:
    raw = minimal_scenario()
    raw["arms"] = {name: raw["arms"][name] for name in ("autologous", "in_vivo", "other_care")}
    # The third arm costs a fortune, so it is not in the leading pair; it holds the utility that in_vivo repeats.
    raw["arms"]["autologous"]["price"]["per_patient"] = money(9_000_000.0)
    raw["arms"]["autologous"]["long_term"]["utility_remission"] = utility(0.8, low=0.5, high=0.95, interval="range")
    raw["arms"]["in_vivo"]["long_term"]["utility_remission"] = {
        "same_as": "arms.autologous.long_term.utility_remission"
    }
    # A number of the third arm alone stays out.
    raw["arms"]["autologous"]["price"]["per_patient"] |= {"low": 8_000_000.0, "high": 9_500_000.0, "interval": "range"}
    raw["population"]["frailty_sd"] = number(0.4, "log_odds", low=0.1, high=0.7, interval="range")
    raw["analysis"] |= {"patients": 100, "reference_arm": "other_care"}
    scenario = build(raw)
    comparison = compare(scenario, draws=8, workers=1, validate=False)
    assert comparison.one_way is not None
    moved = {row.parameter for row in comparison.one_way.rows}
    assert "arms.autologous.long_term.utility_remission" in moved
    assert "arms.autologous.price.per_patient" not in moved
    assert scenario.repeated_in() == {
        "arms.autologous.long_term.utility_remission": ("arms.in_vivo.long_term.utility_remission",)
    }
