"""Curves of the infused, in days since infusion: Kaplan-Meier estimates, and laws fitted to follow-up that is cut.

A fitted law describes the excess hazard over background mortality, which goes on with the age of the patients when the
curve is extrapolated (mixture of the group: mean of the survival of its people; Rutherford et al. 2020, NICE DSU
Technical Support Document 21), or the hazard of all causes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_MONTH, DAYS_PER_YEAR
from cartsight.evidence.survival import BackgroundRates, Fit, FitError, KaplanMeier, SurvivalData, fit, kaplan_meier
from cartsight.outcomes.background import BackgroundHazard
from cartsight.outcomes.result import Outcomes

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

BACKGROUND_MONTHS = 1_500
"""Background survival is tabulated for this many months (125 years)."""
EXTRAPOLATION_MODELS: tuple[str, ...] = (
    "exponential",
    "weibull",
    "gompertz",
    "log_logistic",
    "log_normal",
    "generalised_gamma",
)
"""The six families of NICE DSU Technical Support Document 14, tried for ``"best"``."""


class SurvivalCurve(Protocol):
    """Anything that gives survival at days since infusion."""

    @property
    def label(self) -> str:
        """Name of the curve for tables."""

    def survival(self, days: Float) -> Float:
        """Return S(t), right-continuous, one before time zero."""

    def jumps(self) -> Float | None:
        """Return the days at which a step curve jumps; None for a smooth curve."""


@dataclass(frozen=True, eq=False)
class EmpiricalCurve:
    """Kaplan-Meier curve of the simulated patients, in days since infusion; flat after the last follow-up."""

    estimate: KaplanMeier

    @property
    def label(self) -> str:
        """Name of the curve."""
        return "Kaplan-Meier"

    def survival(self, days: Float) -> Float:
        """Return S(t)."""
        padded = np.concatenate([[1.0], self.estimate.survival])
        return np.asarray(padded[np.searchsorted(self.estimate.time, days, side="right")])

    def jumps(self) -> Float | None:
        """Return the event days."""
        return self.estimate.time


@dataclass(frozen=True, eq=False)
class PopulationBackground:
    """Background mortality of the infused, under which fitted laws describe the excess hazard alone.

    Parameters
    ----------
    age : array, shape (n,)
        At infusion, in years; the patients in the order of `infused_times`.
    female : bool array, shape (n,)
    hazard : BackgroundHazard
    standardised_mortality_ratio : float
    """

    age: Float
    female: Bool
    hazard: BackgroundHazard
    standardised_mortality_ratio: float = 1.0

    def rates(self, months: Float) -> BackgroundRates:
        """Return the population mortality beside follow-up of `months`, shape (n,)."""
        at_exit = self.age + months * DAYS_PER_MONTH / DAYS_PER_YEAR
        birthday = np.floor(at_exit)
        within = self.hazard.cumulative(birthday + 1.0, self.female) - self.hazard.cumulative(birthday, self.female)
        passed = self.hazard.cumulative(at_exit, self.female) - self.hazard.cumulative(self.age, self.female)
        return BackgroundRates(
            within * DAYS_PER_MONTH / DAYS_PER_YEAR,
            np.maximum(passed, 0.0),
            standardised_mortality_ratio=self.standardised_mortality_ratio,
        )

    @cached_property
    def _monthly_log_survival(self) -> Float:
        """Return the log of the mean survival of the group at whole months."""
        start = self.hazard.cumulative(self.age, self.female)
        survival = np.empty(BACKGROUND_MONTHS + 1)
        for month in range(BACKGROUND_MONTHS + 1):
            later = self.hazard.cumulative(self.age + month * DAYS_PER_MONTH / DAYS_PER_YEAR, self.female)
            survival[month] = np.exp(-self.standardised_mortality_ratio * (later - start)).mean()
        return np.log(np.maximum(survival, 1e-300))

    def survival(self, days: Float) -> Float:
        """Return the share of the group that background mortality alone leaves alive."""
        months = np.asarray(days, dtype=np.float64) / DAYS_PER_MONTH
        return np.asarray(np.exp(np.interp(months, np.arange(BACKGROUND_MONTHS + 1.0), self._monthly_log_survival)))


@dataclass(frozen=True, eq=False)
class FittedCurve:
    """A fitted law, in days since infusion; with a background, S = S_background x S_excess."""

    fitted: Fit
    background: PopulationBackground | None = None

    @property
    def label(self) -> str:
        """Name of the model."""
        return self.fitted.name

    def survival(self, days: Float) -> Float:
        """Return S(t); laws are fitted in months."""
        fitted = self.fitted.law().survival(np.asarray(days) / DAYS_PER_MONTH)
        return fitted if self.background is None else np.asarray(fitted * self.background.survival(days))

    def jumps(self) -> Float | None:
        """Return None: the curve is smooth."""
        return None


def infused_times(outcomes: Outcomes) -> tuple[SurvivalData, SurvivalData]:
    """Return progression-free and overall survival of the infused in days since infusion, censored at the horizon.

    Raises
    ------
    InputError
        Nobody was infused before the horizon.
    """
    infused = outcomes.infused & (outcomes.infusion_day < outcomes.horizon_days)
    if not infused.any():
        raise InputError(
            "a partitioned survival view needs infused patients",
            field=f"arms.{outcomes.arm_name}",
            hint="Choose an arm with a product.",
        )
    start = outcomes.infusion_day[infused]
    end = outcomes.horizon_days - start
    data = []
    for day in (np.minimum(outcomes.progression_day, outcomes.death_day), outcomes.death_day):
        since = day[infused] - start
        # An event on the day of the infusion has no place in a continuous law; a minute later it has.
        time = np.maximum(np.minimum(since, end), 1.0 / 1440.0)
        data.append(SurvivalData(time, since <= end))
    return data[0], data[1]


def empirical_curves(outcomes: Outcomes) -> tuple[EmpiricalCurve, EmpiricalCurve]:
    """Return the Kaplan-Meier curves of progression-free and overall survival with complete follow-up."""
    progression_free, overall = infused_times(outcomes)
    return EmpiricalCurve(kaplan_meier(progression_free)), EmpiricalCurve(kaplan_meier(overall))


def fitted_curves(
    outcomes: Outcomes,
    *,
    model: str = "best",
    follow_up_months: float = 36.0,
    background: PopulationBackground | None = None,
) -> tuple[FittedCurve, FittedCurve]:
    """Return laws fitted to both endpoints as a trial with this follow-up would see them.

    Parameters
    ----------
    outcomes : Outcomes
    model : str
        A model of `cartsight.evidence.survival`, used for both endpoints, or ``"best"``: the lowest AIC of
        `EXTRAPOLATION_MODELS`, chosen for each endpoint by itself, which is how the curves come to be
        inconsistent with each other.
    follow_up_months : float
        Everybody is censored at this time after infusion.
    background : PopulationBackground, optional
        Fits the excess hazard over background mortality, which goes on in the extrapolation; without it, all causes.

    Raises
    ------
    InputError
        Unknown model, follow-up that is not positive, too few events.
    """
    if not (math.isfinite(follow_up_months) and follow_up_months > 0.0):
        raise InputError("follow-up must be above zero months", field="follow_up_months", found=follow_up_months)
    found = []
    for data in infused_times(outcomes):
        month = data.time / DAYS_PER_MONTH
        seen = SurvivalData(np.minimum(month, follow_up_months), np.asarray(data.event & (month <= follow_up_months)))
        rates = None if background is None else background.rates(seen.time)
        fitted = _best(seen, rates) if model == "best" else fit(seen, model, background=rates)
        found.append(FittedCurve(fitted, background))
    return found[0], found[1]


def _best(data: SurvivalData, background: BackgroundRates | None) -> Fit:
    fits = []
    for name in EXTRAPOLATION_MODELS:
        try:
            fits.append(fit(data, name, background=background))
        except FitError:
            continue
    if not fits:
        raise InputError("no survival model could be fitted", found=f"{data.events} events")
    return min(fits, key=lambda one: one.aic)
