"""A patient's course over attempts: remakes follow until one product is used or attempts run out; days and costs add."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartsight.evidence.quality.release.lots import Lots, Patients, generate_lots
from cartsight.evidence.quality.release.specification import ReleaseSpecification

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Course:
    """What a patient gets once all attempts are made.

    Attributes
    ----------
    attempts_allowed : int
    in_specification, used_out_of_specification, no_product : float
        Shares of patients; they sum to one.
    standard_error : float
        Monte Carlo, of `no_product`.
    attempts_mean : float
        Batches started per patient.
    second_attempt_fails : float
        Of second batches, the share that gives no product in specification; NaN without second batches.
    days : dict
        Mean and quartiles from the first start to the disposition of the product that is used; waits between attempts included.
    cost_per_patient, cost_per_product : float
        All runs and tests; per product used.
    """

    attempts_allowed: int
    in_specification: float
    used_out_of_specification: float
    no_product: float
    standard_error: float
    attempts_mean: float
    second_attempt_fails: float
    days: dict[str, float]
    cost_per_patient: float
    cost_per_product: float


def follow_attempts(specification: ReleaseSpecification, patients: Patients, first: Lots, seed: int) -> Course:
    """Return the course of patients whose first lots are given.

    A batch that is terminated, never gets a valid result, or is confirmed out of specification and not used is followed
    by another after `process.remake_wait_days`, while attempts last. Donor and site stay, the run is new.
    """
    # on the way nothing is pending: what is out on a day is a question about one lot
    settled = replace(specification, disposition=replace(specification.disposition, as_of_day=math.inf))
    attempts = specification.process.attempts
    n = len(patients)
    lots = first
    if not math.isinf(specification.disposition.as_of_day):
        lots = generate_lots(settled, patients, seed, attempt=1)
    good, used = lots.in_state("in_specification"), lots.in_state("used_out_of_specification")
    days, cost, started = lots.decision_day.copy(), lots.cost.copy(), np.ones(n)
    waiting = np.flatnonzero(~good & ~used)
    second_fails = math.nan
    for attempt in range(2, attempts + 1):
        if waiting.size == 0:
            break
        some = Patients(
            patients.identity[waiting],
            {name: values[waiting] for name, values in patients.covariates.items()},
            patients.site[waiting],
            patients.lab[waiting],
        )
        lots = generate_lots(settled, some, seed, attempt=attempt)
        days[waiting] += specification.process.remake_wait_days + lots.decision_day
        cost[waiting] += lots.cost
        started[waiting] += 1.0
        released, infused = lots.in_state("in_specification"), lots.in_state("used_out_of_specification")
        if attempt == 2:
            second_fails = float(np.mean(~released))
        good[waiting], used[waiting] = released, infused
        waiting = waiting[~released & ~infused]
    product = good | used
    none = 1.0 - float(np.mean(product))
    shrunk = (none * n + 0.5) / (n + 1.0)
    return Course(
        attempts_allowed=attempts,
        in_specification=float(np.mean(good)),
        used_out_of_specification=float(np.mean(used)),
        no_product=none,
        standard_error=math.sqrt(shrunk * (1.0 - shrunk) / n),
        attempts_mean=float(np.mean(started)),
        second_attempt_fails=second_fails,
        days=_quartiles(days[product]),
        cost_per_patient=float(np.mean(cost)),
        cost_per_product=float(np.sum(cost) / max(int(product.sum()), 1)) if product.any() else math.nan,
    )


def _quartiles(values: Float) -> dict[str, float]:
    if values.size == 0:
        return {}
    q25, q50, q75 = np.quantile(values, [0.25, 0.5, 0.75])
    return {"mean": float(np.mean(values)), "p25": float(q25), "median": float(q50), "p75": float(q75)}
