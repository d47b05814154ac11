"""Process capability, always with its interval and with the stability that it presupposes.

Cp: exact chi-squared interval; Cpk: Bissell 1990, Applied Statistics 39:331; Cpm: Boyles 1991, J Qual Technol
23:17. Shares beyond a limit: interval from the non-central t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from cartsight.core.errors import InputError
from cartsight.evidence.quality.groups import require_spread

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Capability:
    """Capability indices with limits; NaN where a specification limit or target is missing.

    cp, cpk and cpm use the sd named in `sd_source`; pp and ppk always use the overall sd.
    """

    n: int
    mean: float
    sd: float
    sd_source: str
    overall_sd: float
    confidence: float
    cp: float
    cp_lower: float
    cp_upper: float
    cpk: float
    cpk_lower: float
    cpk_upper: float
    cpm: float
    cpm_lower: float
    cpm_upper: float
    pp: float
    ppk: float
    below_lower_specification: float
    below_lower_specification_upper: float
    above_upper_specification: float
    above_upper_specification_upper: float
    out_of_specification: float
    moving_range_signals: int
    warnings: tuple[str, ...]


def cp_interval(cp: float, df: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of Cp (or Pp) from `df` degrees of freedom of the sd."""
    tail = (1 - confidence) / 2
    low, high = float(stats.chi2.ppf(tail, df)), float(stats.chi2.isf(tail, df))
    return cp * math.sqrt(low / df), cp * math.sqrt(high / df)


def cpk_interval(cpk: float, n: int, df: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return Bissell's interval of Cpk."""
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    half = z * math.sqrt(1 / (9 * n) + cpk**2 / (2 * df))
    return cpk - half, cpk + half


def cpm_interval(cpm: float, n: int, shift: float, confidence: float = 0.95) -> tuple[float, float]:
    """Return Boyles's interval of Cpm; `shift` is (mean - target) / sd."""
    df = n * (1 + shift**2) ** 2 / (1 + 2 * shift**2)
    return cp_interval(cpm, df, confidence)


def share_beyond_upper_limit(distance: float, n: int, df: float, confidence: float = 0.95) -> float:
    """Return the one-sided upper confidence limit of the share beyond a limit.

    Parameters
    ----------
    distance : float
        (limit - mean) / sd, in units of the estimated sd.
    n, df : int, float
        Sample size and degrees of freedom of the sd.
    """

    def gap(z: float) -> float:
        return float(stats.nct.sf(distance * math.sqrt(n), df, z * math.sqrt(n))) - (1 - confidence)

    try:
        z = float(optimize.brentq(gap, distance - 20 * (1 + abs(distance)) / math.sqrt(n), distance + 5, xtol=1e-10))
    except ValueError:
        return math.nan
    return float(stats.norm.sf(z))


def capability(
    values: Float,
    *,
    lsl: float | None = None,
    usl: float | None = None,
    target: float | None = None,
    subgroups: list[str] | None = None,
    confidence: float = 0.95,
) -> Capability:
    """Return capability indices of a sample in time order.

    Parameters
    ----------
    values : ndarray, shape (n,)
        In the order of production.
    lsl, usl, target : float, optional
        Specification limits and target; at least one limit.
    subgroups : list of str, optional
        Rational subgroup of each value: cp, cpk and cpm then use the pooled sd within subgroups.
    confidence : float
        Level of the intervals.

    Raises
    ------
    InputError
        No limit, limits out of order, groups of one, zero variance.
    """
    if lsl is None and usl is None:
        raise InputError("no specification limit: give --lsl, --usl or both")
    for name, number in (("--lsl", lsl), ("--usl", usl), ("--target", target)):
        if number is not None and not math.isfinite(number):
            raise InputError("a finite number is expected", field=name, found=number)
    if lsl is not None and usl is not None and not lsl < usl:
        raise InputError("the lower specification limit must be below the upper", found=(lsl, usl))
    if not 0 < confidence < 1:
        raise InputError("must lie between 0 and 1", field="confidence", found=confidence)
    require_spread(values, "the sample")
    n = len(values)
    mean, overall = float(values.mean()), float(values.std(ddof=1))
    sd, df, source = overall, float(n - 1), "overall"
    if subgroups is not None:
        groups = [values[np.array([g == name for g in subgroups])] for name in dict.fromkeys(subgroups)]
        df = float(sum(len(g) - 1 for g in groups))
        if df < 1:
            raise InputError("groups of one: no subgroup has two values", hint="Leave the subgroup column out.")
        sd = math.sqrt(sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / df)
        if sd == 0:
            raise InputError("zero variance within the subgroups")
        source = "within subgroups"
    cp = (usl - lsl) / (6 * sd) if lsl is not None and usl is not None else math.nan
    pp = (usl - lsl) / (6 * overall) if lsl is not None and usl is not None else math.nan
    cpk = min(_side(mean, sd, lsl, usl))
    ppk = min(_side(mean, overall, lsl, usl))
    cpm = cpm_low = cpm_high = math.nan
    if target is not None and not math.isnan(cp):
        shift = (mean - target) / sd
        cpm = cp / math.sqrt(1 + shift**2)
        cpm_low, cpm_high = cpm_interval(cpm, n, shift, confidence)
    cp_low, cp_high = cp_interval(cp, df, confidence) if not math.isnan(cp) else (math.nan, math.nan)
    cpk_low, cpk_high = cpk_interval(cpk, n, df, confidence)
    below = float(stats.norm.cdf((lsl - mean) / overall)) if lsl is not None else 0.0
    above = float(stats.norm.sf((usl - mean) / overall)) if usl is not None else 0.0
    below_high = share_beyond_upper_limit((mean - lsl) / overall, n, n - 1, confidence) if lsl is not None else 0.0
    above_high = share_beyond_upper_limit((usl - mean) / overall, n, n - 1, confidence) if usl is not None else 0.0
    signals = _moving_range_signals(values)
    warnings = []
    if signals:
        warnings.append(
            f"{signals} signal(s) on the individuals chart: capability has no meaning before the process is stable"
        )
    if n < 30:
        warnings.append(f"{n} values: read the lower limit (Cpk {cpk_low:.2f}), not the estimate")
    p = float(stats.shapiro(values).pvalue) if 3 <= n <= 5000 else math.nan
    if p < 0.05:
        warnings.append(
            f"the values do not look normal (Shapiro-Wilk p = {p:.3f}); shares beyond the limits depend on that"
        )
    return Capability(
        n,
        mean,
        sd,
        source,
        overall,
        confidence,
        cp,
        cp_low,
        cp_high,
        cpk,
        cpk_low,
        cpk_high,
        cpm,
        cpm_low,
        cpm_high,
        pp,
        ppk,
        below,
        below_high,
        above,
        above_high,
        below + above,
        signals,
        tuple(warnings),
    )


def _side(mean: float, sd: float, lsl: float | None, usl: float | None) -> list[float]:
    sides = []
    if usl is not None:
        sides.append((usl - mean) / (3 * sd))
    if lsl is not None:
        sides.append((mean - lsl) / (3 * sd))
    return sides


def _moving_range_signals(values: Float) -> int:
    """Count values beyond three sigma, with sigma from the mean moving range (d2 = 1.128)."""
    if len(values) < 3:
        return 0
    sigma = float(np.abs(np.diff(values)).mean()) / 1.1283791670955126
    return int((np.abs(values - values.mean()) > 3 * sigma).sum()) if sigma > 0 else 0
