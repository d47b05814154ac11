"""The parallel-line assay (Ph. Eur. 5.3, section 3.2).

y = a_i + b ln(dose) + design + error. The error is that of the full treatment model, so that neither
curvature nor non-parallelism widens or narrows the limits of the potency.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.core.errors import InputError
from cartsight.evidence.quality.potency.assay import Assay
from cartsight.evidence.quality.potency.fieller import fieller
from cartsight.evidence.quality.potency.linear_model import (
    AnovaLine,
    LeastSquares,
    anova_line,
    indicators,
    least_squares,
    nested_anova,
)
from cartsight.evidence.quality.potency.outliers import find_outliers
from cartsight.evidence.quality.potency.results import (
    Equivalence,
    PotencyResult,
    Rules,
    SignificanceTest,
    disagreement,
    exponential,
    judge_similarity,
    potency_of,
)
from cartsight.evidence.quality.potency.suitability import linear_suitability

Float = npt.NDArray[np.float64]

NUISANCE_NAMES = {"block": "blocks", "row": "rows", "column": "columns"}


def require_standard_and_doses(assay: Assay, model: str) -> None:
    """Raise InputError when there is no test preparation, or a preparation has a single dose."""
    if len(assay.preparations) < 2:
        raise InputError(
            f"no standard: the file has only the preparation {assay.standard!r}",
            file=assay.file,
            hint=f"A {model} assay compares a test preparation with a standard; add the other one.",
        )
    for index, name in enumerate(assay.preparations):
        doses = np.unique(assay.dose[(assay.preparation == index) & (assay.dose > 0)])
        if len(doses) < 2:
            raise InputError(
                f"one dose level: preparation {name!r} was given at {len(doses)} dose",
                file=assay.file,
                hint="A slope needs at least two doses of each preparation, three to test linearity.",
            )


def nuisance_columns(assay: Assay) -> list[tuple[str, Float]]:
    """Return (name, indicator columns without the first level) of each block factor."""
    return [(NUISANCE_NAMES[name], indicators(levels)[:, 1:]) for name, levels in assay.nuisance]


def full_treatment_error(assay: Assay, fit: LeastSquares, total_ss: float) -> tuple[float, int]:
    """Return the residual variance of the full treatment model and its degrees of freedom.

    Raises
    ------
    InputError
        No replication, or no variation at all.
    """
    if fit.df < 1:
        raise InputError(
            "groups of one: no treatment was replicated, so the error cannot be estimated",
            file=assay.file,
            hint="Give at least two responses per dose (independent, not repeated readings of one well).",
        )
    # equal responses leave rounding errors in both sums of squares, and their ratio means nothing
    if np.ptp(assay.response) == 0.0 or fit.residual_ss <= 1e-12 * max(total_ss, 1e-300):
        raise InputError(
            "zero variance: the replicates of every treatment are equal",
            file=assay.file,
            hint="Enter the responses as measured, one line per replicate, before rounding or averaging.",
        )
    return fit.residual_ss / fit.df, fit.df


def parallel_line(
    assay: Assay,
    *,
    transform: str = "none",
    assumed_potency: float | Mapping[str, float] = 1.0,
    rules: Rules | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
) -> PotencyResult:
    """Analyse a parallel-line assay.

    Parameters
    ----------
    assay : Assay
        Standard first; any design, balanced or with missing responses.
    transform : {"none", "log", "log10", "sqrt", "square"}
        Transform of the response.
    assumed_potency : float or mapping of preparation to float
        Potency from which the doses of the test preparations were labelled.
    rules : Rules, optional
        Levels and limits, stated beforehand.
    limits : mapping of str to (float, float), optional
        Suitability limits by name, for example ``{"standard_slope": (0.8, 1.2)}``.

    Returns
    -------
    PotencyResult

    Raises
    ------
    InputError
        No standard, one dose, no replication, zero variance, or responses outside the transform's domain.

    References
    ----------
    European Pharmacopoeia, chapter 5.3, section 3.2. Finney 1978, Statistical Method in Biological Assay.
    """
    rules = rules or Rules()
    warnings: list[str] = []
    require_standard_and_doses(assay, "parallel-line")
    blanks = assay.dose <= 0
    if blanks.any():
        warnings.append(f"{int(blanks.sum())} responses at dose 0 take no part in a parallel-line assay")
        assay = assay.subset(~blanks)
    if assay.missing:
        warnings.append(f"{assay.missing} responses are missing; the analysis is by least squares on the others")
    y, w = assay.transformed(transform), assay.weight
    x = np.log(assay.dose)
    x = x - x.mean()
    prep = indicators(assay.preparation)
    h = len(assay.preparations)
    nuisance = nuisance_columns(assay)
    side = [columns for _, columns in nuisance]

    one = np.ones((len(y), 1))
    treatments = indicators(assay.treatment)
    lines, full = nested_anova(
        [
            ("constant", one),
            *nuisance,
            ("preparations", prep),
            ("regression", x[:, None]),
            ("non-parallelism", prep * x[:, None]),
            ("non-linearity", treatments),
        ],
        y,
        w,
    )
    total_ss = least_squares(one, y, w).residual_ss
    s2, df = full_treatment_error(assay, full, total_ss)
    t = float(stats.t.ppf(0.5 + rules.confidence / 2, df))

    common = least_squares(np.column_stack([prep, x, *side]), y, w)
    slope, v = float(common.coefficients[h]), common.unscaled_covariance * s2
    potencies = []
    for i in range(1, h):
        a, b = common.coefficients[i] - common.coefficients[0], slope
        interval = fieller(float(a), b, v[i, i] + v[0, 0] - 2 * v[0, i], v[h, h], float(v[i, h] - v[0, h]), t)
        name = assay.preparations[i]
        potencies.append(
            potency_of(
                name,
                exponential(interval.ratio),
                exponential(interval.lower),
                exponential(interval.upper),
                interval.g,
                assumed_potency if isinstance(assumed_potency, int | float) else assumed_potency.get(name, 1.0),
            )
        )
        if not interval.bounded:
            warnings.append(
                f"{name}: g = {interval.g:.3g} >= 1, the slope is not distinct from zero and the limits do not exist"
            )
        elif interval.g > 0.1:
            warnings.append(f"{name}: g = {interval.g:.3g} is above 0.1, the slope is poorly determined")

    anova = _anova_table(assay, lines, x, prep, side, y, w, s2, df, total_ss)
    by_source = {line.source: line for line in anova}
    separate = least_squares(np.column_stack([prep, prep * x[:, None], *side]), y, w)
    slopes, sv = separate.coefficients[h : 2 * h], separate.unscaled_covariance[h : 2 * h, h : 2 * h] * s2
    similarity = judge_similarity(
        SignificanceTest(
            "F",
            by_source["non-parallelism"].f,
            h - 1,
            df,
            by_source["non-parallelism"].p,
            by_source["non-parallelism"].p >= rules.significance,
        ),
        slope_equivalence(assay, slopes, sv, df, rules),
        rules,
    )
    warnings += validity_warnings(by_source, rules)
    if (word := disagreement(similarity)) is not None:
        warnings.append(word)
    linear = by_source["non-linearity"]
    if linear.df == 0:
        warnings.append("linearity cannot be tested with two doses per preparation")
    valid = (
        by_source["regression"].p < rules.significance
        and similarity.similar
        and not linear.p < rules.significance
        and all(potency.g < 1 for potency in potencies)
    )
    outliers = find_outliers(assay, y, full.fitted, full.leverage, full.residual_ss, df)
    if outliers:
        warnings.append(f"{len(outliers)} outlier signal(s): see the list; nothing was dropped")
    slope_table = tuple(
        (name, float(slopes[i]), math.sqrt(float(sv[i, i]))) for i, name in enumerate(assay.preparations)
    )
    suitability = linear_suitability(assay, y, slope_table, potencies, s2, limits or {})
    return PotencyResult(
        "parallel-line",
        assay.design,
        transform,
        assay.standard,
        len(y),
        assay.missing,
        tuple(potencies),
        slope,
        math.sqrt(float(v[h, h])),
        s2,
        df,
        tuple(anova),
        similarity,
        valid and all(item.passed is not False for item in suitability),
        tuple(warnings),
        outliers,
        suitability,
        slope_table,
    )


def _anova_table(
    assay: Assay,
    lines: list[tuple[str, int, float]],
    x: Float,
    prep: Float,
    side: list[Float],
    y: Float,
    w: Float,
    s2: float,
    df: int,
    total_ss: float,
) -> list[AnovaLine]:
    """Order the lines as the pharmacopoeia prints them, with non-linearity by preparation below its sum."""
    block_names = set(NUISANCE_NAMES.values())
    treatment_lines = [line for line in lines if line[0] not in block_names]
    table = [anova_line(*line, s2, df) for line in treatment_lines]
    h = len(assay.preparations)
    lack = table[-1]
    if lack.df > 0:
        base = np.column_stack([prep, prep * x[:, None], *side])
        reference = least_squares(base, y, w)
        for i in range(h):
            cells = indicators(assay.treatment) * prep[:, [i]]
            larger = least_squares(np.column_stack([base, cells]), y, w)
            gained = larger.rank - reference.rank
            if gained > 0 and h > 1:
                ss = max(reference.residual_ss - larger.residual_ss, 0.0)
                table.append(anova_line(f"non-linearity: {assay.preparations[i]}", gained, ss, s2, df))
    table.append(
        anova_line(
            "treatments",
            sum(line[1] for line in treatment_lines),
            sum(line[2] for line in treatment_lines),
            s2,
            df,
        )
    )
    table += [anova_line(*line, s2, df) for line in lines if line[0] in block_names]
    table.append(anova_line("residual", df, s2 * df))
    table.append(anova_line("total", len(y) - 1, total_ss))
    return table


def slope_equivalence(
    assay: Assay, slopes: Float, covariance: Float, df: float, rules: Rules
) -> tuple[Equivalence, ...]:
    """Return the Fieller interval of each test slope over the standard's slope, against the limits."""
    t = (
        float(stats.t.ppf(0.5 + rules.equivalence_confidence / 2, df))
        if math.isfinite(df)
        else float(stats.norm.ppf(0.5 + rules.equivalence_confidence / 2))
    )
    low, high = rules.ratio_limits
    found = []
    for i in range(1, len(slopes)):
        interval = fieller(
            float(slopes[i]),
            float(slopes[0]),
            float(covariance[i, i]),
            float(covariance[0, 0]),
            float(covariance[i, 0]),
            t,
        )
        inside = interval.bounded and low <= interval.lower and interval.upper <= high
        found.append(
            Equivalence(
                assay.preparations[i],
                "slope ratio",
                interval.ratio,
                interval.lower,
                interval.upper,
                low,
                high,
                inside,
            )
        )
    return tuple(found)


def validity_warnings(by_source: Mapping[str, AnovaLine], rules: Rules) -> list[str]:
    """Return one sentence for each test of validity that fails."""
    words = []
    regression = by_source.get("regression")
    if regression is not None and not regression.p < rules.significance:
        words.append(f"the regression is not significant (p = {regression.p:.3f}): there is no dose response")
    for source in ("non-parallelism", "non-linearity", "intersection", "blanks"):
        line = by_source.get(source)
        if line is not None and line.p < rules.significance:
            words.append(f"{source} is significant (F = {line.f:.3f}, p = {line.p:.3f})")
    return words
