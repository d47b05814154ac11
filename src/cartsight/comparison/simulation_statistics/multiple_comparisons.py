"""Many scenarios against one: Holm's p-values and Bonferroni intervals on shared draws, Dunnett's for independent runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from cartsight.comparison.simulation_statistics.replications import checked_level
from cartsight.comparison.spread import PairedDifference, paired_difference
from cartsight.core.errors import InputError

Float = npt.NDArray[np.float64]


def holm(p_values: npt.ArrayLike) -> Float:
    """Return Holm's adjusted p-values, in the order given.

    Controls the chance of any false rejection under every kind of dependence (Holm 1979, Scand. J. Statist. 6:65-70).

    Raises
    ------
    InputError
        A value outside [0, 1].
    """
    p = np.atleast_1d(np.asarray(p_values, dtype=np.float64))
    if p.ndim != 1 or not np.all((p >= 0.0) & (p <= 1.0)):
        raise InputError("p-values lie between 0 and 1", found=p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate((p.size - np.arange(p.size)) * p[order]), 1.0)
    return adjusted


@dataclass(frozen=True)
class Contrast:
    """One arm minus the reference, among several contrasts on the same replications.

    Attributes
    ----------
    difference : PairedDifference
        Its `error_low` and `error_high` hold for this contrast by itself.
    joint_low, joint_high : float
        Bonferroni intervals: all contrasts together at the level, whatever their correlation.
    p_value, holm_p_value : float
        Two-sided paired t test, by itself and adjusted. 1 when the arms are identical in every replication.
    """

    difference: PairedDifference
    joint_low: float
    joint_high: float
    p_value: float
    holm_p_value: float


def contrasts_with_reference(values: npt.ArrayLike, reference: int = 0, *, level: float = 0.95) -> tuple[Contrast, ...]:
    """Return every other column minus the reference column, paired by replication (common random numbers).

    Parameters
    ----------
    values : array_like, shape (replications, arms)
    reference : int
        Column of the reference arm.
    level : float

    Raises
    ------
    InputError
        Fewer than two replications or arms.
    """
    checked_level(level)
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or min(x.shape) < 2 or not 0 <= reference < x.shape[1]:
        raise InputError("contrasts need values of shape (replications, arms), two or more of both", found=x.shape)
    n, arms = x.shape
    joint = float(stats.t.ppf(1.0 - (1.0 - level) / (2.0 * (arms - 1)), n - 1))
    pairs = [paired_difference(x[:, arm], x[:, reference], level=level) for arm in range(arms) if arm != reference]
    p_values = [_two_sided(pair, n) for pair in pairs]
    return tuple(
        Contrast(
            pair, pair.mean - joint * pair.standard_error, pair.mean + joint * pair.standard_error, p, float(adjusted)
        )
        for pair, p, adjusted in zip(pairs, p_values, holm(p_values), strict=True)
    )


def _two_sided(pair: PairedDifference, n: int) -> float:
    if pair.standard_error == 0.0:
        return 1.0 if pair.mean == 0.0 else 0.0
    return float(2.0 * stats.t.sf(abs(pair.mean) / pair.standard_error, n - 1))


def dunnett_critical_value(comparisons: int, degrees_of_freedom: float, *, level: float = 0.95) -> float:
    """Return Dunnett's two-sided critical value d for equal group sizes (correlation 1/2 between comparisons).

    P(max |T_i| <= d) = E over s and z of [Phi(sqrt(2) d s + z) - Phi(-sqrt(2) d s + z)]^k = level, with z standard
    normal and s^2 chi-squared over its degrees of freedom (Dunnett 1955, doi:10.1080/01621459.1955.10501294).

    Parameters
    ----------
    comparisons : int
        k, arms compared with the control.
    degrees_of_freedom : float
        Of the pooled variance; infinite is allowed.
    level : float

    Raises
    ------
    InputError
        Fewer than one comparison, or degrees of freedom below one.
    """
    checked_level(level)
    if comparisons < 1 or not degrees_of_freedom >= 1.0:
        raise InputError("Dunnett needs a comparison and a degree of freedom", found=(comparisons, degrees_of_freedom))
    z, weight_z = np.polynomial.hermite_e.hermegauss(80)
    weight_z = weight_z / math.sqrt(2.0 * math.pi)
    if math.isinf(degrees_of_freedom):
        s, weight_s = np.ones(1), np.ones(1)
    else:
        node, weight = np.polynomial.legendre.leggauss(120)
        s = np.sqrt(stats.chi2.ppf(0.5 * (node + 1.0), degrees_of_freedom) / degrees_of_freedom)
        weight_s = 0.5 * weight

    def coverage(d: float) -> float:
        edge = math.sqrt(2.0) * d * s[:, None]
        inside = stats.norm.cdf(edge + z[None, :]) - stats.norm.cdf(-edge + z[None, :])
        return float(weight_s @ (inside**comparisons) @ weight_z)

    return float(optimize.brentq(lambda d: coverage(d) - level, 0.01, 400.0, xtol=1e-10))


def dunnett_intervals(values: npt.ArrayLike, reference: int = 0, *, level: float = 0.95) -> tuple[Float, Float, Float]:
    """Return (differences, low, high) of every other arm against the reference, jointly at the level.

    For arms run with *independent* seeds and one common variance. On common random numbers use
    `contrasts_with_reference`: there the differences have their own, smaller variances.

    Parameters
    ----------
    values : array_like, shape (replications, arms)
    """
    checked_level(level)
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or min(x.shape) < 2 or not np.isfinite(x).all() or not 0 <= reference < x.shape[1]:
        raise InputError(
            "Dunnett needs finite values of shape (replications, arms), two or more of both", found=x.shape
        )
    n, arms = x.shape
    pooled = float(np.mean(x.var(axis=0, ddof=1)))
    reach = dunnett_critical_value(arms - 1, arms * (n - 1), level=level) * math.sqrt(2.0 * pooled / n)
    means = x.mean(axis=0)
    difference = np.delete(means - means[reference], reference)
    return difference, difference - reach, difference + reach
