"""Which share of the referred is in which health state at a time: the trace that a cohort model would print.

Every patient is in exactly one state at every time, so the shares sum to one. A secondary malignancy takes its patient out of
the states of the first disease for as long as the patient lives.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.units import DAYS_PER_MONTH
from cartsight.outcomes.later_course import IN_LATER_RESPONSE, SECONDARY_MALIGNANCY
from cartsight.outcomes.result import Outcomes

Float = npt.NDArray[np.float64]

HEALTH_STATES: tuple[str, ...] = (
    "waiting",
    "after infusion, before response",
    "in response",
    "in response after transplant",
    "after relapse or no response",
    IN_LATER_RESPONSE,
    SECONDARY_MALIGNANCY,
    "other care",
    "dead",
)


def state_occupancy(outcomes: Outcomes, months: npt.ArrayLike) -> dict[str, Float]:
    """Return the share of the referred in each of `HEALTH_STATES` at months since referral.

    Parameters
    ----------
    outcomes : Outcomes
        Of n patients.
    months : array_like, shape (k,)
        Within the horizon.

    Returns
    -------
    dict of str to array, shape (k,)
        In the order of `HEALTH_STATES`; each column of shares sums to one.

    Raises
    ------
    InputError
        Negative months, months after the horizon, or no patients.
    """
    days = np.atleast_1d(np.asarray(months, dtype=np.float64)) * DAYS_PER_MONTH
    if not np.all(np.isfinite(days) & (days >= 0.0) & (days <= outcomes.horizon_days)):
        raise InputError("months must lie between referral and the horizon", field="months", found=months)
    if len(outcomes) == 0:
        raise InputError("there are no patients")
    shares = np.array([_shares(state_at(outcomes, float(day))) for day in days])
    return {name: shares[:, code] for code, name in enumerate(HEALTH_STATES)}


def state_at(outcomes: Outcomes, day: float) -> npt.NDArray[np.int8]:
    """Return the state of each patient on a day since referral, as an index into `HEALTH_STATES`, shape (n,)."""
    code = {name: position for position, name in enumerate(HEALTH_STATES)}
    infused = outcomes.infused
    state = np.full(len(outcomes), code["waiting"], dtype=np.int8)
    gone = outcomes.exit_day <= day
    state[gone & ~infused] = code["other care"]
    treated = gone & infused
    response_starts = np.where(outcomes.response > 0, outcomes.last_course_day, np.inf)
    state[treated] = code["after infusion, before response"]
    state[treated & (response_starts <= day)] = code["in response"]
    later = outcomes.later
    if later is not None:
        state[treated & (later.transplant_day <= day)] = code["in response after transplant"]
    state[treated & (outcomes.relapse_care_day <= day)] = code["after relapse or no response"]
    if later is not None:
        for line in later.lines.values():
            answering = line.responded & (line.start_day <= day) & (line.failure_day > day)
            state[treated & answering] = code[IN_LATER_RESPONSE]
        state[treated & (later.secondary_malignancy_day <= day)] = code[SECONDARY_MALIGNANCY]
    state[outcomes.death_day <= day] = code["dead"]
    return state


def _shares(state: npt.NDArray[np.int8]) -> Float:
    return np.bincount(state, minlength=len(HEALTH_STATES)) / state.size
