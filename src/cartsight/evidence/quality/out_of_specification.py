"""The probability that a reported result falls out of specification, from bias and variation.

Log-normal results: reported = true (1 + bias) exp(error), error of sd ln(1 + GCV) / sqrt(n) (USP <1033>).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from cartsight.core.errors import InputError


def geometric_cv(log_sd: float) -> float:
    """Return the geometric coefficient of variation as USP defines it, exp(s) - 1."""
    return math.expm1(log_sd)


def out_of_specification_probability(
    lower: float, upper: float, *, relative_bias: float = 0.0, gcv: float, replicates: int = 1
) -> float:
    """Return the probability that the geometric mean of `replicates` results leaves [lower, upper].

    Parameters
    ----------
    lower, upper : float
        Limits relative to the true value of 1; 0 and infinity are open sides.
    relative_bias : float
        0.12 for results 12 % high.
    gcv : float
        Geometric coefficient of variation of one result, 0.20 for 20 %.
    replicates : int
        Independent results averaged.

    Raises
    ------
    InputError
        Limits out of order, bias at or below -1, or gcv not above zero.
    """
    if not 0.0 <= lower < upper:
        raise InputError("the limits must satisfy 0 <= lower < upper", found=(lower, upper))
    if not relative_bias > -1.0:
        raise InputError("the relative bias must be above -1", found=relative_bias)
    if not gcv > 0.0:
        raise InputError("the geometric coefficient of variation must be above zero", found=gcv)
    if replicates < 1:
        raise InputError("replicates must be 1 or more", found=replicates)
    s = math.log1p(gcv) / math.sqrt(replicates)
    centre = math.log1p(relative_bias)
    above = float(stats.norm.sf((math.log(upper) - centre) / s)) if math.isfinite(upper) else 0.0
    below = float(stats.norm.cdf((math.log(lower) - centre) / s)) if lower > 0 else 0.0
    return above + below


@dataclass(frozen=True)
class ReplicateGain:
    """Probability of out of specification with `replicates` results averaged."""

    replicates: int
    probability: float


def replicate_table(
    lower: float, upper: float, *, relative_bias: float, gcv: float, most: int = 6
) -> tuple[ReplicateGain, ...]:
    """Return the probability for 1 to `most` averaged results: what one more replicate buys."""
    return tuple(
        ReplicateGain(
            n,
            out_of_specification_probability(lower, upper, relative_bias=relative_bias, gcv=gcv, replicates=n),
        )
        for n in range(1, most + 1)
    )
