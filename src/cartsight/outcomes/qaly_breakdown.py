"""QALYs of every patient by health state: the disaggregated effect beside the disaggregated cost.

The states are those that utilities are stated for. Their sum is the patient's QALYs, which a test holds to
the last digits: nothing is computed twice in two ways and left unreconciled.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.outcomes.later_course import IN_LATER_RESPONSE, SECONDARY_MALIGNANCY, TRANSPLANT, utility_stays
from cartsight.outcomes.quality_of_life import AgeAdjustment
from cartsight.outcomes.result import Outcomes
from cartsight.scenario import Scenario
from cartsight.scenario.arms import as_product

Float = npt.NDArray[np.float64]

STATES: tuple[str, ...] = (
    "waiting",
    "after infusion, before response",
    "in response",
    "after relapse or no response",
    IN_LATER_RESPONSE,
    "other care",
    "adverse events",
    TRANSPLANT,
    SECONDARY_MALIGNANCY,
)


def qalys_by_state(
    outcomes: Outcomes, scenario: Scenario, age: Float, *, discount_rate: float | None = None
) -> dict[str, Float]:
    """Return the QALYs of each patient in each of `STATES`, from referral to death or the horizon.

    Parameters
    ----------
    outcomes : Outcomes
        Of n patients.
    scenario : Scenario
        The one they were simulated with.
    age : array, shape (n,)
        At referral, in years.
    discount_rate : float, optional
        Per year; the scenario's rate for effects by default.

    Returns
    -------
    dict of str to array, shape (n,)
        ``adverse events``, ``transplant`` and ``secondary malignancy`` are losses, zero or below. The sum over states is `Outcomes.qalys_discounted`.

    Raises
    ------
    InputError
        Ages of another number of patients.
    """
    if age.shape != outcomes.infused.shape:
        raise InputError("one age per patient is needed", field="age", found=age.shape, allowed=str(len(outcomes)))
    rate = scenario.analysis.discount_rate_effects if discount_rate is None else discount_rate
    population = scenario.population
    arm = as_product(scenario.arms[outcomes.arm_name])
    adjustment = AgeAdjustment.of(population.utility_by_age, age)
    infused, survival = outcomes.infused, outcomes.survival_days
    leaves = np.minimum(outcomes.exit_day, survival)
    response_starts = np.where(outcomes.response > 0, outcomes.last_course_day, outcomes.relapse_care_day)
    edges = np.stack(
        [
            leaves,
            np.where(infused, np.minimum(response_starts, survival), leaves),
            np.where(infused, np.minimum(outcomes.relapse_care_day, survival), leaves),
            survival,
        ]
    )
    years = adjustment.weighted_years(edges, rate)
    waiting = population.waiting_utility.x
    remission, relapsed = (
        (0.0, 0.0) if arm is None else (arm.long_term.utility_remission.x, arm.long_term.utility_relapsed.x)
    )
    last = years[3] - years[2]
    states = {
        "waiting": waiting * years[0],
        "after infusion, before response": waiting * (years[1] - years[0]),
        "in response": remission * (years[2] - years[1]),
        "after relapse or no response": np.where(infused, relapsed * last, 0.0),
        IN_LATER_RESPONSE: np.zeros(len(outcomes)),
        "other care": np.where(infused, 0.0, population.other_care.utility.x * last),
        "adverse events": np.zeros(len(outcomes)),
        TRANSPLANT: np.zeros(len(outcomes)),
        SECONDARY_MALIGNANCY: np.zeros(len(outcomes)),
    }
    if arm is None:
        return states
    courses = (
        (outcomes.adverse_events, outcomes.infusion_day),
        (outcomes.adverse_events_second_course, outcomes.relapse_day),
    )
    for flags, start in courses:
        for name, flag in flags.items():
            event = arm.toxicity.events[name]
            who = np.flatnonzero(flag & (start < survival))
            theirs = adjustment.rows(who)
            end = np.minimum(start[who] + event.lasts.x, survival[who])
            lasted = theirs.weighted_years(end, rate) - theirs.weighted_years(start[who], rate)
            loss = np.zeros(len(outcomes))
            loss[who] = event.utility_loss.x * lasted
            states["adverse events"] = states["adverse events"] - loss
    if outcomes.later is None:
        return states
    for stay in utility_stays(arm, outcomes.later, survival):
        theirs = adjustment.rows(stay.patient)
        lasted = theirs.weighted_years(stay.end, rate) - theirs.weighted_years(stay.start, rate)
        # Each patient occurs once in a kind of stay.
        states[stay.kind][stay.patient] += (stay.instead_of - stay.loss) * lasted
        states["after relapse or no response"][stay.patient] -= stay.instead_of * lasted
    return states
