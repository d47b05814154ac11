"""Life-years and age-adjusted quality of life, integrated in closed form under annual discounting.

Utility at t years after referral is the utility of the health state times m(t) = g(a + t) / g(a), where a is
the age at referral and g(x) = b0 + b1 x + b2 x^2 the utility of the general population (Ara & Brazier 2010,
doi:10.1111/j.1524-4733.2010.00700.x). With delta = ln(1 + r), weights are exp(-delta t), and since m is a
quadratic

    M(t) = integral of m(s) exp(-delta s) from 0 to t

is elementary: QALYs of a stay in a state are its utility times a difference of M. No cycle, no half-cycle
correction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.scenario.population import UtilityByAge

Float = npt.NDArray[np.float64]

SERIES_BELOW = 1e-3
"""Below this yearly rate the closed form cancels, and a power series in delta t takes over."""

NEGLIGIBLE = 1e-18
"""A yearly rate this small changes no digit of any result; dividing by it could (subnormal numbers)."""

_SERIES_TERMS = 14


def discounted_years(days: Float, discount_rate: float) -> Float:
    """Return discounted years from day 0 to each of `days`: (1 - (1 + r)^-t) / ln(1 + r); t when r is 0."""
    years = days / DAYS_PER_YEAR
    if discount_rate < NEGLIGIBLE:
        return years
    delta = math.log1p(discount_rate)
    return np.asarray(-np.expm1(-delta * years) / delta)


@dataclass(frozen=True, eq=False)
class AgeAdjustment:
    """The multiplier m(t) = 1 + linear t + quadratic t^2 of each patient, t in years after referral."""

    linear: Float
    quadratic: Float

    @classmethod
    def of(cls, by_age: UtilityByAge, age: Float) -> AgeAdjustment:
        """Return the adjustment of patients of the given ages at referral, shape (n,).

        Raises
        ------
        InputError
            When the utility of the general population is not above zero at an age at referral.
        """
        b0, b1, b2 = by_age.constant.x, by_age.per_year.x, by_age.per_year_squared.x
        at_referral = b0 + age * (b1 + age * b2)
        if at_referral.size and not at_referral.min() > 0.0:
            raise InputError(
                "utility of the general population must be above zero at every age at referral",
                field="population.utility_by_age",
                found=float(at_referral.min()),
            )
        return cls((b1 + 2.0 * b2 * age) / at_referral, b2 / at_referral)

    def rows(self, index: npt.NDArray[np.int64]) -> AgeAdjustment:
        """Return the adjustment of some of the patients."""
        return AgeAdjustment(self.linear[index], self.quadratic[index])

    def weighted_years(self, days: Float, discount_rate: float) -> Float:
        """Return M(t) at t = `days`: age-adjusted, discounted years since referral.

        Parameters
        ----------
        days : array, shape (n,) or (k, n)
        discount_rate : float
            Per year, annual compounding, not negative.

        Returns
        -------
        array of the shape of `days`
        """
        t = days / DAYS_PER_YEAR
        if discount_rate == 0.0:
            return np.asarray(t * (1.0 + t * (self.linear / 2.0 + t * (self.quadratic / 3.0))))
        delta = math.log1p(discount_rate)
        if delta < SERIES_BELOW:
            return self._series(t, delta)
        # Integration by parts: -exp(-delta t) (m / delta + m' / delta^2 + m'' / delta^3) between 0 and t.
        second = 2.0 * self.quadratic / delta
        first = (self.linear + second) / delta
        constant = (1.0 + first) / delta
        at_t = constant + t * (first + t * (self.quadratic / delta))
        return np.asarray(constant - np.exp(-delta * t) * at_t)

    def _series(self, t: Float, delta: float) -> Float:
        total = np.zeros(np.broadcast_shapes(t.shape, self.linear.shape))
        for k in range(_SERIES_TERMS, -1, -1):
            weight = (-delta) ** k / math.factorial(k)
            moments = 1.0 / (k + 1) + t * (self.linear / (k + 2) + t * (self.quadratic / (k + 3)))
            total += weight * t ** (k + 1) * moments
        return total
