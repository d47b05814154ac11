"""Multivariate control of batch trajectories: principal components of good batches, T squared and squared prediction error.

Batches are unfolded so that each is one row of (time, variable) cells, centred and scaled cell by cell, which removes the
average trajectory (Nomikos & MacGregor 1995, doi:10.1080/00401706.1995.10485888). Limits: T squared of a new batch from
Hotelling's F; squared prediction error from Jackson & Mudholkar 1979, doi:10.1080/00401706.1979.10489779. While a batch
runs, a model of the part seen so far judges it (evolving models, Louwerse & Smilde 2000, doi:10.1016/S0009-2509(99)00408-X).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BatchModel:
    """Principal components of reference batches up to a time.

    Attributes
    ----------
    centre, spread : arrays, shape (p,)
    loadings : array, shape (p, A)
    score_variance : array, shape (A,)
    t_squared_limit, prediction_error_limit : float
        At the stated false-alarm share, each.
    explained : float
        Share of the references' variance that the components hold.
    batches : int
    """

    centre: Float
    spread: Float
    loadings: Float
    score_variance: Float
    t_squared_limit: float
    prediction_error_limit: float
    explained: float
    batches: int


@dataclass(frozen=True)
class BatchVerdict:
    """Statistics of batches against a model; contributions say which cells make up the squared prediction error."""

    t_squared: Float
    prediction_error: Float
    outside: npt.NDArray[np.bool_]
    contributions: Float


def unfold(trajectories: npt.ArrayLike, until: int | None = None) -> Float:
    """Return trajectories, shape (batches, times, variables), as rows of the first `until` times."""
    data = np.asarray(trajectories, dtype=np.float64)
    if data.ndim != 3:
        raise InputError("trajectories need the shape (batches, times, variables)", found=data.shape)
    until = data.shape[1] if until is None else until
    if not 1 <= until <= data.shape[1]:
        raise InputError("time out of range", found=until, allowed=f"1 to {data.shape[1]}")
    return data[:, :until, :].reshape(data.shape[0], -1)


def fit_batch_model(rows: npt.ArrayLike, *, components: int | None = None, alpha: float = 0.01) -> BatchModel:
    """Return a model of reference batches.

    Parameters
    ----------
    rows : array_like, shape (n, p)
        Unfolded good batches.
    components : int, optional
        Default: the fewest that hold 80 % of the variance, at most a third of the batches.
    alpha : float
        Share of good batches outside each limit.

    Raises
    ------
    InputError
        Fewer than six batches, values that are not finite, or too many components.
    """
    data = np.asarray(rows, dtype=np.float64)
    n = data.shape[0]
    if data.ndim != 2 or n < 6:
        raise InputError("a batch model needs six reference batches or more", found=n)
    if not np.all(np.isfinite(data)):
        raise InputError("the trajectories hold values that are not finite; fill or drop them first")
    if not 0 < alpha < 0.5:
        raise InputError("must lie between 0 and 0.5", field="alpha", found=alpha)
    centre, spread = data.mean(axis=0), data.std(axis=0, ddof=1)
    spread = np.where(spread > 0, spread, 1.0)
    scaled = (data - centre) / spread
    _, singular, right = np.linalg.svd(scaled, full_matrices=False)
    variance = singular**2 / (n - 1)
    share = np.cumsum(variance) / variance.sum()
    most = max(1, min(n // 3, right.shape[0] - 1))
    a = min(int(np.searchsorted(share, 0.8)) + 1, most) if components is None else components
    if not 1 <= a <= min(n - 2, right.shape[0]):
        raise InputError("number of components out of range", found=a, allowed=f"1 to {min(n - 2, right.shape[0])}")
    f = float(stats.f.ppf(1 - alpha, a, n - a))
    return BatchModel(
        centre=centre,
        spread=spread,
        loadings=right[:a].T,
        score_variance=variance[:a],
        t_squared_limit=a * (n * n - 1.0) / (n * (n - a)) * f,
        prediction_error_limit=prediction_error_limit(variance[a:], alpha),
        explained=float(share[a - 1]),
        batches=n,
    )


def prediction_error_limit(residual_variances: npt.ArrayLike, alpha: float) -> float:
    """Return the limit of the squared prediction error from the variances of the components left out."""
    left = np.asarray(residual_variances, dtype=np.float64)
    theta1, theta2, theta3 = (float(np.sum(left**k)) for k in (1, 2, 3))
    if theta1 <= 0:
        return 0.0
    h = 1.0 - 2.0 * theta1 * theta3 / (3.0 * theta2**2)
    z = float(stats.norm.ppf(1 - alpha))
    if h <= 0:
        # the power transform breaks down; Box's scaled chi-squared has the same first two moments
        g, df = theta2 / theta1, theta1**2 / theta2
        return g * float(stats.chi2.ppf(1 - alpha, df))
    bracket = z * math.sqrt(2.0 * theta2 * h * h) / theta1 + 1.0 + theta2 * h * (h - 1.0) / theta1**2
    return float(theta1 * bracket ** (1.0 / h))


def judge(model: BatchModel, rows: npt.ArrayLike) -> BatchVerdict:
    """Return T squared and squared prediction error of new batches, shape (m, p), against the limits."""
    data = np.atleast_2d(np.asarray(rows, dtype=np.float64))
    if data.shape[1] != model.centre.size:
        raise InputError(
            "the batches do not have the model's cells", found=data.shape[1], allowed=str(model.centre.size)
        )
    scaled = (data - model.centre) / model.spread
    scores = scaled @ model.loadings
    t_squared = np.sum(scores**2 / model.score_variance, axis=1)
    residual = scaled - scores @ model.loadings.T
    error = np.sum(residual**2, axis=1)
    outside = (t_squared > model.t_squared_limit) | (error > model.prediction_error_limit)
    return BatchVerdict(t_squared, error, outside, residual**2)


def left_out_verdicts(rows: npt.ArrayLike, *, components: int | None = None, alpha: float = 0.01) -> BatchVerdict:
    """Return each reference batch judged by a model of the others.

    With many cells and few batches a new batch lies outside its model more often than `alpha`; this shows how often.
    """
    data = np.asarray(rows, dtype=np.float64)
    parts = [
        judge(fit_batch_model(np.delete(data, i, axis=0), components=components, alpha=alpha), data[i : i + 1])
        for i in range(data.shape[0])
    ]
    return BatchVerdict(
        np.concatenate([p.t_squared for p in parts]),
        np.concatenate([p.prediction_error for p in parts]),
        np.concatenate([p.outside for p in parts]),
        np.concatenate([p.contributions for p in parts]),
    )
