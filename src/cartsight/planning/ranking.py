"""Ranking and selection on common random numbers: the sequential procedure of Kim & Nelson 2001, doi:10.1145/502109.502111.

All systems see the same random numbers in a replication. With probability at least 1 - alpha the system that survives alone is
the best, or within `indifference` of it, for normal data with any covariance between systems.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What is left when sampling stops.

    Attributes
    ----------
    survivors : tuple of int
        Systems not eliminated; one when the procedure finished, several when the replications ran out.
    replications : array of int, shape (systems,)
        Replications seen by each system.
    values : array, shape (replications, systems)
        NaN after elimination.
    """

    survivors: tuple[int, ...]
    replications: npt.NDArray[np.int64]
    values: Float
    indifference: float
    alpha: float


def select_smallest(
    simulate: Callable[[int, int], float],
    systems: int,
    *,
    indifference: float,
    alpha: float = 0.05,
    first: int = 10,
    most: int = 40,
) -> Selection:
    """Return the systems with the smallest mean that cannot be ruled out.

    Parameters
    ----------
    simulate : callable
        ``simulate(system, replication)``; the replication keys the random numbers.
    systems : int
    indifference : float
        Smallest difference worth detecting, above zero.
    alpha : float
        Chance of a wrong selection when the best leads by `indifference`.
    first, most : int
        Replications before the first comparison, and at most.
    """
    values = np.full((most, systems), np.nan)
    alive = list(range(systems))
    for replication in range(first):
        values[replication] = [simulate(system, replication) for system in alive]
    if systems == 1:
        return Selection((0,), np.array([first]), values, indifference, alpha)
    spread = np.zeros((systems, systems))
    for i in range(systems):
        for j in range(systems):
            spread[i, j] = np.var(values[:first, i] - values[:first, j], ddof=1)
    eta = 0.5 * ((2.0 * alpha / (systems - 1)) ** (-2.0 / (first - 1)) - 1.0)
    h_squared = 2.0 * eta * (first - 1)
    done = first
    while True:
        sums = np.nansum(values[:done], axis=0)
        kept = []
        for i in alive:
            room = [
                max(0.0, indifference / 2.0 * (h_squared * spread[i, j] / indifference**2 - done)) for j in alive if j != i
            ]
            if all(sums[i] <= sums[j] + w for j, w in zip([j for j in alive if j != i], room, strict=True)):
                kept.append(i)
        alive = kept or alive
        if len(alive) == 1 or done == most:
            break
        for i in alive:
            values[done, i] = simulate(i, done)
        done += 1
    counts = np.count_nonzero(~np.isnan(values), axis=0)
    return Selection(tuple(alive), counts, values[:done], indifference, alpha)


def interval(values: Float, level: float = 0.95) -> tuple[float, float, float]:
    """Return mean and Student-t interval of replications, shape (n,), NaN left out."""
    from scipy.stats import t

    known = values[~np.isnan(values)]
    mean = float(known.mean())
    if known.size < 2:
        return mean, math.nan, math.nan
    half = float(t.ppf(0.5 + level / 2.0, known.size - 1) * known.std(ddof=1) / math.sqrt(known.size))
    return mean, mean - half, mean + half
