"""The logit-normal mean: which intercept keeps an average probability once a random effect is added.

Adding a random effect with standard deviation `sd` to a log-odds moves the average probability towards one
half. A scenario states the average, so the intercept has to move the other way: solve E[expit(a + sd Z)] = p
for a. The expectation has no closed form; Gauss-Hermite quadrature gives it (Crouch & Spiegelman 1990,
doi:10.1080/01621459.1990.10476222; Zeger, Liang & Albert 1988, doi:10.2307/2531734, for the marginal
reading).
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]

NODES = 60
"""Quadrature nodes: absolute error below 1e-9 up to sd 2, 1e-7 at sd 2.5 and 5e-5 at sd 5 (tested)."""

_NEWTON_STEPS = 60
_BISECTIONS = 60


@cache
def _rule() -> tuple[Float, Float]:
    """Return nodes and weights for an expectation over the standard normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / math.sqrt(2.0 * math.pi)


def logit_normal_mean(intercept: npt.ArrayLike, sd: npt.ArrayLike) -> Float:
    """Return E[expit(intercept + sd Z)] for a standard normal Z.

    Parameters
    ----------
    intercept, sd : array_like
        Log-odds and standard deviation on the log-odds; they broadcast.

    Returns
    -------
    array of float64
        Probabilities, with the broadcast shape.

    Raises
    ------
    InputError
        When `sd` is negative or not a number.
    """
    spread = _valid_sd(sd)
    nodes, weights = _rule()
    eta = np.asarray(intercept, dtype=np.float64)[..., None] + spread[..., None] * nodes
    return np.asarray(_expit(eta) @ weights)


def logit_normal_intercept(probability: npt.ArrayLike, sd: npt.ArrayLike) -> Float:
    """Return the intercept a for which E[expit(a + sd Z)] equals `probability`.

    Parameters
    ----------
    probability : array_like
        Average probabilities in [0, 1]; 0 and 1 give minus and plus infinity.
    sd : array_like
        Standard deviation of the random effect on the log-odds; broadcasts with `probability`.

    Returns
    -------
    array of float64
        Intercepts on the log-odds; the plain logit where `sd` is zero.

    Raises
    ------
    InputError
        When a probability lies outside [0, 1] or `sd` is negative or not a number.
    """
    p = np.asarray(probability, dtype=np.float64)
    if not np.all((p >= 0.0) & (p <= 1.0)):
        raise InputError("a probability must lie in [0, 1]", found=probability, allowed="0 to 1")
    spread = _valid_sd(sd)
    if p.ndim == 0 and spread.ndim == 0:
        return np.asarray(_one_intercept(float(p), float(spread)))
    p, spread = np.broadcast_arrays(p, spread)
    flat = [_one_intercept(a, b) for a, b in zip(p.ravel().tolist(), spread.ravel().tolist(), strict=True)]
    return np.asarray(flat, dtype=np.float64).reshape(p.shape)


def logit_normal_mixture_intercept(
    probability: float, sd: float, shifts: npt.ArrayLike, weights: npt.ArrayLike
) -> float:
    """Return the intercept a for which the average over groups of E[expit(a + shift + sd Z)] equals `probability`.

    Parameters
    ----------
    probability : float
        Average probability over the population, in [0, 1].
    sd : float
        Standard deviation of the random effect within every group.
    shifts, weights : array_like, shape (groups,)
        Log-odds of each group against no effect, and its share; shares are scaled to sum to one.

    Raises
    ------
    InputError
        When the probability, `sd` or a weight is out of range.
    """
    shift = np.atleast_1d(np.asarray(shifts, dtype=np.float64))
    weight = np.atleast_1d(np.asarray(weights, dtype=np.float64))
    if not (np.isfinite(shift).all() and (weight >= 0.0).all() and weight.sum() > 0.0 and shift.shape == weight.shape):
        raise InputError("groups need finite shifts and weights that are not negative", found=(shift, weight))
    weight = weight / weight.sum()
    alone = float(logit_normal_intercept(probability, sd))
    used = shift[weight > 0.0]
    if not math.isfinite(alone) or used.min() == used.max():
        return alone - float(used[0])
    # Every group is at most, or at least, at the wanted average at these two ends.
    low, high = alone - float(used.max()), alone - float(used.min())
    nodes, rule = _rule()
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        mean = float(weight @ (_expit(middle + shift[:, None] + sd * nodes) @ rule))
        low, high = (low, middle) if mean > probability else (middle, high)
    return 0.5 * (low + high)


def logit_normal_mixture_intercept_given(
    probability: float,
    sds: tuple[float, float],
    covariance: float,
    shifts: tuple[npt.ArrayLike, npt.ArrayLike],
    weights: npt.ArrayLike,
    spared: float,
) -> float:
    """Return the intercept of a second failure whose average over those whom a first failure spares is `probability`.

    Parameters
    ----------
    probability : float
        Average probability of the second failure among those spared by the first.
    sds : (float, float)
        Standard deviations of the random effects on the first and on the second failure, within every group.
    covariance : float
        Covariance of the two random effects.
    shifts : pair of array_like, shape (groups,)
        Log-odds of each group on the first and on the second failure.
    weights : array_like, shape (groups,)
        Share of each group before the first failure.
    spared : float
        Average probability of the first failure.
    """
    first, second = (np.atleast_1d(np.asarray(shift, dtype=np.float64)) for shift in shifts)
    weight = np.atleast_1d(np.asarray(weights, dtype=np.float64))
    if probability in (0.0, 1.0) or not 0.0 < spared < 1.0:
        return logit_normal_mixture_intercept(probability, sds[1], second, weight)
    nodes, rule = _rule()
    earlier = logit_normal_mixture_intercept(spared, sds[0], first, weight)
    # The first effect given the second is normal: its slope on the second's standard normal, and what is left.
    slope = covariance / sds[1] if sds[1] > 0.0 else 0.0
    rest = math.sqrt(max(sds[0] ** 2 - slope**2, 0.0))
    effect = earlier + first[:, None, None] + slope * nodes[None, :, None] + rest * nodes[None, None, :]
    kept = weight[:, None] * rule * ((1.0 - _expit(effect)) @ rule)
    kept = kept / kept.sum()
    centre = math.log(probability) - math.log1p(-probability)
    reach = float(np.abs(second).max()) + sds[1] ** 2 + 10.0 * sds[1] + 20.0
    low, high = centre - reach, centre + reach
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        mean = float(np.sum(kept * _expit(middle + second[:, None] + sds[1] * nodes)))
        low, high = (low, middle) if mean > probability else (middle, high)
    return 0.5 * (low + high)


@lru_cache(maxsize=4096)
def _one_intercept(p: float, sd: float) -> float:
    if p in (0.0, 1.0):
        return math.inf if p == 1.0 else -math.inf
    logit = math.log(p) - math.log1p(-p)
    if sd == 0.0:
        return logit
    nodes, weights = _rule()
    # The mean rises in a and its root lies between the logit and far beyond it, on the side away from zero.
    reach = abs(logit) * (1.0 + sd) + sd * sd + 1.0
    low, high = (logit - reach, logit + 1.0) if logit < 0 else (logit - 1.0, logit + reach)
    a = logit * math.sqrt(1.0 + 0.346 * sd * sd)
    for _ in range(_NEWTON_STEPS):
        share = _expit(a + sd * nodes)
        error = float(share @ weights) - p
        if error == 0.0:
            return a
        if error > 0:
            high = a
        else:
            low = a
        slope = float((share * (1.0 - share)) @ weights)
        step = a - error / slope if slope > 0 else math.nan
        following = step if low <= step <= high else 0.5 * (low + high)
        if abs(following - a) <= 1e-10 * (1.0 + abs(a)):
            return following
        a = following
    return a


@lru_cache(maxsize=4096)
def logit_normal_intercept_given(probability: float, sd: float, spared: float) -> float:
    """Return the intercept a for which E[expit(a + sd Z) | spared an earlier failure] equals `probability`.

    The earlier failure has the average probability `spared` and shares the random effect, so those whom it spares are
    better than average: without the condition fewer than stated would fail.

    Raises
    ------
    InputError
        As `logit_normal_intercept`.
    """
    plain = float(logit_normal_intercept(probability, sd))
    if sd == 0.0 or not 0.0 < spared < 1.0 or math.isinf(plain):
        return plain
    nodes, weights = _rule()
    kept = weights * (1.0 - _expit(float(logit_normal_intercept(spared, sd)) + sd * nodes))
    kept = kept / kept.sum()
    low, high = plain, plain + 2.0 * sd * sd + 4.0 * sd + 10.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if float(_expit(middle + sd * nodes) @ kept) < probability else (low, middle)
    return 0.5 * (low + high)


def _expit(x: Float) -> Float:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def _valid_sd(sd: npt.ArrayLike) -> Float:
    spread = np.asarray(sd, dtype=np.float64)
    if not np.all(np.isfinite(spread) & (spread >= 0.0)):
        raise InputError("a standard deviation must be a finite number, not negative", found=sd, allowed="0 or above")
    return spread
