"""Least squares for designs that need not be balanced, and a sequence of nested models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg, stats

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.intp]

RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class LeastSquares:
    """A weighted least-squares fit.

    Attributes
    ----------
    coefficients : ndarray, shape (p,)
        Minimum-norm solution; unique when `rank` equals p.
    unscaled_covariance : ndarray, shape (p, p)
        Pseudo-inverse of X'WX: times a variance, the covariance of the coefficients.
    residual_ss : float
        Weighted residual sum of squares.
    rank, df : int
        Rank of the design, and n - rank.
    fitted : ndarray, shape (n,)
    leverage : ndarray, shape (n,)
        Diagonal of the hat matrix.
    """

    coefficients: Float
    unscaled_covariance: Float
    residual_ss: float
    rank: int
    df: int
    fitted: Float
    leverage: Float


def indicators(levels: Int) -> Float:
    """Return one 0/1 column per level, shape (n, levels)."""
    return np.asarray(np.eye(int(levels.max()) + 1)[levels], dtype=np.float64)


def least_squares(design: Float, y: Float, weight: Float) -> LeastSquares:
    """Fit y = X b by weighted least squares through a singular value decomposition.

    Columns are scaled before the rank is judged, so that doses in any unit give the same answer.
    """
    root = np.sqrt(weight)
    scale = np.linalg.norm(design * root[:, None], axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    x = design * root[:, None] / scale
    u, s, vt = linalg.svd(x, full_matrices=False)
    rank = int((s > RANK_TOLERANCE * s[0]).sum()) if len(s) else 0
    u, s, vt = u[:, :rank], s[:rank], vt[:rank]
    coefficients = (vt.T / s) @ (u.T @ (root * y)) / scale
    inverse = (vt.T / s**2) @ vt / np.outer(scale, scale)
    fitted = design @ coefficients
    residual_ss = float(np.sum(weight * (y - fitted) ** 2))
    return LeastSquares(
        coefficients, inverse, residual_ss, rank, len(y) - rank, fitted, np.asarray(np.sum(u**2, axis=1))
    )


@dataclass(frozen=True)
class AnovaLine:
    """One line of an analysis of variance; `f` and `p` are NaN where no test applies."""

    source: str
    df: int
    ss: float
    ms: float
    f: float
    p: float


def anova_line(source: str, df: int, ss: float, error_ms: float | None = None, error_df: int = 0) -> AnovaLine:
    """Return one line, with an F-test against `error_ms` when it is given."""
    ms = ss / df if df > 0 else float("nan")
    if error_ms is None or df <= 0 or error_ms <= 0 or error_df <= 0:
        return AnovaLine(source, df, ss, ms, float("nan"), float("nan"))
    f = ms / error_ms
    return AnovaLine(source, df, ss, ms, f, float(stats.f.sf(f, df, error_df)))


def nested_anova(
    terms: Sequence[tuple[str, Float]], y: Float, weight: Float
) -> tuple[list[tuple[str, int, float]], LeastSquares]:
    """Return (name, df, sequential sum of squares) as each block of columns joins, and the last fit.

    The first term is the baseline (a constant column) and gets no line.
    """
    lines: list[tuple[str, int, float]] = []
    design = terms[0][1]
    fit = least_squares(design, y, weight)
    for name, columns in terms[1:]:
        design = np.column_stack([design, columns])
        larger = least_squares(design, y, weight)
        lines.append((name, larger.rank - fit.rank, max(fit.residual_ss - larger.residual_ss, 0.0)))
        fit = larger
    return lines, fit
