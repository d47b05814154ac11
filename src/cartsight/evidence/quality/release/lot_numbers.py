"""From a release specification to the numbers of a product made in lots of many doses."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from cartsight.evidence.quality.release.lots import draw_patients, generate_lots
from cartsight.evidence.quality.release.specification import ReleaseSpecification


@dataclass(frozen=True)
class LotNumbers:
    """What `arms.<name>.lots` of a scenario takes, estimated from generated lots; a lot is the entity, its donor its own.

    Attributes
    ----------
    failure, rejection : float
        Lots terminated, per start; lots not released in specification, per finished lot. There is no use of a lot out of
        specification: its doses have no patient of their own.
    failure_standard_error, rejection_standard_error : float
        Monte Carlo.
    release_testing_days_mean, release_testing_days_sd : float
        Harvest to disposition of finished lots.
    doses_per_lot, doses_per_lot_cv : float
        Mean and coefficient of variation of the whole doses in a released lot, all samples taken; NaN unless the
        specification states its dose attribute and `amount_per_dose`.
    cost_of_testing : float
        Mean per finished lot.
    released_bad : float
        Of released lots, truly bad.
    lots, released, seed : int
    """

    failure: float
    failure_standard_error: float
    rejection: float
    rejection_standard_error: float
    release_testing_days_mean: float
    release_testing_days_sd: float
    doses_per_lot: float
    doses_per_lot_cv: float
    cost_of_testing: float
    released_bad: float
    lots: int
    released: int
    seed: int


def lot_numbers(specification: ReleaseSpecification, *, lots: int | None = None, seed: int | None = None) -> LotNumbers:
    """Return the numbers of a product in lots for a specification.

    Parameters
    ----------
    specification : ReleaseSpecification
    lots, seed : int, optional
        Default: the specification's.
    """
    disposition = replace(specification.disposition, as_of_day=math.inf, use_out_of_specification=0.0)
    specification = replace(specification, disposition=disposition)
    seed = specification.seed if seed is None else seed
    count = lots or specification.lots
    made = generate_lots(specification, draw_patients(specification, count, seed), seed, attempts_left=0)
    finished = made.good | made.bad
    released = made.in_state("in_specification")
    failure = 1.0 - float(np.mean(finished))
    ended = int(finished.sum())
    rejection = 1.0 - int(released.sum()) / ended if ended else math.nan
    days = (made.decision_day - specification.process.days)[finished]
    mean, cv = math.nan, math.nan
    if specification.amount_per_dose is not None and released.any():
        doses = np.floor(made.dose[released] / specification.amount_per_dose)
        mean = float(np.mean(doses))
        cv = float(np.std(doses)) / mean if mean > 0 else math.nan
    return LotNumbers(
        failure=failure,
        failure_standard_error=math.sqrt(failure * (1.0 - failure) / count),
        rejection=rejection,
        rejection_standard_error=math.sqrt(rejection * (1.0 - rejection) / max(ended, 1)) if ended else math.nan,
        release_testing_days_mean=float(np.mean(days)) if ended else math.nan,
        release_testing_days_sd=float(np.std(days)) if ended else math.nan,
        doses_per_lot=mean,
        doses_per_lot_cv=cv,
        cost_of_testing=float(np.mean((made.cost - specification.process.cost)[finished])) if ended else math.nan,
        released_bad=float(np.mean(made.bad[released])) if released.any() else math.nan,
        lots=count,
        released=int(released.sum()),
        seed=seed,
    )
