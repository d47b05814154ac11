"""The value of what a contract's registry finds out, for the next decision about the product.

A success is worth `value_of_success` to the payer. Success probability p is known from a trial: Beta(a, b) with a + b
patients. The registry adds m patients; afterwards the payer goes on with the product or not. Per future patient::

    EVSI = E[ max(0, v p' - cost(p')) ] - max(0, v p0 - cost(p0))

with p' the posterior mean, beta-binomial over the registry's successes, and cost(p) = cost of a failure + p (cost of a
success less that of a failure). The expectation is an exact sum (Ades et al. 2004, doi:10.1177/0272989X04263162).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError


@dataclass(frozen=True, slots=True)
class RegistryInformation:
    """Value of the registry.

    Parameters
    ----------
    per_patient : float
        Expected value of sample information per future patient.
    population : float
        Times the future patients.
    perfect_per_patient : float
        Expected value of perfect information about p: no registry can be worth more.
    registry_cost : float
        Expected cost of tracking and set-up of the registry's patients.
    net : float
        `population` less `registry_cost`.
    prior_decision, switch_probability
        Go on or not with what is known now, and the probability that the registry reverses it.
    """

    per_patient: float
    population: float
    perfect_per_patient: float
    registry_cost: float
    net: float
    prior_decision: str
    switch_probability: float


def registry_information(
    *,
    success: float,
    trial_patients: int,
    registry_patients: int,
    future_patients: float,
    value_of_success: float,
    cost_of_success: float,
    cost_of_failure: float,
    registry_cost: float = 0.0,
) -> RegistryInformation:
    """Return the value of observing `registry_patients` before deciding for `future_patients`.

    Parameters
    ----------
    success : float
        Prior mean p0, strictly between 0 and 1.
    trial_patients, registry_patients : int
    future_patients : float
    value_of_success, cost_of_success, cost_of_failure : float
        Money per patient; costs are what the payer pays under the contract.
    registry_cost : float

    Raises
    ------
    InputError
        When a size is below one or the prior mean is 0 or 1.
    """
    from scipy.special import betainc
    from scipy.stats import betabinom

    if not 0.0 < success < 1.0:
        raise InputError("the registry can teach nothing about a sure outcome", field="success", found=success)
    if trial_patients < 1 or registry_patients < 1 or future_patients < 0:
        raise InputError("sizes must be positive", found=(trial_patients, registry_patients, future_patients))
    a, b = success * trial_patients, (1.0 - success) * trial_patients
    slope = value_of_success - (cost_of_success - cost_of_failure)

    def benefit(p: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(slope * p - cost_of_failure)

    now = float(benefit(np.array(success)))
    seen = np.arange(registry_patients + 1)
    weights = betabinom.pmf(seen, registry_patients, a, b)
    later = benefit((a + seen) / (trial_patients + registry_patients))
    value = max(float(np.dot(weights, np.maximum(later, 0.0))) - max(now, 0.0), 0.0)
    switch = float(np.dot(weights, later > 0.0)) if now <= 0.0 else float(np.dot(weights, later <= 0.0))
    perfect = 0.0
    if slope != 0.0:
        edge = float(np.clip(cost_of_failure / slope, 0.0, 1.0))
        # E[p; p < k] of a Beta(a, b) is its mean times the distribution function of Beta(a + 1, b).
        below, first = float(betainc(a, b, edge)), success * float(betainc(a + 1.0, b, edge))
        if slope > 0.0:
            gain = slope * (success - first) - cost_of_failure * (1.0 - below)
        else:
            gain = slope * first - cost_of_failure * below
        perfect = max(gain - max(now, 0.0), 0.0)
    population = value * future_patients
    return RegistryInformation(
        value, population, perfect, registry_cost, population - registry_cost, "go on" if now > 0.0 else "stop", switch
    )
