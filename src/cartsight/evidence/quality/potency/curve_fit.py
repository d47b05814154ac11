"""Weighted non-linear least squares for several dose-response curves at once, free or with shared parameters.

Starting values come from a grid over slope and midpoint with the asymptotes solved linearly (variable
projection, Golub & Pereyra 1973, doi:10.1137/0710036); the best are polished by Levenberg-Marquardt with
analytic derivatives.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.potency.logistic import Curve

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.intp]

INNER = ("b", "c", "d", "ln_e", "ln_f")
SLOPES = (0.4, 0.8, 1.5, 3.0, 6.0)
POLISHED_STARTS = 4


@dataclass(frozen=True)
class CurveFit:
    """A fit of h curves.

    Attributes
    ----------
    curves : ndarray, shape (h, 5)
        b, c, d, ln e, ln f of each preparation (shared ones repeated).
    position : ndarray of int, shape (h, 5)
        Index of each of them in `theta`; -1 when fixed.
    theta : ndarray, shape (p,)
        Free parameters, design effects last.
    unscaled_covariance : ndarray, shape (p, p)
        Inverse of half the Hessian of the weighted sum of squares (the observed information, as R's drc
        uses);
        of J'WJ where that Hessian is not positive definite.
    rss, df : float, int
        Weighted residual sum of squares, and n - p.
    fitted, leverage, weight : ndarray, shape (n,)
        On the scale of the transformed response.
    determined : bool
        False when J is (nearly) singular: some parameter is not determined by the data.
    """

    curves: Float
    position: Int
    theta: Float
    unscaled_covariance: Float
    rss: float
    df: int
    fitted: Float
    leverage: Float
    weight: Float
    determined: bool

    @property
    def log_likelihood(self) -> float:
        """Normal log-likelihood at the maximum over the variance."""
        n = len(self.fitted)
        return -0.5 * n * (math.log(2 * math.pi * self.rss / n) + 1.0) + 0.5 * float(np.log(self.weight).sum())


@dataclass(frozen=True)
class CurveData:
    """Responses with ln dose (-inf at dose 0), preparation index, weights and design columns, all of
    length n."""

    y: Float
    log_dose: Float
    preparation: Int
    weight: Float
    side: Float


def read_fixed(fixed: Mapping[str, float], curve: Curve) -> dict[str, float]:
    """Return fixed parameters in inner names (ln e, ln f), or raise InputError."""
    inner = {}
    for name, value in fixed.items():
        if name not in curve.parameters:
            raise InputError(
                "no such parameter of the curve",
                found=name,
                allowed=", ".join(curve.parameters),
                hint=nearest(name, curve.parameters),
            )
        if name in ("e", "f"):
            if value <= 0:
                raise InputError(f"the parameter {name} must be above zero", found=value)
            inner[f"ln_{name}"] = math.log(value)
        else:
            inner[name] = value
    return inner


def fit_curves(
    data: CurveData,
    curve: Curve,
    *,
    shared: bool,
    fixed: Mapping[str, float] | None = None,
    weight_power: float = 0.0,
) -> CurveFit:
    """Fit one curve per preparation, or curves that differ in e alone.

    Parameters
    ----------
    data : CurveData
    curve : Curve
        Family.
    shared : bool
        Share b, c, d (and f) between preparations, so that one is a dilution of the other.
    fixed : mapping, optional
        Parameters held at a value, for example ``{"c": 0.0}``.
    weight_power : float
        Power k of a variance proportional to |mean|^k; the weights are refined from the fit until they
        settle.
    """
    inner_fixed = read_fixed(fixed or {}, curve)
    h = int(data.preparation.max()) + 1
    starts = [_start(data, curve, i, inner_fixed) for i in range(h)]
    position, count = _positions(curve, h, shared, inner_fixed)
    weight = data.weight
    best: CurveFit | None = None
    combinations = list(zip(*starts, strict=True)) if h > 1 else [(start,) for start in starts[0]]
    for choice in combinations[:POLISHED_STARTS]:
        fit = _polish(data, curve, position, count, np.array(choice), weight, shared)
        if best is None or fit.rss < best.rss:
            best = fit
    assert best is not None
    for _ in range(30 if weight_power > 0 else 0):
        size = np.maximum(np.abs(best.fitted), 1e-6 * np.abs(data.y).max())
        weight = data.weight * size**-weight_power
        weight = weight / weight.mean()
        refined = _polish(data, curve, position, count, best.curves, weight, shared)
        settled = np.allclose(refined.fitted, best.fitted, rtol=1e-9, atol=0)
        best = refined
        if settled:
            break
    return best


def _positions(curve: Curve, h: int, shared: bool, fixed: Mapping[str, float]) -> tuple[Int, int]:
    position = np.full((h, 5), -1, dtype=np.intp)
    count = 0
    for j, name in enumerate(INNER):
        if name in fixed or (name == "ln_f" and not curve.asymmetric):
            continue
        if shared and name != "ln_e":
            position[:, j] = count
            count += 1
        else:
            position[:, j] = np.arange(count, count + h)
            count += h
    return position, count


def _start(data: CurveData, curve: Curve, i: int, fixed: Mapping[str, float]) -> list[Float]:
    """Return a few good starting vectors (b, c, d, ln e, ln f) for preparation i."""
    mine = data.preparation == i
    y, x, w = data.y[mine], data.log_dose[mine], data.weight[mine]
    finite = x[np.isfinite(x)]
    low, high = float(finite.min()), float(finite.max())
    filled = np.where(np.isfinite(x), x, low - 2.0)
    rising = float(np.cov(filled, y)[0, 1]) > 0
    slopes = [fixed["b"]] if "b" in fixed else [(-s if rising else s) for s in SLOPES]
    middles = [fixed["ln_e"]] if "ln_e" in fixed else list(np.linspace(low, high, 15))
    exponents = [fixed.get("ln_f", 0.0)] if not curve.asymmetric or "ln_f" in fixed else [-0.8, 0.0, 0.8]
    found: list[tuple[float, Float]] = []
    for b, middle, log_f in itertools.product(slopes, middles, exponents):
        share, _ = curve.share(x, b, middle, log_f)
        columns = {"c": 1.0 - share, "d": share}
        free = [name for name in columns if name not in fixed]
        target = y - sum((fixed[name] * columns[name] for name in columns if name in fixed), np.zeros_like(y))
        values = {name: fixed[name] for name in columns if name in fixed}
        if free:
            root = np.sqrt(w)
            matrix = np.column_stack([columns[name] for name in free]) * root[:, None]
            solution = np.linalg.lstsq(matrix, root * target, rcond=None)[0]
            values |= dict(zip(free, solution, strict=True))
        rss = float(np.sum(w * (y - values["c"] * columns["c"] - values["d"] * columns["d"]) ** 2))
        found.append((rss, np.array([b, values["c"], values["d"], middle, log_f])))
    found.sort(key=lambda pair: pair[0])
    return [vector for _, vector in found[:POLISHED_STARTS]]


def _polish(
    data: CurveData, curve: Curve, position: Int, count: int, start: Float, weight: Float, shared: bool
) -> CurveFit:
    h, side = len(position), data.side
    fixed_values = start.copy()
    theta = np.zeros(count + side.shape[1])
    for j in range(5):
        for i in range(h):
            if position[i, j] >= 0:
                values = start[:, j]
                theta[position[i, j]] = float(values.mean()) if shared and j != 3 else float(values[i])
    root = np.sqrt(weight)
    members = [data.preparation == i for i in range(h)]

    def unpack(vector: Float) -> Float:
        return np.where(position >= 0, vector[np.maximum(position, 0)], fixed_values)

    def model(vector: Float) -> tuple[Float, Float]:
        curves = unpack(vector)
        value = np.zeros(len(data.y))
        jacobian = np.zeros((len(data.y), len(vector)))
        for i, mine in enumerate(members):
            b, c, d, log_e, log_f = curves[i]
            share, gradient = curve.share(data.log_dose[mine], b, log_e, log_f)
            value[mine] = c + (d - c) * share
            columns = np.column_stack(
                [
                    (d - c) * gradient[:, 0],
                    1.0 - share,
                    share,
                    (d - c) * gradient[:, 1],
                    (d - c) * gradient[:, 2],
                ]
            )
            for j in range(5):
                if position[i, j] >= 0:
                    jacobian[mine, position[i, j]] += columns[:, j]
        if side.shape[1]:
            value += side @ vector[count:]
            jacobian[:, count:] = side
        return value, jacobian

    def residual(vector: Float) -> Float:
        return np.asarray(root * (model(vector)[0] - data.y))

    def jacobian_of_residual(vector: Float) -> Float:
        return np.asarray(root[:, None] * model(vector)[1])

    result = optimize.least_squares(
        residual,
        theta,
        jac=jacobian_of_residual,
        method="lm",
        x_scale="jac",
        ftol=1e-15,
        xtol=1e-15,
        gtol=1e-15,
        max_nfev=2000,
    )
    theta = np.asarray(result.x, dtype=np.float64)
    fitted, jacobian = model(theta)
    weighted = root[:, None] * jacobian
    scale = np.linalg.norm(weighted, axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    u, s, vt = np.linalg.svd(weighted / scale, full_matrices=False)
    determined = bool(s[-1] > 1e-8 * s[0]) and bool(np.isfinite(theta).all())
    safe = np.maximum(s, 1e-10 * s[0])
    inverse = (vt.T / safe**2) @ vt / np.outer(scale, scale)

    def gradient(vector: Float) -> Float:
        value, slope = model(vector)
        return np.asarray(slope.T @ (weight * (value - data.y)))

    observed = _inverse_hessian(gradient, theta, np.sqrt(np.abs(np.diag(inverse))))
    if determined and observed is not None:
        inverse = observed
    rss = float(np.sum(weight * (data.y - fitted) ** 2))
    return CurveFit(
        unpack(theta),
        position,
        theta,
        inverse,
        rss,
        len(data.y) - len(theta),
        fitted,
        np.asarray(np.sum(u**2, axis=1)),
        weight,
        determined,
    )


def _inverse_hessian(gradient: Callable[[Float], Float], theta: Float, scale: Float) -> Float | None:
    """Return the inverse of the derivative of `gradient` by central differences, or None if it is not
    positive definite."""
    p = len(theta)
    step = 1e-4 * np.where((scale > 0) & (scale < 1e6), scale, 1.0)
    # steps are a fixed small share of each standard error per unit variance, bounded by the parameter's own
    # size
    step = np.minimum(step, 1e-4 * np.maximum(np.abs(theta), 1e-3))
    hessian = np.empty((p, p))
    for j in range(p):
        move = np.zeros(p)
        move[j] = step[j]
        hessian[:, j] = (gradient(theta + move) - gradient(theta - move)) / (2 * step[j])
    hessian = (hessian + hessian.T) / 2
    size = np.sqrt(np.abs(np.diag(hessian)))
    if not np.isfinite(hessian).all() or (size == 0).any():
        return None
    values, vectors = np.linalg.eigh(hessian / np.outer(size, size))
    if values[0] <= 1e-8:
        return None
    return np.asarray((vectors / values) @ vectors.T / np.outer(size, size))
