"""From a release specification to the numbers a patient pathway takes: probabilities, the patient effect, days.

A pathway draws failures from a probability, an odds ratio for patients who worsened, and a normal patient effect on the
log-odds that attempts share. Here these are fitted to generated lots: the average from first attempts, the patient effect
from the second moment over donors, E[p(donor)^2], which is the probability that two attempts of one donor both fail, and
the odds ratio from the same lots with the covariate at 1 and at 0, on the log-odds given the patient effect, so that the
average over patients is the share that the lots show. Attempts of a patient are made at one site, so the patient effect
holds the site's as well.

Covariates that the simulated patients have (frailty, age, sex) keep their effect on the patient: with
p = E expit(eta) and eta normal, Stein's lemma gives E[x failed] = slope E[expit'(eta)] for a standardised normal x.
What other covariates explain is part of the patient effect, since all attempts share it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from cartsight.core.logit_normal import logit_normal_intercept
from cartsight.evidence.quality.release.lots import Lots, Patients, draw_patients, generate_lots
from cartsight.evidence.quality.release.specification import ReleaseSpecification

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
LARGEST_SD = 6.0


@dataclass(frozen=True)
class PathwayNumbers:
    """What `arms.<name>.process` of a scenario takes, estimated from generated lots.

    Attributes
    ----------
    manufacturing_failure, out_of_specification : float
        Average probabilities: termination per start, and confirmed failure (or no valid result) per finished batch, of
        patients with the worsening covariate at zero where one is named, else of all.
    manufacturing_failure_standard_error, out_of_specification_standard_error : float
    both_attempts_fail : float
        Probability that two batches of one donor are both out of specification.
    patient_sd : float
        Sd of the patient effect on the log-odds of being out of specification.
    patient_sd_standard_error : float
        Monte Carlo, from the probability that both attempts fail.
    odds_ratio_if_worsened : float
        Given the patient effect, as the pathway applies it; NaN without a covariate to read it from.
    odds_ratio_if_worsened_marginal : float
        Of the average probabilities, as a cohort shows it.
    odds_ratio_standard_error : float
        Monte Carlo, of the log of either.
    effects : dict
        Log-odds per unit of the covariates named in `laws`; their part is taken out of `patient_sd`.
    release_testing_days_mean, release_testing_days_sd, release_testing_days_median : float
        Harvest to disposition, retests and repeats included, of all finished batches.
    out_of_specification_approval_days : float
    infuse_out_of_specification : float
        Share of confirmed failures that may be and are used: policy, never-use attributes and safety tests.
    sampled_fraction : float
        Share of the product used by tests.
    released_bad : float
        Of batches released in specification, truly bad.
    cost_of_testing : float
        Mean per finished batch.
    failed_good : float
        Of batches out of specification or without a valid result, those that are truly good.
    failures : int
        Finished first batches out of specification: how many stand behind the shares among failures.
    """

    manufacturing_failure: float
    manufacturing_failure_standard_error: float
    out_of_specification: float
    out_of_specification_standard_error: float
    both_attempts_fail: float
    patient_sd: float
    patient_sd_standard_error: float
    odds_ratio_if_worsened: float
    odds_ratio_if_worsened_marginal: float
    odds_ratio_standard_error: float
    release_testing_days_mean: float
    release_testing_days_sd: float
    release_testing_days_median: float
    out_of_specification_approval_days: float
    infuse_out_of_specification: float
    sampled_fraction: float
    released_bad: float
    cost_of_testing: float
    failed_good: float
    failures: int
    lots: int
    seed: int
    effects: dict[str, float] = field(default_factory=dict)


def pathway_numbers(
    specification: ReleaseSpecification,
    *,
    worsened: str | None = "worsened",
    lots: int | None = None,
    seed: int | None = None,
    laws: Mapping[str, Callable[[Float], Float]] | None = None,
) -> PathwayNumbers:
    """Return the pathway's numbers for a specification.

    Parameters
    ----------
    specification : ReleaseSpecification
    worsened : str, optional
        Covariate that marks patients who worsened before the run; ignored when the specification has no such covariate.
    lots : int, optional
        Donors; each gets two lots.
    seed : int, optional
    laws : mapping of str to callable, optional
        Quantile functions of covariates that the simulated patients bring, in place of the specification's own; each
        keeps its effect on the patient (`effects`).
    """
    specification = replace(specification, disposition=replace(specification.disposition, as_of_day=math.inf))
    seed = specification.seed if seed is None else seed
    count = lots or specification.lots
    patients = draw_patients(specification, count, seed, laws)
    names = [covariate.name for covariate in specification.covariates]
    marked = worsened if worsened in names else None
    base = patients if marked is None else _with(patients, marked, 0.0)
    first = generate_lots(specification, base, seed, attempt=1)
    second = generate_lots(specification, base, seed, attempt=2, attempts_left=0)
    failed, again = _failed(first), _failed(second)
    finished = ~_terminated(first)
    both = finished & ~_terminated(second)
    p = float(np.mean(failed[finished])) if finished.any() else math.nan
    square = float(np.mean((failed & again)[both])) if both.any() else math.nan
    terminated = float(np.mean(~finished))
    total_sd = patient_sd(p, square)
    odds_ratio, marginal, log_error = math.nan, math.nan, math.nan
    if marked is not None:
        other = generate_lots(specification, _with(patients, marked, 1.0), seed, attempt=1)
        q = float(np.mean(_failed(other)[~_terminated(other)]))
        if 0 < p < 1 and 0 < q < 1:
            marginal = (q / (1 - q)) / (p / (1 - p))
            shift = logit_normal_intercept(q, total_sd) - logit_normal_intercept(p, total_sd)
            odds_ratio = math.exp(float(shift))
            # the same patients at both values: only those whose verdict changes carry error
            changed = float(np.mean(_failed(other) != failed))
            log_error = math.sqrt(changed / count) / (p * (1 - p))
    slopes = {
        name: _slope(patients.covariates[name][finished], failed[finished], p, total_sd)
        for name in (laws or {})
        if name in names and name != marked
    }
    explained = sum((slope * float(np.std(patients.covariates[name]))) ** 2 for name, slope in slopes.items())
    square_error = math.sqrt(square * (1.0 - square) / max(int(both.sum()), 1)) if not math.isnan(square) else math.nan
    testing = first.decision_day - specification.process.days
    testing = testing - specification.disposition.approval_days * first.in_state("used_out_of_specification")
    released = first.in_state("in_specification")
    used = first.in_state("used_out_of_specification")
    days = testing[finished]
    return PathwayNumbers(
        manufacturing_failure=terminated,
        manufacturing_failure_standard_error=math.sqrt(terminated * (1 - terminated) / count),
        out_of_specification=p,
        out_of_specification_standard_error=math.sqrt(p * (1 - p) / max(int(finished.sum()), 1)),
        both_attempts_fail=square,
        patient_sd=math.sqrt(max(total_sd**2 - explained, 0.0)),
        patient_sd_standard_error=0.5
        * (patient_sd(p, square + square_error) - patient_sd(p, max(square - square_error, 0.0))),
        odds_ratio_if_worsened=odds_ratio,
        odds_ratio_if_worsened_marginal=marginal,
        odds_ratio_standard_error=log_error,
        release_testing_days_mean=float(np.mean(days)),
        release_testing_days_sd=float(np.std(days)),
        release_testing_days_median=float(np.median(days)),
        out_of_specification_approval_days=specification.disposition.approval_days,
        infuse_out_of_specification=float(np.mean(used[failed])) if failed.any() else 0.0,
        sampled_fraction=specification.sampled_fraction,
        released_bad=float(np.mean(first.bad[released])) if released.any() else math.nan,
        cost_of_testing=float(np.mean((first.cost - specification.process.cost)[finished])),
        failed_good=float(np.mean(first.good[failed])) if failed.any() else 0.0,
        failures=int(np.count_nonzero(failed)),
        lots=count,
        seed=seed,
        effects=slopes,
    )


def _slope(x: Float, failed: Bool, average: float, sd: float) -> float:
    """Return the log-odds per unit of `x` that gives its covariance with failure (Stein's lemma; x near normal)."""
    spread = float(np.std(x))
    if spread == 0.0 or not 0.0 < average < 1.0:
        return 0.0
    nodes, weights = _normal_rule()
    share = 0.5 * (1.0 + np.tanh(0.5 * (float(logit_normal_intercept(average, sd)) + sd * nodes)))
    steepness = float(np.sum(share * (1.0 - share) * weights))
    return float(np.mean((x - x.mean()) / spread * failed)) / steepness / spread


def _failed(lots: Lots) -> Bool:
    """Confirmed failures and batches that never got a valid result: neither is released in specification."""
    return np.asarray(~_terminated(lots) & ~lots.in_state("in_specification"))


def _terminated(lots: Lots) -> Bool:
    return np.asarray(~lots.good & ~lots.bad)


def _with(patients: Patients, covariate: str, value: float) -> Patients:
    return replace(patients, covariates={**patients.covariates, covariate: np.full(len(patients), value)})


def second_moment(average: float, sd: float) -> float:
    """Return E[expit(a + sd Z)^2] with the intercept a that keeps the average probability."""
    nodes, weights = _normal_rule()
    a = float(logit_normal_intercept(average, sd))
    values = 0.5 * (1.0 + np.tanh(0.5 * (a + sd * nodes)))
    return float(np.sum(values**2 * weights))


@cache
def _normal_rule() -> tuple[Float, Float]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    return nodes, weights / math.sqrt(2.0 * math.pi)


def patient_sd(average: float, both_fail: float) -> float:
    """Return the sd of a normal patient effect on the log-odds that gives two failures in a row as often as seen.

    Parameters
    ----------
    average : float
        Probability that one attempt fails.
    both_fail : float
        Probability that two attempts of a patient both fail; at or below its square means no patient effect.
    """
    if not (0.0 < average < 1.0) or math.isnan(both_fail) or both_fail <= average**2:
        return 0.0
    if both_fail >= second_moment(average, LARGEST_SD):
        return LARGEST_SD
    low, high = 0.0, LARGEST_SD
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if second_moment(average, middle) < both_fail else (low, middle)
    return 0.5 * (low + high)
