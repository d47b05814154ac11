"""From a true value to reportable results: errors by level, counting, censoring, rounding, retest."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import special

from cartsight.core.normal import normal_quantile
from cartsight.core.streams import Stream
from cartsight.evidence.quality.release.specification import Attribute

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Measured:
    """First reportable result and what became of it; `runs` counts assay runs, repeats and retests included."""

    reported: Float
    invalid: Bool
    first_out: Bool
    confirmed: Bool
    passed: Bool
    runs: Float
    first_runs: Float


@dataclass(frozen=True)
class Result:
    """A reportable result: its value after rounding, whether it is below the detection limit, whether it is inside."""

    value: Float
    censored: Bool
    inside: Bool


def round_reported(value: npt.ArrayLike, step: float) -> Float:
    """Return values rounded to a step, halves upwards (79.5 to 80 at step 1); unchanged for step 0."""
    x = np.asarray(value, dtype=np.float64)
    if step <= 0.0:
        return x
    # The small shift undoes the binary representation of decimal halves (0.285 at 0.01).
    return np.asarray(np.floor(x / step + 0.5 + 1e-9) * step)


def inside_limits(value: Float, censored: Bool, limits: tuple[float, float], step: float) -> Bool:
    """Return whether reported values satisfy the limits; a value below detection cannot meet a lower limit."""
    tolerance = 1e-9 * step
    low, high = limits
    # a reported figure has the step's digits, and a limit that carries more (a guard band) keeps its own
    inside = (value >= low - tolerance) & (value <= high + tolerance)
    if math.isfinite(low):
        inside &= ~censored
    return np.asarray(inside)


LARGE_VARIANCE = 25.0
"""Variance of a count from which the Cornish-Fisher quantile is used: it misses by one count in fewer than one draw of a
hundred (tested)."""


def _cornish_fisher(u: Float, mean: Float, variance: Float, skewness: Float) -> Float:
    """Return the count at probability `u`, to second order (Abramowitz & Stegun 26.2.49), continuity-corrected."""
    z = normal_quantile(u)
    return np.asarray(np.ceil(mean + np.sqrt(variance) * (z + skewness * (z * z - 1.0) / 6.0) - 0.5))


def binomial_quantile(u: Float, events: int, share: Float) -> Float:
    """Return the smallest count with cumulative binomial probability at least `u`; by expansion where counts are large."""
    p = np.clip(share, 1e-12, 1.0 - 1e-12)
    variance = events * p * (1.0 - p)
    k = np.clip(_cornish_fisher(u, events * p, variance, (1.0 - 2.0 * p) / np.sqrt(variance)), 0.0, events)
    small = variance < LARGE_VARIANCE
    if small.any():
        rare = p[small]
        k[small] = _settle(
            k[small],
            u[small],
            events,
            lambda x, rows: np.asarray(special.bdtr(x, events, rare[rows]), dtype=np.float64),
        )
    return k


def _settle(k: Float, u: Float, most: float, cumulative: Callable[[Float, Bool], Float]) -> Float:
    """Step counts up or down until each is the smallest with cumulative probability at least `u`."""
    k = np.clip(k, 0.0, most)
    rising = np.ones(k.size, dtype=np.bool_)
    while True:
        rising[rising] = (cumulative(k[rising], rising) < u[rising]) & (k[rising] < most)
        if not rising.any():
            break
        k[rising] += 1.0
    falling = k > 0.0
    while True:
        falling[falling] = k[falling] > 0.0
        falling[falling] = cumulative(k[falling] - 1.0, falling) >= u[falling]
        if not falling.any():
            return k
        k[falling] -= 1.0


def poisson_quantile(u: Float, mean: Float) -> Float:
    """Return the smallest count with cumulative Poisson probability at least `u`; by expansion where counts are large."""
    m = np.maximum(mean, 1e-12)
    k = np.maximum(_cornish_fisher(u, m, m, 1.0 / np.sqrt(m)), 0.0)
    small = m < LARGE_VARIANCE
    if small.any():
        few = m[small]
        k[small] = _settle(
            k[small], u[small], math.inf, lambda x, rows: np.asarray(special.pdtr(x, few[rows]), dtype=np.float64)
        )
    return k


def report(
    attribute: Attribute, latent: Float, lab: Float, lot: Stream, attempt: int, label: str, count: int
) -> Result:
    """Return one reportable result from `count` replicates in each session.

    Parameters
    ----------
    attribute : Attribute
    latent : array, shape (n,)
        True value on the scale.
    lab : array, shape (n,)
        Standard normal effect of the laboratory.
    lot : Stream
        Keyed by lot; `label` names the run so that a retest draws its own errors.
    """
    assay, scale = attribute.assay, attribute.scale
    base = latent + assay.bias + assay.lab_sd * lab
    values: list[Float] = []
    for session in range(assay.sessions):
        centre = base
        if assay.session_sd > 0:
            centre = base + assay.session_sd * normal_quantile(
                lot(f"{attribute.name}: {label} session {session}", attempt)
            )
        for number in range(count):
            key = f"{attribute.name}: {label} session {session} replicate {number}"
            theta = centre
            if assay.replicate_sd > 0:
                theta = centre + assay.replicate_sd * normal_quantile(lot(key, attempt))
            values.append(
                _counted(attribute, theta, lot(key + " count", attempt)) if assay.counted else scale.inverse(theta)
            )
    below = np.array([value < assay.detection_limit for value in values])
    clipped = [np.maximum(value, assay.detection_limit) for value in values]
    limits, step = attribute.acceptance, assay.rounding
    if assay.result == "all":
        rounded = [round_reported(value, step) for value in clipped]
        inside = np.all(
            [inside_limits(value, low, limits, step) for value, low in zip(rounded, below, strict=True)], axis=0
        )
        worst = np.min(rounded, axis=0) if math.isfinite(limits[0]) else np.max(rounded, axis=0)
        return Result(worst, np.any(below, axis=0), inside)
    if len(clipped) == 1:
        mean = clipped[0]
    elif assay.result == "geometric_mean":
        mean = np.exp(np.mean(np.log(np.maximum(clipped, 1e-300)), axis=0))
    else:
        mean = np.mean(clipped, axis=0)
    value = round_reported(mean, step)
    censored = np.all(below, axis=0)
    return Result(value, censored, inside_limits(value, censored, limits, step))


def _counted(attribute: Attribute, theta: Float, u: Float) -> Float:
    assay, scale = attribute.assay, attribute.scale
    if assay.counted == "binomial":
        share = binomial_quantile(u, assay.events, scale.share(theta)) / assay.events
        return np.asarray(scale.low + share * (scale.high - scale.low))
    return poisson_quantile(u, np.maximum(scale.inverse(theta), 0.0) * assay.amount) / assay.amount


def measure(attribute: Attribute, latent: Float, lot: Stream, labs: Stream, attempt: int) -> Measured:
    """Return the results and the verdict of one attribute for every lot: repeats of invalid runs, then the retest rule."""
    n = latent.size
    assay = attribute.assay
    lab = normal_quantile(labs(f"{attribute.name}: lab")) if assay.lab_sd > 0 else np.zeros(n)
    ones = np.ones(n)
    invalid = np.zeros(n, dtype=np.bool_)
    first_runs = ones.copy()
    if assay.invalid_probability > 0:
        invalid = lot(f"{attribute.name}: run 0 invalid", attempt) < assay.invalid_probability
        for repeat in range(1, assay.invalid_repeats + 1):
            first_runs += invalid
            invalid = invalid & (lot(f"{attribute.name}: run {repeat} invalid", attempt) < assay.invalid_probability)
    first = report(attribute, latent, lab, lot, attempt, "first", assay.replicates)
    if attribute.limits.open:
        out = np.zeros(n, dtype=np.bool_)
        return Measured(
            np.where(invalid, math.nan, first.value), invalid & False, out, out, ~out, first_runs, first_runs
        )
    first_out = ~first.inside & ~invalid
    confirmed, runs = first_out, first_runs
    if assay.retest.results > 0 and bool(first_out.any()):
        rows = np.flatnonzero(first_out)
        again = copy(lot)
        again.keys = lot.keys[rows]
        confirmed = first_out.copy()
        confirmed[rows] = ~_retest_inside(attribute, latent[rows], lab[rows], again, attempt, first.value[rows])
        runs = first_runs + first_out * float(assay.retest.results)
    return Measured(
        reported=np.where(invalid, math.nan, first.value),
        invalid=invalid,
        first_out=first_out,
        confirmed=confirmed,
        passed=~confirmed & ~invalid,
        runs=runs,
        first_runs=first_runs,
    )


def _retest_inside(attribute: Attribute, latent: Float, lab: Float, lot: Stream, attempt: int, first: Float) -> Bool:
    assay = attribute.assay
    quiet = replace(attribute, assay=replace(assay, rounding=0.0)) if assay.retest.rule != "all" else attribute
    results = [
        report(quiet, latent, lab, lot, attempt, f"retest {number}", assay.replicates)
        for number in range(assay.retest.results)
    ]
    if assay.retest.rule == "all":
        return np.asarray(np.all([result.inside for result in results], axis=0))
    values = [result.value for result in results] + ([first] if assay.retest.rule == "mean_with_first" else [])
    if assay.result == "geometric_mean":
        mean = np.exp(np.mean(np.log(np.maximum(values, 1e-300)), axis=0))
    else:
        mean = np.mean(values, axis=0)
    value = round_reported(mean, assay.rounding)
    censored = np.all([result.censored for result in results], axis=0)
    return inside_limits(value, censored, attribute.acceptance, assay.rounding)
