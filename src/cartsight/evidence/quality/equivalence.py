"""Two one-sided tests for a mean difference, their exact power, and the number of lots they need.

Schuirmann 1987, doi:10.1007/BF01068419; Phillips 1990 (power), doi:10.1007/BF01063556.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.polynomial.legendre import leggauss
from scipy import special, stats

from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]

LARGEST_SAMPLE = 20_000


@dataclass(frozen=True)
class EquivalenceTest:
    """Result of two one-sided tests of a mean difference against a lower and an upper margin.

    `lower` and `upper` are the (1 - 2 alpha) interval; `p` is the larger of the two one-sided p-values.
    """

    mean_difference: float
    standard_error: float
    df: float
    lower: float
    upper: float
    p_lower: float
    p_upper: float
    p: float
    lower_margin: float
    upper_margin: float
    alpha: float
    equivalent: bool


def two_one_sided_tests(
    difference: float,
    standard_error: float,
    df: float,
    lower_margin: float,
    upper_margin: float,
    alpha: float,
) -> EquivalenceTest:
    """Test lower_margin < mean difference < upper_margin.

    Raises
    ------
    InputError
        Margins that do not enclose zero, a level outside (0, 0.5), or no spread.
    """
    if not lower_margin < 0.0 < upper_margin:
        raise InputError("the margins must enclose zero", found=(lower_margin, upper_margin))
    if not 0.0 < alpha < 0.5:
        raise InputError("alpha must lie between 0 and 0.5", found=alpha)
    if not standard_error > 0:
        raise InputError("zero variance: the differences do not vary")
    t = float(stats.t.isf(alpha, df))
    p_lower = float(stats.t.sf((difference - lower_margin) / standard_error, df))
    p_upper = float(stats.t.cdf((difference - upper_margin) / standard_error, df))
    p = max(p_lower, p_upper)
    return EquivalenceTest(
        difference,
        standard_error,
        df,
        difference - t * standard_error,
        difference + t * standard_error,
        p_lower,
        p_upper,
        p,
        lower_margin,
        upper_margin,
        alpha,
        p < alpha,
    )


@lru_cache(maxsize=1)
def _gauss_legendre() -> tuple[Float, Float]:
    return leggauss(160)


def equivalence_power(
    true_difference: float,
    sd: float,
    size_factor: float,
    df: float,
    lower_margin: float,
    upper_margin: float,
    alpha: float,
) -> float:
    """Return the exact power of two one-sided tests.

    Integrates the probability that the interval lies inside the margins over the chi distribution of the
    estimated
    standard deviation.

    Parameters
    ----------
    true_difference, sd : float
        Assumed true mean difference and standard deviation.
    size_factor : float
        Variance of the mean difference over sd^2: 1/n1 + 1/n2, or 1/n for pairs.
    df : float
        Degrees of freedom of the estimated sd.
    lower_margin, upper_margin, alpha : float
        As tested.
    """
    t = float(special.stdtrit(df, 1 - alpha))
    root = math.sqrt(size_factor)
    # the largest ratio s / sd with which the test can still succeed
    largest = (upper_margin - lower_margin) / (2 * t * root * sd)
    low = math.sqrt(2 * float(special.gammaincinv(df / 2, 1e-13)) / df)
    high = min(largest, math.sqrt(2 * float(special.gammainccinv(df / 2, 1e-13)) / df))
    if high <= low:
        return 0.0
    nodes, weights = _gauss_legendre()
    u = 0.5 * (high - low) * nodes + 0.5 * (high + low)
    # density of s / sd when df s^2 / sd^2 is chi-squared
    half_df = df / 2
    log_density = (df - 1) * np.log(u) - half_df * u**2 + half_df * math.log(half_df) - special.gammaln(half_df)
    density = 2 * np.exp(log_density)
    half = t * u * sd * root
    se = sd * root
    inside = special.ndtr((upper_margin - half - true_difference) / se) - special.ndtr(
        (lower_margin + half - true_difference) / se
    )
    return float(np.clip(0.5 * (high - low) * np.sum(weights * density * np.maximum(inside, 0.0)), 0.0, 1.0))


def lots_needed(
    true_difference: float,
    sd: float,
    lower_margin: float,
    upper_margin: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    paired: bool = False,
) -> int | None:
    """Return the lots per group (or pairs) for the power wanted; None when no number of lots reaches it.

    Notes
    -----
    With the true difference on or outside a margin, the power never exceeds alpha.
    """
    if not lower_margin < true_difference < upper_margin:
        return None

    def reached(n: int) -> bool:
        factor, df = (1 / n, n - 1) if paired else (2 / n, 2 * n - 2)
        return equivalence_power(true_difference, sd, factor, df, lower_margin, upper_margin, alpha) >= power

    high = 2
    while not reached(high):
        high *= 2
        if high > LARGEST_SAMPLE:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle >= 2 and reached(middle) else (middle, high)
    return high
