"""Fieller's theorem: confidence limits of a ratio of two jointly normal estimates."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class FiellerInterval:
    """A ratio with its limits; `g` >= 1 means that the denominator is not distinct from zero.

    The limits are then NaN: the confidence set is unbounded.
    """

    ratio: float
    lower: float
    upper: float
    g: float

    @property
    def bounded(self) -> bool:
        """Whether both limits exist."""
        return self.g < 1.0


def fieller(
    numerator: float,
    denominator: float,
    variance_numerator: float,
    variance_denominator: float,
    covariance: float,
    t: float,
) -> FiellerInterval:
    """Return the ratio and its Fieller limits.

    Solves (n - m d)^2 = t^2 (v_n - 2 m c + m^2 v_d) for m, with g = t^2 v_d / d^2.

    Parameters
    ----------
    numerator, denominator : float
        The two estimates.
    variance_numerator, variance_denominator, covariance : float
        Their sampling (co)variances.
    t : float
        Quantile of Student's t (or of the normal) for the level wanted.

    References
    ----------
    Fieller 1954, J R Stat Soc B 16:175, doi:10.1111/j.2517-6161.1954.tb00159.x.
    Finney 1978, Statistical Method in Biological Assay, 3rd ed., section 4.12.
    """
    numerator, denominator, covariance = float(numerator), float(denominator), float(covariance)
    variance_numerator, variance_denominator = float(variance_numerator), float(variance_denominator)
    if denominator == 0.0:
        return FiellerInterval(math.nan, math.nan, math.nan, math.inf)
    ratio = numerator / denominator
    g = t * t * variance_denominator / denominator**2
    if g >= 1.0:
        return FiellerInterval(ratio, math.nan, math.nan, g)
    spread = variance_numerator - 2.0 * ratio * covariance + ratio**2 * variance_denominator
    if variance_denominator > 0.0:
        spread -= g * (variance_numerator - covariance**2 / variance_denominator)
    half = t / abs(denominator) * math.sqrt(max(spread, 0.0))
    middle = ratio - (g * covariance / variance_denominator if variance_denominator > 0.0 else 0.0)
    return FiellerInterval(ratio, (middle - half) / (1.0 - g), (middle + half) / (1.0 - g), g)
