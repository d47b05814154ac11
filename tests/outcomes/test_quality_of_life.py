"""Closed integrals of age-adjusted, discounted utility against adaptive quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scenario_builder import number
from scipy.integrate import quad

from cartsight.core.errors import InputError
from cartsight.outcomes.quality_of_life import AgeAdjustment, discounted_years
from cartsight.scenario.population import UtilityByAge


def by_age(b0: float = 0.9508566, b1: float = -0.0002587, b2: float = -0.0000332) -> UtilityByAge:
    parts = {"constant": b0, "per_year": b1, "per_year_squared": b2}
    return UtilityByAge.model_validate({name: number(value, "ratio") for name, value in parts.items()})


@pytest.mark.parametrize("rate", [0.0, 1e-9, 1e-5, 9.9e-4, 1.1e-3, 0.015, 0.035, 0.2])
@pytest.mark.parametrize("age", [20.0, 63.0])
def test_against_adaptive_quadrature(rate: float, age: float) -> None:
    adjustment = AgeAdjustment.of(by_age(), np.array([age]))
    for years in (0.02, 3.0, 45.0):
        exact, _ = quad(lambda t: by_age().multiplier(age, age + t) * (1 + rate) ** -t, 0.0, years, epsabs=1e-13)
        ours = adjustment.weighted_years(np.array([years * 365.25]), rate)[0]
        assert ours == pytest.approx(exact, rel=2e-11, abs=1e-11)


def test_many_stays_at_once_have_the_shape_of_their_days() -> None:
    adjustment = AgeAdjustment.of(by_age(), np.array([40.0, 50.0, 60.0]))
    stays = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    for rate in (0.0, 1e-6, 0.03):
        together = adjustment.weighted_years(stays, rate)
        assert together.shape == (2, 3)
        assert together[1] == pytest.approx(adjustment.weighted_years(stays[1], rate))


def test_without_age_decline_it_is_discounted_time() -> None:
    adjustment = AgeAdjustment.of(by_age(0.9, 0.0, 0.0), np.array([60.0]))
    days = np.array([1234.0])
    assert adjustment.weighted_years(days, 0.03) == pytest.approx(discounted_years(days, 0.03), rel=1e-12)


def test_discounted_years_closed_form() -> None:
    ten = np.array([3652.5])
    assert discounted_years(ten, 0.03)[0] == pytest.approx((1 - 1.03**-10) / math.log(1.03), rel=1e-13)
    for rate in (0.0, 5e-324, 1e-20, 1e-17):
        assert discounted_years(ten, rate)[0] == pytest.approx(10.0, rel=1e-14)


def test_population_utility_must_be_positive_at_referral() -> None:
    with pytest.raises(InputError, match="utility"):
        AgeAdjustment.of(by_age(0.1, -0.01, 0.0), np.array([60.0]))
