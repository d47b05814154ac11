"""Quantal assays: so many of so many respond (Ph. Eur. 5.3, section 4).

P(response) = C + (1 - C) F(a_i + b ln dose), with F normal (probit), logistic (logit) or complementary
log-log (Gompertz), by maximum likelihood. C is the natural response (Abbott), estimated when the controls at
dose 0 respond. Limits of a potency are Fieller's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.potency.assay import Assay
from cartsight.evidence.quality.potency.fieller import fieller
from cartsight.evidence.quality.potency.linear_model import AnovaLine, indicators
from cartsight.evidence.quality.potency.parallel_line import require_standard_and_doses, slope_equivalence
from cartsight.evidence.quality.potency.results import (
    PotencyResult,
    Rules,
    SignificanceTest,
    Similarity,
    disagreement,
    exponential,
    judge_similarity,
    potency_of,
)
from cartsight.evidence.quality.potency.suitability import quantal_suitability

Float = npt.NDArray[np.float64]
Link = Callable[[Float], tuple[Float, Float]]

NATURAL_RESPONSES = ("auto", "none", "estimate")
SMALLEST = 1e-12


def _probit(eta: Float) -> tuple[Float, Float]:
    return special.ndtr(eta), np.exp(-0.5 * eta**2) / math.sqrt(2 * math.pi)


def _logit(eta: Float) -> tuple[Float, Float]:
    p = special.expit(eta)
    return p, p * (1.0 - p)


def _gompertz(eta: Float) -> tuple[Float, Float]:
    u = np.exp(np.clip(eta, -700.0, 30.0))
    return -np.expm1(-u), u * np.exp(-u)


LINKS: dict[str, Link] = {"probit": _probit, "logit": _logit, "gompertz": _gompertz}
QUANTILES: dict[str, Callable[[float], float]] = {
    "probit": lambda p: float(special.ndtri(p)),
    "logit": lambda p: math.log(p / (1.0 - p)),
    "gompertz": lambda p: math.log(-math.log1p(-p)),
}


@dataclass(frozen=True)
class QuantalFit:
    """Maximum likelihood: `coefficients` of the linear predictor, natural response C, covariance, deviance.

    `covariance` covers the coefficients, and C last when it was estimated.
    """

    coefficients: Float
    natural_response: float
    covariance: Float
    deviance: float
    pearson: float
    probability: Float
    parameters: int
    converged: bool


def fit_quantal(
    design: Float,
    exposed: npt.NDArray[np.bool_],
    responders: Float,
    total: Float,
    link: Link,
    *,
    natural: bool,
) -> QuantalFit:
    """Fit by Fisher scoring with step halving.

    Parameters
    ----------
    design : ndarray, shape (n, p)
        Linear predictor of the exposed rows; rows at dose 0 respond with probability C alone.
    exposed : ndarray of bool, shape (n,)
    responders, total : ndarray, shape (n,)
    link : callable
        eta -> (F, dF/deta).
    natural : bool
        Estimate C; otherwise C = 0.
    """
    p = design.shape[1]
    share = (responders + 0.5) / (total + 1.0)
    start = np.log(share / (1.0 - share))
    active = exposed
    beta = np.linalg.lstsq(
        design[active] * np.sqrt(total[active])[:, None], start[active] * np.sqrt(total[active]), rcond=None
    )[0]
    control = ~exposed
    c = 0.0
    if natural:
        c = float((responders[control].sum() + 0.5) / (total[control].sum() + 1.0)) if control.any() else 0.02
    theta = np.append(beta, c) if natural else beta

    def predict(vector: Float) -> tuple[Float, Float]:
        base = float(vector[p]) if natural else 0.0
        share_, slope = link(design @ vector[:p])
        share_ = np.where(exposed, share_, 0.0)
        slope = np.where(exposed, slope, 0.0)
        probability = base + (1.0 - base) * share_
        jacobian = (1.0 - base) * slope[:, None] * design
        if natural:
            jacobian = np.column_stack([jacobian, 1.0 - share_])
        return probability, jacobian

    def log_likelihood(vector: Float) -> float:
        if natural and not 0.0 <= vector[p] < 1.0:
            return -math.inf
        probability, _ = predict(vector)
        q = np.clip(probability, SMALLEST, 1 - SMALLEST)
        return float(np.sum(special.xlogy(responders, q) + special.xlogy(total - responders, 1 - q)))

    value = log_likelihood(theta)
    information = np.eye(len(theta))
    converged = False
    for _ in range(200):
        probability, jacobian = predict(theta)
        q = np.clip(probability, SMALLEST, 1 - SMALLEST)
        weight = total / (q * (1 - q))
        score = jacobian.T @ ((responders - total * q) / (q * (1 - q)))
        information = jacobian.T @ (weight[:, None] * jacobian)
        step = np.linalg.lstsq(information, score, rcond=None)[0]
        if natural and theta[p] + step[p] < 0.0:
            step[p] = -theta[p]
        size = 1.0
        while size > 1e-10 and log_likelihood(theta + size * step) < value - 1e-12:
            size /= 2
        theta = theta + size * step
        new = log_likelihood(theta)
        if abs(new - value) < 1e-12 * (1 + abs(value)) and np.max(np.abs(step)) < 1e-9 * (1 + np.max(np.abs(theta))):
            converged = True
            value = new
            break
        value = new
    probability, jacobian = predict(theta)
    q = np.clip(probability, SMALLEST, 1 - SMALLEST)
    information = jacobian.T @ ((total / (q * (1 - q)))[:, None] * jacobian)
    observed = responders / total
    saturated = float(np.sum(special.xlogy(responders, observed) + special.xlogy(total - responders, 1 - observed)))
    certain = (probability <= SMALLEST) | (probability >= 1 - SMALLEST)
    pearson = float(np.sum(np.where(certain, 0.0, (responders - total * q) ** 2 / (total * q * (1 - q)))))
    return QuantalFit(
        theta[:p],
        float(theta[p]) if natural else 0.0,
        np.asarray(np.linalg.pinv(information), dtype=np.float64),
        2 * (saturated - value),
        pearson,
        probability,
        len(theta),
        converged,
    )


def quantal_potency(
    assay: Assay,
    model: str = "probit",
    *,
    assumed_potency: float | Mapping[str, float] = 1.0,
    rules: Rules | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    natural_response: str = "auto",
    heterogeneity: bool = False,
    effects: Sequence[float] = (10.0, 50.0, 90.0),
) -> PotencyResult:
    """Analyse a quantal assay.

    Parameters
    ----------
    assay : Assay
        With `responders` and `total`; lines at dose 0 are controls.
    model : {"probit", "logit", "gompertz"}
    assumed_potency, rules, limits
        As for `parallel_line`; no limits on replicates or residuals.
    natural_response : {"auto", "none", "estimate"}
        Whether untreated subjects respond; "auto" estimates it when a control did.
    heterogeneity : bool
        Multiply variances by Pearson chi-squared / df and use Student's t.
    effects : sequence of float
        Percentages of responders whose doses are reported.

    Returns
    -------
    PotencyResult
        `residual_mean_square` is the heterogeneity factor; `anova` holds deviances, tested as chi-squared.

    Raises
    ------
    InputError
        One dose, or no partial response to determine a slope.

    References
    ----------
    European Pharmacopoeia 5.3, section 4. Finney 1971, Probit Analysis, 3rd ed.
    """
    rules = rules or Rules()
    if model not in LINKS:
        raise InputError("no such quantal model", found=model, allowed=", ".join(LINKS), hint=nearest(model, LINKS))
    if natural_response not in NATURAL_RESPONSES:
        raise InputError("no such rule", found=natural_response, allowed=", ".join(NATURAL_RESPONSES))
    if assay.responders is None or assay.total is None:
        raise InputError("a quantal assay needs the columns responders and total", file=assay.file)
    if assay.nuisance:
        raise InputError(
            "a quantal assay is analysed as completely randomised", file=assay.file, hint="Use --design crd."
        )
    h = len(assay.preparations)
    if h > 1:
        require_standard_and_doses(assay, "quantal")
    r, n = assay.responders, assay.total
    exposed = assay.dose > 0
    if len(np.unique(assay.dose[exposed])) < 2:
        raise InputError("one dose level: a slope needs at least two doses", file=assay.file)
    _require_partial_responses(assay, r, n, exposed)
    control_responders = float(r[~exposed].sum())
    natural = natural_response == "estimate" or (natural_response == "auto" and control_responders > 0)
    if not natural and control_responders > 0:
        raise InputError(
            f"{control_responders:.0f} controls at dose 0 responded, which is impossible without a natural response",
            file=assay.file,
            hint="Use --natural-response estimate, or remove the controls.",
        )
    warnings: list[str] = []
    link = LINKS[model]
    x = np.zeros(len(r))
    x[exposed] = np.log(assay.dose[exposed])
    centre = float(np.average(x[exposed], weights=n[exposed]))
    x = np.where(exposed, x - centre, 0.0)
    prep = indicators(np.maximum(assay.preparation, 0)) * exposed[:, None]
    if prep.shape[1] < h:
        prep = np.column_stack([prep, np.zeros((len(r), h - prep.shape[1]))])

    def fit(design: Float) -> QuantalFit:
        return fit_quantal(design, exposed, r, n, link, natural=natural)

    common = fit(np.column_stack([prep, x]))
    separate = fit(np.column_stack([prep, prep * x[:, None]]))
    if not common.converged:
        warnings.append("the maximum of the likelihood was not reached to full precision")
    df = len(np.unique(np.column_stack([assay.treatment[exposed], np.zeros(exposed.sum())]), axis=0)) - h - 1
    grouped = _pearson_by_treatment(assay, r, n, common.probability, exposed)
    factor = grouped / df if df > 0 else math.nan
    p_heterogeneity = float(stats.chi2.sf(grouped, df)) if df > 0 else math.nan
    inflate = factor if heterogeneity and df > 0 and factor > 1 else 1.0
    quantile = 0.5 + rules.confidence / 2
    t = float(stats.t.ppf(quantile, df)) if inflate > 1 else float(stats.norm.ppf(quantile))
    v = common.covariance * inflate
    slope = float(common.coefficients[h])
    slope_error = math.sqrt(float(v[h, h]))
    g = (t * slope_error / slope) ** 2

    potencies = []
    for i in range(1, h):
        interval = fieller(
            common.coefficients[i] - common.coefficients[0],
            slope,
            v[i, i] + v[0, 0] - 2 * v[i, 0],
            v[h, h],
            v[i, h] - v[0, h],
            t,
        )
        name = assay.preparations[i]
        assumed = assumed_potency if isinstance(assumed_potency, int | float) else assumed_potency.get(name, 1.0)
        ratio, lower, upper = exponential(interval.ratio), exponential(interval.lower), exponential(interval.upper)
        potencies.append(potency_of(name, ratio, lower, upper, interval.g, assumed))
    anova = _deviance_table(assay, fit, prep, x, exposed, common, separate, r, n)
    by_source = {line.source: line for line in anova}
    similarity: Similarity | None = None
    slopes = separate.coefficients[h : 2 * h]
    slope_covariance = separate.covariance[h : 2 * h, h : 2 * h] * inflate
    if h > 1:
        parallel = by_source["non-parallelism"]
        similarity = judge_similarity(
            SignificanceTest(
                "chi-squared",
                parallel.ss,
                parallel.df,
                math.inf,
                parallel.p,
                not parallel.p < rules.significance,
            ),
            slope_equivalence(assay, slopes, slope_covariance, math.inf, rules),
            rules,
        )
        if (word := disagreement(similarity)) is not None:
            warnings.append(word)
    else:
        warnings.append(
            "one preparation: no relative potency exists without a standard; its effective doses are reported"
        )
    for source in ("non-parallelism", "non-linearity"):
        line = by_source.get(source)
        if line is not None and line.p < rules.significance:
            warnings.append(f"{source} is significant (chi-squared = {line.ss:.3f}, p = {line.p:.3f})")
    if p_heterogeneity < rules.significance:
        warnings.append(
            f"heterogeneity is significant (Pearson chi-squared / df = {factor:.2f}, p = {p_heterogeneity:.3f})"
        )
    if g >= 1:
        warnings.append(f"g = {g:.3g} >= 1: the slope is not distinct from zero and the limits do not exist")
    if natural:
        warnings.append(f"natural response of the controls estimated at {common.natural_response:.4f}")
    linear = by_source.get("non-linearity")
    regression = by_source["regression"]
    valid = bool(
        regression.p < rules.significance
        and g < 1
        and (similarity is None or similarity.similar)
        and not (linear is not None and linear.p < rules.significance)
    )
    details: dict[str, object] = {
        "natural_response": common.natural_response,
        "heterogeneity_factor": factor,
        "p_heterogeneity": p_heterogeneity,
        "heterogeneity_applied": inflate > 1,
        "deviance": common.deviance,
        "parameters": _parameter_table(assay, common, centre, v, t, model, effects),
    }
    slope_table = tuple(
        (name, float(slopes[i]), math.sqrt(float(slope_covariance[i, i]))) for i, name in enumerate(assay.preparations)
    )
    suitability = quantal_suitability(slope_table[0][1], potencies, limits or {})
    return PotencyResult(
        model,
        assay.design,
        "none",
        assay.standard,
        len(r),
        assay.missing,
        tuple(potencies),
        slope,
        slope_error,
        factor,
        df,
        tuple(anova),
        similarity,
        valid and all(item.passed is not False for item in suitability),
        tuple(warnings),
        (),
        suitability,
        slope_table,
        details,
    )


def _require_partial_responses(assay: Assay, r: Float, n: Float, exposed: npt.NDArray[np.bool_]) -> None:
    doses = assay.dose[exposed]
    share = r[exposed] / n[exposed]
    if np.ptp(share) == 0:
        raise InputError(
            "zero variance: the share of responders is the same at every dose",
            file=assay.file,
            hint="There is no dose response; choose doses around the median effective dose.",
        )
    partial = (share > 0) & (share < 1)
    ordered = share[np.argsort(doses, kind="stable")]
    monotone = bool((np.diff(ordered) >= 0).all() or (np.diff(ordered) <= 0).all())
    if not partial.any() and monotone:
        raise InputError(
            "no dose has a partial response (some respond and some do not), so the slope is not determined",
            file=assay.file,
            hint="Add doses between the last without and the first with full response.",
        )


def _pearson_by_treatment(assay: Assay, r: Float, n: Float, p: Float, exposed: npt.NDArray[np.bool_]) -> float:
    total = 0.0
    treatment = assay.treatment
    for cell in np.unique(treatment[exposed]):
        mine = treatment == cell
        expected = float((n[mine] * p[mine]).sum())
        size = float(n[mine].sum())
        share = expected / size
        if 0 < share < 1:
            total += (float(r[mine].sum()) - expected) ** 2 / (size * share * (1 - share))
    return total


def _deviance_table(
    assay: Assay,
    fit: Callable[[Float], QuantalFit],
    prep: Float,
    x: Float,
    exposed: npt.NDArray[np.bool_],
    common: QuantalFit,
    separate: QuantalFit,
    r: Float,
    n: Float,
) -> list[AnovaLine]:
    """Sequential deviances; with replicate lines the last one is the variation between them."""
    h = prep.shape[1]
    constant = fit(exposed.astype(np.float64)[:, None])
    treatment = assay.treatment
    cells = np.unique(treatment)
    pooled_r = np.array([r[treatment == cell].sum() for cell in cells])[np.searchsorted(cells, treatment)]
    pooled_n = np.array([n[treatment == cell].sum() for cell in cells])[np.searchsorted(cells, treatment)]
    q = pooled_r / pooled_n
    saturated = float(np.sum(special.xlogy(r, r / n) + special.xlogy(n - r, 1 - r / n)))
    within = 2 * (saturated - float(np.sum(special.xlogy(r, q) + special.xlogy(n - r, 1 - q))))
    exposed_cells = len(np.unique(treatment[exposed]))
    deviances = [constant.deviance]
    if h > 1:
        deviances.append(fit(prep).deviance)
    deviances.append(common.deviance)
    names = [("preparations", h - 1)] if h > 1 else []
    names.append(("regression", 1))
    if h > 1:
        names.append(("non-parallelism", h - 1))
        deviances.append(separate.deviance)
    names.append(("non-linearity", exposed_cells - 2 * h))
    deviances.append(within)
    table = []
    for (name, df), before, after in zip(names, deviances[:-1], deviances[1:], strict=True):
        table.append(_chi_squared_line(name, df, before - after))
    table.append(_chi_squared_line("treatments", exposed_cells - 1, constant.deviance - within))
    lines = int(exposed.sum())
    if lines > exposed_cells:
        table.append(_chi_squared_line("residual", lines - exposed_cells, within))
    table.append(_chi_squared_line("total", lines - 1, constant.deviance))
    return table


def _chi_squared_line(source: str, df: int, deviance: float) -> AnovaLine:
    deviance = max(deviance, 0.0)
    p = float(stats.chi2.sf(deviance, df)) if df > 0 else math.nan
    return AnovaLine(source, df, deviance, deviance / df if df > 0 else math.nan, math.nan, p)


def _parameter_table(
    assay: Assay, fit: QuantalFit, centre: float, v: Float, t: float, model: str, effects: Sequence[float]
) -> list[dict[str, object]]:
    """Return intercept at ln dose 0, common slope and effective doses of each preparation."""
    h = len(assay.preparations)
    slope = float(fit.coefficients[h])
    table: list[dict[str, object]] = []
    for i, name in enumerate(assay.preparations):
        a = float(fit.coefficients[i])
        ed: dict[str, object] = {}
        for effect in effects:
            if not 0.0 < effect < 100.0:
                raise InputError("an effective dose needs a percentage between 0 and 100", found=effect)
            target = QUANTILES[model](effect / 100.0)
            # ln dose = (target - a) / b: a ratio of two estimates
            interval = fieller(target - a, slope, v[i, i], v[h, h], -v[i, h], t)
            dose = exponential(interval.ratio + centre)
            variance = (v[i, i] + 2 * interval.ratio * v[i, h] + interval.ratio**2 * v[h, h]) / slope**2
            se = dose * math.sqrt(float(variance))
            ed[f"{effect:g}"] = {
                "estimate": dose,
                "standard_error": se,
                "lower": dose - t * se,
                "upper": dose + t * se,
                "fieller_lower": exponential(interval.lower + centre),
                "fieller_upper": exponential(interval.upper + centre),
            }
        intercept_variance = v[i, i] - 2 * centre * v[i, h] + centre**2 * v[h, h]
        table.append(
            {
                "preparation": name,
                "intercept": a - slope * centre,
                "slope": slope,
                "standard_errors": {
                    "intercept": math.sqrt(float(intercept_variance)),
                    "slope": math.sqrt(float(v[h, h])),
                },
                "ed": ed,
            }
        )
    return table
