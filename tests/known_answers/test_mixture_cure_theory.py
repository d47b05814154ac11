"""The outcomes stage, all randomness on, against the integrals of mixture cure on background mortality.

With everybody infused on day 0 and h, lambda, mu, kappa constant hazards of background death, relapse, death
after relapse and (in the first year) non-relapse death, p complete responders of whom c are cured and no
partial response,

    S(t) = B(t) N(t) [p c + p (1 - c) D(t) + (1 - p) F(t)]
    B = exp(-h t),  N = exp(-kappa min(t, 1)),
    D = (lambda exp(-mu t) - mu exp(-lambda t)) / (lambda - mu),
    F = 1 before the assessment A, exp(-mu (t - A)) after it.

Mixture cure on background mortality: Lambert et al. 2007, doi:10.1093/biostatistics/kxl030. Without
non-relapse mortality every integral is elementary, and discounting at delta = ln(1 + r) only replaces h by h
+ delta.

Tolerance: four Monte Carlo standard errors of the simulated mean, so that a test fails by chance about once
in 15 000.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import trajectory_builder as tb
from scenario_builder import build, days, months, number, probability
from scipy.integrate import quad

from cartsight.evidence.life_tables import life_table
from cartsight.outcomes import BackgroundHazard, Outcomes, overall_survival, simulate_outcomes
from cartsight.scenario import Scenario

N = 40_000
YEAR = 365.25
ASSESSMENT = 91.3125 / YEAR


def scenario(
    response: float,
    cured: float,
    relapse: dict[str, Any],
    after: dict[str, Any],
    toxic: float = 0.0,
    smr: float = 1.0,
) -> Scenario:
    return build(
        analysis={"horizon_years": 100, "discount_rate_effects": 0.035},
        population={"background_mortality": {"standardised_mortality_ratio": number(smr, "ratio")}},
        arms={
            "autologous": {
                "efficacy": {
                    "complete_response": probability(response),
                    "overall_response": probability(response),
                    "cure": {"among_complete_responders": probability(cured)},
                    "relapse": {"shape": None, **relapse},
                    "survival_after_relapse": {"shape": None, **after},
                    "assessment": days(ASSESSMENT * YEAR),
                    "non_relapse_mortality": probability(toxic),
                }
            }
        },
    )


def exponential(per_year: float) -> dict[str, Any]:
    return {"law": "exponential", "median": days(math.log(2.0) / per_year * YEAR)}


def constant(per_year: float) -> BackgroundHazard:
    edges = np.array([0.0, 120.0])
    return BackgroundHazard(edges, edges * per_year, edges * per_year)


def run(of: Scenario, background: BackgroundHazard | None = None, **people: Any) -> Outcomes:
    flow = tb.trajectories(
        N,
        infused_share=1.0,
        infusion_day=0.0,
        worsened_share=0.0,
        out_of_specification_share=0.0,
        people=tb.patients(N, **people),
    )
    return simulate_outcomes(flow, of, "autologous", 11, background=background)


def agrees(simulated: np.ndarray, exact: float) -> None:
    error = simulated.std(ddof=1) / math.sqrt(simulated.size)
    assert abs(simulated.mean() - exact) < 4.0 * error, (simulated.mean(), exact, error)


@pytest.mark.parametrize(
    ("p", "c", "h", "lam", "mu"),
    [
        (0.5, 0.6, 0.03, 1.5, 1.0),
        (0.9, 0.3, 0.1, 0.4, 2.0),
        (0.2, 0.0, 0.02, 3.0, 0.3),
        (1.0, 1.0, 0.08, 1.0, 2.0),
    ],
)
def test_mean_survival_in_closed_form(p: float, c: float, h: float, lam: float, mu: float) -> None:
    result = run(scenario(p, c, exponential(lam), exponential(mu)), constant(h))

    def mean(hazard: float) -> float:
        cured = 1.0 / hazard
        relapsing = 1.0 / (lam + hazard) + lam / (lam + hazard) / (mu + hazard)
        at_assessment = math.exp(-hazard * ASSESSMENT)
        failing = (1.0 - at_assessment) / hazard + at_assessment / (mu + hazard)
        return p * c * cured + p * (1.0 - c) * relapsing + (1.0 - p) * failing

    # What the horizon of 100 years cuts off; only the cured can live that long.
    cut = p * c * math.exp(-100.0 * h) / h
    agrees(result.life_years, mean(h) - cut)
    delta = math.log(1.035)
    agrees(result.life_years_discounted, mean(h + delta) - p * c * math.exp(-100.0 * (h + delta)) / (h + delta))


def test_survival_curve_with_every_clock_running() -> None:
    p, c, h, lam, mu, toxic = 0.6, 0.5, 0.04, 1.2, 0.8, 0.1
    result = run(scenario(p, c, exponential(lam), exponential(mu), toxic=toxic), constant(h))
    years = np.array([0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0])
    relapsing = (lam * np.exp(-mu * years) - mu * np.exp(-lam * years)) / (lam - mu)
    failing = np.exp(-mu * np.maximum(years - ASSESSMENT, 0.0))
    exact = np.exp(-h * years) * (1 - toxic) ** np.minimum(years, 1.0)
    exact = exact * (p * c + p * (1 - c) * relapsing + (1 - p) * failing)
    for clock in ("referral", "infusion"):
        curve = overall_survival(result, years * 12.0, clock)  # type: ignore[arg-type]
        assert np.all(np.abs(curve.share - exact) < 4.0 * curve.standard_error)


def test_weibull_relapse_lognormal_death_and_a_life_table() -> None:
    """A law without closed form: the convolution of relapse and death after it, by adaptive quadrature."""
    p, c, smr, age = 0.7, 0.4, 1.6, 62.0
    relapse = {"law": "weibull", "median": months(6), "shape": number(0.8, "ratio")}
    after = {"law": "lognormal", "median": months(8), "shape": number(1.2, "ratio")}
    of = scenario(p, c, relapse, after, smr=smr)
    result = run(of, age=age, female=True)
    efficacy = of.arms["autologous"].efficacy  # type: ignore[union-attr]
    table = life_table("us", 2019)
    years = np.array([0.25, 1.0, 3.0, 8.0, 20.0])
    curve = overall_survival(result, years * 12.0)
    for at, share, error in zip(years * YEAR, curve.share, curve.standard_error, strict=True):
        # Integrate over the quantile v of the relapse time: E[S2(t - R)] has no density to blow up at zero.
        scale = efficacy.relapse.median.x / math.log(2.0) ** (1.0 / 0.8)

        def alive_given_relapse_quantile(v: float, at: float = at, scale: float = scale) -> float:
            return efficacy.survival_after_relapse.survival(at - scale * (-math.log1p(-v)) ** (1.0 / 0.8))

        relapsing, _ = quad(alive_given_relapse_quantile, 0.0, 1.0, epsabs=1e-8, limit=300)
        failing = efficacy.survival_after_relapse.survival(at - ASSESSMENT * YEAR)
        background = float(table.survival(age, "female", at / YEAR, smr))
        exact = background * (p * c + p * (1 - c) * relapsing + (1 - p) * failing)
        assert abs(share - exact) < 4.0 * error


@pytest.mark.parametrize(("age", "sex", "smr"), [(30.0, "female", 1.0), (60.0, "male", 1.0), (60.0, "male", 1.8)])
def test_life_expectancy_of_the_cured_is_the_life_table_s(age: float, sex: str, smr: float) -> None:
    result = run(scenario(1.0, 1.0, exponential(1.0), exponential(1.0), smr=smr), age=age, female=sex == "female")
    agrees(result.life_years, float(life_table("us", 2019).remaining_life_expectancy(age, sex, smr)))
    assert np.all(result.cured)


def test_share_dying_of_non_relapse_causes_within_a_year() -> None:
    """Competing with a constant background hazard: kappa / (kappa + h) (1 - exp(-(kappa + h)))."""
    toxic, h = 0.2, 0.3
    result = run(scenario(1.0, 1.0, exponential(1.0), exponential(1.0), toxic=toxic), constant(h))
    kappa = -math.log1p(-toxic)
    exact = kappa / (kappa + h) * (1.0 - math.exp(-(kappa + h)))
    agrees((result.death_cause == 5).astype(float), exact)
    assert result.death_day[result.death_cause == 5].max() <= YEAR


def test_other_care_with_a_share_of_long_survivors() -> None:
    share, mu, h = 0.3, 1.5, 0.05
    of = build(
        analysis={"horizon_years": 100},
        population={
            "other_care": {"survival": {**exponential(mu), "cured": probability(share)}},
            "background_mortality": {"standardised_mortality_ratio": number(1.0, "ratio")},
        },
    )
    flow = tb.trajectories(N, modality="other_care", infusion_day=0.0)
    result = simulate_outcomes(flow, of, "other_care", 5, background=constant(h))
    cut = share * math.exp(-100.0 * h) / h
    agrees(result.life_years, share / h + (1.0 - share) / (mu + h) - cut)


def test_second_course_prolongs_the_relapse_free_time_as_the_convolution_says() -> None:
    """No cure, everybody responds at once, a share s is treated again with response q: means add up."""
    s, q, lam, mu = 0.4, 0.5, 2.0, 1.0
    base = scenario(0.5, 0.0, exponential(lam), exponential(mu), smr=0.0)
    again = base.model_dump(mode="json", exclude_none=True)
    again["arms"]["autologous"]["retreatment"] = {
        "share": probability(s),
        "odds_ratio_of_response": number(1.0, "odds_ratio"),
    }
    result = run(build(again))
    relapsing = 1.0 / lam + s * q / lam + 1.0 / mu
    agrees(result.life_years, 0.5 * relapsing + 0.5 * (ASSESSMENT + 1.0 / mu))
    assert np.mean(result.retreated) == pytest.approx(0.5 * s, abs=0.01)
