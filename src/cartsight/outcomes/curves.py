"""Survival curves on the two clocks that are always reported: from referral (intention to treat) and from
infusion.

Every patient is followed to death or the horizon, so the share still free of the event is the Kaplan-Meier
estimate (nobody is censored before the horizon) and its Monte Carlo standard error is that of a share.
Curves of the infused leave out whoever was lost on the way; a curve from infusion must never be compared
with one from referral.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_MONTH
from cartsight.outcomes.result import Outcomes

Float = npt.NDArray[np.float64]

Clock = Literal["referral", "infusion"]


@dataclass(frozen=True, eq=False, slots=True)
class Curve:
    """Share of patients free of an event at times since time zero.

    Parameters
    ----------
    clock : {"referral", "infusion"}
        Time zero.
    event : str
    months : array, shape (k,)
    share : array, shape (k,)
        NaN where the horizon ends the follow-up of a patient first, or where there is no patient.
    standard_error : array, shape (k,)
        Monte Carlo standard error, sqrt(S (1 - S) / patients).
    patients : int
        Patients at time zero.
    """

    clock: Clock
    event: str
    months: Float
    share: Float
    standard_error: Float
    patients: int


def overall_survival(outcomes: Outcomes, months: Sequence[float] | Float, clock: Clock = "referral") -> Curve:
    """Return the share alive at `months` after referral (all patients) or after infusion (the infused)."""
    return _curve(outcomes, outcomes.death_day, months, clock, "death")


def progression_free_survival(outcomes: Outcomes, months: Sequence[float] | Float) -> Curve:
    """Return the share of the infused without relapse, without a failed response assessment and alive."""
    return _curve(
        outcomes,
        np.minimum(outcomes.progression_day, outcomes.death_day),
        months,
        "infusion",
        "progression or death",
    )


def event_free_survival(outcomes: Outcomes, months: Sequence[float] | Float) -> Curve:
    """Return the share of the referred without an event: leaving the pathway uninfused, progression after,
    death.

    Waiting patients are free of the event, so this is not the event-free survival of trials that count
    progression before infusion.
    """
    event = np.where(outcomes.infused, np.minimum(outcomes.progression_day, outcomes.death_day), outcomes.exit_day)
    return _curve(outcomes, event, months, "referral", "not infused, progression or death")


def median_months(outcomes: Outcomes, clock: Clock = "referral") -> float:
    """Return median overall survival in months; infinite when fewer than half die before the horizon."""
    times = _since_zero(outcomes, outcomes.death_day, clock)
    if times.size == 0:
        return float("nan")
    # Never take the mean of two order statistics when the upper one is infinite.
    return float(np.sort(times)[(times.size - 1) // 2] / DAYS_PER_MONTH)


def _since_zero(outcomes: Outcomes, day: Float, clock: Clock) -> Float:
    if clock == "referral":
        return day
    if clock == "infusion":
        return np.asarray((day - outcomes.infusion_day)[outcomes.infused])
    raise InputError("unknown clock", found=clock, allowed="referral or infusion")


def _curve(outcomes: Outcomes, day: Float, months: Sequence[float] | Float, clock: Clock, event: str) -> Curve:
    at = np.atleast_1d(np.asarray(months, dtype=np.float64))
    if at.ndim != 1 or not np.all(np.isfinite(at) & (at >= 0.0)):
        raise InputError("months must be finite and not negative", field="months", found=months)
    times = np.sort(_since_zero(outcomes, day, clock))
    n = times.size
    if n == 0:
        nothing = np.full(at.shape, np.nan)
        return Curve(clock, event, at, nothing, nothing, 0)
    share = 1.0 - np.searchsorted(times, at * DAYS_PER_MONTH, side="right") / n
    followed = outcomes.horizon_days
    if clock == "infusion":
        followed -= float(outcomes.infusion_day[outcomes.infused].max())
    share = np.where(at * DAYS_PER_MONTH <= followed, share, np.nan)
    return Curve(clock, event, at, share, np.sqrt(share * (1.0 - share) / n), n)
