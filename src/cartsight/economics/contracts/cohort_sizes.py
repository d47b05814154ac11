"""The net price that payers of different sizes face: its spread over pools of 15, 100 and 1 000 patients.

For a rebate of `share` for each failure, with success probability p known from a trial of n patients, the mean rebate
over a pool of c patients has standard deviation share x sqrt( p (1 - p) [ (1 - 1/n) / c + 1/n ] ): a small payer faces
the patients, a large one the trial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.economics.contracts.cohort import PatientSource
from cartsight.economics.contracts.contract import Contract, run_contract

Float = npt.NDArray[np.float64]

COHORT_SIZES: tuple[int, ...] = (15, 100, 1000)
_PATIENTS_PER_BATCH = 250_000


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean, standard deviation and central 95 % of the pools' means."""

    mean: float
    sd: float
    low_95: float
    high_95: float


@dataclass(frozen=True, eq=False, slots=True)
class CohortSizeResult:
    """Net price per patient over pools of one size.

    Parameters
    ----------
    cohort_size, pools : int
    nominal, present_value : Spread
        Net price per patient.
    payer_cost : array, shape (pools,)
        Present value of the product and the payer's administration, per patient.
    revenue : array, shape (pools,)
        Present value at the manufacturer's rate, per patient.
    """

    cohort_size: int
    pools: int
    nominal: Spread
    present_value: Spread
    payer_cost: Float
    revenue: Float


def spread_of(values: Float) -> Spread:
    """Return the spread of pool means."""
    low, high = np.quantile(values, (0.025, 0.975))
    return Spread(float(values.mean()), float(values.std(ddof=1)), float(low), float(high))


def rebate_standard_deviation(success: float, cohort: int, trial: int | None = None) -> float:
    """Return the standard deviation of the share of failures in a pool, sqrt(p (1 - p) [(1 - 1/n) / c + 1/n]).

    Parameters
    ----------
    success : float
        p.
    cohort : int
        c.
    trial : int, optional
        n; p is known when left out.
    """
    if not (0.0 <= success <= 1.0) or cohort < 1 or (trial is not None and trial < 1):
        raise InputError("needs a probability and positive sizes", found=(success, cohort, trial))
    inverse = 0.0 if trial is None else 1.0 / trial
    return math.sqrt(success * (1.0 - success) * ((1.0 - inverse) / cohort + inverse))


def pools_of(size: int) -> int:
    """Return how many pools of a size are simulated: the standard deviation is known to about 3 % or better."""
    return int(np.clip(200_000 // size, 500, 10_000))


def run_cohort_size(
    contract: Contract,
    source: PatientSource,
    size: int,
    seed: int,
    *,
    trial_patients: int | None = None,
    enrolment_years: float = 1.0,
    pools: int | None = None,
) -> CohortSizeResult:
    """Return the net price over pools of one size.

    Parameters
    ----------
    contract : Contract
    source : PatientSource
    size : int
        Patients per pool.
    seed : int
    trial_patients : int, optional
        Size of the trial the success is known from; the truth is certain when left out.
    enrolment_years : float
    pools : int, optional
    """
    if size < 1:
        raise InputError("a cohort has at least one patient", field="cohort_size", found=size)
    count = pools or pools_of(size)
    batch = max(_PATIENTS_PER_BATCH // size, 1)
    parts: list[tuple[Float, Float, Float, Float]] = []
    for first in range(0, count, batch):
        cohort = source.cohort(
            min(batch, count - first),
            size,
            seed,
            key=f"cohorts of {size} from {first}",
            trial_patients=trial_patients,
            enrolment_years=enrolment_years,
        )
        ledger = run_contract(contract, cohort)
        parts.append(
            (
                ledger.nominal().mean(axis=1),
                ledger.present_value().mean(axis=1),
                ledger.payer_cost(ledger.payer_rate).mean(axis=1),
                ledger.manufacturer_present_value().mean(axis=1),
            )
        )
    nominal, value, cost, revenue = (np.concatenate(column) for column in zip(*parts, strict=True))
    return CohortSizeResult(size, count, spread_of(nominal), spread_of(value), cost, revenue)


def by_cohort_size(
    contract: Contract,
    source: PatientSource,
    seed: int,
    *,
    sizes: Sequence[int] = COHORT_SIZES,
    trial_patients: int | None = None,
    enrolment_years: float = 1.0,
) -> list[CohortSizeResult]:
    """Return `run_cohort_size` for each size."""
    return [
        run_cohort_size(contract, source, size, seed, trial_patients=trial_patients, enrolment_years=enrolment_years)
        for size in sizes
    ]
