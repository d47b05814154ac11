"""Early warning from in-line measurements: predicted failure with a calibrated probability, and what stopping early is worth.

Failure is a penalised logistic regression on what has been measured by a day, cross-validated batch by batch; its
probabilities are judged on batches they were not fitted to (Brier score, calibration intercept and slope, area under the
curve; Van Calster et al. 2019, doi:10.1186/s12916-019-1466-7).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.evidence.quality.process_analytics.partial_least_squares import CrossValidation, cross_validate, folds

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Logistic:
    """A penalised logistic regression on standardised columns."""

    centre: Float
    spread: Float
    coefficients: Float
    intercept: float

    def probability(self, x: npt.ArrayLike) -> Float:
        """Return the probability of failure of rows of `x`."""
        eta = ((np.asarray(x, dtype=np.float64) - self.centre) / self.spread) @ self.coefficients + self.intercept
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * eta)))


def fit_logistic(x: npt.ArrayLike, failed: npt.ArrayLike, penalty: float = 1.0) -> Logistic:
    """Return the ridge logistic regression, by Newton's method.

    Parameters
    ----------
    x : array_like, shape (n, p)
    failed : array_like of bool, shape (n,)
    penalty : float
        Of half the squared standardised coefficients; the intercept is free.
    """
    data, y = np.asarray(x, dtype=np.float64), np.asarray(failed, dtype=np.float64)
    if data.ndim != 2 or y.shape != (data.shape[0],):
        raise InputError("x needs one row per batch", found=(data.shape, y.shape))
    if not np.all(np.isfinite(data)):
        raise InputError("the measurements hold values that are not finite; fill or drop them first")
    if not 0 < y.sum() < y.size:
        raise InputError("both failed and good batches are needed", found=f"{int(y.sum())} of {y.size} failed")
    centre, spread = data.mean(axis=0), data.std(axis=0, ddof=1)
    spread = np.where(spread > 0, spread, 1.0)
    design = np.column_stack([np.ones(y.size), (data - centre) / spread])
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 0.0
    beta = np.zeros(design.shape[1])
    beta[0] = math.log(y.mean() / (1 - y.mean()))
    for _ in range(100):
        p = 0.5 * (1.0 + np.tanh(0.5 * (design @ beta)))
        gradient = design.T @ (y - p) - ridge * beta
        hessian = (design * (p * (1 - p))[:, None]).T @ design + np.diag(ridge + 1e-10)
        step = np.linalg.solve(hessian, gradient)
        beta = beta + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < 1e-9:
            break
    return Logistic(centre, spread, beta[1:], float(beta[0]))


@dataclass(frozen=True)
class WarningQuality:
    """How good cross-validated probabilities are.

    Attributes
    ----------
    probability : array, shape (n,)
        Of each batch, from a model that did not see it.
    brier, brier_of_base_rate : float
    area_under_curve, area_lower, area_upper : float
        With the 95 % interval of DeLong's variance.
    calibration_intercept, calibration_slope : float
        0 and 1 when probabilities mean what they say.
    """

    probability: Float
    brier: float
    brier_of_base_rate: float
    area_under_curve: float
    area_lower: float
    area_upper: float
    calibration_intercept: float
    calibration_slope: float


def cross_validated_warning(
    x: npt.ArrayLike, failed: npt.ArrayLike, *, penalty: float = 1.0, count: int = 10, seed: int = 1
) -> WarningQuality:
    """Return cross-validated probabilities of failure and their quality; each row is a batch."""
    data, y = np.asarray(x, dtype=np.float64), np.asarray(failed, dtype=np.bool_)
    # folds with like shares of failures, or a fold can be without any
    fold = np.empty(y.size, dtype=np.int64)
    for value in (False, True):
        rows = np.flatnonzero(y == value)
        if rows.size < 2:
            raise InputError("two failed and two good batches are needed", found=f"{int(y.sum())} of {y.size} failed")
        fold[rows] = folds(rows, count, seed)
    probability = np.zeros(y.size)
    for k in range(int(fold.max()) + 1):
        out = fold == k
        probability[out] = fit_logistic(data[~out], y[~out], penalty).probability(data[out])
    return warning_quality(probability, y)


def warning_quality(probability: npt.ArrayLike, failed: npt.ArrayLike) -> WarningQuality:
    """Return the quality of stated probabilities against outcomes."""
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(failed, dtype=np.bool_)
    bad, good = p[y], p[~y]
    if bad.size < 2 or good.size < 2:
        raise InputError("two failed and two good batches are needed", found=f"{bad.size} of {y.size} failed")
    wins = (bad[:, None] > good[None, :]) + 0.5 * (bad[:, None] == good[None, :])
    area = float(wins.mean())
    variance = wins.mean(axis=1).var(ddof=1) / bad.size + wins.mean(axis=0).var(ddof=1) / good.size
    half = 1.959963984540054 * math.sqrt(float(variance))
    eta = np.log(np.clip(p, 1e-9, 1 - 1e-9)) - np.log1p(-np.clip(p, 1e-9, 1 - 1e-9))
    slope_model = fit_logistic(eta[:, None], y, penalty=1e-6) if np.ptp(eta) > 0 else None
    slope = float(slope_model.coefficients[0] / slope_model.spread[0]) if slope_model is not None else math.nan
    return WarningQuality(
        probability=p,
        brier=float(np.mean((p - y) ** 2)),
        brier_of_base_rate=float(y.mean() * (1 - y.mean())),
        area_under_curve=area,
        area_lower=max(area - half, 0.0),
        area_upper=min(area + half, 1.0),
        calibration_intercept=_intercept(eta, y),
        calibration_slope=slope,
    )


def _intercept(eta: Float, y: npt.NDArray[np.bool_]) -> float:
    """Return the shift of the log-odds that makes expected failures equal observed ones."""
    low, high = -20.0, 20.0
    for _ in range(80):
        middle = 0.5 * (low + high)
        expected = float(np.sum(0.5 * (1.0 + np.tanh(0.5 * (eta + middle)))))
        low, high = (middle, high) if expected < y.sum() else (low, middle)
    return 0.5 * (low + high)


@dataclass(frozen=True)
class Stopping:
    """Stop a batch on `day` when its probability of failure exceeds `threshold`.

    Per batch started: shares stopped, stopped rightly and wrongly; days of production saved and good batches lost; net
    value in the unit of the stated values, with a 95 % bootstrap interval over batches.
    """

    threshold: float
    stopped: float
    rightly: float
    wrongly: float
    days_saved: float
    net_value: float
    net_lower: float
    net_upper: float


def value_of_stopping(
    probability: npt.ArrayLike,
    failed: npt.ArrayLike,
    harvest_day: npt.ArrayLike,
    *,
    day: float,
    value_per_day: float,
    loss_of_good_batch: float,
    decision_days: float = 0.0,
    bootstrap: int = 1000,
    seed: int = 1,
) -> Stopping:
    """Return the best threshold by decision theory and its value on batches the model did not see.

    Parameters
    ----------
    probability : array_like, shape (n,)
        Cross-validated probability of failure.
    failed, harvest_day : array_like, shape (n,)
        Outcome, and the day on which the failure would otherwise be known.
    day : float
        Day of the decision.
    value_per_day : float
        Value of knowing a failure one day sooner (line time, a remake that starts sooner).
    loss_of_good_batch : float
        Loss when a batch that would have passed is stopped.
    decision_days : float
        Days the decision itself takes.

    Notes
    -----
    Stopping pays in expectation when p * v * d > (1 - p) * L, so the threshold is L / (L + v d) with d the mean days that
    are left; it is fixed before the outcomes are looked at, which keeps the estimate free of the optimism of a search.
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(failed, dtype=np.bool_)
    left = np.maximum(np.asarray(harvest_day, dtype=np.float64) - day - decision_days, 0.0)
    gain = value_per_day * float(left.mean())
    if value_per_day < 0 or loss_of_good_batch < 0 or gain + loss_of_good_batch == 0:
        raise InputError("values must not be negative, nor all zero", found=(value_per_day, loss_of_good_batch))
    threshold = loss_of_good_batch / (loss_of_good_batch + gain)
    stop = p > threshold
    value = np.where(stop & y, value_per_day * left, 0.0) - np.where(stop & ~y, loss_of_good_batch, 0.0)
    rng = np.random.default_rng(seed)
    means = value[rng.integers(0, y.size, (bootstrap, y.size))].mean(axis=1)
    lower, upper = np.quantile(means, [0.025, 0.975])
    return Stopping(
        threshold=threshold,
        stopped=float(stop.mean()),
        rightly=float((stop & y).mean()),
        wrongly=float((stop & ~y).mean()),
        days_saved=float(np.mean(np.where(stop & y, left, 0.0))),
        net_value=float(value.mean()),
        net_lower=float(lower),
        net_upper=float(upper),
    )


def predict_harvest_day(
    x: npt.ArrayLike, harvest_day: npt.ArrayLike, *, most_components: int = 6, count: int = 10, seed: int = 1
) -> CrossValidation:
    """Return cross-validated predictions of the harvest day by partial least squares; each row is a batch."""
    days = np.asarray(harvest_day, dtype=np.float64)
    return cross_validate(x, days, np.arange(days.size), most_components=most_components, count=count, seed=seed)
