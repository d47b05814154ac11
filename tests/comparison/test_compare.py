"""Comparisons: workers and order do not matter, identical arms differ by nothing, prices do not touch the flow."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from cartsight.comparison.checking import check_arms
from cartsight.comparison.compare import compare
from cartsight.comparison.metrics import STANDARD, metric, metric_names
from cartsight.comparison.patient_noise import without_patient_noise
from cartsight.comparison.single_arm import price_arm, run_arms
from cartsight.core.errors import InputError
from cartsight.simulation.pathways import run_flow
from tests.scenario_builder import build, minimal_scenario, money, probability


def small() -> dict:
    raw = minimal_scenario()
    raw["analysis"]["patients"] = 200
    raw["arms"]["autologous"]["efficacy"]["complete_response"] = probability(0.5, events=50, of=100)
    raw["population"]["female"] = probability(0.4, low=0.3, high=0.5, interval="confidence_95")
    return raw


def test_results_do_not_depend_on_workers() -> None:
    scenario = build(small())
    one = compare(scenario, draws=20, workers=1, one_way=False, validate=False)
    two = compare(scenario, draws=20, workers=2, one_way=False, validate=False)
    np.testing.assert_array_equal(one.draws.values, two.draws.values)
    np.testing.assert_array_equal(one.draws.cost, two.draws.cost)
    np.testing.assert_array_equal(one.clean_effect, two.clean_effect)
    again = compare(scenario, draws=20, workers=1, one_way=False, validate=False)
    assert one.draws.cost.tobytes() == again.draws.cost.tobytes()


def test_identical_arms_differ_by_nothing() -> None:
    raw = small()
    raw["arms"] = {"first": raw["arms"]["autologous"], "second": copy.deepcopy(raw["arms"]["autologous"])}
    # The uncertain number must move together in both for the arms to stay identical.
    for arm in raw["arms"].values():
        arm["efficacy"]["complete_response"] = probability(0.5)
    raw["analysis"]["reference_arm"] = "first"
    comparison = compare(build(raw), draws=8, workers=1, one_way=False, validate=False)
    np.testing.assert_array_equal(comparison.draws.cost[:, 0], comparison.draws.cost[:, 1])
    np.testing.assert_array_equal(comparison.draws.effect[:, 0], comparison.draws.effect[:, 1])
    assert comparison.economics["differences"]["second"]["cost"].mean == pytest.approx(0.0, abs=1e-6)


def test_a_new_arm_changes_no_result_of_the_others() -> None:
    raw = small()
    without = copy.deepcopy(raw)
    del without["arms"]["in_vivo"]
    with_arm = compare(build(raw), draws=6, workers=1, one_way=False, validate=False)
    without_arm = compare(build(without), draws=6, workers=1, one_way=False, validate=False)
    for arm in without_arm.arms:
        a, b = with_arm.arms.index(arm), without_arm.arms.index(arm)
        np.testing.assert_array_equal(with_arm.draws.cost[:, a], without_arm.draws.cost[:, b])


def test_run_once_price_many(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = small()
    scenario = build(raw)
    flow = run_flow(scenario, "autologous", 5)
    at_list = price_arm(scenario, "autologous", flow, 5)
    raw["arms"]["autologous"]["price"]["per_patient"] = money(100_000)
    monkeypatch.setattr(
        "cartsight.simulation.pathways.flow.simulate", lambda *a, **k: pytest.fail("the flow ran again")
    )
    cheaper = price_arm(build(raw), "autologous", flow, 5)
    np.testing.assert_array_equal(at_list.effect, cheaper.effect)
    assert cheaper.cost.mean() < at_list.cost.mean()
    assert cheaper.trajectories is at_list.trajectories


def test_perspective_at_cost_charges_cost_of_goods_instead_of_the_price() -> None:
    raw = small()
    raw["analysis"]["perspective"] = "health_system_at_cost"
    run = run_arms(build(raw), 5, ("autologous",))["autologous"]
    assert run.goods is not None
    infused = run.trajectories.infused
    charged = run.costs.of("product", discounted=False)[infused]
    assert charged.min() == pytest.approx(run.goods.per_infused)


def test_cost_of_goods_reconciles_with_the_budget_of_the_plant() -> None:
    scenario = build(small())
    for name, run in run_arms(scenario, 5).items():
        if run.goods is None or run.plant is None:
            continue
        arm = scenario.arms[name]
        years, plant, goods = run.plant.years, run.plant, run.goods
        fixed = years * (
            plant.sites * (arm.costs.site_per_year.x + arm.costs.quality_overhead_per_site_year.x)
            + plant.lines * arm.costs.line_per_year.x
        )
        assert goods.fixed == pytest.approx(fixed, rel=1e-12)
        assert goods.total == pytest.approx(goods.fixed + goods.variable, rel=1e-12)
        assert goods.per_infused * goods.infused == pytest.approx(goods.total, rel=1e-12)
        assert 0 <= goods.idle <= goods.categories["lines"]


def test_patient_noise_is_taken_out_and_nothing_else() -> None:
    generator = np.random.default_rng(3)
    draws, n = 4000, 50
    root = np.array([[2.0, 0.0], [1.2, 0.8]])
    truth = generator.standard_normal((draws, 2)) @ root.T + [10.0, 3.0]
    patient = np.array([[60.0, 20.0], [20.0, 30.0]])
    noisy = truth + generator.multivariate_normal([0, 0], patient / n, size=draws)
    clean = without_patient_noise(noisy, patient / n)
    np.testing.assert_allclose(clean.mean(axis=0), noisy.mean(axis=0))
    np.testing.assert_allclose(np.cov(clean, rowvar=False), root @ root.T, rtol=0.12, atol=0.1)
    unchanged = without_patient_noise(noisy, np.zeros((2, 2)))
    np.testing.assert_allclose(unchanged, noisy, atol=1e-8)
    np.testing.assert_array_equal(without_patient_noise(noisy[:4], patient / n), noisy[:4])


def test_metrics_by_name() -> None:
    run = run_arms(build(small()), 5, ("autologous",))["autologous"]
    for item in STANDARD:
        assert isinstance(item.value(run), float)
        if item.patient is not None:
            values = item.patient(run)
            assert values.shape == (len(run.trajectories),)
            assert np.nanmean(values) == pytest.approx(item.value(run), nan_ok=True)
    assert metric("overall_survival_infused_at_18_months").value(run) >= metric(
        "overall_survival_infused_at_36_months"
    ).value(run)
    assert "median_vein_to_vein_days" in metric_names()
    with pytest.raises(InputError, match="Did you mean"):
        metric("median_vein_to_vein_day")


def test_settings_that_cannot_be_are_refused() -> None:
    scenario = build(small())
    with pytest.raises(InputError, match=r"analysis\.draws"):
        compare(scenario, draws=0)
    raw = small()
    raw["validation"] = {
        "x": {"label": "x", "metric": "no_such_metric", "published": probability(0.5), "tolerance": 0.1}
    }
    with pytest.raises(InputError, match=r"validation\.x\.metric"):
        check_arms(build(raw))
