"""Invariants of outcomes and costs over random scenarios and flows."""

from __future__ import annotations

from typing import Any

import numpy as np
import trajectory_builder as tb
from hypothesis import given, settings
from hypothesis import strategies as st
from scenario_builder import build, minimal_scenario, money, months, number, probability, utility

from cartsight.economics.pricing import cost_ledger, price_patients
from cartsight.outcomes import overall_survival, simulate_outcomes

ARMS = ("autologous", "allogeneic", "in_vivo")
SETTINGS = settings(max_examples=25, deadline=None)
shares = st.floats(0.0, 1.0)


@st.composite
def efficacies(draw: st.DrawFn) -> dict[str, Any]:
    overall = draw(shares)
    law = draw(st.sampled_from(("exponential", "weibull", "log_logistic", "lognormal", "gompertz")))
    return {
        "overall_response": probability(overall),
        "complete_response": probability(overall * draw(shares)),
        "cure": {"among_complete_responders": probability(draw(shares))},
        "relapse": {
            "law": law,
            "median": months(draw(st.floats(0.5, 60.0))),
            "shape": None if law == "exponential" else number(draw(st.floats(0.3, 3.0)), "ratio"),
        },
        "non_relapse_mortality": probability(draw(st.floats(0.0, 0.5))),
        "odds_ratio_if_worsened": number(draw(st.floats(0.1, 3.0)), "odds_ratio"),
        "hazard_ratio_if_worsened": number(draw(st.floats(0.1, 5.0)), "hazard_ratio"),
    }


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    arm = {
        "efficacy": draw(efficacies()),
        "retreatment": {
            "share": probability(draw(shares)),
            "odds_ratio_of_response": number(0.7, "odds_ratio"),
        },
        "long_term": {
            "utility_remission": utility(draw(st.floats(-0.5, 1.0))),
            "utility_relapsed": utility(draw(st.floats(-0.5, 1.0))),
        },
    }
    return {
        "population": {"waiting_utility": utility(draw(st.floats(-0.5, 1.0)))},
        "analysis": {
            "horizon_years": draw(st.floats(0.2, 100.0)),
            "discount_rate_costs": draw(st.floats(0.0, 0.2)),
            "discount_rate_effects": draw(st.floats(0.0, 0.2)),
        },
        "arms": {name: arm for name in ARMS},  # noqa: C420
    }


@SETTINGS
@given(changes(), st.sampled_from(ARMS), st.integers(0, 2**63 - 1))
def test_bounds(change: dict[str, Any], arm: str, seed: int) -> None:
    scenario = build(**change)
    flow = tb.trajectories(120, modality=arm, lot_effect_sd=0.3)
    r = simulate_outcomes(flow, scenario, arm, seed)
    horizon = scenario.analysis.horizon_years
    assert np.all(r.qalys <= r.life_years + 1e-12)
    assert np.all(r.qalys_discounted <= r.life_years_discounted + 1e-12)
    assert np.all((r.life_years >= 0.0) & (r.life_years <= horizon * (1 + 1e-12)))
    assert np.all(r.life_years_discounted <= r.life_years + 1e-12)
    assert np.all(r.death_day >= 0.0)
    costs = price_patients(flow, r, scenario, arm)
    assert np.all(costs.amount >= 0.0)
    assert np.all(costs.discounted <= costs.amount * (1 + 1e-12) + 1e-9)
    assert np.isfinite(costs.amount).all() and np.isfinite(r.qalys_discounted).all()


@SETTINGS
@given(changes(), st.sampled_from(ARMS), st.integers(0, 1000))
def test_ledger_sums_to_totals(change: dict[str, Any], arm: str, seed: int) -> None:
    scenario = build(**change)
    flow = tb.trajectories(60, modality=arm)
    r = simulate_outcomes(flow, scenario, arm, seed)
    costs = price_patients(flow, r, scenario, arm)
    ledger = cost_ledger(flow, r, scenario, arm)
    np.testing.assert_allclose(ledger.by_patient(), costs.total, rtol=1e-11, atol=1e-6)
    later = ledger.discounted(scenario.analysis.discount_rate_costs)
    np.testing.assert_allclose(later.by_patient(), costs.total_discounted, rtol=1e-10, atol=1e-6)


@SETTINGS
@given(changes(), shares, shares, st.sampled_from(ARMS), st.integers(0, 1000))
def test_a_higher_cure_fraction_never_shortens_a_life(
    change: dict[str, Any], one: float, other: float, arm: str, seed: int
) -> None:
    scenario = build(**change)
    flow = tb.trajectories(150, modality=arm)
    path = f"arms.{arm}.efficacy.cure.among_complete_responders"
    low = simulate_outcomes(flow, scenario.with_values({path: min(one, other)}), arm, seed)
    high = simulate_outcomes(flow, scenario.with_values({path: max(one, other)}), arm, seed)
    # A second course after a relapse can only add toxicity, so a cure is never the shorter life.
    assert np.all(high.life_years >= low.life_years)
    assert np.all(high.cured >= low.cured)


@SETTINGS
@given(changes(), shares, shares, st.integers(0, 1000))
def test_more_toxicity_never_lengthens_a_life(change: dict[str, Any], one: float, other: float, seed: int) -> None:
    scenario = build(**change)
    flow = tb.trajectories(150)
    single = scenario.model_copy(
        update={"arms": {"autologous": scenario.arms["autologous"].model_copy(update={"retreatment": None})}}
    )
    path = "arms.autologous.efficacy.non_relapse_mortality"
    mild = simulate_outcomes(flow, single.with_values({path: min(one, other)}), "autologous", seed)
    harsh = simulate_outcomes(flow, single.with_values({path: max(one, other)}), "autologous", seed)
    assert np.all(harsh.life_years <= mild.life_years + 1e-12)


@SETTINGS
@given(changes(), st.integers(0, 1000))
def test_identical_arms_give_identical_results(change: dict[str, Any], seed: int) -> None:
    scenario = build(**change)
    twin = scenario.model_copy(update={"arms": {**scenario.arms, "twin": scenario.arms["allogeneic"]}})
    flow = tb.trajectories(100, modality="allogeneic")
    first = simulate_outcomes(flow, twin, "allogeneic", seed)
    second = simulate_outcomes(flow, twin, "twin", seed)
    assert np.array_equal(first.qalys_discounted, second.qalys_discounted)
    costs = [price_patients(flow, o, twin, o.arm_name).total_discounted for o in (first, second)]
    assert np.array_equal(*costs)


@SETTINGS
@given(changes(), st.sampled_from(ARMS), st.integers(0, 1000))
def test_intention_to_treat_is_the_sum_of_infused_and_not_infused(change: dict[str, Any], arm: str, seed: int) -> None:
    scenario = build(**change)
    flow = tb.trajectories(150, modality=arm)
    r = simulate_outcomes(flow, scenario, arm, seed)
    costs = price_patients(flow, r, scenario, arm).total_discounted
    p = r.infused.mean()
    for value in (r.qalys_discounted, r.life_years, costs):
        parts = [share * value[who].mean() for share, who in ((p, r.infused), (1 - p, ~r.infused)) if who.any()]
        np.testing.assert_allclose(sum(parts), value.mean(), rtol=1e-10, atol=1e-12)


@SETTINGS
@given(changes(), st.sampled_from(ARMS), st.integers(0, 1000))
def test_mean_life_years_is_the_area_under_the_curve(change: dict[str, Any], arm: str, seed: int) -> None:
    scenario = build(**change)
    flow = tb.trajectories(80, modality=arm)
    r = simulate_outcomes(flow, scenario, arm, seed)
    edges = np.unique(np.concatenate([[0.0], r.survival_days])) / (365.25 / 12.0)
    curve = overall_survival(r, edges[:-1] * (1 + 1e-12))
    area = np.sum(curve.share * np.diff(edges)) / 12.0
    np.testing.assert_allclose(area, r.life_years.mean(), rtol=1e-9)


@SETTINGS
@given(st.floats(0.0, 1e6), st.sampled_from(ARMS))
def test_cost_rises_with_price_at_the_rate_of_infusions(price: float, arm: str) -> None:
    raw = minimal_scenario(analysis={"discount_rate_costs": 0.0})
    flow = tb.trajectories(100, modality=arm)
    free = build(raw, arms={arm: {"price": {"per_patient": money(0.0)}}})
    dear = build(raw, arms={arm: {"price": {"per_patient": money(price)}}})
    r = simulate_outcomes(flow, free, arm, 1)
    rise = price_patients(flow, r, dear, arm).total - price_patients(flow, r, free, arm).total
    paid = (r.infused & ~flow.out_of_specification) * 1.0 + r.retreated
    np.testing.assert_allclose(rise, price * paid, rtol=1e-9, atol=1e-6)
