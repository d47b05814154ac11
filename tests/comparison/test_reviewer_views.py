"""Severity, single-therapy and equity views of a scenario: they are the methods at the numbers of the runs."""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.comparison.reviewer_views import (
    equity_views,
    established_practice,
    severity_view,
    single_therapy_view,
)
from cartsight.comparison.single_arm import run_arms
from cartsight.core.errors import InputError
from cartsight.economics.severity import population_qalys
from cartsight.evidence.life_tables import life_table
from tests.scenario_builder import build, minimal_scenario

SCENARIO = build(analysis={"patients": 200})


def test_severity_counts_the_remaining_lifetime_at_the_rate_of_the_manual() -> None:
    view = severity_view(SCENARIO)
    changed = SCENARIO.with_analysis(discount_rate_costs=0.035, discount_rate_effects=0.035, horizon_years=100)
    run = run_arms(changed, 7)["other_care"]
    patients = run.trajectories.patients
    without = population_qalys(life_table("us", 2019), patients.age, patients.female).mean()
    assert view.current_care == "other_care"
    assert view.shortfall.with_disease == pytest.approx(run.effect.mean(), rel=1e-12)
    assert view.shortfall.without_disease == pytest.approx(without, rel=1e-12)
    # Untreated patients live half a year: nearly all health is lost.
    assert view.shortfall.proportional > 0.85
    for arm in view.arms:
        assert arm.weighted_net_benefit - arm.net_benefit == pytest.approx(
            view.threshold * (view.shortfall.weight - 1.0) * arm.incremental_qalys
        )
        if arm.icer is not None and arm.weighted_icer is not None:
            assert arm.weighted_icer == pytest.approx(arm.icer / view.shortfall.weight)
    assert any("not set in England" in remark for remark in view.remarks)
    assert severity_view(SCENARIO.with_analysis(horizon_years=5)).shortfall == view.shortfall


def test_established_practice() -> None:
    assert established_practice(SCENARIO) == "other_care"
    assert established_practice(SCENARIO, "autologous") == "autologous"
    raw = minimal_scenario()
    del raw["arms"]["other_care"]
    assert established_practice(build(raw)) == "autologous"
    with pytest.raises(InputError, match=r"unknown arm.*autologous"):
        established_practice(SCENARIO, "autologus")


def test_full_credit_is_the_price_at_which_net_benefit_is_zero() -> None:
    runs = run_arms(SCENARIO, 7)
    for view in single_therapy_view(SCENARIO):
        run, base = runs[view.arm], runs["other_care"]
        full = view.scenarios.rules[0]
        gain, more = run.effect.mean() - base.effect.mean(), run.cost.mean() - base.cost.mean()
        paid = run.costs.of("product").mean()
        # The ledger is discounted at the middle of each year here and by the day there: costs after the product agree to
        # half a year's discounting, 1.5 %.
        credit = paid - more
        assert full.credited == pytest.approx(
            credit, abs=0.02 * (abs(credit) + run.costs.total_discounted.mean() - paid)
        )
        assert full.value_based_price == pytest.approx(
            (150_000 * gain + full.credited) / (paid / view.scenarios.price), rel=1e-9
        )


def test_at_cost_there_is_no_price() -> None:
    with pytest.raises(InputError, match="payer perspective"):
        single_therapy_view(SCENARIO.with_analysis(perspective="health_system_at_cost"))


def test_equity_gains_are_the_mean_gain() -> None:
    runs = run_arms(SCENARIO, 7)
    for view in equity_views(SCENARIO):
        gain = runs[view.arm].outcomes.qalys - runs[view.reference].outcomes.qalys
        assert view.view.mean_gain == pytest.approx(float(gain.mean()), abs=1e-12)
        by_group = np.array([row.gain * row.share for row in view.view.groups])
        assert by_group.sum() == pytest.approx(float(gain.mean()), abs=1e-12)
        assert view.view.by_aversion[0].gain == pytest.approx(float(gain.mean()), abs=1e-9)
    remaining = equity_views(SCENARIO, lifetime=False, aversions=(0.0,))
    assert remaining[0].view.by_aversion[0].arm < 30.0 < equity_views(SCENARIO)[0].view.by_aversion[0].arm


def test_equity_needs_two_arms() -> None:
    raw = minimal_scenario()
    raw["arms"] = {"autologous": raw["arms"]["autologous"]}
    with pytest.raises(InputError, match="at least two arms"):
        equity_views(build(raw))
