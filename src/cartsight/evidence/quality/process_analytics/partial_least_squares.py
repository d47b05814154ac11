"""Partial least squares by NIPALS, with cross-validation by batch: spectra or in-line signals to a measured quantity.

Wold, Sjöström & Eriksson 2001, doi:10.1016/S0169-7439(01)00155-1. One response. Columns are centred and, unless told
otherwise, scaled to unit variance; spectra are usually only centred.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PartialLeastSquares:
    """A fitted model: ``prediction = intercept + x @ coefficients``.

    Attributes
    ----------
    weights, loadings : arrays, shape (p, A)
    scores : array, shape (n, A)
    response_loadings : array, shape (A,)
    coefficients : array, shape (p,)
        In the units of the data.
    intercept : float
    explained : array, shape (A,)
        Share of the response's variance explained by the first 1, 2, ... components, in the training data.
    """

    weights: Float
    loadings: Float
    scores: Float
    response_loadings: Float
    coefficients: Float
    intercept: float
    explained: Float

    def predict(self, x: npt.ArrayLike) -> Float:
        """Return predictions, shape (m,), for rows of `x`, shape (m, p)."""
        return np.asarray(np.asarray(x, dtype=np.float64) @ self.coefficients + self.intercept)


def fit_partial_least_squares(
    x: npt.ArrayLike, y: npt.ArrayLike, components: int, *, scale: bool = True
) -> PartialLeastSquares:
    """Return a model with a number of components.

    Parameters
    ----------
    x : array_like, shape (n, p)
    y : array_like, shape (n,)
    components : int
        At most min(n - 1, p).
    scale : bool
        Scale the columns of `x` to unit variance.

    Raises
    ------
    InputError
        Sizes that disagree, values that are not finite, a constant response, or too many components.
    """
    data, response = _checked(x, y)
    n, p = data.shape
    most = min(n - 1, p)
    if not 1 <= components <= most:
        raise InputError("number of components out of range", found=components, allowed=f"1 to {most}")
    centre, middle = data.mean(axis=0), float(response.mean())
    spread = data.std(axis=0, ddof=1) if scale else np.ones(p)
    spread = np.where(spread > 0, spread, 1.0)
    residual_x, residual_y = (data - centre) / spread, response - middle
    total = float(residual_y @ residual_y)
    weights, loadings, scores, q, explained = [], [], [], [], []
    for _ in range(components):
        w = residual_x.T @ residual_y
        length = float(np.linalg.norm(w))
        if length < 1e-12 * max(np.sqrt(total), 1e-300):
            break
        w = w / length
        t = residual_x @ w
        size = float(t @ t)
        loading, share = residual_x.T @ t / size, float(residual_y @ t) / size
        residual_x = residual_x - np.outer(t, loading)
        residual_y = residual_y - share * t
        weights.append(w)
        loadings.append(loading)
        scores.append(t)
        q.append(share)
        explained.append(1.0 - float(residual_y @ residual_y) / total)
    if not weights:
        raise InputError("no column varies with the response")
    big_w, big_p = np.column_stack(weights), np.column_stack(loadings)
    inner = big_w @ np.linalg.solve(big_p.T @ big_w, np.asarray(q)) / spread
    return PartialLeastSquares(
        big_w,
        big_p,
        np.column_stack(scores),
        np.asarray(q),
        inner,
        middle - float(centre @ inner),
        np.asarray(explained),
    )


@dataclass(frozen=True)
class CrossValidation:
    """Prediction of rows that were left out, a whole group (batch) at a time.

    Attributes
    ----------
    components : int
        Chosen: the fewest whose error is within one standard error of the least.
    errors : array, shape (A,)
        Root mean squared error of cross-validation for 1, 2, ... components.
    q_squared : float
        1 - PRESS / total sum of squares at the chosen number.
    predicted : array, shape (n,)
        Cross-validated predictions at the chosen number.
    """

    components: int
    errors: Float
    q_squared: float
    predicted: Float

    @property
    def error(self) -> float:
        """Root mean squared error of cross-validation at the chosen number."""
        return float(self.errors[self.components - 1])


def folds(groups: npt.ArrayLike, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Return a fold number for every row; rows of one group share it."""
    labels, index = np.unique(np.asarray(groups), return_inverse=True)
    if labels.size < 2:
        raise InputError("cross-validation by batch needs two batches or more", found=int(labels.size))
    order = np.random.default_rng(seed).permutation(labels.size)
    fold = np.empty(labels.size, dtype=np.int64)
    fold[order] = np.arange(labels.size) % min(count, labels.size)
    return np.asarray(fold[index])


def cross_validate(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    most_components: int = 10,
    count: int = 10,
    scale: bool = True,
    seed: int = 1,
) -> CrossValidation:
    """Return the cross-validated error and the number of components it supports.

    Parameters
    ----------
    groups : array_like, shape (n,)
        Batch of every row: rows of one batch are left out together, because neighbours predict each other.
    count : int
        Folds; at most one per batch.
    """
    data, response = _checked(x, y)
    fold = folds(groups, count, seed)
    smallest = min(int(np.sum(fold != k)) for k in range(int(fold.max()) + 1))
    most = max(1, min(most_components, smallest - 1, data.shape[1]))
    predicted = np.zeros((most, response.size))
    for k in range(int(fold.max()) + 1):
        out = fold == k
        for a in range(1, most + 1):
            model = fit_partial_least_squares(data[~out], response[~out], a, scale=scale)
            predicted[a - 1, out] = model.predict(data[out])
    squares = (predicted - response) ** 2
    errors = np.sqrt(squares.mean(axis=1))
    best = int(np.argmin(errors))
    by_fold = np.array([squares[best, fold == k].mean() for k in range(int(fold.max()) + 1)])
    allowed = squares[best].mean() + by_fold.std(ddof=1) / np.sqrt(by_fold.size)
    chosen = int(np.flatnonzero(squares.mean(axis=1) <= allowed)[0]) + 1
    total = float(np.sum((response - response.mean()) ** 2))
    return CrossValidation(
        chosen, errors, 1.0 - float(squares[chosen - 1].sum()) / total, np.asarray(predicted[chosen - 1])
    )


def standard_normal_variate(spectra: npt.ArrayLike) -> Float:
    """Return spectra, shape (n, p), each centred and scaled by itself (Barnes 1989, doi:10.1366/0003702894202201)."""
    data = np.asarray(spectra, dtype=np.float64)
    spread = data.std(axis=1, ddof=1, keepdims=True)
    return np.asarray((data - data.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0))


def derivative(spectra: npt.ArrayLike, window: int = 15, order: int = 2, times: int = 1) -> Float:
    """Return Savitzky-Golay derivatives of spectra along their channels (doi:10.1021/ac60214a047)."""
    from scipy.signal import savgol_filter

    data = np.asarray(spectra, dtype=np.float64)
    if window % 2 == 0 or not order < window <= data.shape[1]:
        raise InputError("the window must be odd, above the order and within the spectrum", found=window)
    return np.asarray(savgol_filter(data, window, order, deriv=times, axis=1))


def _checked(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Float, Float]:
    data, response = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if data.ndim != 2 or response.shape != (data.shape[0],):
        raise InputError("x needs one row per response", found=(data.shape, response.shape))
    if not np.all(np.isfinite(data)) or not np.all(np.isfinite(response)):
        raise InputError("the data hold values that are not finite; fill or drop them first")
    if data.shape[0] < 3:
        raise InputError("too few rows for a model", found=data.shape[0], allowed="3 or more")
    if np.ptp(response) == 0:
        raise InputError("the response does not vary")
    return data, response
