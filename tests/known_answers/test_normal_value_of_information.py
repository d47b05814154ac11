"""Value of information where the answer is a formula.

With two arms and incremental net benefit Z, EVPI = E[max(Z, 0)] - max(E[Z], 0). For Z normal with mean m and
standard deviation s this is s L(|m| / s) with the unit normal loss L(a) = phi(a) - a Phi(-a) (Raiffa &
Schlaifer 1961); EVPPI of a parameter is the same with the standard deviation of E[Z | parameter]. For E[Z |
x] lognormal minus a constant it is the price of an option (Black & Scholes 1973, doi:10.1086/260062).
Estimates must lie within four of their own standard errors, which must be small beside the value: seeds are
fixed, so that the tests do not flicker.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm

from cartsight.comparison import (
    expected_value_of_partial_perfect_information,
    expected_value_of_perfect_information,
    unit_cube_design,
)

Float = npt.NDArray[np.float64]

WTP = 50_000.0


def unit_normal_loss(mean: float, deviation: float) -> float:
    a = abs(mean) / deviation
    return float(deviation * (norm.pdf(a) - a * norm.sf(a)))


def two_arms(incremental: Float) -> tuple[Float, Float]:
    """Return costs and effects whose difference in net benefit at WTP is `incremental`, split over both."""
    zero = np.zeros_like(incremental)
    return np.column_stack([zero, -0.5 * incremental]), np.column_stack([zero, 0.5 * incremental / WTP])


def normal_draws(draws: int, parameters: int, seed: int) -> Float:
    return np.asarray(norm.ppf(unit_cube_design(draws, parameters, method="random", seed=seed)))


@pytest.mark.parametrize("mean", [-4000.0, 0.0, 1500.0])
def test_evpi_of_a_normal_difference(mean: float) -> None:
    incremental = mean + 3000.0 * normal_draws(200_000, 1, seed=3)[:, 0]
    costs, effects = two_arms(incremental)
    result = expected_value_of_perfect_information(costs, effects, [WTP])
    truth = unit_normal_loss(mean, 3000.0)
    assert result.value[0] == pytest.approx(truth, abs=4.0 * result.standard_error[0])
    assert result.standard_error[0] < 0.02 * truth


@pytest.mark.parametrize("mean", [-1500.0, 1000.0])
def test_evppi_of_each_of_three_normal_parameters(mean: float) -> None:
    x = normal_draws(10_000, 3, seed=11)
    slopes = np.array([2500.0, 1200.0, 600.0])
    costs, effects = two_arms(mean + x @ slopes)
    for column, slope in enumerate(slopes):
        result = expected_value_of_partial_perfect_information(costs, effects, x[:, column], [WTP])
        assert result.value[0] == pytest.approx(unit_normal_loss(mean, slope), abs=4.0 * result.standard_error[0])
        assert result.standard_error[0] < 50.0


def test_evppi_of_a_group_exceeds_its_members_and_meets_the_formula() -> None:
    x = normal_draws(10_000, 3, seed=12)
    slopes = np.array([2000.0, 1500.0, 2500.0])
    costs, effects = two_arms(800.0 + x @ slopes)
    group = expected_value_of_partial_perfect_information(costs, effects, x[:, :2], [WTP])
    assert group.value[0] == pytest.approx(unit_normal_loss(800.0, 2500.0), abs=4.0 * group.standard_error[0])
    for column in range(2):
        single = expected_value_of_partial_perfect_information(costs, effects, x[:, column], [WTP])
        assert single.value[0] < group.value[0]


def test_evppi_of_correlated_parameters_counts_what_one_tells_about_the_other() -> None:
    x = normal_draws(10_000, 2, seed=13)
    second = 0.6 * x[:, 0] + 0.8 * x[:, 1]
    costs, effects = two_arms(500.0 + 2000.0 * x[:, 0] + 1000.0 * second)
    result = expected_value_of_partial_perfect_information(costs, effects, x[:, 0], [WTP])
    assert result.value[0] == pytest.approx(unit_normal_loss(500.0, 2600.0), abs=4.0 * result.standard_error[0])


def test_evppi_of_a_product_of_parameters() -> None:
    """Z = a b - k with independent a and b: E[Z | a] = a E[b] - k; together they leave only noise."""
    x = normal_draws(20_000, 3, seed=14)
    a, b = 1.0 + 0.3 * x[:, 0], 8000.0 + 4000.0 * x[:, 1]
    costs, effects = two_arms(a * b - 7000.0 + 3000.0 * x[:, 2])
    alone = expected_value_of_partial_perfect_information(costs, effects, a, [WTP])
    assert alone.value[0] == pytest.approx(unit_normal_loss(1000.0, 2400.0), abs=4.0 * alone.standard_error[0])
    both = expected_value_of_partial_perfect_information(costs, effects, np.column_stack([a, b]), [WTP])
    known = a * b - 7000.0
    truth = float(np.mean(np.maximum(known, 0.0)) - max(np.mean(known), 0.0))
    assert both.value[0] == pytest.approx(truth, rel=0.03)


def test_evppi_of_a_lognormal_parameter_is_an_option_price() -> None:
    x = normal_draws(10_000, 2, seed=15)
    sigma, strike = 0.8, 12_000.0
    forward = 10_000.0
    costs, effects = two_arms(forward * np.exp(sigma * x[:, 0] - 0.5 * sigma**2) - strike + 5000.0 * x[:, 1])
    d1 = (math.log(forward / strike) + 0.5 * sigma**2) / sigma
    truth = forward * norm.cdf(d1) - strike * norm.cdf(d1 - sigma)
    result = expected_value_of_partial_perfect_information(costs, effects, np.exp(sigma * x[:, 0]), [WTP])
    assert result.value[0] == pytest.approx(truth, abs=4.0 * result.standard_error[0])


def test_evppi_of_a_parameter_with_two_values() -> None:
    """A yes-or-no assumption: E[Z | no] = -1000 and E[Z | yes] = 3000, each with probability one half."""
    x = normal_draws(8_000, 1, seed=16)[:, 0]
    yes = np.arange(8_000) % 2
    costs, effects = two_arms(np.where(yes == 1, 3000.0, -1000.0) + 2000.0 * x)
    result = expected_value_of_partial_perfect_information(costs, effects, yes.astype(float), [WTP])
    assert result.method == "group_means"
    assert result.value[0] == pytest.approx(0.5 * 3000.0 - 1000.0, abs=4.0 * result.standard_error[0])


def test_standard_error_of_evppi_covers_repeated_runs() -> None:
    """Over 60 data sets the spread of the estimates must agree with the stated error within a third."""
    estimates, errors = [], []
    for seed in range(60):
        x = normal_draws(1000, 2, seed=seed)
        costs, effects = two_arms(300.0 + 1000.0 * x[:, 0] + 1500.0 * x[:, 1])
        result = expected_value_of_partial_perfect_information(costs, effects, x[:, 0], [WTP])
        estimates.append(result.value[0])
        errors.append(result.standard_error[0])
    assert np.mean(errors) == pytest.approx(np.std(estimates, ddof=1), rel=1 / 3)
    assert np.mean(estimates) == pytest.approx(unit_normal_loss(300.0, 1000.0), abs=4 * np.std(estimates) / 60**0.5)
