"""Discount factors and closed integrals against quadrature and textbook forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from cartsight.core.errors import InputError
from cartsight.economics import (
    annuity_present_value,
    continuous_rate,
    discount_factor,
    discounted_area,
    discounted_integral,
    discounted_life_years,
    present_value,
)


def test_annual_compounding_and_its_continuous_equivalent() -> None:
    assert discount_factor(1.0, 0.03) == pytest.approx(1 / 1.03, rel=1e-15)
    assert discount_factor([0.0, 2.0, 10.5], 0.035) == pytest.approx([1.0, 1.035**-2, 1.035**-10.5], rel=1e-14)
    assert math.exp(-float(continuous_rate(0.03)) * 7.0) == pytest.approx(1.03**-7, rel=1e-14)
    assert present_value([100.0, 100.0], [0.0, 1.0], 0.25) == pytest.approx([100.0, 80.0])


@pytest.mark.parametrize("rate", [0.0, 1e-14, 1e-9, 1e-4, 0.015, 0.035, 0.12, 1.0, -0.02])
@pytest.mark.parametrize(("start", "end", "first", "last"), [(0.0, 1.0, 0.8, 0.8), (0.5, 40.0, 0.9, 0.3)])
def test_integral_agrees_with_quadrature(rate: float, start: float, end: float, first: float, last: float) -> None:
    def integrand(t: float) -> float:
        return float((first + (last - first) * (t - start) / (end - start)) * (1.0 + rate) ** -t)

    expected, _ = quad(integrand, start, end, epsabs=1e-13, epsrel=1e-13)
    result = discounted_integral(start, end, first, last, discount_rate=rate)
    assert float(result) == pytest.approx(expected, rel=1e-12)


def test_integral_has_no_seam_where_series_and_closed_form_meet() -> None:
    delta = np.array([0.5 - 1e-12, 0.5 + 1e-12])
    values = discounted_integral(0.0, 1.0, 0.0, 1.0, discount_rate=np.expm1(delta))
    assert values[0] == pytest.approx(values[1], rel=1e-11)


def test_no_discounting_is_the_trapezium_and_an_empty_interval_is_zero() -> None:
    assert float(discounted_integral(2.0, 6.0, 1.0, 0.5, discount_rate=0.0)) == 3.0
    assert float(discounted_integral(5.0, 3.0, 1.0, discount_rate=0.03)) == 0.0


def test_life_years_in_closed_form() -> None:
    expected = (1.0 - 1.03**-10) / math.log(1.03)
    assert float(discounted_life_years(10.0, 0.03)) == pytest.approx(expected, rel=1e-14)
    assert discounted_life_years([0.0, 4.0], 0.0) == pytest.approx([0.0, 4.0])


def test_area_under_a_broken_line() -> None:
    times = np.linspace(0.0, 30.0, 3001)
    survival = np.exp(-0.1 * times)
    hazard = 0.1 + math.log(1.035)
    exact = (1.0 - math.exp(-hazard * 30.0)) / hazard
    # Error of linear interpolation: h^2 / 12 times the slope difference, below 1e-6 here.
    assert float(discounted_area(times, survival, 0.035)) == pytest.approx(exact, abs=2e-6)


def test_annuity_formula() -> None:
    assert float(annuity_present_value(1000.0, 10, 0.05)) == pytest.approx(7721.7349, abs=5e-5)
    due = sum(1000.0 / 1.05**k for k in range(10))
    assert float(annuity_present_value(1000.0, 10, 0.05, in_advance=True)) == pytest.approx(due, rel=1e-14)
    assert float(annuity_present_value(1000.0, 10, 0.0)) == 10_000.0
    assert float(annuity_present_value(1000.0, 10, 1e-12)) == pytest.approx(10_000.0, rel=1e-10)


@pytest.mark.parametrize("rate", [-1.0, -2.0, math.nan, math.inf])
def test_rates_that_make_no_sense(rate: float) -> None:
    with pytest.raises(InputError, match="discount rate"):
        discount_factor(1.0, rate)
    with pytest.raises(InputError, match="discount rate"):
        annuity_present_value(1.0, 3, rate)


def test_a_curve_needs_increasing_times() -> None:
    with pytest.raises(InputError, match="increasing"):
        discounted_area([0.0, 0.0], [1.0, 1.0], 0.03)
