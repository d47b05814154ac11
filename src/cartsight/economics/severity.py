"""QALY shortfall and the severity modifier of NICE.

With A the QALYs that people of the same age and sex without the condition can expect, and B those of patients
under established practice, both over the remaining lifetime and discounted at the same rate::

    absolute shortfall      A - B
    proportional shortfall  (A - B) / A

NICE weighs QALYs by 1, 1.2 or 1.7, whichever of the two shortfalls implies the larger weight (NICE health
technology evaluations: the manual, PMG36, 2022, sections 6.2.12 and following). Calculation: NICE DSU Technical
Support Document 23; published calculator of Schneider, McNamara, Love-Koh, Doran & Gutacker 2021
(https://shiny.york.ac.uk/shortfall), whose table of cut-offs was read for the figures below.

A is integrated over a life table with utilities of the general population by age and sex. NICE asks for the life
tables of England and the EQ-5D-3L norms of Hernandez Alava, Pudney & Wailoo 2022, which are not shipped; by
default the norms are those of Ara & Brazier 2010, so that a weight near a cut-off must be recomputed with the
prescribed inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.evidence.life_tables import LifeTable

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

NICE_DISCOUNT_RATE = 0.035
"""Rate at which shortfalls are computed (PMG36: the reference-case rate)."""
MANUAL = "NICE health technology evaluations: the manual (PMG36), 2022, sections 6.2.12 and following"
MANUAL_ADDRESS = "https://www.nice.org.uk/process/pmg36"
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)
_OLDEST = 121


@dataclass(frozen=True, slots=True)
class SeverityBand:
    """A weight with the smallest absolute (QALYs) and proportional shortfall that give it."""

    weight: float
    absolute_from: float
    proportional_from: float


NICE_BANDS: tuple[SeverityBand, ...] = (
    SeverityBand(1.0, -math.inf, -math.inf),
    SeverityBand(1.2, 12.0, 0.85),
    SeverityBand(1.7, 18.0, 0.95),
)
"""PMG36: below 12 and 0.85; 12 to 18 or 0.85 to 0.95; 18 and more or 0.95 and more."""


@dataclass(frozen=True, slots=True)
class PopulationUtility:
    """Utility of the general population, constant + male [man] + per_year age + per_year_squared age^2.

    Never below `floor`, which only matters far above age 120.
    """

    constant: float
    male: float
    per_year: float
    per_year_squared: float
    citation: str
    floor: float = 0.0

    def at(self, age: Float, female: Bool) -> Float:
        """Return the utility at exact ages; `age` and `female` broadcast."""
        value = self.constant + np.where(female, 0.0, self.male) + age * (self.per_year + age * self.per_year_squared)
        return np.asarray(np.maximum(value, self.floor))


ARA_BRAZIER_2010 = PopulationUtility(
    0.9508566,
    0.0212126,
    -0.0002587,
    -0.0000332,
    "Ara R, Brazier JE. Populating an economic model with health state utility values. Value Health 2010;13:509. "
    "doi:10.1111/j.1524-4733.2010.00700.x",
)
"""EQ-5D-3L, Health Survey for England 2003 and 2006."""


@dataclass(frozen=True, slots=True)
class QalyShortfall:
    """Shortfall of a group of patients, and the weight it gives.

    Attributes
    ----------
    without_disease, with_disease : float
        Mean expected QALYs A and B.
    absolute, proportional : float
        A - B and (A - B) / A; negative where patients do better than the general population.
    weight, weight_by_absolute, weight_by_proportional : float
    """

    without_disease: float
    with_disease: float
    absolute: float
    proportional: float
    weight: float
    weight_by_absolute: float
    weight_by_proportional: float

    @property
    def to_next_cut_off(self) -> dict[str, float | None]:
        """How much more shortfall of either kind the next weight needs; None in the last band."""
        absolute = [band.absolute_from - self.absolute for band in NICE_BANDS if band.absolute_from > self.absolute]
        proportional = [
            band.proportional_from - self.proportional
            for band in NICE_BANDS
            if band.proportional_from > self.proportional
        ]
        return {"absolute": min(absolute, default=None), "proportional": min(proportional, default=None)}


def population_qalys(
    table: LifeTable,
    age: npt.ArrayLike,
    female: npt.ArrayLike,
    *,
    discount_rate: float = NICE_DISCOUNT_RATE,
    utility: PopulationUtility = ARA_BRAZIER_2010,
    years: float | None = None,
) -> Float:
    """Return the QALYs that people of the general population can expect from an age on.

    The integral of exp(-(delta + h) t) u(a + t) over each year of age, with the hazard h of the life table
    constant in it, by Gauss-Legendre quadrature: no cycle and no half-cycle correction.

    Parameters
    ----------
    table : LifeTable
    age : array_like, shape (n,)
        Exact ages in years, 0 to 120.
    female : array_like of bool, shape (n,)
    discount_rate : float
        Per year, annual compounding.
    utility : PopulationUtility
    years : float, optional
        Stop after this time; lifetime by default.

    Returns
    -------
    array, shape (n,)

    Raises
    ------
    InputError
        Age out of range, negative rate or time.
    """
    ages = np.atleast_1d(np.asarray(age, dtype=np.float64))
    women = np.broadcast_to(np.asarray(female, dtype=np.bool_), ages.shape)
    if not np.all(np.isfinite(ages) & (ages >= 0.0) & (ages <= 120.0)):
        raise InputError("ages must lie between 0 and 120 years", field="age", found=age)
    if not (math.isfinite(discount_rate) and discount_rate >= 0.0):
        raise InputError("a discount rate must not be negative", field="discount_rate", found=discount_rate)
    if years is not None and not (math.isfinite(years) and years > 0.0):
        raise InputError("must be above zero", field="years", found=years)
    delta = math.log1p(discount_rate)
    total = np.zeros(ages.shape)
    survival = np.ones(ages.shape)
    at = ages.copy()
    left = np.full(ages.shape, math.inf if years is None else years)
    while True:
        # From each person's age to the next birthday, so that the hazard is constant in the step.
        width = np.minimum(np.minimum(np.floor(at) + 1.0 - at, left), np.maximum(_OLDEST - at, 0.0))
        if not np.any(width > 0.0):
            return total
        hazard = table.annual_hazard(at, women)
        half = 0.5 * width
        time = half[:, None] * (1.0 + _NODES)
        rate = np.exp(-(hazard + delta)[:, None] * time) * utility.at(at[:, None] + time, women[:, None])
        discounted = survival * np.exp(-delta * (at - ages))
        total += discounted * half * (rate @ _WEIGHTS)
        survival = survival * np.exp(-hazard * width)
        at, left = at + width, left - width


def qaly_shortfall(without_disease: float, with_disease: float) -> QalyShortfall:
    """Return the absolute and proportional shortfall with the weights of NICE.

    Parameters
    ----------
    without_disease : float
        Expected QALYs of the general population of the same age and sex, above zero.
    with_disease : float
        Expected QALYs under established practice, discounted at the same rate.

    Raises
    ------
    InputError
        Not finite, or no QALYs without the disease.
    """
    if not (math.isfinite(without_disease) and without_disease > 0.0):
        raise InputError("expected QALYs without the disease must be above zero", found=without_disease)
    if not math.isfinite(with_disease):
        raise InputError("expected QALYs with the disease must be finite", found=with_disease)
    absolute = without_disease - with_disease
    proportional = absolute / without_disease
    by_absolute = max(band.weight for band in NICE_BANDS if absolute >= band.absolute_from)
    by_proportional = max(band.weight for band in NICE_BANDS if proportional >= band.proportional_from)
    return QalyShortfall(
        without_disease=without_disease,
        with_disease=with_disease,
        absolute=absolute,
        proportional=proportional,
        weight=max(by_absolute, by_proportional),
        weight_by_absolute=by_absolute,
        weight_by_proportional=by_proportional,
    )


def severity_weight(absolute: float, proportional: float) -> float:
    """Return the weight of NICE for an absolute (QALYs) and a proportional shortfall: the larger of the two."""
    if not (math.isfinite(absolute) and math.isfinite(proportional)):
        raise InputError("shortfalls must be finite", found=(absolute, proportional))
    return max(
        band.weight for band in NICE_BANDS if absolute >= band.absolute_from or proportional >= band.proportional_from
    )
