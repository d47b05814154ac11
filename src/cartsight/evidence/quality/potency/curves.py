"""Relative potency from four- and five-parameter curves (Ph. Eur. 5.3, section 3.4; USP <1034>).

The free model gives every preparation its own curve; the shared model lets them differ by a dilution alone.
Similarity compares the two by an F-test and the parameters by equivalence; potency is the shared model's
horizontal shift, with the error of the free model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.potency.assay import Assay
from cartsight.evidence.quality.potency.curve_fit import CurveData, CurveFit, fit_curves
from cartsight.evidence.quality.potency.fieller import fieller
from cartsight.evidence.quality.potency.linear_model import AnovaLine, anova_line, indicators, least_squares
from cartsight.evidence.quality.potency.logistic import CURVES, FOUR_PARAMETER, Curve
from cartsight.evidence.quality.potency.outliers import find_outliers
from cartsight.evidence.quality.potency.parallel_line import nuisance_columns
from cartsight.evidence.quality.potency.results import (
    Equivalence,
    Potency,
    PotencyResult,
    Rules,
    SignificanceTest,
    Similarity,
    disagreement,
    exponential,
    judge_similarity,
    potency_of,
)
from cartsight.evidence.quality.potency.suitability import linear_suitability

Float = npt.NDArray[np.float64]

RESIDUALS = ("curves", "treatments")


def curve_potency(
    assay: Assay,
    model: str = "four-parameter",
    *,
    transform: str = "none",
    assumed_potency: float | Mapping[str, float] = 1.0,
    rules: Rules | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    weight_power: float = 0.0,
    effects: Sequence[float] = (10.0, 50.0, 90.0),
    residual: str = "curves",
) -> PotencyResult:
    """Fit dose-response curves and, with two or more preparations, the potency of each against the standard.

    Parameters
    ----------
    assay : Assay
        Responses at dose 0 are controls and take part.
    model : {"four-parameter", "five-parameter", "weibull"}
        Family of curves.
    transform, assumed_potency, rules, limits
        As for `parallel_line`.
    fixed : mapping, optional
        Parameters held at a value, for example ``{"c": 0.0}``.
    weight_power : float
        Variance proportional to |mean| to this power; 0 for constant variance, 2 for a constant
        coefficient of variation.
    effects : sequence of float
        Percentages of the full effect whose doses are reported.
    residual : {"curves", "treatments"}
        Error for the potency limits: around the free curves, or between replicates of a treatment.

    Returns
    -------
    PotencyResult
        `details["parameters"]` holds each preparation's own curve with standard errors and effective doses.

    Raises
    ------
    InputError
        Too few doses for the curve, no residual degrees of freedom, zero variance, unknown model or
        parameter.

    References
    ----------
    European Pharmacopoeia 5.3, section 3.4. Ritz et al. 2015, doi:10.1371/journal.pone.0146021.
    """
    rules = rules or Rules()
    if model not in CURVES:
        raise InputError("no such curve", found=model, allowed=", ".join(CURVES), hint=nearest(model, CURVES))
    if residual not in RESIDUALS:
        raise InputError("no such error", found=residual, allowed=", ".join(RESIDUALS))
    if not 0.0 <= weight_power <= 4.0:
        raise InputError("the power of the variance must lie between 0 and 4", found=weight_power)
    curve = CURVES[model]
    fixed = dict(fixed or {})
    y = assay.transformed(transform)
    _require_doses(assay, curve, fixed, y)
    h = len(assay.preparations)
    data = _curve_data(assay, y)
    free = fit_curves(data, curve, shared=False, fixed=fixed, weight_power=weight_power)
    if free.df < 1:
        raise InputError(
            f"{len(y)} responses for {len(free.theta)} parameters leave no residual",
            file=assay.file,
            hint="Add replicates or doses, or hold a parameter at a value.",
        )
    if free.rss <= 1e-14 * float(np.sum((y - y.mean()) ** 2)):
        raise InputError(
            "zero variance: the responses lie on the curve to the last digit",
            file=assay.file,
            hint="Enter the responses as measured, one line per replicate.",
        )
    warnings: list[str] = []
    if assay.missing:
        warnings.append(f"{assay.missing} responses are missing")
    if not free.determined:
        warnings.append("the data do not determine every parameter (an asymptote or the slope lies outside the doses)")
    s2_free = free.rss / free.df
    anova, s2, df, pure = _curve_anova(assay, data, free, residual)
    details: dict[str, object] = {
        "parameters": parameter_table(assay.preparations, curve, free, s2_free, rules.confidence, effects),
        "log_likelihood": free.log_likelihood,
    }
    if curve.asymmetric:
        four = fit_curves(
            data,
            FOUR_PARAMETER,
            shared=False,
            fixed={k: v for k, v in fixed.items() if k != "f"},
            weight_power=weight_power,
        )
        # the two fits are compared under the same weights, those of the larger model
        four_rss = float(np.sum(free.weight * (y - four.fitted) ** 2))
        line = anova_line(
            "five- against four-parameter", four.df - free.df, max(four_rss - free.rss, 0.0), s2_free, free.df
        )
        details["five_against_four"] = {"f": line.f, "df": line.df, "residual_df": free.df, "p": line.p}
    if pure is not None and pure.p < rules.significance:
        warnings.append(
            f"lack of fit is significant (F = {pure.f:.2f}, p = {pure.p:.3f}): the curve does not describe the means"
        )

    potencies: tuple[Potency, ...] = ()
    similarity: Similarity | None = None
    slope, slope_error = float(free.curves[0, 0]), _standard_error(free, 0, 0, s2_free)
    if h == 1:
        warnings.append("one preparation: no relative potency exists without a standard; the curve is reported alone")
    else:
        shared = fit_curves(data, curve, shared=True, fixed=fixed, weight_power=weight_power)
        line = anova_line("non-parallelism", shared.df - free.df, max(shared.rss - free.rss, 0.0), s2_free, free.df)
        anova = [line, *anova]
        similarity = judge_similarity(
            SignificanceTest("F", line.f, line.df, free.df, line.p, not line.p < rules.significance),
            _parameter_equivalence(assay, curve, free, s2_free, rules),
            rules,
        )
        if line.p < rules.significance:
            warnings.append(f"non-parallelism is significant (F = {line.f:.3f}, p = {line.p:.3f})")
        if (word := disagreement(similarity)) is not None:
            warnings.append(word)
        potencies = _potencies(assay, curve, shared, s2, df, assumed_potency, rules)
        slope, slope_error = float(shared.curves[0, 0]), _standard_error(shared, 0, 0, s2)
        details["shared_parameters"] = parameter_table(assay.preparations, curve, shared, s2, rules.confidence, effects)
    t = float(stats.t.ppf(0.5 + rules.confidence / 2, df))
    g = _slope_g(curve, free if h == 1 else shared, s2, t)
    valid = (
        (similarity is None or similarity.similar)
        and free.determined
        and g < 1
        and not (pure is not None and pure.p < rules.significance)
    )
    if g >= 1:
        warnings.append(f"g = {g:.3g} >= 1: the slope is not distinct from zero")
    outliers = find_outliers(assay, y, free.fitted, free.leverage, free.rss, free.df, free.weight)
    if outliers:
        warnings.append(f"{len(outliers)} outlier signal(s): see the list; nothing was dropped")
    slopes = tuple(
        (name, float(free.curves[i, 0]), _standard_error(free, i, 0, s2_free))
        for i, name in enumerate(assay.preparations)
    )
    suitability = linear_suitability(assay, y, slopes, potencies, s2_free, limits or {})
    return PotencyResult(
        model,
        assay.design,
        transform,
        assay.standard,
        len(y),
        assay.missing,
        potencies,
        slope,
        slope_error,
        s2_free,
        free.df,
        tuple(anova),
        similarity,
        bool(valid) and all(item.passed is not False for item in suitability),
        tuple(warnings),
        outliers,
        suitability,
        slopes,
        details,
    )


def _require_doses(assay: Assay, curve: Curve, fixed: Mapping[str, float], y: Float) -> None:
    needed = len(curve.parameters) - len(fixed)
    for index, name in enumerate(assay.preparations):
        mine = (assay.preparation == index) | (assay.preparation < 0)
        doses = np.unique(assay.dose[mine])
        if len(doses) < 2 or len(doses[doses > 0]) < 2:
            raise InputError(
                f"one dose level: preparation {name!r} was given at {len(doses[doses > 0])} dose",
                file=assay.file,
                hint=f"A {curve.name} curve needs at least {needed} doses.",
            )
        if len(doses) < needed:
            raise InputError(
                f"a {curve.name} curve has {needed} free parameters, but preparation {name!r} has "
                f"{len(doses)} dose levels",
                file=assay.file,
                hint="Add doses, hold a parameter at a value, or use the parallel-line model.",
            )
        if float(np.ptp(y[mine])) == 0.0:
            raise InputError(
                f"zero variance: every response of {name!r} is the same",
                file=assay.file,
                hint="There is no dose response to fit.",
            )


def _curve_data(assay: Assay, y: Float) -> CurveData:
    """Give blanks to the standard: they share its curve at dose 0."""
    side = [columns for _, columns in nuisance_columns(assay)]
    with np.errstate(divide="ignore"):
        log_dose = np.log(assay.dose)
    return CurveData(
        y,
        log_dose,
        np.maximum(assay.preparation, 0),
        assay.weight,
        np.column_stack(side) if side else np.zeros((len(y), 0)),
    )


def _curve_anova(
    assay: Assay, data: CurveData, free: CurveFit, residual: str
) -> tuple[list[AnovaLine], float, int, AnovaLine | None]:
    """Return the lines, the error for the potency with its degrees of freedom, and the lack-of-fit line."""
    keys = np.column_stack([data.preparation, assay.dose])
    _, cell = np.unique(keys, axis=0, return_inverse=True)
    full = least_squares(
        np.column_stack([indicators(np.asarray(cell, dtype=np.intp).reshape(-1)), data.side]),
        data.y,
        free.weight,
    )
    s2, df = free.rss / free.df, free.df
    lines: list[AnovaLine] = []
    lack: AnovaLine | None = None
    total = float(np.sum(free.weight * (data.y - np.average(data.y, weights=free.weight)) ** 2))
    if full.df > 0 and full.residual_ss <= 1e-12 * total:
        raise InputError(
            "zero variance: the replicates of every treatment are equal",
            file=assay.file,
            hint="Enter the responses as measured, one line per replicate, before rounding or averaging.",
        )
    if full.df > 0 and full.df < free.df:
        error = full.residual_ss / full.df
        lack = anova_line("lack of fit", free.df - full.df, max(free.rss - full.residual_ss, 0.0), error, full.df)
        lines += [lack, anova_line("pure error", full.df, full.residual_ss)]
        if residual == "treatments":
            s2, df = error, full.df
    elif residual == "treatments":
        raise InputError(
            "groups of one: no treatment was replicated",
            file=assay.file,
            hint="Use the error around the curves (--residual curves).",
        )
    lines += [anova_line("residual", free.df, free.rss), anova_line("total", len(data.y) - 1, total)]
    return lines, s2, df, lack


def _standard_error(fit: CurveFit, i: int, j: int, s2: float) -> float:
    at = int(fit.position[i, j])
    return 0.0 if at < 0 else math.sqrt(float(fit.unscaled_covariance[at, at]) * s2)


def parameter_table(
    preparations: Sequence[str],
    curve: Curve,
    fit: CurveFit,
    s2: float,
    confidence: float,
    effects: Sequence[float],
) -> list[dict[str, object]]:
    """Return one entry per preparation: parameters, standard errors, and effective doses with delta-method
    limits."""
    t = float(stats.t.ppf(0.5 + confidence / 2, fit.df))
    table: list[dict[str, object]] = []
    for i, name in enumerate(preparations):
        b, c, d, log_e, log_f = (float(value) for value in fit.curves[i])
        values = {"b": b, "c": c, "d": d, "e": exponential(log_e), "f": exponential(log_f)}
        errors = {
            key: _standard_error(fit, i, j, s2) * (values[key] if key in "ef" else 1.0) for j, key in enumerate("bcdef")
        }
        entry: dict[str, object] = {"preparation": name}
        entry |= {key: values[key] for key in curve.parameters}
        entry["standard_errors"] = {key: errors[key] for key in curve.parameters}
        ed: dict[str, object] = {}
        for effect in effects:
            if not 0.0 < effect < 100.0:
                raise InputError("an effective dose needs a percentage between 0 and 100", found=effect)
            log_dose, gradient = curve.effective_dose(effect / 100.0, b, log_e, log_f)
            at = [int(fit.position[i, j]) for j in (0, 3, 4)]
            chosen = [k for k, place in enumerate(at) if place >= 0]
            index = [at[k] for k in chosen]
            variance = float(gradient[chosen] @ fit.unscaled_covariance[np.ix_(index, index)] @ gradient[chosen]) * s2
            dose = exponential(log_dose)
            se = dose * math.sqrt(max(variance, 0.0))
            ed[f"{effect:g}"] = {
                "estimate": dose,
                "standard_error": se,
                "lower": dose - t * se,
                "upper": dose + t * se,
                "log_lower": dose * exponential(-t * se / dose),
                "log_upper": dose * exponential(t * se / dose),
            }
        entry["ed"] = ed
        table.append(entry)
    return table


def _log_slope(curve: Curve, fit: CurveFit, i: int) -> tuple[float, Float]:
    """Return ln |slope at the midpoint| of curve `i`, as a share of its range per ln dose, and its gradient over theta.

    With an exponent f, b and f trade off: only their joint effect on the slope is well determined.
    """
    b, f = float(fit.curves[i, 0]), math.exp(float(fit.curves[i, 4]))
    gradient = np.zeros(len(fit.theta))
    at_b, at_f = int(fit.position[i, 0]), int(fit.position[i, 4])
    if at_b >= 0:
        gradient[at_b] += 1.0 / b
    # (1 + u)^-f is a half where 1 + u = 2^(1/f): the slope there is -b f (1 - 2^(-1/f)) / 2
    rest = -math.expm1(-math.log(2.0) / f)
    if curve.asymmetric and at_f >= 0:
        gradient[at_f] += 1.0 - math.log(2.0) / f * (1.0 - rest) / rest
    return math.log(abs(b) * f * rest / 2.0), gradient


def _slope_g(curve: Curve, fit: CurveFit, s2: float, t: float) -> float:
    """Return g, the squared relative half-width of the slope at the midpoint."""
    if fit.curves[0, 0] == 0.0:
        return math.inf
    _, gradient = _log_slope(curve, fit, 0)
    return float(t * t * s2 * (gradient @ fit.unscaled_covariance @ gradient))


def _parameter_equivalence(
    assay: Assay, curve: Curve, free: CurveFit, s2: float, rules: Rules
) -> tuple[Equivalence, ...]:
    """Compare slope and asymptotes of each test preparation with the standard's, by Fieller intervals."""
    t = float(stats.t.ppf(0.5 + rules.equivalence_confidence / 2, free.df))
    v = free.unscaled_covariance * s2
    p = len(free.theta)
    low, high = rules.ratio_limits
    margin = rules.asymptote_margin

    def combination(i: int, terms: Mapping[int, float]) -> Float:
        vector = np.zeros(p)
        for j, factor in terms.items():
            if free.position[i, j] >= 0:
                vector[free.position[i, j]] += factor
        return vector

    def compare(i: int, what: str, top: Float, bottom: Float, n: float, d: float, lo: float, hi: float) -> Equivalence:
        interval = fieller(n, d, float(top @ v @ top), float(bottom @ v @ bottom), float(top @ v @ bottom), t)
        inside = interval.bounded and lo <= interval.lower and interval.upper <= hi
        return Equivalence(assay.preparations[i], what, interval.ratio, interval.lower, interval.upper, lo, hi, inside)

    found = []
    b, c, d = free.curves[:, 0], free.curves[:, 1], free.curves[:, 2]
    for i in range(1, len(assay.preparations)):
        if curve.asymmetric:
            (test, up), (standard, down) = _log_slope(curve, free, i), _log_slope(curve, free, 0)
            half = t * math.sqrt(max(float((up - down) @ v @ (up - down)), 0.0))
            limits = exponential(test - standard - half), exponential(test - standard + half)
            same_sign = b[i] * b[0] > 0
            ratio = math.copysign(exponential(test - standard), b[i] * b[0])
            inside = bool(same_sign and low <= limits[0] and limits[1] <= high)
            shown = limits if same_sign else (math.nan, math.nan)
            what = "slope at the midpoint ratio"
            found.append(Equivalence(assay.preparations[i], what, ratio, *shown, low, high, inside))
        else:
            found.append(
                compare(i, "slope ratio", combination(i, {0: 1}), combination(0, {0: 1}), b[i], b[0], low, high)
            )
        found.append(
            compare(
                i,
                "upper asymptote ratio",
                combination(i, {2: 1}),
                combination(0, {2: 1}),
                d[i],
                d[0],
                low,
                high,
            )
        )
        found.append(
            compare(
                i,
                "lower asymptote difference / range of the standard",
                combination(i, {1: 1}) - combination(0, {1: 1}),
                combination(0, {2: 1, 1: -1}),
                c[i] - c[0],
                d[0] - c[0],
                -margin,
                margin,
            )
        )
    return tuple(found)


def _potencies(
    assay: Assay, curve: Curve, shared: CurveFit, s2: float, df: int, assumed: float | Mapping[str, float], rules: Rules
) -> tuple[Potency, ...]:
    t = float(stats.t.ppf(0.5 + rules.confidence / 2, df))
    g = _slope_g(curve, shared, s2, t)
    found = []
    at_standard = int(shared.position[0, 3])
    for i in range(1, len(assay.preparations)):
        at = int(shared.position[i, 3])
        log_ratio = float(shared.theta[at_standard] - shared.theta[at])
        v = shared.unscaled_covariance
        half = t * math.sqrt(float(v[at, at] + v[at_standard, at_standard] - 2 * v[at, at_standard]) * s2)
        name = assay.preparations[i]
        value = assumed if isinstance(assumed, int | float) else assumed.get(name, 1.0)
        found.append(
            potency_of(
                name, exponential(log_ratio), exponential(log_ratio - half), exponential(log_ratio + half), g, value
            )
        )
    return tuple(found)
