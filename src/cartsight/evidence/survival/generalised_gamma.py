"""Prentice's log generalised gamma (1974, doi:10.1093/biomet/61.3.539), smooth through Q = 0.

With w = (log t - mu) / sigma the density of w is, for every real Q,

    log f(w; Q) = -log(2 pi)/2 - s(Q) - w^2 phi2(Q w),    phi2(x) = (e^x - 1 - x) / x^2,

where s(Q) is the remainder of Stirling's formula for Gamma(1/Q^2). Q = 1 is the Weibull, Q = 0 the
log-normal law, Q = -1 the inverse Weibull. Survival and its derivative in Q come from Chebyshev panels over
each of which log f falls by a bounded amount, so that both tails keep their relative precision and nothing
is divided by Q.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammainc, gammaincc, gammaln, log_ndtr

from cartsight.evidence.survival.observations import Float

LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)
LARGEST_EXPONENT = 600.0
_DEGREE = 13
_NODES = np.polynomial.chebyshev.chebpts1(_DEGREE + 1)
# Maps values at the nodes to the Chebyshev coefficients of the antiderivative that is 0 at the left edge.
_ANTIDERIVATIVE = np.polynomial.chebyshev.chebint(
    np.linalg.inv(np.polynomial.chebyshev.chebvander(_NODES, _DEGREE)), lbnd=-1, axis=0
).T
# -log f relative to the mode at the panel edges: even steps of the square root first, then steps of 3.
_DROPS = np.concatenate([np.linspace(0.0, 2.0, 7)[1:] ** 2, np.arange(7.0, 691.0, 3.0)])


@dataclass(frozen=True)
class StandardTerms:
    """log f, log S, and their derivatives in w and Q (arrays of the shape of w)."""

    log_density: Float
    log_survival: Float
    d_log_density_dw: Float
    d_log_density_dq: Float
    d_log_survival_dq: Float


def phi1(x: Float) -> Float:
    """Return (e^x - 1) / x, 1 at 0."""
    x = np.minimum(x, LARGEST_EXPONENT)
    small = np.abs(x) < 1e-8
    safe = np.where(small, 1.0, x)
    return np.where(small, 1.0 + x / 2, np.expm1(safe) / safe)


def phi2(x: Float) -> Float:
    """Return (e^x - 1 - x) / x^2, 1/2 at 0."""
    x = np.minimum(x, LARGEST_EXPONENT)
    small = np.abs(x) < 0.3
    safe = np.where(small, 1.0, x)
    return np.where(small, _series(x, _PHI2), (np.expm1(safe) - safe) / safe**2)


def d_phi2(x: Float) -> Float:
    """Return the derivative of `phi2`, 1/6 at 0."""
    x = np.minimum(x, LARGEST_EXPONENT)
    small = np.abs(x) < 0.5
    safe = np.where(small, 1.0, x)
    e = np.exp(safe)
    return np.where(small, _series(x, _D_PHI2), (safe * e - 2 * e + safe + 2) / safe**3)


def _factorials(n: int) -> Float:
    return np.asarray(np.cumprod(np.concatenate([[1.0], np.arange(1.0, n)])), dtype=np.float64)


# phi2(x) = sum x^k / (k+2)!, and its derivative term by term.
_PHI2 = 1.0 / _factorials(18)[2:]
_D_PHI2 = _PHI2[1:] * np.arange(1.0, _PHI2.size)


def _series(x: Float, coefficients: Float) -> Float:
    return np.asarray(np.polynomial.polynomial.polyval(np.clip(x, -0.5, 0.5), coefficients), dtype=np.float64)


def stirling(q: float) -> tuple[float, float]:
    """Return s(Q) = log Gamma(a) - [a log a - a - log(a / 2 pi) / 2], a = 1/Q^2, and its derivative in Q."""
    if abs(q) < 0.15:
        p = q * q
        # Stirling's series in 1/a = Q^2.
        value = p / 12 - p**3 / 360 + p**5 / 1260 - p**7 / 1680
        slope = q / 6 - q * p**2 / 60 + q * p**4 / 126 - q * p**6 / 120
        return value, slope
    a = q**-2
    value = float(gammaln(a)) - (a * np.log(a) - a - 0.5 * np.log(a) + LOG_ROOT_TWO_PI)
    slope = -2 * q**-3 * (float(digamma(a)) - np.log(a) + 0.5 / a)
    return float(value), float(slope)


def standard_terms(w: Float, q: float) -> StandardTerms:
    """Return log density, log survival and their derivatives at `w` for one shape `q`.

    Parameters
    ----------
    w : array, shape (n,)
        Standardised log times.
    q : float
        Shape.
    """
    s, ds = stirling(q)
    x = q * w
    log_density = -LOG_ROOT_TWO_PI - s - w**2 * phi2(x)
    d_dw = -w * phi1(x)
    d_dq = -ds - w**3 * d_phi2(x)
    log_survival, d_survival = _survival(w, q, s, ds)
    return StandardTerms(log_density, log_survival, d_dw, d_dq, d_survival)


def _survival(w: Float, q: float, s: float, ds: float) -> tuple[Float, Float]:
    edges = _panel_edges(q)
    half = 0.5 * np.diff(edges)
    v = (edges[:-1] + half)[:, None] + half[:, None] * _NODES
    x = q * v
    density = np.exp(-LOG_ROOT_TWO_PI - s - v**2 * phi2(x)) * half[:, None]
    # Chebyshev series of the antiderivative from each panel's left edge: of the density, and of its slope
    # in Q.
    series = density @ _ANTIDERIVATIVE
    series_dq = (density * (-ds - v**3 * d_phi2(x))) @ _ANTIDERIVATIVE
    areas, slopes = series.sum(axis=1), series_dq.sum(axis=1)
    # Right of the mode the tail is summed from the far end, left of it from the other end, so both keep
    # precision.
    above = np.concatenate([np.cumsum(areas[::-1])[::-1], [0.0]])
    above_dq = np.concatenate([np.cumsum(slopes[::-1])[::-1], [0.0]])
    below = np.concatenate([[0.0], np.cumsum(areas)])
    below_dq = np.concatenate([[0.0], np.cumsum(slopes)])
    inside = np.clip(w, edges[0], edges[-1])
    panel = np.clip(np.searchsorted(edges, inside, side="right") - 1, 0, half.size - 1)
    part, part_dq = _clenshaw((inside - edges[panel]) / half[panel] - 1.0, series, series_dq, panel)
    right = inside > 0
    tail = np.where(right, above[panel] - part, below[panel] + part)
    tail_dq = np.where(right, above_dq[panel] - part_dq, below_dq[panel] + part_dq)
    survival = np.maximum(np.where(right, tail, 1.0 - tail), 1e-320)
    log_survival = np.where(right, np.log(survival), np.log1p(-np.clip(np.where(right, 0.0, tail), 0.0, 1 - 1e-16)))
    slope = np.where(right, tail_dq, -tail_dq) / survival
    beyond = w > edges[-1]
    if beyond.any():
        far, fall = w[beyond], w[beyond] * phi1(q * w[beyond])
        x = q * far
        # Past 1e-300 the tail is its density over the slope of its log density (Mills' ratio, first term).
        log_survival[beyond] = -LOG_ROOT_TWO_PI - s - far**2 * phi2(x) - np.log(fall)
        slope[beyond] = -ds - far**3 * d_phi2(x) - far**2 * (phi1(x) - phi2(x)) / fall
    return log_survival, slope


def _clenshaw(x: Float, series: Float, series_dq: Float, panel: npt.NDArray[np.intp]) -> tuple[Float, Float]:
    rows = np.stack([series[panel].T, series_dq[panel].T], axis=1)
    b1 = b2 = np.zeros_like(rows[0])
    for c in rows[:0:-1]:
        b1, b2 = c + 2 * x * b1 - b2, b1
    value = rows[0] + x * b1 - b2
    return value[0], value[1]


def _panel_edges(q: float) -> Float:
    # Below this the two tails are alike to rounding.
    size = abs(q) if abs(q) > 1e-12 else 0.0
    root = np.sqrt(2 * _DROPS)
    with np.errstate(divide="ignore"):
        steep = np.minimum(root, np.log(2 * (1 + _DROPS * size**2)) / size) if size > 0 else root
    shallow = root + _DROPS * size
    sides = []
    # The drop is convex in w, so Newton from outside falls onto the root; the edges need not be exact.
    for start, sign in ((steep, 1.0), (shallow, -1.0)):
        v = sign * start
        for _ in range(6):
            x = size * v
            v = v - (v**2 * phi2(x) - _DROPS) / (v * phi1(x))
        sides.append(v)
    edges = np.concatenate([sides[1][::-1], [0.0], sides[0]])
    return edges if q >= 0 else -edges[::-1]


def log_survival(w: Float, q: Float) -> Float:
    """Return log S(w; Q) with `w` and `q` broadcast against each other, without derivatives."""
    w, q = np.broadcast_arrays(np.asarray(w, dtype=np.float64), np.asarray(q, dtype=np.float64))
    near_zero = np.abs(q) < 1e-6
    safe = np.where(near_zero, 1.0, q)
    a = safe**-2.0
    u = a * np.exp(np.clip(safe * w, -700.0, 700.0))
    with np.errstate(divide="ignore"):
        log_s = np.log(np.where(safe > 0, gammaincc(a, u), gammainc(a, u)))
    return np.where(near_zero, log_ndtr(-w), log_s)
