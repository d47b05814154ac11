"""Times to an event by inversion of the cumulative hazard of a scenario's survival law.

With E a unit-exponential variate, the time at which the survival function under a hazard ratio reaches
exp(-E) is the time T with S(T) = exp(-E / hazard ratio). Cumulative hazards rather than uniforms are
inverted, because E does not lose digits in the tail and a hazard ratio only divides it (Bender, Augustin &
Blettner 2005, doi:10.1002/sim.2059).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.normal import normal_quantile
from cartsight.core.units import DAYS_PER_YEAR
from cartsight.scenario.survival import SurvivalLaw

Float = npt.NDArray[np.float64]

LN_2 = math.log(2.0)
TAIL = 14.0
"""Cumulative hazard above which one minus survival has lost digits that survival still has."""


def event_times(law: SurvivalLaw, exponential: Float, hazard_ratio: float | Float = 1.0) -> Float:
    """Return times to the event in days.

    Parameters
    ----------
    law : SurvivalLaw
        Median, shape and, where stated, the share who never have the event.
    exponential : array, shape (n,)
        Unit-exponential variates, one per patient.
    hazard_ratio : float or array, shape (n,)
        Multiplies the hazard of the whole law, the share without the event included: that share becomes
        ``cured ** hazard_ratio``. Zero means that nobody has the event.

    Returns
    -------
    array, shape (n,)
        Days; infinite for those who never have the event.

    Raises
    ------
    InputError
        When a hazard ratio is negative or not a number.
    """
    hazard = exponential
    if not (isinstance(hazard_ratio, float) and hazard_ratio == 1.0):
        if not np.all(np.asarray(hazard_ratio) >= 0.0):
            raise InputError("a hazard ratio must not be negative", found=hazard_ratio, allowed="0 or above")
        with np.errstate(divide="ignore"):
            hazard = exponential / hazard_ratio
    cured = 0.0 if law.cured is None else law.cured.x
    if cured > 0.0:
        hazard = _among_the_others(hazard, cured)
    return law.median.x * _relative_time(law, hazard)


def death_within_a_year(probability: float, exponential: Float) -> Float:
    """Return days to a death whose probability within a year is stated, at constant hazard; infinite after the year."""
    if probability <= 0.0:
        return np.full(exponential.shape, np.inf)
    if probability >= 1.0:
        # The limit of a constant hazard: everybody dies at once.
        return np.zeros(exponential.shape)
    time = exponential * (DAYS_PER_YEAR / -math.log1p(-probability))
    return np.where(time <= DAYS_PER_YEAR, time, np.inf)


def _among_the_others(hazard: Float, cured: float) -> Float:
    """Return the cumulative hazard of those who can have the event: S_u = (S - cured) / (1 - cured)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        others = (np.exp(-hazard) - cured) / (1.0 - cured)
        return np.asarray(np.where(others > 0.0, -np.log(np.maximum(others, 0.0)), np.inf))


def _relative_time(law: SurvivalLaw, hazard: Float) -> Float:
    """Return the time over the median at which the cumulative hazard reaches `hazard`."""
    shape = 1.0 if law.shape is None else law.shape.x
    match law.law:
        case "exponential":
            return hazard / LN_2
        case "weibull":
            return np.asarray((hazard / LN_2) ** (1.0 / shape))
        case "log_logistic":
            # ln(e^H - 1) = H + ln(1 - e^-H): does not overflow where H is large.
            with np.errstate(divide="ignore"):
                return np.asarray(np.exp((hazard + np.log(-np.expm1(-hazard))) / shape))
        case "lognormal":
            z = normal_quantile(-np.expm1(-hazard))
            # Far in the tail the probability of the event rounds to one; that of no event still has digits.
            tail = hazard > TAIL
            if np.any(tail):
                z = np.where(tail, -normal_quantile(np.exp(-np.where(tail, hazard, TAIL))), z)
            return np.asarray(np.exp(shape * z))
        case "gompertz":
            # H / ln 2 = (e^(shape r) - 1) / (e^shape - 1), solved for r.
            return np.asarray(np.log1p(hazard * (math.expm1(shape) / LN_2)) / shape)
