"""Simulated cure fractions come back, with the coverage their intervals claim, on background mortality too.

Coverage: 40 trials of 250 patients at a nominal 95 %. Fewer than 34 of 40 covered has probability below 0.005
under the binomial: the bound is that, not a tuned number.
"""

from __future__ import annotations

import numpy as np
import pytest

from cartsight.core.errors import InputError
from cartsight.evidence.survival import (
    OnBackground,
    PopulationMortality,
    SurvivalData,
    background_rates,
    bootstrap,
    cure_profile,
    fit,
    fitted_landmarks,
)

GOMPERTZ_RATES = 0.0001 * np.exp(0.085 * (np.arange(110) + 0.5))


def trial(rng: np.random.Generator, n: int, cure: float, scale: float = 8.0, horizon: float = 60.0) -> SurvivalData:
    time = np.where(rng.uniform(size=n) < cure, np.inf, scale * rng.weibull(1.3, n))
    stop = rng.uniform(0.5 * horizon, horizon, n)
    return SurvivalData(np.minimum(time, stop), time <= stop)


def test_profile_interval_has_nominal_coverage() -> None:
    rng = np.random.default_rng(12)
    covered = 0
    for _ in range(40):
        profile = cure_profile(fit(trial(rng, 250, 0.4), "mixture_cure_weibull"))
        covered += profile.low <= 0.4 <= profile.high
        assert profile.reported is not None
    assert covered >= 34


@pytest.mark.parametrize(
    "model", ["mixture_cure_weibull", "non_mixture_cure_weibull", "mixture_cure_generalised_gamma"]
)
def test_large_sample_recovers_the_fraction(model: str) -> None:
    data = trial(np.random.default_rng(1), 3000, 0.35)
    assert fit(data, model).parameters["cure_fraction"] == pytest.approx(0.35, abs=0.03)


def test_a_flat_profile_is_refused_and_says_why() -> None:
    rng = np.random.default_rng(3)
    time = 20 * rng.weibull(1.0, 150)
    data = SurvivalData(np.minimum(time, 12.0), time <= 12.0)
    profile = cure_profile(fit(data, "mixture_cure_weibull"))
    assert profile.reported is None
    assert profile.low == 0.0
    assert any("reaches 0" in reason for reason in profile.reasons)
    assert profile.high > profile.estimate


def test_no_cure_in_the_data_is_a_boundary_not_a_number() -> None:
    rng = np.random.default_rng(4)
    time = 5 * rng.weibull(1.5, 200)
    fitted = fit(SurvivalData(time, np.ones(200)), "mixture_cure_weibull")
    profile = cure_profile(fitted)
    assert fitted.notes
    assert profile.reported is None
    assert profile.low == 0.0
    assert profile.high < 0.05


def test_profile_agrees_with_the_normal_interval_in_a_large_sample() -> None:
    fitted = fit(trial(np.random.default_rng(6), 4000, 0.4), "mixture_cure_weibull")
    profile = cure_profile(fitted)
    low, high = fitted.parameter_intervals()["cure_fraction"]
    assert (profile.low, profile.high) == pytest.approx((low, high), abs=2e-3)


def test_bootstrap_and_information_agree() -> None:
    fitted = fit(trial(np.random.default_rng(8), 600, 0.4), "mixture_cure_weibull")
    resampled = bootstrap(fitted, 80, np.random.default_rng(1))
    assert len(resampled) >= 76
    # A standard deviation from 80 draws is itself known to about 8 %.
    assert resampled.std(axis=0) == pytest.approx(fitted.standard_errors, rel=0.3)
    draws = fitted.draw(4000, np.random.default_rng(2))
    assert np.cov(draws.T) == pytest.approx(fitted.covariance, rel=0.15, abs=2e-4)


def background_trial(smr: float, n: int = 4000) -> tuple[SurvivalData, np.ndarray]:
    rng = np.random.default_rng(21)
    age = rng.uniform(45, 75, n)
    excess = np.where(rng.uniform(size=n) < 0.4, np.inf, 1.0 * rng.weibull(1.2, n))
    # Death of the population by inversion of its piecewise constant hazard.
    total = np.concatenate([[0.0], np.cumsum(smr * GOMPERTZ_RATES)])
    years = np.arange(total.size)
    start = np.interp(age, years, total)
    other = np.interp(start + rng.exponential(size=n), total, years, right=200.0) - age
    time, stop = np.minimum(excess, other), rng.uniform(4, 12, n)
    return SurvivalData(np.minimum(time, stop), time <= stop), age


def test_cure_on_background_mortality_is_recovered_and_its_absence_biases() -> None:
    data, age = background_trial(smr=1.5)
    rates = background_rates(data, age, GOMPERTZ_RATES, standardised_mortality_ratio=1.5)
    fitted = fit(data, "mixture_cure_weibull", background=rates)
    assert fitted.parameters["cure_fraction"] == pytest.approx(0.4, abs=0.03)
    assert fitted.parameters["scale"] == pytest.approx(1.0, rel=0.06)
    naive = fit(data, "mixture_cure_weibull")
    assert naive.parameters["cure_fraction"] < 0.36
    # One person's all-cause law: hazards add, survivals multiply.
    person = OnBackground(fitted.law(), PopulationMortality(60.0, GOMPERTZ_RATES), 1.5)
    t = np.array([1.0, 5.0, 10.0])
    expected = fitted.law().survival(t) * np.exp(-1.5 * person.background.cumulative_hazard(t))
    assert person.survival(t) == pytest.approx(expected, rel=1e-12)
    assert person.hazard(t) == pytest.approx(fitted.law().hazard(t) + 1.5 * person.background.hazard(t), rel=1e-10)


def test_a_callable_life_table_is_the_array_it_returns() -> None:
    data, age = background_trial(smr=1.0, n=50)
    by_array = background_rates(data, age, GOMPERTZ_RATES)
    by_call = background_rates(data, age, lambda a: 0.0001 * np.exp(0.085 * a))
    assert by_call.cumulative == pytest.approx(by_array.cumulative, rel=1e-12)
    one = PopulationMortality(float(age[0]), GOMPERTZ_RATES)
    assert one.cumulative_hazard(data.time[0]) == pytest.approx(by_array.cumulative[0], rel=1e-12)
    # In months: the same deaths, the hazard per month.
    months = SurvivalData(12 * data.time, data.event)
    by_month = background_rates(months, age, GOMPERTZ_RATES, units_per_year=12)
    assert by_month.cumulative == pytest.approx(by_array.cumulative, rel=1e-12)
    assert by_month.hazard == pytest.approx(by_array.hazard / 12, rel=1e-12)


def test_covariates_in_cure_and_in_hazard() -> None:
    rng = np.random.default_rng(31)
    n = 4000
    x = rng.integers(0, 2, n).astype(float)
    pi = 1 / (1 + np.exp(-(-0.8 + 0.9 * x)))
    time = np.where(rng.uniform(size=n) < pi, np.inf, 6 * np.exp(0.4 * x) * rng.weibull(1.3, n))
    stop = rng.uniform(30, 60, n)
    data = SurvivalData(np.minimum(time, stop), time <= stop)
    fitted = fit(data, "mixture_cure_weibull", covariates=x, cure_covariates=x)
    truth = [-0.8, 0.9, np.log(6), np.log(1.3), 0.4]
    assert np.all(np.abs(fitted.coefficients - truth) < 3.3 * fitted.standard_errors)
    assert fitted.law([1.0], [1.0]).cure_fraction == pytest.approx(1 / (1 + np.exp(-0.1)), abs=0.03)
    with pytest.raises(InputError, match="depends on covariates"):
        cure_profile(fitted)
    marks = fitted_landmarks(fitted, [12.0, 24.0])
    assert np.all((marks.low < marks.survival) & (marks.survival < marks.high))
