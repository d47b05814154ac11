"""Average run lengths: how many points until a chart signals, with and without a shift.

Integral equations solved by Nystrom's method with Gauss-Legendre nodes (Crowder 1987,
doi:10.1080/00401706.1987.10488267; Champ & Rigdon 1991, doi:10.1080/03610919108812948); the Markov chain of
Brook & Evans 1972 (doi:10.1093/biomet/59.3.539) as the independent check. Observations are independent normal
with sd 1; shifts are in units of sd; every chart starts at its centre.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy import stats

from cartsight.core.errors import InputError

NODES = 120
CELLS = 400


def shewhart_average_run_length(width: float = 3.0, shift: float = 0.0) -> float:
    """Return the average run length of a Shewhart chart with limits at +- `width` sd of the plotted value."""
    if not width > 0:
        raise InputError("the width of the limits must be above zero", found=width)
    outside = float(stats.norm.sf(width - shift) + stats.norm.cdf(-width - shift))
    return 1.0 / outside if outside > 0 else math.inf


def individuals_and_range_average_run_length(width: float, range_limit: float, shift: float = 0.0) -> float:
    """Return the average run length of an individuals chart with its moving range chart beside it.

    A chain over the last value: the next one signals beyond `width` or more than `range_limit` away from it. The two charts
    use the same values, so their signals are not independent and their rates do not add.

    Parameters
    ----------
    width, range_limit : float
        Limits of the value and of the moving range of two, in sd.
    shift : float
        Shift of the mean from the first point on, in sd.
    """
    if not (width > 0 and range_limit > 0):
        raise InputError("the limits must be above zero", found=(width, range_limit))
    edges = np.linspace(-width, width, CELLS + 1)
    centre = 0.5 * (edges[1:] + edges[:-1])
    # the part of each cell that the moving range allows after each centre
    low = np.maximum(edges[None, :-1], centre[:, None] - range_limit)
    high = np.minimum(edges[None, 1:], centre[:, None] + range_limit)
    matrix = np.where(high > low, stats.norm.cdf(high - shift) - stats.norm.cdf(low - shift), 0.0)
    after = np.linalg.solve(np.eye(CELLS) - matrix, np.ones(CELLS))
    first = stats.norm.cdf(edges[1:] - shift) - stats.norm.cdf(edges[:-1] - shift)
    return float(1.0 + first @ after)


def cusum_average_run_length(k: float, h: float, shift: float = 0.0, *, two_sided: bool = True) -> float:
    """Return the average run length of a tabular CUSUM.

    Parameters
    ----------
    k, h : float
        Reference value and decision interval, in sd.
    shift : float
        Shift of the mean, in sd.
    two_sided : bool
        Two one-sided charts together, by 1/L = 1/L+ + 1/L- (Kemp 1961), exact without a head start when k
        >= 0.
    """
    if not (k >= 0 and h > 0):
        raise InputError("a CUSUM needs k >= 0 and h > 0", found=(k, h))
    upper = _one_sided_cusum(k, h, shift)
    if not two_sided:
        return upper
    return 1.0 / (1.0 / upper + 1.0 / _one_sided_cusum(k, h, -shift))


def _one_sided_cusum(k: float, h: float, shift: float) -> float:
    nodes, weights = leggauss(NODES)
    x = 0.5 * h * (nodes + 1)
    w = 0.5 * h * weights
    start = np.append(0.0, x)
    matrix = np.empty((NODES + 1, NODES + 1))
    matrix[:, 0] = stats.norm.cdf(k - start - shift)
    matrix[:, 1:] = w * stats.norm.pdf(x[None, :] + k - start[:, None] - shift)
    return float(np.linalg.solve(np.eye(NODES + 1) - matrix, np.ones(NODES + 1))[0])


def cusum_run_length_by_markov_chain(k: float, h: float, shift: float = 0.0, *, states: int = 400) -> float:
    """Return the one-sided CUSUM's average run length by Brook & Evans's chain with `states` states."""
    if states < 2:
        raise InputError("the chain needs at least two states", found=states)
    width = 2 * h / (2 * states - 1)
    level = np.arange(states) * width
    step = level[None, :] - level[:, None] + k - shift
    matrix = stats.norm.cdf(step + width / 2) - stats.norm.cdf(step - width / 2)
    matrix[:, 0] = stats.norm.cdf(width / 2 - level + k - shift)
    return float(np.linalg.solve(np.eye(states) - matrix, np.ones(states))[0])


def ewma_average_run_length(weight: float, width: float, shift: float = 0.0) -> float:
    """Return the average run length of a two-sided EWMA chart with constant limits.

    Parameters
    ----------
    weight : float
        Weight of the newest value (lambda).
    width : float
        Limits in units of the asymptotic sd of the statistic.
    shift : float
        Shift of the mean, in sd of one value.
    """
    if not (0 < weight <= 1 and width > 0):
        raise InputError("an EWMA needs 0 < lambda <= 1 and a width above zero", found=(weight, width))
    if weight == 1:
        return shewhart_average_run_length(width, shift)
    c = width * math.sqrt(weight / (2 - weight))
    nodes, weights = leggauss(NODES)
    x, w = c * nodes, c * weights
    start = np.append(0.0, x)
    matrix = w / weight * stats.norm.pdf((x[None, :] - (1 - weight) * start[:, None]) / weight - shift)
    inner = np.linalg.solve(np.eye(NODES) - matrix[1:], np.ones(NODES))
    return float(1.0 + matrix[0] @ inner)
