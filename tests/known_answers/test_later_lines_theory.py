"""Later lines, transplant and secondary malignancy against closed forms of constant hazards.

Everybody is infused on day 0 without a response, so that the product fails at the assessment, which is on day 0; b is the
background hazard, mu that of death while the disease is out of control, lambda_k that of the failure of line k, s_k the share
who receive it, p_k that who respond. Without response a line is found to fail at once. Then, with competing exponentials,

    E[life after failure] = U(1),     U(k) = (1 - s_k) D + s_k [p_k (1 + lambda_k U(k + 1)) / (lambda_k + b) + (1 - p_k) U(k + 1)]
    D = 1 / (mu + b),                 U(K + 1) = D

because a patient without a further line waits for death at mu + b, and a response of line k ends in its failure at lambda_k
or in background death at b; the clock of mu stands still meanwhile, and an exponential clock does not remember. Discounting
at delta adds delta to b.

Tolerance: four Monte Carlo standard errors of 40 000 patients, which fails by chance about once in 15 000.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import trajectory_builder as tb
from scenario_builder import build, days, money, number, probability, utility

from cartsight.outcomes import BackgroundHazard, Outcomes, simulate_outcomes
from cartsight.outcomes.states import state_occupancy
from cartsight.scenario import Scenario

N = 40_000
YEAR = 365.25


def exponential(per_year: float, **more: Any) -> dict[str, Any]:
    return {"law": "exponential", "median": days(math.log(2.0) / per_year * YEAR), **more}


def line(share: float, response: float, failure: float, assessment: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "label": "a later line",
        "share": probability(share),
        "response": probability(response),
        "time_to_failure": exponential(failure),
        "assessment": days(assessment * YEAR),
        "utility_in_response": utility(0.75),
        "cost_at_start": money(50_000),
        **more,
    }


def scenario(response: float, relapse: float, after: float, horizon: float = 100.0, **tables: Any) -> Scenario:
    return build(
        analysis={"horizon_years": horizon, "discount_rate_effects": 0.035},
        arms={
            "autologous": {
                "efficacy": {
                    "complete_response": probability(response),
                    "overall_response": probability(response),
                    "cure": None,
                    "relapse": {"shape": None, **exponential(relapse)},
                    "survival_after_relapse": {"shape": None, **exponential(after)},
                    "assessment": days(0.0),
                    "non_relapse_mortality": probability(0.0),
                },
                **tables,
            }
        },
    )


def run(of: Scenario, background: float) -> Outcomes:
    flow = tb.trajectories(
        N,
        infused_share=1.0,
        infusion_day=0.0,
        worsened_share=0.0,
        out_of_specification_share=0.0,
        people=tb.patients(N, age=40.0),
    )
    edges = np.array([0.0, 120.0])
    ratio = of.population.background_mortality.standardised_mortality_ratio.x
    constant = BackgroundHazard(edges, edges * background / ratio, edges * background / ratio)
    return simulate_outcomes(flow, of, "autologous", 5, background=constant)


def agrees(simulated: np.ndarray, exact: float) -> None:
    error = simulated.std(ddof=1) / math.sqrt(simulated.size)
    assert abs(simulated.mean() - exact) < 4.0 * error, (simulated.mean(), exact, error)


LINES = ((0.7, 0.5, 1.5), (0.5, 0.4, 3.0), (0.9, 0.2, 0.4))


def life_after_failure(lines: tuple[tuple[float, float, float], ...], mu: float, b: float) -> float:
    value = 1.0 / (mu + b)
    for share, response, failure in reversed(lines):
        answered = (1.0 + failure * value) / (failure + b)
        value = (1.0 - share) / (mu + b) + share * (response * answered + (1.0 - response) * value)
    return value


@pytest.mark.parametrize("lines", [LINES[:1], LINES[:2], LINES])
def test_later_lines_are_competing_exponentials(lines: tuple[tuple[float, float, float], ...]) -> None:
    b, mu = 0.05, 1.2
    tables = {"after_relapse": {"lines": {f"line {k}": line(*one) for k, one in enumerate(lines)}}}
    result = run(scenario(0.0, 1.0, mu, **tables), b)
    agrees(result.life_years, life_after_failure(lines, mu, b))
    agrees(result.life_years_discounted, life_after_failure(lines, mu, b + math.log(1.035)))


def test_patients_without_response_reach_the_next_line_only_alive() -> None:
    # One line without response that takes a to find out, then one that always responds.
    b, mu, a, lam = 0.1, 0.9, 0.5, 2.0
    lines = {"first": line(1.0, 0.0, 1.0, a), "second": line(1.0, 1.0, lam)}
    result = run(scenario(0.0, 1.0, mu, after_relapse={"lines": lines}), b)
    reach = math.exp(-(mu + b) * a)
    exact = (1.0 - reach) / (mu + b) + reach * (1.0 + lam / (mu + b)) / (lam + b)
    agrees(result.life_years, exact)
    later = result.later
    assert later is not None
    agrees(np.isfinite(later.lines["second"].start_day).astype(float), reach)


def test_a_plateau_after_transplant() -> None:
    # Responders relapse at lam; those in response at a are transplanted with share q and never relapse then, but a share
    # of deaths at kappa in the first year after it.
    b, mu, lam, a, q, toxic = 0.04, 1.5, 0.8, 0.4, 0.6, 0.2
    kappa = -math.log1p(-toxic)
    transplant = {
        "share_in_first_response": probability(q),
        "after": days(a * YEAR),
        "hazard_ratio_of_relapse": number(0.0, "hazard_ratio"),
        "treatment_related_mortality": probability(toxic),
        "cost": money(200_000),
        "utility_loss": utility(0.2),
        "lasts": days(180),
    }
    result = run(scenario(1.0, lam, mu, transplant=transplant), b)
    reach = math.exp(-(lam + b) * a)
    without = (1.0 + lam / (mu + b)) / (lam + b)
    before = (1.0 - reach) * (1.0 + lam / (mu + b)) / (lam + b)
    first_year = (1.0 - math.exp(-(kappa + b))) / (kappa + b)
    plateau = first_year + math.exp(-(kappa + b)) / b
    # What a horizon of 100 years cuts off the plateau.
    cut = math.exp(-kappa - b * (100.0 - a)) / b
    agrees(result.life_years, before + reach * (q * (plateau - cut) + (1.0 - q) * without))
    later = result.later
    assert later is not None
    agrees(np.isfinite(later.transplant_day).astype(float), q * reach)
    died = np.mean(result.death_cause == 6)
    assert died == pytest.approx(q * reach * kappa * first_year, abs=4.0 * math.sqrt(0.1 * 0.9 / N))


def test_hazard_ratio_of_relapse_after_transplant_in_a_weibull() -> None:
    # With certainty transplanted at a: S(t) = S0(t) to a, then S0(a) (S0(t) / S0(a)) ^ HR.
    a, ratio, shape = 0.5, 0.4, 0.7
    transplant = {
        "share_in_first_response": probability(1.0),
        "after": days(a * YEAR),
        "hazard_ratio_of_relapse": number(ratio, "hazard_ratio"),
        "treatment_related_mortality": probability(0.0),
        "cost": money(0),
        "utility_loss": utility(0.0),
        "lasts": days(0),
    }
    of = build(
        analysis={"horizon_years": 100},
        arms={
            "autologous": {
                "efficacy": {
                    "complete_response": probability(1.0),
                    "overall_response": probability(1.0),
                    "cure": None,
                    "relapse": {"law": "weibull", "median": days(YEAR), "shape": number(shape, "ratio")},
                    "non_relapse_mortality": probability(0.0),
                },
                "transplant": transplant,
            }
        },
    )
    result = run(of, 1e-9)
    for years in (0.3, 0.5, 1.0, 3.0, 10.0):
        hazard = math.log(2.0) * years**shape
        at_transplant = math.log(2.0) * a**shape
        exact = math.exp(-hazard) if years <= a else math.exp(-at_transplant - ratio * (hazard - at_transplant))
        free = np.mean(result.relapse_day > years * YEAR)
        assert free == pytest.approx(exact, abs=4.0 * math.sqrt(exact * (1.0 - exact) / N))


@pytest.mark.parametrize("share_at_three_years", [0.14, 0.5])
def test_secondary_malignancy_is_a_hazard_that_competes(share_at_three_years: float) -> None:
    b, excess = 0.05, 0.6
    hazard = -math.log1p(-share_at_three_years) / 3.0
    malignancy = {
        "probability": probability(share_at_three_years),
        "within": days(3.0 * YEAR),
        "survival": exponential(excess),
        "utility_loss": utility(0.2),
        "cost_at_start": money(30_000),
    }
    # Nobody relapses in a thousand years.
    result = run(scenario(1.0, 1e-6, 1.0, horizon=90.0, secondary_malignancy=malignancy), b)
    exact = 1.0 / (b + hazard) + hazard / (b + hazard) / (b + excess)
    agrees(result.life_years, exact)
    later = result.later
    assert later is not None
    agrees(np.isfinite(later.secondary_malignancy_day).astype(float), hazard / (b + hazard))
    at = np.array([12.0, 60.0, 120.0])
    shares = state_occupancy(result, at)
    total = b + hazard
    years = at / 12.0
    ill = hazard * (np.exp(-total * years) - np.exp(-(b + excess) * years)) / (b + excess - total)
    np.testing.assert_allclose(shares["secondary malignancy"], ill, atol=4.0 * math.sqrt(0.1 / N))
