"""Three levels of a simulation study: parameter draws, replications of each, patients in each; and what to run of each.

    Y(d, r, p) = mu + A(d) + C(d, r) + E(d, r, p)

A is parameter uncertainty (variance B), C what the patients of one run share (queues, lots, downtime: variance R), E
the patient (variance W). The mean of D draws with r replications of n patients has variance (B + R / r + W / (r n)) / D.
With r = 1 this is the two-level split of `comparison.spread` (O'Hagan, Stevenson & Madan 2007, doi:10.1002/hec.1199).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cartsight.comparison.spread import VarianceSplit, optimal_patients_per_draw, split_variance_of_means
from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ThreeLevelSplit:
    """Variance of a result in three levels.

    Attributes
    ----------
    mean, standard_error : float
        Over everything, with its Monte Carlo standard error.
    parameters, replications, patients : float
        Variances B, R and W; an estimate below zero counts as zero.
    parameters_estimate, replications_estimate : float
        B and R as they came out.
    parameters_low, parameters_high : float
        95 % interval of B.
    replications_resolved : bool
        False when R came out at or below zero: patients of a run are no more alike than W / n explains.
    outer : VarianceSplit
        The two-level split of draws and replications.
    draws, replications_per_draw : int
    patients_per_replication : float
        Harmonic mean.
    """

    mean: float
    standard_error: float
    parameters: float
    replications: float
    patients: float
    parameters_estimate: float
    replications_estimate: float
    parameters_low: float
    parameters_high: float
    replications_resolved: bool
    outer: VarianceSplit
    draws: int
    replications_per_draw: int
    patients_per_replication: float


def split_three_levels(
    means: npt.ArrayLike, within_variances: npt.ArrayLike, patients: npt.ArrayLike
) -> ThreeLevelSplit:
    """Return the three variances by nested random-effects analysis of variance.

    Parameters
    ----------
    means : array_like, shape (draws, replications)
        Mean outcome of each run.
    within_variances : array_like, shape (draws, replications)
        Variance (divisor n - 1) between the patients of each run.
    patients : int or array_like, shape (draws, replications)
        Patients n of each run.

    Raises
    ------
    InputError
        Fewer than two draws, replications or patients, or values that are not finite.

    Notes
    -----
    Runs must have independent patients (another seed for each). Unweighted means: the number of patients should not
    differ much between runs.
    """
    m = np.asarray(means, dtype=np.float64)
    within = np.asarray(within_variances, dtype=np.float64)
    if m.ndim != 2 or min(m.shape) < 2 or within.shape != m.shape:
        raise InputError(
            "three levels need means and variances of shape (draws, replications), two or more of both", found=m.shape
        )
    size = np.broadcast_to(np.asarray(patients, dtype=np.float64), m.shape)
    if not (np.isfinite(m).all() and np.isfinite(within).all() and np.all(size >= 2.0)):
        raise InputError("every run needs two patients or more and finite results")
    draws, repeats = m.shape
    outer = split_variance_of_means(m.mean(axis=1), m.var(axis=1, ddof=1), repeats)
    patient = float(np.sum((size - 1.0) * within) / np.sum(size - 1.0))
    replication = outer.between_patients_variance - patient * float(np.mean(1.0 / size))
    return ThreeLevelSplit(
        mean=outer.mean,
        standard_error=outer.standard_error,
        parameters=outer.between_draws_variance,
        replications=max(replication, 0.0),
        patients=patient,
        parameters_estimate=outer.between_draws_estimate,
        replications_estimate=replication,
        parameters_low=outer.between_draws_low,
        parameters_high=outer.between_draws_high,
        replications_resolved=replication > 0.0,
        outer=outer,
        draws=draws,
        replications_per_draw=repeats,
        patients_per_replication=1.0 / float(np.mean(1.0 / size)),
    )


@dataclass(frozen=True)
class RunCosts:
    """Seconds per parameter draw, per replication (start-up, warm-up period) and per patient."""

    per_draw: float
    per_replication: float
    per_patient: float


def run_costs(
    draw_seconds: npt.ArrayLike,
    short_seconds: npt.ArrayLike,
    short_patients: float,
    long_seconds: npt.ArrayLike,
    long_patients: float,
) -> RunCosts:
    """Return the costs from measured times: medians, since other work on the machine only ever adds time.

    Parameters
    ----------
    draw_seconds : array_like, shape (d,)
        Times to set up one parameter draw.
    short_seconds, long_seconds : array_like
        Times of single replications with `short_patients` and with `long_patients`.
    short_patients, long_patients : float
        Average patients of each, the second larger.

    Returns
    -------
    RunCosts
        When the longer runs took no longer, their whole time is laid on their patients.

    Raises
    ------
    InputError
        No timings, or longer runs without more patients.
    """
    times = [np.asarray(v, dtype=np.float64) for v in (draw_seconds, short_seconds, long_seconds)]
    if any(t.size == 0 or not np.all(np.isfinite(t) & (t >= 0.0)) for t in times):
        raise InputError("costs need measured times of draws, short and long runs")
    if not 0.0 < short_patients < long_patients:
        raise InputError("the longer runs need more patients", found=(short_patients, long_patients))
    draw, short, long = (float(np.median(t)) for t in times)
    each = (long - short) / (long_patients - short_patients)
    if each <= 0.0:
        each = max(long / long_patients, 1e-12)
    return RunCosts(draw, max(short - each * short_patients, 0.0), each)


@dataclass(frozen=True)
class Allocation:
    """The cheapest runs for an aim.

    Attributes
    ----------
    draws, replications_per_draw, patients_per_replication : int
    standard_error : float
        Predicted, of the mean.
    seconds : float
        Predicted work on one core.
    """

    draws: int
    replications_per_draw: int
    patients_per_replication: int
    standard_error: float
    seconds: float


def cheapest_allocation(split: ThreeLevelSplit, costs: RunCosts, *, standard_error: float) -> Allocation:
    """Return the cheapest draws, replications and patients that reach a standard error of the mean.

    Cost D (c0 + r (c1 + c2 n)) times variance (B + R / r + W / (r n)) / D does not depend on D; for each r the best
    r n is the two-level optimum with cost c0 + c1 r of a "draw" and variance B + R / r between draws. Without bounds
    the optimum is r = sqrt(c0 R / (c1 B)), n = sqrt(c1 W / (c2 R)) (Cauchy-Schwarz); r below one means one.

    Parameters
    ----------
    split : ThreeLevelSplit
        From a pilot run.
    costs : RunCosts
    standard_error : float
        Wanted, in the unit of the result.

    Raises
    ------
    InputError
        No positive standard error or costs, or a pilot that shows no variance between draws.
    """
    if not standard_error > 0.0:
        raise InputError("the standard error must be above zero", field="standard_error", found=standard_error)
    if min(costs.per_draw, costs.per_replication) < 0.0 or costs.per_patient <= 0.0:
        raise InputError("costs must not be negative, and that of a patient above zero", found=costs)
    if split.parameters <= 0.0:
        raise InputError(
            "the pilot run shows no variance between draws: the best allocation is not defined",
            hint="run a pilot with more replications or patients per draw",
        )
    # Runs of the least size bound r from above; with r beyond 500 a run is no longer a simulation of a programme.
    shared = split.replications + split.patients / 2.0
    each = max(costs.per_replication + 2.0 * costs.per_patient, 1e-12)
    largest = min(500, max(1, math.ceil(math.sqrt(costs.per_draw * shared / (each * split.parameters)))))
    options = [_for_replications(split, costs, r, standard_error) for r in range(1, largest + 1)]
    return min(options, key=lambda option: option.seconds)


def _for_replications(split: ThreeLevelSplit, costs: RunCosts, r: int, standard_error: float) -> Allocation:
    between = split.parameters + split.replications / r
    two_level = replace(
        split.outer, between_patients_variance=split.patients, between_draws_variance=between, resolved=True
    )
    start = max(costs.per_draw + costs.per_replication * r, 1e-12)
    together = optimal_patients_per_draw(two_level, cost_per_draw=start, cost_per_patient=costs.per_patient)
    n = max(2, round(together / r))
    one = between + split.patients / (r * n)
    draws = max(2, math.ceil(one / standard_error**2))
    seconds = draws * (costs.per_draw + r * (costs.per_replication + costs.per_patient * n))
    return Allocation(draws, r, n, math.sqrt(one / draws), seconds)
