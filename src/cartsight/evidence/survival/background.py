"""Population mortality beside each subject, for excess-hazard likelihoods and laws.

A life table gives a yearly hazard per year of age; within a year of age the hazard is taken as constant, as
the tables print it. This room takes rates as arrays or as any callable of age; where they come from is not
its business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.evidence.survival.observations import Float, SurvivalData

OLDEST_AGE = 150


@dataclass(frozen=True)
class PopulationMortality:
    """Population mortality of one person from time 0 on: a `Background` for `composite_laws.OnBackground`.

    Parameters
    ----------
    age_years : float
        Age at time 0.
    rates_per_year : array, shape (a,)
        Hazard per year for each completed year of age, from age 0; the last holds for all later ages.
    units_per_year : float
        Time units of the follow-up in a year (12 for months, 365.25 for days).
    """

    age_years: float
    rates_per_year: Float
    units_per_year: float = 1.0
    _cumulative: Float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rates = _checked_rates(self.rates_per_year)
        if not (np.isfinite(self.age_years) and self.age_years >= 0):
            raise InputError("an age at time 0 is not negative", field="age_years", found=self.age_years)
        if not (np.isfinite(self.units_per_year) and self.units_per_year > 0):
            raise InputError("units per year must be positive", field="units_per_year", found=self.units_per_year)
        object.__setattr__(self, "rates_per_year", rates)
        object.__setattr__(self, "_cumulative", np.concatenate([[0.0], np.cumsum(rates)]))

    def hazard(self, t: Any) -> Any:
        """Return the hazard per unit of time, t units after time 0."""
        age = self.age_years + np.asarray(t, dtype=np.float64) / self.units_per_year
        return _rate_at(age, self.rates_per_year) / self.units_per_year

    def cumulative_hazard(self, t: Any) -> Any:
        """Return the cumulative hazard from time 0 to t."""
        age = self.age_years + np.asarray(t, dtype=np.float64) / self.units_per_year
        return _integral_to(age, self.rates_per_year, self._cumulative) - _integral_to(
            np.asarray(self.age_years), self.rates_per_year, self._cumulative
        )


@dataclass(frozen=True)
class BackgroundRates:
    """Population mortality beside each subject of a data set.

    Attributes
    ----------
    hazard : array, shape (n,)
        Population hazard at the subject's exit time, per unit of follow-up time.
    cumulative, cumulative_entry, cumulative_upper : arrays, shape (n,)
        Cumulative population hazard from time 0 to the exit, to the entry, and to the end of the interval.
    standardised_mortality_ratio : float
        Multiplies all of them.
    """

    hazard: Float
    cumulative: Float
    cumulative_entry: Float = field(default_factory=lambda: np.empty(0))
    cumulative_upper: Float = field(default_factory=lambda: np.empty(0))
    standardised_mortality_ratio: float = 1.0

    def checked(self, data: SurvivalData) -> BackgroundRates:
        """Return the rates with absent columns filled, after checking them against `data`.

        Raises
        ------
        InputError
            For wrong lengths, negative or missing rates, or a late entry or interval without its cumulative
            hazard.
        """
        hazard, cumulative = (
            self._column(self.hazard, data, "hazard"),
            self._column(self.cumulative, data, "cumulative"),
        )
        smr = float(self.standardised_mortality_ratio)
        if not (np.isfinite(smr) and smr >= 0):
            raise InputError(
                "a standardised mortality ratio is 0 or more", field="standardised_mortality_ratio", found=smr
            )
        entry, upper = np.asarray(self.cumulative_entry), np.asarray(self.cumulative_upper)
        if entry.size == 0:
            if np.any(data.entry > 0):
                raise InputError(
                    "left truncation needs the cumulative background hazard at entry",
                    field="cumulative_entry",
                )
            entry = np.zeros(data.n)
        if upper.size == 0:
            if data.interval_censored.any():
                raise InputError(
                    "interval censoring needs the cumulative background hazard at the interval's end",
                    field="cumulative_upper",
                )
            upper = cumulative
        return BackgroundRates(
            hazard,
            cumulative,
            self._column(entry, data, "cumulative_entry"),
            self._column(np.where(data.interval_censored, upper, cumulative), data, "cumulative_upper"),
            smr,
        )

    def subset(self, rows: npt.ArrayLike) -> BackgroundRates:
        """Return the rates of the chosen rows."""
        chosen = np.asarray(rows)
        columns = (self.hazard, self.cumulative, self.cumulative_entry, self.cumulative_upper)
        hazard, cumulative, at_entry, at_upper = (c[chosen] if np.asarray(c).size else c for c in columns)
        return BackgroundRates(hazard, cumulative, at_entry, at_upper, self.standardised_mortality_ratio)

    @staticmethod
    def _column(value: npt.ArrayLike, data: SurvivalData, name: str) -> Float:
        column = np.atleast_1d(np.asarray(value, dtype=np.float64))
        if column.size != data.n:
            raise InputError(
                "background rates and data have different lengths",
                field=name,
                found=int(column.size),
                allowed=str(data.n),
            )
        if not np.all(np.isfinite(column) & (column >= 0)):
            raise InputError("a background hazard is a finite number, 0 or more", field=name)
        return column


def background_rates(
    data: SurvivalData,
    age_years: npt.ArrayLike,
    rates_per_year: npt.ArrayLike | Callable[[Float], Any],
    *,
    units_per_year: float = 1.0,
    standardised_mortality_ratio: float = 1.0,
) -> BackgroundRates:
    """Return the population mortality beside each subject, from a life table.

    Parameters
    ----------
    data : SurvivalData
        Follow-up in units of which there are `units_per_year` in a year.
    age_years : array, shape (n,)
        Age at time 0 of the follow-up.
    rates_per_year : array, shape (a,) or (n, a), or callable
        Hazard per year for each completed year of age from 0 on, one table for all or one per subject (sex,
        country); or a callable from ages in years to such hazards (asked at the middle of each year of
        age).
    standardised_mortality_ratio : float
        Multiplies the population hazard.
    """
    age = np.broadcast_to(np.asarray(age_years, dtype=np.float64), (data.n,))
    if not np.all(np.isfinite(age) & (age >= 0)):
        raise InputError("an age at time 0 is a number that is not negative", field="age_years")
    table = rates_per_year(np.arange(0.5, OLDEST_AGE)) if callable(rates_per_year) else rates_per_year
    rates = _checked_rates(table)
    total = np.zeros((*rates.shape[:-1], rates.shape[-1] + 1))
    np.cumsum(rates, axis=-1, out=total[..., 1:])
    start = _integral_to(age, rates, total)

    def until(t: Float) -> Float:
        return np.asarray(_integral_to(age + t / units_per_year, rates, total) - start)

    return BackgroundRates(
        np.asarray(_rate_at(age + data.time / units_per_year, rates)) / units_per_year,
        until(data.time),
        until(data.entry),
        until(np.where(data.interval_censored, data.upper, data.time)),
        standardised_mortality_ratio,
    ).checked(data)


def _checked_rates(table: Any) -> Float:
    rates = np.asarray(table, dtype=np.float64)
    if rates.size == 0 or not np.all(np.isfinite(rates) & (rates >= 0)):
        raise InputError(
            "yearly population hazards are finite numbers, 0 or more, one per year of age",
            field="rates_per_year",
        )
    return rates


def _rate_at(age: Float, rates: Float) -> Float:
    year = np.minimum(np.floor(age), rates.shape[-1] - 1).astype(np.int64)
    return np.asarray(rates[year] if rates.ndim == 1 else rates[np.arange(rates.shape[0]), year])


def _integral_to(age: Float, rates: Float, total: Float) -> Float:
    year = np.minimum(np.floor(age), rates.shape[-1] - 1).astype(np.int64)
    if rates.ndim == 1:
        return np.asarray(total[year] + (age - year) * rates[year])
    row = np.arange(rates.shape[0])
    return np.asarray(total[row, year] + (age - year) * rates[row, year])
