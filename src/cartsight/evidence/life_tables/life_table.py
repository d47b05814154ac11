"""A period life table as a piecewise constant hazard, constant within each year of age.

With q(x) the published probability of dying between ages x and x + 1, the hazard there is h(x) = -log(1 -
q(x)), so the survival at every whole age is the published one. Above the last published age the log hazard
goes on as a straight line (Gompertz 1825, doi:10.1098/rstl.1825.0026) up to age 120, and is constant from
there. The slope of that line is the one that gives the published life expectancy at the last age, where
there is one, and else the least-squares slope of the last ten years published. A standardised mortality
ratio multiplies the hazard at every age.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]

SEXES = ("female", "male")
LAST_AGE = 120
GOMPERTZ_YEARS = 10


@dataclass(frozen=True)
class LifeTable:
    """Mortality of a country in a period, by sex and age.

    Parameters
    ----------
    country : str
        Short name, for example ``us``.
    year : int
        Year of the table, or the middle year of its period.
    period : str
        The years that the deaths were counted in.
    citation : str
        Where the table was published.
    hazard : array of float64, shape (2, 121)
        Hazard per year in each year of age from 0 to 120; row 0 for women, row 1 for men.
    cumulative : array of float64, shape (2, 121)
        Hazard accumulated from birth to each whole age.
    last_published_age : int
        Gompertz closing starts above this age.
    """

    country: str
    year: int
    period: str
    citation: str
    hazard: Float
    cumulative: Float
    last_published_age: int

    @classmethod
    def from_death_probabilities(
        cls,
        country: str,
        year: int,
        period: str,
        citation: str,
        female: npt.ArrayLike,
        male: npt.ArrayLike,
        end: tuple[int, float, float] | None = None,
    ) -> LifeTable:
        """Build a table from probabilities of dying within each year of age, from age 0 on.

        Parameters
        ----------
        country, year, period, citation
            See the class.
        female, male : array
            Probabilities of dying within each year of age.
        end : tuple of int, float, float, optional
            An age near the end of the table and the published life expectancy there, of women and of men.

        Raises
        ------
        InputError
            Fewer than `GOMPERTZ_YEARS` ages, or a probability outside (0, 1).
        """
        closed = np.empty((2, LAST_AGE + 1))
        last = LAST_AGE
        for row, probabilities in enumerate((female, male)):
            q = np.asarray(probabilities, dtype=np.float64)
            if q.ndim != 1 or not GOMPERTZ_YEARS <= q.size <= LAST_AGE + 1:
                raise InputError("a life table needs one probability per year of age", found=q.shape)
            if not np.all((q > 0.0) & (q < 1.0)):
                raise InputError(
                    "a probability of dying must lie between 0 and 1", found=float(q[~((q > 0) & (q < 1))][0])
                )
            closed[row] = _close(-np.log1p(-q), None if end is None else (end[0], end[1 + row]))
            last = min(last, q.size - 1)
        cumulative = np.concatenate([np.zeros((2, 1)), np.cumsum(closed, axis=1)[:, :-1]], axis=1)
        return cls(country, year, period, citation, closed, cumulative, last)

    def annual_hazard(self, age: npt.ArrayLike, sex: Any) -> Float:
        """Return the hazard of death per year at exact age `age` (years); `age` and `sex` broadcast.

        Parameters
        ----------
        age : float or array
            Exact age, 0 or more.
        sex : "female", "male", an array of these, or a boolean array that is True for women

        Raises
        ------
        InputError
            Negative or missing age, unknown sex.
        """
        ages, rows = self._broadcast(age, sex)
        return self.hazard[rows, _whole(ages)]

    def annual_death_probability(self, age: npt.ArrayLike, sex: Any) -> Float:
        """Return the probability of dying within the year of age that holds `age`: the published q(x)."""
        return -np.expm1(-self.annual_hazard(age, sex))

    def survival(self, age: npt.ArrayLike, sex: Any, years: npt.ArrayLike, smr: npt.ArrayLike = 1.0) -> Float:
        """Return the probability that a person of `age` is alive `years` later; arguments broadcast.

        Raises
        ------
        InputError
            Negative or missing age or time, unknown sex, or a mortality ratio that is not positive.
        """
        ages, rows = self._broadcast(age, sex)
        later = _at_least_zero("years", years)
        hazard = self._cumulative_at(ages + later, rows) - self._cumulative_at(ages, rows)
        return np.exp(-_positive("smr", smr) * hazard)

    def sample_death_time(
        self, uniform: npt.ArrayLike, age: npt.ArrayLike, sex: Any, smr: npt.ArrayLike = 1.0
    ) -> Float:
        """Return years until death, one per uniform, by inversion of the cumulative hazard.

        Parameters
        ----------
        uniform : array in (0, 1)
            The probability of having died by the returned time, so small uniforms die early.
        age : float or array
            Exact age at time zero.
        sex : see `annual_hazard`
        smr : float or array
            Standardised mortality ratio: multiplies the hazard at every age.

        Raises
        ------
        InputError
            A uniform outside [0, 1), or a bad age, sex or ratio.
        """
        u = np.asarray(uniform, dtype=np.float64)
        if not np.all((u >= 0.0) & (u < 1.0)):
            raise InputError("uniforms must lie in [0, 1)", field="uniform")
        ages, rows = self._broadcast(age, sex)
        wait = -np.log1p(-u) / _positive("smr", smr)
        shape = np.broadcast_shapes(ages.shape, wait.shape)
        ages, rows = np.broadcast_to(ages, shape), np.broadcast_to(rows, shape)
        target = self._cumulative_at(ages, rows) + wait
        death_age = np.empty(shape)
        for row in (0, 1):
            of_sex = rows == row
            reached = target[of_sex]
            year = np.searchsorted(self.cumulative[row], reached, side="right") - 1
            death_age[of_sex] = year + (reached - self.cumulative[row, year]) / self.hazard[row, year]
        return np.maximum(death_age - ages, 0.0)

    def remaining_life_expectancy(self, age: npt.ArrayLike, sex: Any, smr: float = 1.0) -> Float:
        """Return the expected years of life left at exact age `age`; `age` and `sex` broadcast.

        Raises
        ------
        InputError
            Negative or missing age, unknown sex, or a ratio that is not positive.
        """
        ages, rows = self._broadcast(age, sex)
        hazard = self.hazard * float(_positive("smr", smr))
        at_whole = _expectancy_at_whole_ages(hazard)
        whole = _whole(ages)
        here = hazard[rows, whole]
        left = np.where(whole >= LAST_AGE, 1.0, whole + 1.0 - ages)
        beyond = at_whole[rows, np.minimum(whole + 1, LAST_AGE)]
        return _lived(here, left) + np.exp(-here * left) * beyond

    def _cumulative_at(self, ages: Float, rows: npt.NDArray[np.int64]) -> Float:
        whole = _whole(ages)
        return self.cumulative[rows, whole] + self.hazard[rows, whole] * (ages - whole)

    def _broadcast(self, age: npt.ArrayLike, sex: Any) -> tuple[Float, npt.NDArray[np.int64]]:
        ages = _at_least_zero("age", age)
        rows = _sex_rows(sex)
        both = np.broadcast_arrays(ages, rows)
        return both[0], both[1]


def _close(published: Float, end: tuple[int, float] | None) -> Float:
    beyond = np.arange(1, LAST_AGE + 2 - published.size, dtype=np.float64)

    def with_slope(slope: float) -> Float:
        return np.concatenate([published, published[-1] * np.exp(slope * beyond)])

    if beyond.size == 0:
        return published
    ages = np.arange(GOMPERTZ_YEARS, dtype=np.float64)
    fitted = float(np.polyfit(ages, np.log(published[-GOMPERTZ_YEARS:]), 1)[0])
    if end is None:
        return with_slope(fitted)
    age, expectancy = end
    low, high = 0.0, 1.0
    if (
        not _expectancy_at_whole_ages(with_slope(high))[age]
        <= expectancy
        <= _expectancy_at_whole_ages(with_slope(low))[age]
    ):
        raise InputError(f"no Gompertz closing gives the life expectancy at age {age}", found=expectancy)
    for _ in range(60):  # bisection: life expectancy falls as the slope grows
        middle = (low + high) / 2.0
        too_long = _expectancy_at_whole_ages(with_slope(middle))[age] > expectancy
        low, high = (middle, high) if too_long else (low, middle)
    return with_slope((low + high) / 2.0)


def _expectancy_at_whole_ages(hazard: Float) -> Float:
    """Life expectancy at each whole age along the last axis; the last hazard goes on for ever."""
    at_whole = np.empty_like(hazard)
    at_whole[..., -1] = 1.0 / hazard[..., -1]
    for x in range(hazard.shape[-1] - 2, -1, -1):
        at_whole[..., x] = _lived(hazard[..., x], 1.0) + np.exp(-hazard[..., x]) * at_whole[..., x + 1]
    return at_whole


def _lived(hazard: Float, years: float | Float) -> Float:
    """Expected time lived within `years` at a constant hazard."""
    return -np.expm1(-hazard * years) / hazard


def _whole(ages: Float) -> npt.NDArray[np.int64]:
    return np.minimum(np.floor(ages), LAST_AGE).astype(np.int64)


def _at_least_zero(field: str, values: npt.ArrayLike) -> Float:
    checked = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(checked) & (checked >= 0.0)):
        raise InputError(
            "must be 0 or more",
            field=field,
            found=float(checked[~(np.isfinite(checked) & (checked >= 0.0))][0]),
        )
    return checked


def _positive(field: str, values: npt.ArrayLike) -> Float:
    checked = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(checked) & (checked > 0.0)):
        raise InputError(
            "must be above 0", field=field, found=float(checked[~(np.isfinite(checked) & (checked > 0.0))][0])
        )
    return checked


def _sex_rows(sex: Any) -> npt.NDArray[np.int64]:
    values = np.asarray(sex)
    if values.dtype == np.bool_:
        return np.where(values, 0, 1).astype(np.int64)
    unknown = ~np.isin(values, SEXES)
    if np.any(unknown):
        raise InputError(
            "unknown sex", field="sex", found=values[unknown].ravel()[0].item(), allowed=" or ".join(SEXES)
        )
    return np.where(values == "female", 0, 1).astype(np.int64)
