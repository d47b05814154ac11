"""The slope-ratio assay (Ph. Eur. 5.3, section 3.3), with and without a blank.

y = a + b_i dose + design + error, one intercept for all preparations; the potency ratio is b_T / b_S. The
blank helps only if it lies on the lines: that is tested, and the answer without it is always given beside the
answer with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.core.errors import InputError
from cartsight.evidence.quality.potency.assay import Assay
from cartsight.evidence.quality.potency.fieller import fieller
from cartsight.evidence.quality.potency.linear_model import (
    AnovaLine,
    anova_line,
    indicators,
    least_squares,
    nested_anova,
)
from cartsight.evidence.quality.potency.outliers import find_outliers
from cartsight.evidence.quality.potency.parallel_line import (
    NUISANCE_NAMES,
    full_treatment_error,
    nuisance_columns,
    require_standard_and_doses,
    validity_warnings,
)
from cartsight.evidence.quality.potency.results import (
    Equivalence,
    Potency,
    PotencyResult,
    Rules,
    SignificanceTest,
    disagreement,
    judge_similarity,
    potency_of,
)
from cartsight.evidence.quality.potency.suitability import linear_suitability

Float = npt.NDArray[np.float64]

BLANKS = ("keep", "drop")


@dataclass(frozen=True)
class _Analysis:
    """One pass over the data, with or without the blank."""

    potencies: tuple[Potency, ...]
    intercept: float
    slopes: tuple[tuple[str, float, float], ...]
    s2: float
    df: int
    anova: tuple[AnovaLine, ...]
    intersection: SignificanceTest
    equivalence: tuple[Equivalence, ...]
    fitted: Float
    leverage: Float
    rss: float


def slope_ratio(
    assay: Assay,
    *,
    transform: str = "none",
    assumed_potency: float | Mapping[str, float] = 1.0,
    rules: Rules | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    blank: str = "keep",
) -> PotencyResult:
    """Analyse a slope-ratio assay.

    Parameters
    ----------
    assay : Assay
        Responses at dose 0 are blanks, whatever their preparation is called.
    transform, assumed_potency, rules, limits
        As for `parallel_line`.
    blank : {"keep", "drop"}
        Whether responses at dose 0 enter the fit: the (hd + 1) or the (hd) design.

    Returns
    -------
    PotencyResult
        With a blank in the file, `details["without_blank"]` and `details["with_blank"]` hold both answers.

    Raises
    ------
    InputError
        No standard, one dose, no replication, zero variance.

    References
    ----------
    European Pharmacopoeia, chapter 5.3, section 3.3. Finney 1978, Statistical Method in Biological Assay,
    ch. 7.
    """
    rules = rules or Rules()
    if blank not in BLANKS:
        raise InputError("no such treatment of the blank", found=blank, allowed=", ".join(BLANKS))
    require_standard_and_doses(assay, "slope-ratio")
    warnings: list[str] = []
    if assay.missing:
        warnings.append(f"{assay.missing} responses are missing; the analysis is by least squares on the others")
    at_zero = assay.dose <= 0
    details: dict[str, object] = {}
    used = assay.subset(~at_zero) if blank == "drop" else assay
    main = _analyse(used, transform, assumed_potency, rules)
    if at_zero.any():
        both = {"with_blank": _analyse(assay, transform, assumed_potency, rules)}
        both["without_blank"] = _analyse(assay.subset(~at_zero), transform, assumed_potency, rules)
        details = {
            key: {"potencies": value.potencies, "residual_mean_square": value.s2, "residual_df": value.df}
            for key, value in both.items()
        }
        line = next(item for item in both["with_blank"].anova if item.source == "blanks")
        details["blank_test"] = line
        if line.p < rules.significance:
            other = both["without_blank"].potencies
            shown = ", ".join(f"{item.preparation} {item.ratio:.5g}" for item in other)
            warnings.append(
                f"the blank does not lie on the lines (F = {line.f:.1f}, p = {line.p:.2g}): the response "
                f"is not linear "
                f"down to dose 0; without the blank the ratio is {shown}"
            )
    by_source = {item.source: item for item in main.anova}
    similarity = judge_similarity(main.intersection, main.equivalence, rules)
    warnings += [word for word in validity_warnings(by_source, rules) if not word.startswith("blanks")]
    if (word := disagreement(similarity)) is not None:
        warnings.append(word)
    blank_line = by_source.get("blanks")
    valid = (
        by_source["regression"].p < rules.significance
        and similarity.similar
        and not by_source["non-linearity"].p < rules.significance
        and not (blank_line is not None and blank_line.p < rules.significance)
        and all(potency.g < 1 for potency in main.potencies)
    )
    y = used.transformed(transform)
    outliers = find_outliers(used, y, main.fitted, main.leverage, main.rss, main.df)
    if outliers:
        warnings.append(f"{len(outliers)} outlier signal(s): see the list; nothing was dropped")
    details["intercept"] = main.intercept
    suitability = linear_suitability(used, y, main.slopes, main.potencies, main.s2, limits or {})
    return PotencyResult(
        "slope-ratio",
        assay.design,
        transform,
        assay.standard,
        len(y),
        assay.missing,
        main.potencies,
        math.nan,
        math.nan,
        main.s2,
        main.df,
        main.anova,
        similarity,
        valid and all(item.passed is not False for item in suitability),
        tuple(warnings),
        outliers,
        suitability,
        main.slopes,
        details,
    )


def _analyse(assay: Assay, transform: str, assumed_potency: float | Mapping[str, float], rules: Rules) -> _Analysis:
    y, w = assay.transformed(transform), assay.weight
    at_zero = assay.dose <= 0
    h = len(assay.preparations)
    prep = np.zeros((len(y), h))
    given = np.flatnonzero(~at_zero)
    prep[given, assay.preparation[given]] = 1.0
    x = prep * assay.dose[:, None]
    nuisance = nuisance_columns(assay)
    side = [columns for _, columns in nuisance]
    one = np.ones((len(y), 1))
    terms = [("constant", one), *nuisance, ("regression", x)]
    if at_zero.any():
        terms.append(("blanks", at_zero.astype(np.float64)[:, None]))
    terms += [("intersection", prep), ("non-linearity", indicators(assay.treatment))]
    lines, full = nested_anova(terms, y, w)
    total_ss = least_squares(one, y, w).residual_ss
    s2, df = full_treatment_error(assay, full, total_ss)

    blocks = set(NUISANCE_NAMES.values())
    treatment_lines = [line for line in lines if line[0] not in blocks]
    anova = [anova_line(*line, s2, df) for line in treatment_lines]
    anova.append(
        anova_line(
            "treatments",
            sum(line[1] for line in treatment_lines),
            sum(line[2] for line in treatment_lines),
            s2,
            df,
        )
    )
    anova += [anova_line(*line, s2, df) for line in lines if line[0] in blocks]
    anova += [anova_line("residual", df, full.residual_ss), anova_line("total", len(y) - 1, total_ss)]

    fit = least_squares(np.column_stack([one, x, *side]), y, w)
    b, v = fit.coefficients[1 : h + 1], fit.unscaled_covariance[1 : h + 1, 1 : h + 1] * s2
    t = float(stats.t.ppf(0.5 + rules.confidence / 2, df))
    potencies = []
    for i in range(1, h):
        interval = fieller(b[i], b[0], v[i, i], v[0, 0], v[i, 0], t)
        name = assay.preparations[i]
        assumed = assumed_potency if isinstance(assumed_potency, int | float) else assumed_potency.get(name, 1.0)
        potencies.append(potency_of(name, interval.ratio, interval.lower, interval.upper, interval.g, assumed))
    slopes = tuple((name, float(b[i]), math.sqrt(float(v[i, i]))) for i, name in enumerate(assay.preparations))
    crossing = next(line for line in anova if line.source == "intersection")
    test = SignificanceTest("F", crossing.f, crossing.df, df, crossing.p, not crossing.p < rules.significance)
    return _Analysis(
        tuple(potencies),
        float(fit.coefficients[0]),
        slopes,
        s2,
        df,
        tuple(anova),
        test,
        _intercept_equivalence(assay, prep, x, side, y, s2, df, rules),
        full.fitted,
        full.leverage,
        full.residual_ss,
    )


def _intercept_equivalence(
    assay: Assay, prep: Float, x: Float, side: list[Float], y: Float, s2: float, df: int, rules: Rules
) -> tuple[Equivalence, ...]:
    """Compare intercepts: the difference (test - standard) as a share of the standard's rise over its
    doses."""
    given = assay.dose > 0
    h = len(assay.preparations)
    fit = least_squares(np.column_stack([prep, x, *side])[given], y[given], assay.weight[given])
    rise = float(fit.coefficients[h]) * float(assay.dose[assay.preparation == 0].max())
    t = float(stats.t.ppf(0.5 + rules.equivalence_confidence / 2, df))
    v = fit.unscaled_covariance * s2
    found = []
    for i in range(1, h):
        estimate = float(fit.coefficients[i] - fit.coefficients[0]) / rise
        half = t * math.sqrt(float(v[i, i] + v[0, 0] - 2 * v[i, 0])) / abs(rise)
        margin = rules.asymptote_margin
        found.append(
            Equivalence(
                assay.preparations[i],
                "intercept difference / rise of the standard",
                estimate,
                estimate - half,
                estimate + half,
                -margin,
                margin,
                estimate - half >= -margin and estimate + half <= margin,
            )
        )
    return tuple(found)
