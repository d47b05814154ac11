"""Tolerance intervals: a stated share of all lots, with a stated confidence.

Normal factors are exact: one-sided from the non-central t, two-sided from Odeh's integral (Odeh 1978, Commun
Stat Simul Comput 7:183); Howe's approximation (1969, doi:10.1080/01621459.1969.10500999) is given beside it.
The distribution-free interval is Wilks's (1941, doi:10.1214/aoms/1177731788).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.polynomial.legendre import leggauss
from scipy import optimize, special, stats

from cartsight.core.errors import InputError
from cartsight.evidence.quality.groups import require_spread

Float = npt.NDArray[np.float64]


def _check(n: int, coverage: float, confidence: float) -> None:
    if n < 2:
        raise InputError("groups of one: a tolerance interval needs at least two values", found=n)
    for name, value in (("coverage", coverage), ("confidence", confidence)):
        if not 0.0 < value < 1.0:
            raise InputError("must lie between 0 and 1", field=name, found=value)


def one_sided_factor(n: int, coverage: float, confidence: float) -> float:
    """Return k such that mean + k sd covers at least `coverage` of the distribution with `confidence`."""
    _check(n, coverage, confidence)
    delta = float(stats.norm.ppf(coverage)) * math.sqrt(n)
    return float(stats.nct.ppf(confidence, n - 1, delta)) / math.sqrt(n)


def two_sided_factor(n: int, coverage: float, confidence: float) -> float:
    """Return the exact k such that mean +- k sd covers at least `coverage` with `confidence`."""
    _check(n, coverage, confidence)
    df = n - 1
    nodes, weights = leggauss(80)
    z = 4.5 * (nodes + 1.0)
    density = 4.5 * weights * 2.0 * stats.norm.pdf(z)
    radius2 = stats.ncx2.ppf(coverage, 1, z**2 / n)

    def gap(log_k: float) -> float:
        k2 = math.exp(2 * log_k)
        return float(np.sum(density * special.gammaincc(df / 2, df * radius2 / k2 / 2))) - confidence

    guess = math.log(howe_factor(n, coverage, confidence))
    return math.exp(float(optimize.brentq(gap, guess - 1.0, guess + 1.0, xtol=1e-13)))


def howe_factor(n: int, coverage: float, confidence: float) -> float:
    """Return Howe's approximation to the two-sided factor."""
    _check(n, coverage, confidence)
    z = float(stats.norm.ppf((1 + coverage) / 2))
    return z * math.sqrt((n - 1) * (1 + 1 / n) / float(stats.chi2.ppf(1 - confidence, n - 1)))


def natrella_one_sided_factor(n: int, coverage: float, confidence: float) -> float:
    """Return the handbook's normal approximation to the one-sided factor (NIST/SEMATECH 7.2.6.3)."""
    _check(n, coverage, confidence)
    zp, zc = float(stats.norm.ppf(coverage)), float(stats.norm.ppf(confidence))
    a = 1 - zc**2 / (2 * (n - 1))
    b = zp**2 - zc**2 / n
    return (zp + math.sqrt(zp**2 - a * b)) / a


def non_parametric_size(coverage: float, confidence: float, *, two_sided: bool) -> int:
    """Return the number of values whose extreme(s) cover `coverage` with `confidence`."""
    _check(2, coverage, confidence)
    if not two_sided:
        return math.ceil(math.log(1 - confidence) / math.log(coverage) - 1e-12)
    n = 2
    while 1 - n * coverage ** (n - 1) + (n - 1) * coverage**n < confidence:
        n += 1
    return n


@dataclass(frozen=True)
class ToleranceInterval:
    """Tolerance limits of a sample; `lower` or `upper` is NaN on an open side."""

    n: int
    mean: float
    sd: float
    coverage: float
    confidence: float
    sides: str
    scale: str
    k: float
    k_one_sided: float
    k_two_sided: float
    k_howe: float
    lower: float
    upper: float
    non_parametric_lower: float
    non_parametric_upper: float
    non_parametric_confidence: float
    non_parametric_n: int
    p_normality: float
    warnings: tuple[str, ...]


SIDES = ("two", "lower", "upper")


def tolerance_interval(
    values: Float,
    *,
    coverage: float = 0.95,
    confidence: float = 0.95,
    sides: str = "two",
    scale: str = "linear",
) -> ToleranceInterval:
    """Return normal and distribution-free tolerance limits of a sample.

    Parameters
    ----------
    values : ndarray, shape (n,)
        One value per lot.
    coverage, confidence : float
        Share of lots and confidence.
    sides : {"two", "lower", "upper"}
        "lower" means a lower limit only.
    scale : {"linear", "log"}
        Scale on which lots are taken as normal.

    Raises
    ------
    InputError
        Groups of one, zero variance, or values at or below zero on the log scale.
    """
    if sides not in SIDES:
        raise InputError("no such side", found=sides, allowed=", ".join(SIDES))
    if scale not in ("linear", "log"):
        raise InputError("no such scale", found=scale, allowed="linear, log")
    require_spread(values, "the sample")
    if scale == "log" and (values <= 0).any():
        raise InputError("the log scale needs values above zero", found=float(values.min()))
    x = np.log(values) if scale == "log" else values
    n = len(x)
    mean, sd = float(x.mean()), float(x.std(ddof=1))
    k1, k2 = one_sided_factor(n, coverage, confidence), two_sided_factor(n, coverage, confidence)
    k = k2 if sides == "two" else k1
    back = math.exp if scale == "log" else float
    lower = back(mean - k * sd) if sides != "upper" else math.nan
    upper = back(mean + k * sd) if sides != "lower" else math.nan
    two = sides == "two"
    achieved = 1 - n * coverage ** (n - 1) + (n - 1) * coverage**n if two else 1 - coverage**n
    needed = non_parametric_size(coverage, confidence, two_sided=two)
    p_normality = float(stats.shapiro(x).pvalue) if 3 <= n <= 5000 else math.nan
    warnings = []
    if p_normality < 0.05:
        warnings.append(f"the values do not look normal on the {scale} scale (Shapiro-Wilk p = {p_normality:.3f})")
    if n < 10:
        warnings.append(
            f"{n} values make k = {k:.2f}: the limits are wide because little is known, not because lots vary"
        )
    return ToleranceInterval(
        n,
        mean,
        sd,
        coverage,
        confidence,
        sides,
        scale,
        k,
        k1,
        k2,
        howe_factor(n, coverage, confidence),
        lower,
        upper,
        float(values.min()) if sides != "upper" else math.nan,
        float(values.max()) if sides != "lower" else math.nan,
        achieved,
        needed,
        p_normality,
        tuple(warnings),
    )
