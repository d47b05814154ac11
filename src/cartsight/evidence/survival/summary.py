"""One record per group: the figures a paper prints and every fitted model, ready for JSON or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cartsight.core.errors import CartsightError
from cartsight.evidence.survival.background import BackgroundRates
from cartsight.evidence.survival.cure_profile import cure_profile
from cartsight.evidence.survival.extrapolation import average_models, early_cut_validation
from cartsight.evidence.survival.fitting import Fit, fit
from cartsight.evidence.survival.kaplan_meier import Interval, kaplan_meier, number_at_risk
from cartsight.evidence.survival.log_rank import log_rank
from cartsight.evidence.survival.models import ModelName
from cartsight.evidence.survival.observations import Float, SurvivalData
from cartsight.evidence.survival.smoothed_hazard import smoothed_hazard

Record = dict[str, Any]
_STEPS = (1, 2, 3, 6, 12, 24, 60)


def landmark_times(last_time: float) -> Float:
    """Return about six round times within the follow-up (multiples of 1, 2, 3, 5, 6, 12, 24, ...)."""
    steps = sorted({*(float(s) for s in _STEPS), *(m * 10.0**e for e in range(-6, 9) for m in (1, 2, 5))})
    step = next(s for s in steps if last_time / s <= 6.5)
    return np.asarray(np.arange(1, int(np.floor(last_time / step + 1e-9)) + 1) * step, dtype=np.float64)


def describe_curve(
    data: SurvivalData,
    name: str,
    times: Float,
    *,
    level: float = 0.95,
    interval: Interval = "log-log",
    with_curve: bool = False,
) -> Record:
    """Return n, events, median, restricted mean, landmarks and the at-risk table of one group."""
    record: Record = {
        "group": name,
        "n": data.n,
        "events": data.events,
        "last_time": data.last_time,
        "level": level,
    }
    if data.interval_censored.any():
        return record | {
            "median": None,
            "median_interval": [None, None],
            "landmarks": [],
            "note": "interval censored: no Kaplan-Meier estimate",
        }
    if data.events == 0:
        # The curve stays at one and Greenwood's variance at zero: zero events are not zero risk.
        record["note"] = (
            f"no events: the curve has no interval of its own; with {data.n} patients, had all been followed to the end, "
            f"a share of up to {1.0 - (0.5 * (1.0 - level)) ** (1.0 / data.n):.3g} could have had one (exact binomial)"
        )
    curve = kaplan_meier(data, level=level, interval=interval)
    median = curve.median
    mean, mean_se = curve.restricted_mean()
    inside = times[times <= data.last_time]
    low, high, value = curve.low_at(inside), curve.high_at(inside), curve.survival_at(inside)
    at_risk = number_at_risk(data, inside)
    risk_times = np.concatenate([[0.0], times])
    record |= {
        "median": median.value,
        "median_interval": [median.low, median.high],
        "restricted_mean": {"horizon": curve.last_time, "value": mean, "standard_error": mean_se},
        "landmarks": [
            {"time": t, "survival": s, "low": a, "high": b, "at_risk": r}
            for t, s, a, b, r in zip(inside, value, low, high, at_risk, strict=True)
        ],
        "at_risk": [
            {"time": t, "number": r} for t, r in zip(risk_times, number_at_risk(data, risk_times), strict=True)
        ],
    }
    if with_curve:
        record["curve"] = [
            {"time": t, "survival": s, "low": a, "high": b, "at_risk": y, "events": d}
            for t, s, a, b, y, d in zip(
                curve.time, curve.survival, curve.low, curve.high, curve.at_risk, curve.events, strict=True
            )
        ]
    return record


def describe_fit(fitted: Fit, times: Float, *, level: float = 0.95, draws: int = 500, seed: int = 20260101) -> Record:
    """Return parameters with intervals, loglik, AIC, BIC, landmarks and, where there is one, the cure.

    A cured fraction whose profile does not support a point estimate is None, with the reasons and the
    interval. Covariates are held at their means.
    """
    x = fitted.likelihood.covariates
    z = fitted.likelihood.cure_covariates
    means, cure_means = x.mean(axis=0), z.mean(axis=0)
    law = fitted.law(means, cure_means)
    sample = fitted.survival_draws(times, fitted.draw(draws, np.random.default_rng(seed)), means, cure_means)
    low, high = np.nanquantile(sample, [(1 - level) / 2, (1 + level) / 2], axis=0)
    record: Record = {
        "name": fitted.name,
        "parameters": fitted.parameters,
        "parameter_intervals": {k: list(v) for k, v in fitted.parameter_intervals(level).items()},
        "loglik": fitted.log_likelihood,
        "aic": fitted.aic,
        "bic": fitted.bic,
        "converged": fitted.decrement < 1e-3,
        "median": float(law.quantile(0.5)),
        "landmarks": [
            {"time": t, "survival": s, "low": a, "high": b}
            for t, s, a, b in zip(times, law.survival(times), low, high, strict=True)
        ],
        "notes": list(fitted.notes),
        "citation": law.citation(),
    }
    if fitted.likelihood.background is not None:
        record["notes"].append(
            "median and landmarks are net survival: what would be seen without the background mortality"
        )
    if fitted.model.family.startswith("royston_parmar"):
        record["knots_log_time"] = list(getattr(fitted.likelihood.family, "knots", ()))
    if fitted.has_cure:
        record |= _cure_record(fitted, level)
        if record.get("cure_fraction_refused"):
            # A point estimate that is refused must not come back under another key, nor a Wald interval from its edge.
            record["parameters"] = {**fitted.parameters, "cure_fraction": None}
            record["parameter_intervals"]["cure_fraction"] = record["cure_fraction_interval"]
    elif float(np.max(law.cure_fraction)) > 0:
        record["notes"].append(
            f"the fitted law implies that {100 * float(law.cure_fraction):.0f} % never have the event"
        )
    return record


def _cure_record(fitted: Fit, level: float) -> Record:
    if fitted.likelihood.cure_covariates.shape[1]:
        reason = "the cured fraction depends on covariates: see the coefficients of its logit"
        return {"cure_fraction": None, "cure_fraction_interval": [None, None], "cure_fraction_reason": reason}
    profile = cure_profile(fitted, level=level)
    return {
        "cure_fraction": profile.reported,
        "cure_fraction_interval": [profile.low, profile.high],
        "cure_fraction_reason": "; ".join(profile.reasons) or None,
        "cure_fraction_refused": bool(profile.reasons),
        "cure_profile": [
            {"cure_fraction": p, "loglik": v} for p, v in zip(profile.fraction, profile.log_likelihood, strict=True)
        ],
    }


def fit_group(
    data: SurvivalData,
    name: str,
    models: Sequence[ModelName],
    times: Float,
    *,
    level: float = 0.95,
    interval: Interval = "log-log",
    covariates: Mapping[str, Float] | None = None,
    cure_covariates: Mapping[str, Float] | None = None,
    background: BackgroundRates | None = None,
    cut: float | None = None,
    draws: int = 500,
    seed: int = 20260101,
) -> Record:
    """Return one group's record: its curve, every model, Akaike weights, their average, the early cut.

    A model that cannot be fitted stays in the list with an ``error`` and null results; it stops nothing else.
    """
    record = describe_curve(data, name, times, level=level, interval=interval)
    x, z = dict(covariates or {}), dict(cure_covariates or {})
    fits: list[Fit] = []
    results: list[Record] = []
    for model in models:
        in_cure = z if model.cure != "none" else {}
        try:
            fitted = fit(
                data,
                model,
                covariates=np.column_stack(list(x.values())) if x else None,
                cure_covariates=np.column_stack(list(in_cure.values())) if in_cure else None,
                covariate_names=list(x),
                cure_covariate_names=list(in_cure),
                background=background,
            )
            results.append(describe_fit(fitted, times, level=level, draws=draws, seed=seed))
            fits.append(fitted)
        except CartsightError as problem:
            empty = dict.fromkeys(("parameters", "loglik", "aic", "bic"))
            results.append({"name": str(model), **empty, "converged": False, "error": str(problem)})
    record["models"] = results
    if fits:
        average = average_models(fits)
        weights = dict(zip([f.name for f in fits], average.weights, strict=True))
        for result in results:
            if result["name"] in weights:
                result["aic_weight"] = float(weights[result["name"]])
        record["best_by_aic"] = fits[int(np.argmin([f.aic for f in fits]))].name
        record["model_average"] = _average_record(average, times, level, draws, seed) if not (x or z) else None
    if data.events >= 2 and not data.interval_censored.any():
        record["smoothed_hazard"] = _hazard_record(data, level)
    if cut is not None:
        record["early_cut"] = [_cut_record(c) for c in early_cut_validation(data, cut, models, draws=draws, seed=seed)]
    return record


def _average_record(average: Any, times: Float, level: float, draws: int, seed: int) -> list[Record]:
    sample, _ = average.survival_draws(times, max(draws, 500), np.random.default_rng(seed))
    low, high = np.nanquantile(sample, [(1 - level) / 2, (1 + level) / 2], axis=0)
    values = average.law().survival(times)
    return [
        {"time": t, "survival": s, "low": a, "high": b} for t, s, a, b in zip(times, values, low, high, strict=True)
    ]


def _hazard_record(data: SurvivalData, level: float) -> Record | None:
    if np.unique(data.time[data.event]).size < 2:
        return None
    smooth = smoothed_hazard(data, np.linspace(0, float(data.time[data.event].max()), 25), level=level)
    columns = zip(smooth.time, smooth.hazard, smooth.low, smooth.high, strict=True)
    return {
        "bandwidth": smooth.bandwidth,
        "table": [{"time": t, "hazard": h, "low": a, "high": b} for t, h, a, b in columns],
    }


def _cut_record(result: Any) -> Record:
    columns = (
        "time",
        "predicted",
        "predicted_low",
        "predicted_high",
        "observed",
        "low",
        "high",
        "inside",
        "at_risk",
    )
    return {
        "name": result.model,
        "cut": result.cut,
        "largest_error": result.largest_error,
        "error": result.error or None,
        "table": [
            dict(zip(columns, row, strict=True))
            for row in zip(*(getattr(result, c).tolist() for c in columns), strict=True)
        ],
    }


def compare_groups(groups: Mapping[str, SurvivalData]) -> Record | None:
    """Return the log-rank test of the groups, or None for one group, no events or interval censoring."""
    parts = list(groups.values())
    if len(parts) < 2 or not any(g.events for g in parts) or any(g.interval_censored.any() for g in parts):
        return None
    test = log_rank(parts)
    return {
        "chi_squared": test.chi_squared,
        "degrees_of_freedom": test.degrees_of_freedom,
        "p_value": test.p_value,
        "observed": dict(zip(groups, test.observed.tolist(), strict=True)),
        "expected": dict(zip(groups, test.expected.tolist(), strict=True)),
    }


__all__ = ["compare_groups", "describe_curve", "describe_fit", "fit_group", "landmark_times"]
