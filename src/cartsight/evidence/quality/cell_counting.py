"""Quality of a cell count from a dilution series: precision and proportionality (ISO 20391-2:2019).

The method needs no reference material and therefore says nothing of accuracy. The text of the standard was
not read for this implementation; the formulae are stated in the docstrings, the smoothing choice among them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.evidence.quality.csv_table import read_csv_table

Float = npt.NDArray[np.float64]

SMALLEST_LEVELS = 4
SMALLEST_REPLICATES = 3


@dataclass(frozen=True)
class DilutionLevel:
    """One dilution: mean, coefficient of variation, and the smoothed residual from proportionality."""

    dilution_fraction: float
    n: int
    mean: float
    cv: float
    proportional: float
    smoothed_residual: float


@dataclass(frozen=True)
class CellCountQuality:
    """Quality indicators of a dilution series, each with a bootstrap interval."""

    n: int
    slope: float
    slope_lower: float
    slope_upper: float
    r_squared: float
    pooled_cv: float
    pooled_cv_lower: float
    pooled_cv_upper: float
    proportionality_index: float
    proportionality_index_lower: float
    proportionality_index_upper: float
    levels: tuple[DilutionLevel, ...]
    smoothing: str
    warnings: tuple[str, ...]


def proportional_slope(fraction: Float, count: Float) -> float:
    """Return beta of count = beta * fraction with variance proportional to the mean: sum(count) /
    sum(fraction)."""
    return float(count.sum() / fraction.sum())


def _indicators(fraction: Float, count: Float) -> tuple[float, float, float, float, Float, Float, Float, Float]:
    beta = proportional_slope(fraction, count)
    fitted = beta * fraction
    spread = float(np.sum((count - count.mean()) ** 2))
    r_squared = 1 - float(np.sum((count - fitted) ** 2)) / spread if spread > 0 else math.nan
    levels = np.unique(fraction)
    means = np.array([count[fraction == level].mean() for level in levels])
    sds = np.array(
        [count[fraction == level].std(ddof=1) if (fraction == level).sum() > 1 else np.nan for level in levels]
    )
    df = np.array([(fraction == level).sum() - 1 for level in levels])
    cv = sds / means
    used = ~np.isnan(cv)
    pooled = math.sqrt(float(np.sum(df[used] * cv[used] ** 2) / df[used].sum()))
    degree = min(2, len(levels) - 1)
    # weights 1/sqrt(fraction): polyfit squares them into 1/variance
    smooth = np.polynomial.Polynomial.fit(levels, means, degree, w=1 / np.sqrt(levels))(levels)
    residual = smooth - beta * levels
    index = float(np.sum(np.abs(residual)) / np.sum(beta * levels))
    return beta, r_squared, pooled, index, levels, means, cv, residual


def cell_count_quality(
    fraction: Float, count: Float, *, seed: int = 1, resamples: int = 1000, confidence: float = 0.95
) -> CellCountQuality:
    """Return the quality indicators of a dilution series.

    Slope: sum(count) / sum(fraction). R squared: of that line through the origin. Pooled CV: square root
    of the
    df-weighted mean of squared CVs within levels. Proportionality index: sum |smoothed residual| /
    sum(fitted), where
    the smooth is a quadratic through the level means weighted by 1 / fraction; 0 is perfect proportionality.
    Intervals: percentiles of resamples within levels.

    Parameters
    ----------
    fraction : ndarray, shape (n,)
        Dilution fraction, 1 for undiluted.
    count : ndarray, shape (n,)
        Cells counted or concentration.
    seed, resamples, confidence
        Of the bootstrap.

    Raises
    ------
    InputError
        Fractions outside (0, 1], negative counts, fewer than three levels, or no replicates.
    """
    if ((fraction <= 0) | (fraction > 1)).any():
        raise InputError("a dilution fraction lies above 0 and at most 1", found=float(fraction.min()))
    if (count < 0).any():
        raise InputError("a count cannot be negative", found=float(count.min()))
    levels, sizes = np.unique(fraction, return_counts=True)
    if len(levels) < 3:
        raise InputError(f"{len(levels)} dilution level(s): proportionality needs at least three, better four or more")
    if (sizes < 2).all():
        raise InputError(
            "groups of one: no dilution was counted twice", hint="Count at least three replicates per level."
        )
    if any(count[fraction == level].sum() == 0 for level in levels):
        raise InputError("a dilution level has no cells at all", hint="Leave it out, or count more volume.")
    if all(np.ptp(count[fraction == level]) == 0 for level in levels):
        raise InputError("zero variance: the replicates of every level are equal")
    beta, r_squared, pooled, index, _, means, cv, residual = _indicators(fraction, count)
    rng = np.random.Generator(np.random.Philox(key=[seed, 20391]))
    groups = [np.flatnonzero(fraction == level) for level in levels]
    draws = []
    for _ in range(resamples):
        chosen = np.concatenate([rng.choice(group, len(group)) for group in groups])
        if all(count[chosen][fraction[chosen] == level].sum() > 0 for level in levels):
            draws.append(_indicators(fraction[chosen], count[chosen])[:4])
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(np.array(draws), [tail, 1 - tail], axis=0)
    warnings = []
    if len(levels) < SMALLEST_LEVELS or sizes.min() < SMALLEST_REPLICATES:
        warnings.append(
            f"{len(levels)} levels with {int(sizes.min())} or more replicates: the design asks for "
            f"{SMALLEST_LEVELS} levels "
            f"and {SMALLEST_REPLICATES} replicates"
        )
    if index < float(low[3]):
        warnings.append(
            "the proportionality index lies below what resampling the counts gives: noise alone is larger, no departure is seen"
        )
    warnings.append("precision and proportionality only: this says nothing about accuracy")
    table = tuple(
        DilutionLevel(float(f), int(n), float(m), float(c), beta * float(f), float(e))
        for f, n, m, c, e in zip(levels, sizes, means, cv, residual, strict=True)
    )
    return CellCountQuality(
        len(count),
        beta,
        float(low[0]),
        float(high[0]),
        r_squared,
        pooled,
        float(low[2]),
        float(high[2]),
        index,
        float(low[3]),
        float(high[3]),
        table,
        "quadratic through level means, weights 1 / fraction",
        tuple(warnings),
    )


def read_dilution_series(
    path: Path | str, *, fraction: str = "dilution_fraction", count: str = "count"
) -> tuple[Float, Float]:
    """Read dilution fractions and counts from CSV."""
    table = read_csv_table(path, [fraction, count])
    return np.array(table.numbers(fraction)), np.array(table.numbers(count))
