"""Has the uncertainty analysis been run long enough?

Running estimates after 1, 2, ... draws with their Monte Carlo error, for means and for the decision itself
(Hatswell et al. 2018, doi:10.1007/s40273-018-0697-3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.economics.net_benefit import checked_draws, net_monetary_benefit

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RunningMean:
    """Estimate of a mean after a growing number of draws.

    Attributes
    ----------
    draws : array of int, shape (k,)
    mean, standard_error, low, high : array, shape (k,)
        `low` and `high` bound the mean with Monte Carlo error alone (Student t).
    """

    draws: Int
    mean: Float
    standard_error: Float
    low: Float
    high: Float


def checkpoints(draws: int, count: int = 50) -> Int:
    """Return up to `count` growing numbers of draws from 2 to `draws`, evenly spaced in logarithm."""
    if draws < 2:
        raise InputError("convergence needs at least two draws", found=draws)
    return np.unique(np.round(np.geomspace(2, draws, count)).astype(np.int64))


def running_mean(values: npt.ArrayLike, *, count: int = 50, level: float = 0.95) -> RunningMean:
    """Return the mean of the first n draws for growing n, with its Monte Carlo error.

    Parameters
    ----------
    values : array_like, shape (draws,)
        In the order of the draws.
    count : int
        Number of checkpoints.
    level : float

    Notes
    -----
    The error treats draws as independent. For Sobol points and Latin hypercubes the mean is more precise than
    that, so that the bounds are on the safe side; `replicate_standard_error` measures the precision of such
    designs.
    """
    from scipy import stats

    x = np.asarray(values, dtype=np.float64)
    at = checkpoints(x.size, count)
    shifted = x - x[0]
    total, squares = np.cumsum(shifted), np.cumsum(shifted**2)
    mean = total[at - 1] / at
    variance = np.maximum(squares[at - 1] / at - mean**2, 0.0) * at / (at - 1)
    error = np.sqrt(variance / at)
    reach = stats.t.ppf((1.0 + level) / 2.0, at - 1) * error
    mean = mean + x[0]
    return RunningMean(at, mean, error, mean - reach, mean + reach)


@dataclass(frozen=True)
class DecisionConvergence:
    """The decision at one willingness to pay after a growing number of draws.

    Attributes
    ----------
    draws : array of int, shape (k,)
    best : array of int, shape (k,)
        Arm with the highest mean net benefit so far.
    probability_best : array, shape (k, arms)
    margin : float
        Mean difference in net benefit between the best arm and the runner-up after all draws.
    margin_standard_error : float
    chance_of_wrong_arm : float
        Normal probability that Monte Carlo error alone put the best arm first; 0.5 when the margin is zero.
    stable_since : int
        Number of draws from which `best` no longer changed.
    """

    draws: Int
    best: npt.NDArray[np.intp]
    probability_best: Float
    margin: float
    margin_standard_error: float
    chance_of_wrong_arm: float
    stable_since: int


def decision_convergence(
    costs: npt.ArrayLike, effects: npt.ArrayLike, wtp: float, *, count: int = 50
) -> DecisionConvergence:
    """Return whether the draws suffice to name the best arm.

    Parameters
    ----------
    costs, effects : array_like, shape (draws, arms)
    wtp : float
    count : int
        Number of checkpoints.
    """
    from scipy import stats

    cost, effect = checked_draws(costs, effects)
    benefit = net_monetary_benefit(cost, effect, wtp)
    at = checkpoints(benefit.shape[0], count)
    best = (np.cumsum(benefit, axis=0)[at - 1] / at[:, None]).argmax(axis=1)
    top = benefit == benefit.max(axis=1, keepdims=True)
    probability = np.cumsum(top / top.sum(axis=1, keepdims=True), axis=0)[at - 1] / at[:, None]
    order = np.argsort(-benefit.mean(axis=0), kind="stable")
    difference = benefit[:, order[0]] - benefit[:, order[1]]
    margin = float(difference.mean())
    error = float(difference.std(ddof=1) / math.sqrt(difference.size))
    wrong = float(stats.norm.sf(margin / error)) if error > 0.0 else (0.5 if margin == 0.0 else 0.0)
    changed = np.flatnonzero(best != best[-1])
    since = int(at[0]) if changed.size == 0 else int(at[changed[-1] + 1])
    return DecisionConvergence(at, best, probability, margin, error, wrong, since)


def draws_needed(values: npt.ArrayLike, *, standard_error: float) -> int:
    """Return how many independent draws bring the standard error of the mean down to `standard_error`.

    Raises
    ------
    InputError
        When `standard_error` is not positive or there are fewer than two pilot draws.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size < 2:
        raise InputError("a pilot needs at least two draws", found=x.size)
    if not standard_error > 0.0:
        raise InputError("the wanted standard error must be positive", found=standard_error)
    return max(2, math.ceil(float(x.var(ddof=1)) / standard_error**2))


def replicate_standard_error(replicate_means: npt.ArrayLike) -> float:
    """Return the standard error of the mean of independent replicates of one design, shape (replicates,).

    The honest error of a Sobol or Latin hypercube estimate (Owen 1997, doi:10.1137/S0036142994277468).
    """
    x = np.asarray(replicate_means, dtype=np.float64)
    if x.ndim != 1 or x.size < 2:
        raise InputError("at least two replicates are needed", found=x.shape)
    return float(x.std(ddof=1) / math.sqrt(x.size))
