"""Intervals of a ratio of two means, which say when there is none.

A ratio whose denominator may be zero has no finite interval: report net benefit instead (Briggs & Fenn 1998,
Health Economics 7:723-740).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RatioInterval:
    """A ratio of two means with an interval that tells when it cannot be given.

    Attributes
    ----------
    ratio : float
        Mean of the numerator over mean of the denominator, never the mean of ratios.
    low, high : float
        Interval of the ratio of means; NaN where `bounded` is False.
    denominator_low, denominator_high : float
        Interval of the mean denominator.
    bounded : bool
        False when the interval of the denominator holds zero: the ratio then has no finite interval and
        should be reported as net benefit instead.
    method : str
        "fieller" or "bootstrap".
    """

    ratio: float
    low: float
    high: float
    denominator_low: float
    denominator_high: float
    bounded: bool
    method: str
    level: float = 0.95


def fieller_interval(numerator: npt.ArrayLike, denominator: npt.ArrayLike, *, level: float = 0.95) -> RatioInterval:
    """Return Fieller's interval of a ratio of two means from paired values.

    Parameters
    ----------
    numerator, denominator : array_like, shape (n,)
        Paired values, for example incremental cost and incremental effect per patient or per draw. The
        interval is that of the *ratio of the means* and narrows with n: over parameter draws it is Monte
        Carlo error only.
    level : float

    Returns
    -------
    RatioInterval

    References
    ----------
    Fieller 1954, doi:10.1111/j.2517-6161.1954.tb00159.x; Willan & O'Brien 1996,
    Health Economics 5:297-305.
    """
    from scipy import stats

    x, y = _paired(numerator, denominator)
    n = x.size
    t_squared = float(stats.t.ppf((1.0 + level) / 2.0, n - 1)) ** 2
    covariance = np.cov(x, y) / n
    mean_x, mean_y = float(np.mean(x)), float(np.mean(y))
    reach = math.sqrt(t_squared * float(covariance[1, 1]))
    a = mean_y**2 - t_squared * float(covariance[1, 1])
    b = mean_x * mean_y - t_squared * float(covariance[0, 1])
    c = mean_x**2 - t_squared * float(covariance[0, 0])
    bounded = a > 0.0
    low = high = math.nan
    if bounded:
        root = math.sqrt(max(b * b - a * c, 0.0))
        low, high = (b - root) / a, (b + root) / a
    return RatioInterval(
        ratio=mean_x / mean_y if mean_y != 0.0 else math.nan,
        low=low,
        high=high,
        denominator_low=mean_y - reach,
        denominator_high=mean_y + reach,
        bounded=bounded,
        method="fieller",
        level=level,
    )


def bootstrap_ratio_interval(
    numerator: npt.ArrayLike,
    denominator: npt.ArrayLike,
    *,
    seed: int,
    replicates: int = 2000,
    level: float = 0.95,
) -> RatioInterval:
    """Return the percentile bootstrap interval of a ratio of two means from paired values.

    Arguments as `fieller_interval`; `replicates` resamples of the pairs, drawn with `seed`.
    """
    x, y = _paired(numerator, denominator)
    if replicates < 100:
        raise InputError("a bootstrap interval needs at least 100 replicates", field="replicates", found=replicates)
    generator = np.random.Generator(np.random.PCG64(seed))
    tops, bottoms = np.empty(replicates), np.empty(replicates)
    for k in range(replicates):
        weights = np.bincount(generator.integers(0, x.size, x.size), minlength=x.size)
        tops[k], bottoms[k] = weights @ x, weights @ y
    tail = (1.0 - level) / 2.0
    bottom_low, bottom_high = (float(v) / x.size for v in np.quantile(bottoms, [tail, 1.0 - tail]))
    bounded = bottom_low > 0.0 or bottom_high < 0.0
    low = high = math.nan
    if bounded:
        usable = bottoms != 0.0
        low, high = (float(v) for v in np.quantile(tops[usable] / bottoms[usable], [tail, 1.0 - tail]))
    mean_x, mean_y = float(np.mean(x)), float(np.mean(y))
    return RatioInterval(
        ratio=mean_x / mean_y if mean_y != 0.0 else math.nan,
        low=low,
        high=high,
        denominator_low=bottom_low,
        denominator_high=bottom_high,
        bounded=bounded,
        method="bootstrap",
        level=level,
    )


def _paired(numerator: npt.ArrayLike, denominator: npt.ArrayLike) -> tuple[Float, Float]:
    x = np.asarray(numerator, dtype=np.float64)
    y = np.asarray(denominator, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or x.size < 3:
        raise InputError("a ratio interval needs three or more pairs", found=(x.shape, y.shape))
    return x, y
