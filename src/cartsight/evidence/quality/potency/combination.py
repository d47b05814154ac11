"""Combination of independent assays of one preparation (Ph. Eur. 5.3, section 6; USP <111> and <1034>).

Everything happens on ln potency (or on potency itself for slope-ratio assays). The editions agree on the
weighted and unweighted mean and differ on the variance between assays in the semi-weighted mean:

- ph-eur-9 (4th to 9th edition): variance of the *mean* of the estimates, sum (M - mean)^2 / (n (n - 1)),
and t taken as 2;
- ph-eur-10 and usp-111: sum (M - mean)^2 / (n - 1) - mean within-assay variance; when that is negative, the
  second term is left out;
- usp-1034: the same difference, cut off at zero.

The wording of ph-eur-10, usp-111 and usp-1034 was not read for this implementation; the formulae are as
quoted in the secondary literature and the result says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.csv_table import read_csv_table

EDITIONS = {
    "ph-eur-9": "Ph. Eur. 5.3, section 6, 4th to 9th edition",
    "ph-eur-10": "Ph. Eur. 5.3, section 6, 10th edition (formula from secondary literature)",
    "usp-111": "USP <111> (formula from secondary literature)",
    "usp-1034": "USP <1034> (formula from secondary literature)",
}
SCALES = ("log", "linear")


@dataclass(frozen=True)
class AssayEstimate:
    """Potency of one assay with its limits and the degrees of freedom of its error (infinite for quantal
    assays)."""

    estimate: float
    lower: float
    upper: float
    df: float


@dataclass(frozen=True)
class CombinedPotency:
    """A combined potency. `standard_error` is on the scale of the combination, `multiplier` the t used."""

    estimate: float
    lower: float
    upper: float
    df: float
    standard_error: float
    multiplier: float


@dataclass(frozen=True)
class Combination:
    """All three means side by side, and which of them the homogeneity test recommends."""

    n: int
    scale: str
    weighted: CombinedPotency
    unweighted: CombinedPotency
    semi_weighted: CombinedPotency
    chi_squared: float
    df: int
    p_homogeneity: float
    between_assay_variance: float
    weights: tuple[float, ...]
    recommended: str
    edition: str
    edition_name: str
    warnings: tuple[str, ...]


def combine(
    assays: Sequence[AssayEstimate],
    *,
    edition: str = "ph-eur-10",
    scale: str = "log",
    confidence: float = 0.95,
    significance: float = 0.05,
) -> Combination:
    """Combine independent assays.

    Parameters
    ----------
    assays : sequence of AssayEstimate
        At least two, with limits at `confidence`.
    edition : {"ph-eur-9", "ph-eur-10", "usp-111", "usp-1034"}
        Rule for the variance between assays.
    scale : {"log", "linear"}
        "linear" is for slope-ratio assays only.

    Raises
    ------
    InputError
        Fewer than two assays, or limits that do not enclose their estimate.
    """
    if edition not in EDITIONS:
        raise InputError("no such edition", found=edition, allowed=", ".join(EDITIONS), hint=nearest(edition, EDITIONS))
    if scale not in SCALES:
        raise InputError("no such scale", found=scale, allowed=", ".join(SCALES))
    if len(assays) < 2:
        raise InputError("groups of one: at least two assays are needed to combine", found=len(assays))
    for number, assay in enumerate(assays, start=1):
        if not (assay.lower < assay.estimate < assay.upper) or (scale == "log" and assay.lower <= 0):
            raise InputError(
                f"assay {number}: the limits must enclose the estimate and be above zero",
                found=(assay.lower, assay.estimate, assay.upper),
            )
        if not assay.df >= 1:
            raise InputError(f"assay {number}: the degrees of freedom must be 1 or more", found=assay.df)
    to = math.log if scale == "log" else float
    back = math.exp if scale == "log" else float
    tail = 0.5 + confidence / 2

    def quantile(df: float) -> float:
        return float(stats.t.ppf(tail, df)) if math.isfinite(df) else float(stats.norm.ppf(tail))

    m = np.array([to(assay.estimate) for assay in assays])
    length = np.array([to(assay.upper) - to(assay.lower) for assay in assays])
    t = np.array([quantile(assay.df) for assay in assays])
    weight = 4 * t**2 / length**2
    n = len(m)
    total_df = float(sum(assay.df for assay in assays))

    def combined(mean: float, se: float, df: float, multiplier: float | None = None) -> CombinedPotency:
        k = quantile(df) if multiplier is None else multiplier
        return CombinedPotency(back(mean), back(mean - k * se), back(mean + k * se), df, se, k)

    mean = float(np.average(m, weights=weight))
    chi_squared = float(np.sum(weight * (m - mean) ** 2))
    p = float(stats.chi2.sf(chi_squared, n - 1))
    spread = float(np.sum((m - m.mean()) ** 2))
    within = float(np.mean(1 / weight))
    between = _between_assay_variance(edition, spread, within, n)
    semi_weight = 1 / (1 / weight + between)
    multiplier = 2.0 if edition == "ph-eur-9" else None
    warnings = []
    recommended = "weighted" if p >= significance else "semi_weighted"
    if recommended == "semi_weighted":
        warnings.append(f"the assays are not homogeneous (chi-squared = {chi_squared:.2f}, p = {p:.3f}): find out why")
    if n < 5:
        warnings.append(f"with {n} assays the homogeneity test has little power; look at the unweighted limits too")
    if any(assay.df < 6 for assay in assays):
        warnings.append("weights from fewer than 6 degrees of freedom are themselves poorly known")
    if edition != "ph-eur-9":
        warnings.append(f"{EDITIONS[edition]}: check against your copy of the chapter")
    return Combination(
        n,
        scale,
        combined(mean, float(weight.sum() ** -0.5), total_df),
        combined(float(m.mean()), math.sqrt(spread / (n - 1) / n), n - 1),
        combined(float(np.average(m, weights=semi_weight)), float(semi_weight.sum() ** -0.5), total_df, multiplier),
        chi_squared,
        n - 1,
        p,
        between,
        tuple(float(w) for w in weight),
        recommended,
        edition,
        EDITIONS[edition],
        tuple(warnings),
    )


def _between_assay_variance(edition: str, spread: float, within: float, n: int) -> float:
    if edition == "ph-eur-9":
        return spread / (n * (n - 1))
    difference = spread / (n - 1) - within
    if edition == "usp-1034":
        return max(difference, 0.0)
    return difference if difference >= 0 else spread / (n - 1)


def read_assay_estimates(path: Path | str) -> list[AssayEstimate]:
    """Read columns ``estimate``, ``lower``, ``upper``, ``df``; an empty ``df`` (or ``inf``) means
    infinite."""
    table = read_csv_table(path, ["estimate", "lower", "upper", "df"])
    index = table.header.index("df")
    rows = [list(row) for row in table.rows]
    for row in rows:
        if row[index].strip().lower() in ("inf", "infinity", "infinite"):
            row[index] = ""
    plain = type(table)(table.file, table.header, tuple(tuple(row) for row in rows), table.lines)
    df = [math.inf if math.isnan(value) else value for value in plain.numbers("df", missing=True)]
    numbers = [table.numbers(name) for name in ("estimate", "lower", "upper")]
    for line, estimate, lower, upper in zip(table.lines, *numbers, strict=True):
        if not lower < estimate < upper:
            raise InputError(
                "the limits must enclose the estimate",
                file=table.file,
                line=line,
                found=(lower, estimate, upper),
            )
    return [AssayEstimate(*values) for values in zip(*numbers, df, strict=True)]
