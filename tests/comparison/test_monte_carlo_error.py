"""What noise taken out of the draws may not do: shrink Monte Carlo errors, or the value of what can be learned."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from cartsight.comparison.compare import clean_draws, compare, decision_analysis, saturated_lines
from cartsight.comparison.metrics import STANDARD
from cartsight.comparison.parameter_draws import ParameterDraws
from cartsight.comparison.results import DrawTable
from cartsight.comparison.single_arm import price_arm, run_arms
from cartsight.comparison.validation import run_validation
from cartsight.core.money import convert
from cartsight.simulation.pathways import run_flow
from tests.scenario_builder import build, merged, minimal_scenario, money, number, probability

DRAWS, PATIENTS = 4000, 100
SIGNAL, NOISE = 10_000.0, 100_000.0
"""Sd over parameters of the cost of the second arm, and sd between patients: noise of a draw mean equals the signal."""


def _table() -> tuple[DrawTable, ParameterDraws]:
    generator = np.random.default_rng(5)
    # Centred, so that the means of the arms are equal in the sample as well and the known answer holds closely.
    parameter, noise = (x - x.mean() for x in generator.normal(size=(2, DRAWS)))
    second = SIGNAL * parameter + NOISE / math.sqrt(PATIENTS) * noise
    cost = np.column_stack([np.zeros(DRAWS), second])
    covariance = np.zeros((DRAWS, 4, 4))
    covariance[:, 1, 1] = NOISE**2
    nothing = np.zeros((DRAWS, 2, len(STANDARD)))
    table = DrawTable(
        arms=("autologous", "other_care"),
        metrics=tuple(metric.name for metric in STANDARD),
        values=nothing,
        cost=cost,
        effect=np.zeros((DRAWS, 2)),
        covariance=covariance,
        patient_variance=nothing,
        patient_count=nothing,
        patients=np.full(DRAWS, PATIENTS),
    )
    return table, ParameterDraws(("x",), parameter[:, None], 1)


def test_errors_hold_the_patient_noise_and_partial_information_is_that_of_the_signal() -> None:
    raw = minimal_scenario()
    raw["arms"] = {name: raw["arms"][name] for name in ("autologous", "other_care")}
    scenario = build(raw)
    base = run_arms(scenario, 1)
    table, parameters = _table()
    cost, effect = clean_draws(table)
    results = decision_analysis(scenario, cost, effect, base, parameters, table)

    # The mean of the draws carries both variances; the interval of the draws only the signal's.
    difference = results["differences"]["other_care"]["cost"]
    both = math.hypot(SIGNAL, NOISE / math.sqrt(PATIENTS))
    assert difference.standard_error == pytest.approx(both / math.sqrt(DRAWS), rel=0.04)
    assert difference.high - difference.low == pytest.approx(2 * 1.96 * SIGNAL, rel=0.06)
    assert difference.error_low < difference.mean < difference.error_high

    # x is the only parameter: EVPPI = EVPI = SIGNAL phi(0) for two arms with equal means in 4 000 draws.
    truth = SIGNAL / math.sqrt(2.0 * math.pi)
    at_threshold = list(results["wtp"]).index(results["threshold"])
    assert results["evpi"].value[at_threshold] == pytest.approx(truth, rel=0.06)
    assert results["evppi"]["x"].value[0] == pytest.approx(truth, rel=0.06)

    # On the cleaned draws the fit would be pulled together with the noise, by sqrt(B / (B + W / n)).
    pulled = decision_analysis(scenario, cost, effect, base, parameters)
    assert pulled["evppi"]["x"].value[0] == pytest.approx(truth / math.sqrt(2.0), rel=0.08)


def test_draws_that_saturate_the_lines_are_counted_in_a_warning() -> None:
    table, _ = _table()
    values = table.values.copy()
    values[:40, 0, table.metrics.index("line_utilisation")] = 1.0
    (warning,) = saturated_lines(replace(table, values=values))
    assert warning.startswith("arms.autologous: lines are busy")
    assert "in 1.0% of the parameter draws" in warning
    assert saturated_lines(table) == ()


def test_an_arm_at_its_threshold_price_ties_with_the_reference_with_retreatment() -> None:
    raw = minimal_scenario()
    raw["arms"] = {name: raw["arms"][name] for name in ("autologous", "in_vivo")}
    raw["arms"]["in_vivo"]["retreatment"] = {
        "share": probability(0.8),
        "odds_ratio_of_response": number(1.0, "odds_ratio"),
    }
    raw["population"]["female"] = probability(0.4, low=0.3, high=0.5, interval="confidence_95")
    scenario = build(raw)
    comparison = compare(scenario, draws=4, workers=1, one_way=False, validate=False)
    found = comparison.economics["threshold_prices"]["in_vivo"]
    assert comparison.base["in_vivo"].outcomes.retreated.any()
    for wtp, price in zip(found["wtp"], found["price_at_threshold"], strict=True):
        moved = scenario.with_values({"arms.in_vivo.price.per_patient": max(price, 0.0)})
        if price < 0.0:
            continue
        seed = scenario.analysis.seed
        at_price = price_arm(moved, "in_vivo", run_flow(moved, "in_vivo", seed), seed)
        reference = comparison.base["autologous"]
        margin = wtp * (at_price.effect.mean() - reference.effect.mean()) - (
            at_price.cost.mean() - reference.cost.mean()
        )
        assert margin == pytest.approx(0.0, abs=1e-6 * reference.cost.mean())


def test_published_money_is_compared_in_the_currency_and_year_of_the_analysis() -> None:
    raw = merged(
        minimal_scenario(),
        {
            "validation": {
                "cost": {
                    "label": "cost",
                    "arm": "other_care",
                    "metric": "cost_per_referred",
                    "published": {**money(100_000.0), "unit": "usd_2018"},
                    "tolerance": 0.5,
                }
            }
        },
    )
    (result,) = run_validation(build(raw), 1)
    assert result.published == pytest.approx(100_000.0 * convert(1.0, "usd_2018", "usd_2024"))
