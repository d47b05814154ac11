"""Responses that stand out. They are named with their line; the analyst decides, with a cause, what to do.

Externally studentised residuals with a Bonferroni bound (Cook & Weisberg 1982), and Grubbs' test inside each
treatment, its level shared between the treatments, (Grubbs 1969, doi:10.1080/00401706.1969.10490657).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.evidence.quality.potency.assay import Assay
from cartsight.evidence.quality.potency.results import Outlier

Float = npt.NDArray[np.float64]

SIGNIFICANCE = 0.05


def studentised_residuals(residual: Float, leverage: Float, weight: Float, rss: float, df: int) -> Float:
    """Return externally studentised residuals; NaN where a response alone fixes its fitted value."""
    standardised = np.sqrt(weight) * residual
    free = 1.0 - leverage
    with np.errstate(divide="ignore", invalid="ignore"):
        without = (rss - standardised**2 / free) / (df - 1)
        value = standardised / np.sqrt(without * free)
    return np.where((free > 1e-8) & (without > 0), value, np.nan)


def grubbs_statistic(values: Float, significance: float = SIGNIFICANCE) -> tuple[int, float, float]:
    """Return (index of the most distant value, G, critical two-sided G) of one sample of at least three."""
    n = len(values)
    spread = float(np.std(values, ddof=1))
    distance = np.abs(values - values.mean())
    index = int(np.argmax(distance))
    t = float(stats.t.isf(significance / (2 * n), n - 2))
    critical = (n - 1) / math.sqrt(n) * math.sqrt(t * t / (n - 2 + t * t))
    return index, (float(distance[index]) / spread if spread > 0 else 0.0), critical


def find_outliers(
    assay: Assay, y: Float, fitted: Float, leverage: Float, rss: float, df: int, weight: Float | None = None
) -> tuple[Outlier, ...]:
    """Return the responses flagged by either rule, on the scale `y` of the analysis.

    `weight` are the weights of the fit, the assay's own unless given.
    """
    used = assay.weight if weight is None else weight
    found: list[Outlier] = []
    n = len(y)
    if df >= 2 and rss > 0:
        t = studentised_residuals(y - fitted, leverage, used, rss, df)
        critical = float(stats.t.isf(SIGNIFICANCE / (2 * n), df - 1))
        for i in np.flatnonzero(np.nan_to_num(np.abs(t)) > critical):
            p = min(1.0, 2 * n * float(stats.t.sf(abs(t[i]), df - 1)))
            found.append(_outlier(assay, int(i), "studentised residual (Bonferroni)", float(t[i]), critical, p))
    treatment = assay.treatment
    cells = int(treatment.max()) + 1
    for cell in range(cells):
        members = np.flatnonzero(treatment == cell)
        if len(members) < 3 or assay.nuisance:
            continue
        index, g, critical = grubbs_statistic(y[members], SIGNIFICANCE / cells)
        if g > critical:
            found.append(
                _outlier(assay, int(members[index]), "Grubbs within treatment (Bonferroni)", g, critical, math.nan)
            )
    return tuple(found)


def _outlier(assay: Assay, i: int, rule: str, statistic: float, critical: float, p: float) -> Outlier:
    code = int(assay.preparation[i])
    name = assay.preparations[code] if code >= 0 else "blank"
    return Outlier(
        int(assay.line[i]), name, float(assay.dose[i]), float(assay.response[i]), rule, statistic, critical, p
    )
