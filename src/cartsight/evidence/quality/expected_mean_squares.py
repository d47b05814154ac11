"""Analysis of variance of random effects: expected mean squares, their solution, and its intervals.

The coefficients are exact for any layout (Henderson's method 1: traces of the sequential projections) and are
the textbook ones when balanced. Intervals: modified large sample (Ting et al. 1990, J Stat Comput Simul
35:135; Burdick & Graybill 1992) and Satterthwaite (1946, doi:10.2307/3002019). They presume independent mean
squares, exact when balanced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.core.errors import InputError
from cartsight.evidence.quality.random_effects import RandomEffectsStudy

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MeanSquare:
    """One line: mean square and the coefficients of the variance components in its expectation.

    `f` and `p` test that the line's own component is zero, where another line has the same expectation
    without it.
    """

    source: str
    df: int
    ss: float
    ms: float
    expectation: dict[str, float]
    f: float
    p: float


@dataclass(frozen=True)
class MomentEstimate:
    """A linear combination of mean squares with intervals (cut off at zero)."""

    estimate: float
    lower: float
    upper: float
    satterthwaite_df: float
    satterthwaite_lower: float
    satterthwaite_upper: float


def random_anova(study: RandomEffectsStudy) -> tuple[MeanSquare, ...]:
    """Return the sequential analysis of variance; the last line is the residual."""
    y = study.y - study.y.mean()
    n = len(y)
    names = [*study.names, "residual"]
    design = np.ones((n, 1))
    basis, _ = np.linalg.qr(design)
    lines: list[tuple[str, int, float, Float]] = []
    matrices = [factor.indicators for factor in study.factors]
    for factor, matrix in zip(study.factors, matrices, strict=True):
        # two passes of projection keep the new columns orthogonal to the old ones to rounding
        fresh = matrix - basis @ (basis.T @ matrix)
        fresh -= basis @ (basis.T @ fresh)
        u, s, _ = np.linalg.svd(fresh, full_matrices=False)
        new = u[:, s > 1e-9 * max(float(s[0]), 1e-300)] if s[0] > 1e-9 else u[:, :0]
        df = new.shape[1]
        if df == 0:
            raise InputError(
                f"factor {factor.name!r} is confounded with the factors before it",
                file=study.file,
                hint="Leave one of them out.",
            )
        coefficients = np.array([float(np.sum((new.T @ other) ** 2)) / df for other in matrices] + [1.0])
        lines.append((factor.name, df, float(np.sum((new.T @ y) ** 2)), coefficients))
        basis = np.column_stack([basis, new])
    df = n - basis.shape[1]
    if df < 1:
        raise InputError(
            "groups of one: no replicates are left for the residual",
            file=study.file,
            hint="Leave out the narrowest factor; the residual then contains it.",
        )
    residual = y - basis @ (basis.T @ y)
    lines.append(("residual", df, float(residual @ residual), np.array([0.0] * len(matrices) + [1.0])))
    if lines[-1][2] <= 1e-14 * float(y @ y):
        raise InputError("zero variance: replicates are equal, so the residual variance is zero", file=study.file)
    table = []
    for k, (name, df, ss, coefficients) in enumerate(lines):
        f, p = _f_test(k, lines)
        expectation = {key: float(value) for key, value in zip(names, coefficients, strict=True) if value > 1e-9}
        table.append(MeanSquare(name, df, ss, ss / df, expectation, f, p))
    return tuple(table)


def _f_test(k: int, lines: list[tuple[str, int, float, Float]]) -> tuple[float, float]:
    wanted = lines[k][3].copy()
    if k == len(lines) - 1:
        return math.nan, math.nan
    wanted[k] = 0.0
    for _, df, ss, coefficients in lines[k + 1 :]:
        if np.allclose(coefficients, wanted, rtol=1e-8, atol=1e-8):
            f = (lines[k][2] / lines[k][1]) / (ss / df)
            return f, float(stats.f.sf(f, lines[k][1], df))
    return math.nan, math.nan


def component_weights(anova: tuple[MeanSquare, ...]) -> Float:
    """Return the matrix W with components = W @ mean squares, shape (terms, terms), residual last."""
    names = [line.source for line in anova]
    matrix = np.array([[line.expectation.get(name, 0.0) for name in names] for line in anova])
    return np.asarray(np.linalg.inv(matrix))


def combine_mean_squares(anova: tuple[MeanSquare, ...], weights: Float, confidence: float = 0.95) -> MomentEstimate:
    """Return sum(weights * mean squares) with its modified-large-sample and Satterthwaite intervals.

    Parameters
    ----------
    anova : tuple of MeanSquare
    weights : ndarray, shape (lines,)
        Positive and negative weights.
    confidence : float
    """
    alpha = (1 - confidence) / 2
    ms = np.array([line.ms for line in anova])
    df = np.array([line.df for line in anova], dtype=np.float64)
    used = np.abs(weights) > 1e-12 * np.abs(weights).max()
    w, m, v = weights[used], ms[used], df[used]
    estimate = float(w @ m)
    lower_variance = _mls_variance(w, m, v, alpha, lower=True)
    upper_variance = _mls_variance(w, m, v, alpha, lower=False)
    lower = max(estimate - math.sqrt(max(lower_variance, 0.0)), 0.0)
    upper = max(estimate + math.sqrt(max(upper_variance, 0.0)), 0.0)
    effective = estimate**2 / float(np.sum((w * m) ** 2 / v))
    low = high = math.nan
    # with next to no degrees of freedom the chi-squared quantiles underflow: there is no such interval
    if estimate > 0 and effective > 0.01:
        low = effective * estimate / float(stats.chi2.isf(alpha, effective))
        quantile = float(stats.chi2.ppf(alpha, effective))
        high = effective * estimate / quantile if quantile > 0 else math.inf
    return MomentEstimate(estimate, lower, upper, effective, low, high)


def _mls_variance(w: Float, m: Float, df: Float, alpha: float, *, lower: bool) -> float:
    """Return the squared distance from the estimate to one limit.

    For the lower limit the positive terms take G (upper quantiles) and the negative ones H; for the upper
    limit the
    roles swap.
    """
    total = 0.0
    g = 1 - df / stats.chi2.isf(alpha, df)
    h = df / stats.chi2.ppf(alpha, df) - 1
    positive, negative = np.flatnonzero(w > 0), np.flatnonzero(w < 0)
    near, far = (positive, negative) if lower else (negative, positive)
    for q in near:
        total += float((g[q] * w[q] * m[q]) ** 2)
    for r in far:
        total += float((h[r] * w[r] * m[r]) ** 2)
    for q in positive:
        for r in negative:
            size = float(w[q] * abs(w[r]) * m[q] * m[r])
            if lower:
                f = float(stats.f.isf(alpha, df[q], df[r]))
                cross = ((f - 1) ** 2 - g[q] ** 2 * f**2 - h[r] ** 2) / f
            else:
                f = float(stats.f.ppf(alpha, df[q], df[r]))
                cross = ((1 - f) ** 2 - h[q] ** 2 * f**2 - g[r] ** 2) / f
            total += float(cross) * size
    group = positive if lower else negative
    if len(group) > 1:
        for i, q in enumerate(group):
            for t in group[i + 1 :]:
                n = df[q] + df[t]
                joint = 1 - n / float(stats.chi2.isf(alpha, n))
                star = joint**2 * n**2 / (df[q] * df[t]) - g[q] ** 2 * df[q] / df[t] - g[t] ** 2 * df[t] / df[q]
                total += float(star) / (len(group) - 1) * float(abs(w[q] * w[t]) * m[q] * m[t])
    return total
