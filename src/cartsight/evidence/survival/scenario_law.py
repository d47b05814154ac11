"""A fitted model as a scenario's survival law: median, shape and cured share with joint uncertainty.

A scenario draws a positive number from a lognormal law and a share from a beta law, and joins them by rank
correlations. Intervals are therefore taken on the log and logit scales, by the delta method from the covariance of the
coefficients (median and shape are then jointly normal on the log scale, as the scenario draws them), and the rank
correlations are those of joint normal draws of the coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import expit
from scipy.stats import spearmanr

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.survival.cure_profile import cure_profile
from cartsight.evidence.survival.fitting import Fit
from cartsight.evidence.survival.kaplan_meier import normal_quantile
from cartsight.evidence.survival.models import ModelName
from cartsight.evidence.survival.observations import Float

LN_2 = math.log(2.0)
LAW_OF_FAMILY = {
    "exponential": "exponential",
    "weibull": "weibull",
    "gompertz": "gompertz",
    "log_logistic": "log_logistic",
    "log_normal": "lognormal",
}
SCENARIO_MODELS: tuple[str, ...] = (*LAW_OF_FAMILY, *(f"mixture_cure_{family}" for family in LAW_OF_FAMILY))
"""Models that a scenario can state."""
SHAPE_LIMITS = (0.05, 20.0)
"""Bounds of a scenario's shape parameter."""
LARGEST_CORRELATION = 0.99
CORRELATION_DRAWS = 20_000


@dataclass(frozen=True)
class LawNumber:
    """An estimate with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ScenarioLaw:
    """A survival law in the terms of a scenario.

    Attributes
    ----------
    fitted : Fit
    law : str
        The scenario's name of the law.
    numbers : dict of str to LawNumber
        ``median`` in the time unit of the data; ``shape`` except for the exponential; ``cured`` for a mixture cure.
    correlations : tuple of (str, str, float)
        Names of two numbers and the rank correlation of their estimates.
    """

    fitted: Fit
    law: str
    numbers: dict[str, LawNumber]
    correlations: tuple[tuple[str, str, float], ...]


def check_statable(model: ModelName) -> None:
    """Refuse a model that a scenario cannot state by median, shape and cured share.

    Raises
    ------
    InputError
        A spline, a generalised gamma or a non-mixture cure, with the models that can be stated.
    """
    if str(model) in SCENARIO_MODELS:
        return
    if model.family.startswith("royston_parmar"):
        why = "a spline has no single shape"
    elif model.family == "generalised_gamma":
        why = "the generalised gamma has two shapes and a scenario's law has one"
    else:
        why = "in a non-mixture cure the others follow no law with a median and a shape"
    raise InputError(
        f"a scenario cannot state this model: {why}",
        field="--model",
        found=str(model),
        allowed=", ".join(SCENARIO_MODELS),
        hint=nearest(str(model), list(SCENARIO_MODELS)),
    )


def scenario_law(fitted: Fit, *, draws: int = CORRELATION_DRAWS, seed: int = 20260101) -> ScenarioLaw:
    """Return a fit as a scenario's law.

    Parameters
    ----------
    fitted : Fit
        One of `SCENARIO_MODELS`, without covariates.
    draws : int
        Joint draws of the coefficients behind the rank correlations.
    seed : int

    Returns
    -------
    ScenarioLaw

    Raises
    ------
    InputError
        A model that a scenario cannot state, covariates, a Gompertz hazard that need not rise, a cured fraction that
        the data do not identify (see `cure_profile`), or a shape outside the scenario's bounds.
    """
    check_statable(fitted.model)
    if fitted.likelihood.covariates.shape[1] or fitted.likelihood.cure_covariates.shape[1]:
        raise InputError("a scenario's law has no covariates", field="--covariates", hint="Fit each group by itself")
    z = normal_quantile(0.95)
    if fitted.model.family == "gompertz":
        rise, error = float(fitted.coefficients[-1]), float(fitted.standard_errors[-1])
        if rise - z * error <= 0.0:
            raise InputError(
                f"{fitted.name}: the data do not show a rising hazard, which a scenario's gompertz has",
                found=f"rise {rise:.3g} per unit of time, 95 % {rise - z * error:.3g} to {rise + z * error:.3g}",
                allowed="exponential for a constant hazard; a mixture cure for a plateau",
            )
    if fitted.has_cure:
        reasons = cure_profile(fitted).reasons
        if reasons:
            raise InputError(f"{fitted.name}: the cured fraction is no estimate: {'; '.join(reasons)}")
    centre = _working(fitted, fitted.coefficients)
    names = ["median", *(["shape"] if centre.size > 1 + fitted.has_cure else []), *(["cured"] * fitted.has_cure)]
    gradient = _gradient(fitted)
    half = z * np.sqrt(np.maximum(np.diag(gradient @ fitted.covariance @ gradient.T), 0.0))
    numbers = {}
    for i, name in enumerate(names):
        back = expit if name == "cured" else np.exp
        numbers[name] = LawNumber(*(float(back(x)) for x in (centre[i], centre[i] - half[i], centre[i] + half[i])))
    _check_shape(fitted, numbers.get("shape"))
    sample = _working(fitted, fitted.draw(draws, np.random.default_rng(seed)))
    # A draw of a Gompertz hazard that falls has no place in the law.
    sample = sample[np.all(np.isfinite(sample), axis=1)]
    correlations = tuple(
        (names[a], names[b], _rank_correlation(sample[:, a], sample[:, b]))
        for a, b in combinations(range(len(names)), 2)
    )
    return ScenarioLaw(fitted, LAW_OF_FAMILY[fitted.model.family], numbers, correlations)


def best_scenario_law(fits: Sequence[Fit], *, seed: int = 20260101) -> tuple[ScenarioLaw, tuple[str, ...]]:
    """Return the law of lowest AIC that a scenario can state, and why those of lower AIC were passed over.

    Raises
    ------
    InputError
        None of them can be stated.
    """
    passed: list[str] = []
    for fitted in sorted(fits, key=lambda one: one.aic):
        try:
            return scenario_law(fitted, seed=seed), tuple(passed)
        except InputError as error:
            found = "" if error.found is None else f" ({error.found})"
            passed.append(f"AIC {fitted.aic:.2f}: {error.problem}{found}")
    raise InputError(
        "no model that a scenario can state was fitted",
        found="; ".join(passed) or None,
        allowed=", ".join(SCENARIO_MODELS),
    )


def _working(fitted: Fit, coefficients: Float) -> Float:
    """Return log median, log shape and logit cured (last axis) of coefficients; NaN where the law has no such value."""
    rows = np.moveaxis(np.asarray(coefficients, dtype=np.float64), -1, 0)
    first = fitted.likelihood.cure_size
    theta = rows[first:]
    match fitted.model.family:
        case "exponential":
            columns = [math.log(LN_2) - theta[0]]
        case "weibull":
            columns = [theta[0] + math.log(LN_2) * np.exp(-theta[1]), theta[1]]
        case "gompertz":
            # The rise per median: S = 1/2 where rate (e^rise - 1) / a = ln 2 with rise = a median.
            with np.errstate(invalid="ignore", divide="ignore"):
                log_rise = np.log(np.log1p(theta[1] * LN_2 * np.exp(-theta[0])))
                columns = [log_rise - np.log(theta[1]), log_rise]
        case _:
            columns = [theta[0], theta[1]]
    if first:
        columns.append(rows[0])
    return np.stack(columns, axis=-1)


def _gradient(fitted: Fit) -> Float:
    """Return the derivatives of `_working` in the coefficients, shape (numbers, p), by central differences."""
    beta, errors = fitted.coefficients, fitted.standard_errors
    columns = []
    for j in range(beta.size):
        step = np.zeros(beta.size)
        step[j] = max(1e-3 * errors[j], 1e-9)
        columns.append((_working(fitted, beta + step) - _working(fitted, beta - step)) / (2.0 * step[j]))
    return np.column_stack(columns)


def _check_shape(fitted: Fit, shape: LawNumber | None) -> None:
    if shape is not None and not (SHAPE_LIMITS[0] <= shape.low and shape.high <= SHAPE_LIMITS[1]):
        raise InputError(
            f"{fitted.name}: the shape is outside what a scenario takes",
            found=f"{shape.value:.3g}, 95 % {shape.low:.3g} to {shape.high:.3g}",
            allowed=f"{SHAPE_LIMITS[0]:g} to {SHAPE_LIMITS[1]:g}",
        )


def _rank_correlation(first: Float, second: Float) -> float:
    rho = float(spearmanr(first, second).statistic)
    return min(max(rho, -LARGEST_CORRELATION), LARGEST_CORRELATION)
