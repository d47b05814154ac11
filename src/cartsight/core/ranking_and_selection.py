"""Select the best of k systems with a guarantee: the fully sequential procedure KN of Kim & Nelson (2001).

    P(the best is selected) >= 1 - alpha whenever its mean is at least delta better than the second best,

for normal values, with unequal variances and any correlation between systems (common random numbers). delta is the
indifference zone: differences below it do not matter to the decision, and then any of the near-best may be selected.
Kim & Nelson 2001, ACM TOMACS 11(3):251-273, doi:10.1145/502109.502111, with c = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Selection:
    """What KN selected.

    Attributes
    ----------
    best : int
        Number of the selected system.
    survivors : tuple of int
        Systems not eliminated: the best alone when the procedure ended, several when the replications ran out first.
    means : array, shape (k,)
        Mean of each system over the replications it ran; comparable only within a stage of elimination.
    replications : array of int, shape (k,)
        Replications each system ran.
    eliminated_after : array of int, shape (k,)
        Replications at which each was eliminated; 0 for those that were left to the end.
    total_replications : int
    first_stage, alpha, indifference : int, float, float
    """

    best: int
    survivors: tuple[int, ...]
    means: Float
    replications: npt.NDArray[np.int64]
    eliminated_after: npt.NDArray[np.int64]
    total_replications: int
    first_stage: int
    alpha: float
    indifference: float


def select_best(
    sample: Callable[[int, tuple[int, ...]], npt.ArrayLike],
    systems: int,
    *,
    indifference: float,
    alpha: float = 0.05,
    first_stage: int = 10,
    maximise: bool = True,
    most: int | None = None,
) -> Selection:
    """Return the system with the best mean, eliminating clearly inferior ones as soon as they show.

    Parameters
    ----------
    sample : callable
        ``sample(i, alive)`` returns replication i of the systems numbered `alive`, shape (len(alive),). On common
        random numbers the values of one replication share its seed.
    systems : int
        k >= 2.
    indifference : float
        delta > 0, the smallest difference worth detecting, in the unit of the metric.
    alpha : float
        Allowed probability of a wrong selection, below 1 - 1/k.
    first_stage : int
        n0 >= 2 replications from which the variances of differences are estimated; 10 or more are advised.
    maximise : bool
    most : int, optional
        Replications at most. The guarantee is lost when they run out with several survivors.

    Raises
    ------
    InputError
        Arguments outside these bounds, or values that are not finite.
    """
    k = systems
    if k < 2:
        raise InputError("a selection needs at least two systems", found=k)
    if not (math.isfinite(indifference) and indifference > 0.0):
        raise InputError("the indifference zone must be above zero", field="indifference", found=indifference)
    if not 0.0 < alpha < 1.0 - 1.0 / k:
        raise InputError("alpha lies between 0 and 1 - 1/k", field="alpha", found=alpha)
    if first_stage < 2:
        raise InputError("the first stage needs two replications or more", field="first_stage", found=first_stage)
    if most is not None and most < first_stage:
        raise InputError("fewer replications than the first stage", field="most", found=most)
    sign = 1.0 if maximise else -1.0
    alive = list(range(k))
    first = np.array([_values(sample(i, tuple(alive)), k) for i in range(first_stage)]) * sign
    sums = first.sum(axis=0)
    counts = np.full(k, first_stage, dtype=np.int64)
    eliminated = np.zeros(k, dtype=np.int64)
    h_squared = _h_squared(k, alpha, first_stage)
    deviations = first - first.mean(axis=0)
    spread = deviations[:, :, None] - deviations[:, None, :]
    variance = (spread**2).sum(axis=0) / (first_stage - 1)
    # How many replications the pair (i, l) can need: the triangular boundary is zero from there on.
    bound = h_squared * variance / indifference**2
    last = int(np.floor(bound).max())
    r = first_stage
    while r <= last:
        alive_now = np.array(alive)
        means = sums[alive_now] / r
        boundary = np.maximum(0.0, indifference / (2.0 * r) * (bound[np.ix_(alive_now, alive_now)] - r))
        np.fill_diagonal(boundary, np.inf)
        keep = np.all(means[:, None] >= means[None, :] - boundary, axis=1)
        eliminated[alive_now[~keep]] = r
        alive = alive_now[keep].tolist()
        if len(alive) == 1 or r == most:
            break
        values = _values(sample(r, tuple(alive)), len(alive)) * sign
        sums[alive] += values
        counts[alive] += 1
        r += 1
    means = sums / counts
    best = max(alive, key=lambda system: float(means[system]))
    # Beyond `last` the triangular boundary is zero and only the best is left.
    survivors = tuple(alive) if r <= last else (best,)
    return Selection(
        best, survivors, sign * means, counts, eliminated, int(counts.sum()), first_stage, alpha, indifference
    )


def _h_squared(systems: int, alpha: float, first_stage: int) -> float:
    """Return h^2 = 2 c eta (n0 - 1) with eta = ((2 alpha / (k - 1))^(-2 / (n0 - 1)) - 1) / 2 and c = 1."""
    eta: float = 0.5 * ((2.0 * alpha / (systems - 1)) ** (-2.0 / (first_stage - 1)) - 1.0)
    return 2.0 * eta * (first_stage - 1)


def _values(sampled: npt.ArrayLike, count: int) -> Float:
    values = np.asarray(sampled, dtype=np.float64)
    if values.shape != (count,) or not np.isfinite(values).all():
        raise InputError(
            "a replication must return one finite value per system", found=values.shape, allowed=str((count,))
        )
    return values
