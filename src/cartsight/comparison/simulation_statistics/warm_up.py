"""Warm-up of a run that starts empty: Welch's plot to look at, MSER-5 to propose where to cut; batch means after it.

Only for steady-state questions. A programme that is launched and observed over a horizon is terminating: its start
belongs to the answer and nothing is cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.comparison.simulation_statistics.replications import MeanInterval, checked_level, mean_interval
from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
LEAST_LEFT = 5
"""Batches that must remain after a cut: the statistic of fewer is noise (White, Cobb & Spratt 2000)."""


@dataclass(frozen=True)
class WelchPlot:
    """Data of Welch's plot.

    Attributes
    ----------
    average : array, shape (m,)
        Mean over replications of the i-th observation.
    smoothed : array, shape (m - window,)
        Moving average of 2 window + 1 points, of fewer near the start.
    window : int
    replications : int
    """

    average: Float
    smoothed: Float
    window: int
    replications: int


def welch_plot(series: npt.ArrayLike, window: int) -> WelchPlot:
    """Return the averages and moving averages of replicated series.

    Parameters
    ----------
    series : array_like, shape (replications, m)
        Observation i of each replication.
    window : int
        w, at most m / 4: point i > w averages i - w to i + w; point i <= w averages its 2 i - 1 first neighbours.

    Raises
    ------
    InputError
        Not a finite table, or a window outside 0 to m / 4.

    Notes
    -----
    Welch 1983, in Lavenberg (ed.), The Computer Performance Modeling Handbook, Academic Press, pp. 268-328. Choose the
    cut where the smoothed curve has become level; five or more replications make it readable.
    """
    x = np.asarray(series, dtype=np.float64)
    if x.ndim != 2 or x.shape[0] < 1 or x.shape[1] < 4 or not np.isfinite(x).all():
        raise InputError(
            "Welch's plot needs finite series of four or more observations, shape (replications, m)", found=x.shape
        )
    m = x.shape[1]
    if window != int(window) or not 0 <= window <= m // 4:
        raise InputError(
            "the window lies between 0 and a quarter of the series", found=window, allowed=f"0 to {m // 4}"
        )
    average = x.mean(axis=0)
    running = np.concatenate([[0.0], np.cumsum(average)])
    centre = np.arange(m - window)
    reach = np.minimum(centre, window)
    smoothed = (running[centre + reach + 1] - running[centre - reach]) / (2 * reach + 1)
    return WelchPlot(average, smoothed, int(window), int(x.shape[0]))


@dataclass(frozen=True)
class Truncation:
    """Where MSER-5 would cut.

    Attributes
    ----------
    observations : int
        Observations to delete.
    batches, total_batches : int
        The same in batches: d* and n.
    accepted : bool
        False when d* > n / 2: the run is too short to tell the transient from the rest, so do not cut but run longer.
    statistic : array, shape (n - 4,)
        MSER(d) for d = 0, 1, ...
    mean : float
        Mean of what is left.
    batch_size : int
    """

    observations: int
    batches: int
    total_batches: int
    accepted: bool
    statistic: Float
    mean: float
    batch_size: int


def mser(series: npt.ArrayLike, *, batch_size: int = 5) -> Truncation:
    """Return the truncation point that minimises the marginal standard error (MSER-5 by default).

    With batch means Y_1..Y_n of `batch_size` observations, d* = argmin over d of
    sum over i > d of (Y_i - mean of Y_d+1..Y_n)^2 / (n - d)^2, and refused when d* > n / 2.

    Parameters
    ----------
    series : array_like, shape (m,)
        One output series in order, or the average of several replications. A last incomplete batch is left out.
    batch_size : int

    Raises
    ------
    InputError
        Fewer than ten batches, or values that are not finite.

    Notes
    -----
    White 1997 (doi:10.1177/003754979706900601); batches of five: White, Cobb & Spratt 2000, Proceedings of the Winter
    Simulation Conference, pp. 755-760.
    """
    x = np.asarray(series, dtype=np.float64)
    if batch_size != int(batch_size) or batch_size < 1:
        raise InputError("the batch size must be a whole number of at least 1", field="batch_size", found=batch_size)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise InputError("MSER needs one finite series", found=x.shape)
    n = x.size // batch_size
    if n < 2 * LEAST_LEFT:
        raise InputError(
            "MSER needs at least ten batches", found=f"{x.size} observations", allowed=f"{2 * LEAST_LEFT * batch_size}"
        )
    y = x[: n * batch_size].reshape(n, batch_size).mean(axis=1)
    # Centred first: the sums of squares of a small spread about a large mean would cancel.
    shift = float(y.mean())
    z = y - shift
    left = n - np.arange(n)
    sums, squares = np.cumsum(z[::-1])[::-1], np.cumsum((z * z)[::-1])[::-1]
    statistic = np.maximum(squares - sums**2 / left, 0.0) / left.astype(np.float64) ** 2
    statistic = statistic[: n - LEAST_LEFT + 1]
    cut = int(np.argmin(statistic))
    return Truncation(
        observations=cut * batch_size,
        batches=cut,
        total_batches=n,
        accepted=2 * cut <= n,
        statistic=statistic,
        mean=shift + float(sums[cut] / left[cut]),
        batch_size=int(batch_size),
    )


def without_warm_up(series: npt.ArrayLike, *, batch_size: int = 5) -> Float:
    """Return the series after the MSER cut.

    Raises
    ------
    InputError
        The cut lies in the second half: the series is too short to have a steady state in it.
    """
    found = mser(series, batch_size=batch_size)
    if not found.accepted:
        raise InputError(
            "no warm-up can be told from this run: the best cut lies in its second half",
            found=f"{found.batches} of {found.total_batches} batches",
            hint="run longer; if the cut stays late, the system may have no steady state (load of one or more)",
        )
    return np.asarray(series, dtype=np.float64)[found.observations :]


@dataclass(frozen=True)
class BatchMeans:
    """Interval of a steady-state mean from one long run.

    Attributes
    ----------
    interval : MeanInterval
        Over the batches.
    batch_size : int
        Observations per batch.
    lag_one_correlation : float
        Of the batch means.
    independence_p_value : float
        Of von Neumann's ratio, two-sided normal approximation: small means batches are too short.
    independent : bool
        p >= 0.05. When False the interval is too narrow and must not be used as it stands.
    """

    interval: MeanInterval
    batch_size: int
    lag_one_correlation: float
    independence_p_value: float
    independent: bool


def batch_means(series: npt.ArrayLike, *, batches: int = 20, level: float = 0.95) -> BatchMeans:
    """Return the batch-means interval of the mean of a stationary series.

    Parameters
    ----------
    series : array_like, shape (m,)
        After deletion of the warm-up. The first m mod `batches` observations are left out.
    batches : int
        10 to 30 are usual (Schmeiser 1982, Operations Research 30:556-568).
    level : float

    Raises
    ------
    InputError
        Fewer than ten batches or two observations per batch, or values that are not finite.
    """
    checked_level(level)
    x = np.asarray(series, dtype=np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise InputError("batch means need one finite series", found=x.shape)
    if batches < 10 or x.size < 2 * batches:
        raise InputError(
            "batch means need ten batches or more of two observations or more", found=(batches, int(x.size))
        )
    size = x.size // batches
    y = x[x.size - size * batches :].reshape(batches, size).mean(axis=1)
    centred = y - y.mean()
    total = float(np.sum(centred**2))
    if total == 0.0:
        return BatchMeans(mean_interval(y, level=level), size, 0.0, 1.0, True)
    lag_one = float(np.sum(centred[1:] * centred[:-1])) / total
    # von Neumann 1941, with the end effects: under independence the statistic has variance (b - 2) / (b^2 - 1).
    ends = (centred[0] ** 2 + centred[-1] ** 2) / (2.0 * total)
    z = (lag_one + float(ends)) * math.sqrt((batches**2 - 1.0) / (batches - 2.0))
    p_value = float(2.0 * stats.norm.sf(abs(z)))
    return BatchMeans(mean_interval(y, level=level), size, lag_one, p_value, p_value >= 0.05)
