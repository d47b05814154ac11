"""From fits to statements about the future: landmark tables, model averages, early-cut validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import CartsightError, InputError
from cartsight.evidence.survival.composite_laws import ModelAverage
from cartsight.evidence.survival.fitting import Fit, fit
from cartsight.evidence.survival.kaplan_meier import kaplan_meier, number_at_risk
from cartsight.evidence.survival.models import ModelName
from cartsight.evidence.survival.observations import Float, SurvivalData


@dataclass(frozen=True)
class Landmarks:
    """Survival at stated times: a value and an interval at each."""

    time: Float
    survival: Float
    low: Float
    high: Float


def fitted_landmarks(
    fitted: Fit, times: npt.ArrayLike, *, draws: int = 1000, seed: int = 20260101, level: float = 0.95
) -> Landmarks:
    """Return fitted survival at `times` (covariates at 0) with intervals from joint coefficient draws."""
    t = _positive(times)
    sample = fitted.survival_draws(t, fitted.draw(draws, np.random.default_rng(seed)))
    low, high = np.nanquantile(sample, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Landmarks(t, fitted.law().survival(t), low, high)


@dataclass(frozen=True)
class WeightedModels:
    """Candidate fits with their Akaike weights."""

    fits: tuple[Fit, ...]
    weights: Float

    def law(self) -> ModelAverage:
        """Return the averaged law at covariates 0."""
        return ModelAverage(
            tuple(f.law() for f in self.fits), tuple(float(w) for w in self.weights / self.weights.sum())
        )

    def survival_draws(
        self, times: npt.ArrayLike, count: int, rng: np.random.Generator
    ) -> tuple[Float, npt.NDArray[np.int64]]:
        """Return S(t) for `count` draws, shape (count, times), and the index of the model behind each.

        Each draw first chooses a model with its weight (structural uncertainty), then coefficients jointly.
        """
        t = np.asarray(times, dtype=np.float64)
        chosen = rng.choice(len(self.fits), size=count, p=self.weights / self.weights.sum())
        out = np.empty((count, t.size))
        for j, fitted in enumerate(self.fits):
            rows = np.flatnonzero(chosen == j)
            if rows.size:
                out[rows] = fitted.survival_draws(t, fitted.draw(rows.size, rng))
        return out, chosen


def average_models(fits: Sequence[Fit]) -> WeightedModels:
    """Weight fits to the same data by exp(-AIC / 2) (Buckland, Burnham & Augustin 1997, doi:10.2307/2533961).

    The weights speak about the fit inside the follow-up, not about what comes after it.

    Raises
    ------
    InputError
        For no fits, or fits to different data.
    """
    if not fits:
        raise InputError("a model average needs at least one fit")
    first = fits[0].data
    if any(f.data.n != first.n or not np.array_equal(f.data.time, first.time) for f in fits):
        raise InputError("only fits to the same data can be averaged: their criteria are not comparable")
    aic = np.array([f.aic for f in fits])
    raw = np.exp(-(aic - aic.min()) / 2)
    return WeightedModels(tuple(fits), raw / raw.sum())


@dataclass(frozen=True)
class EarlyCut:
    """What one model, fitted to the follow-up before a cut, predicted for later times, beside what came.

    Attributes
    ----------
    observed, low, high : arrays, shape (k,)
        Kaplan-Meier of the full data with its interval.
    predicted, predicted_low, predicted_high : arrays, shape (k,)
        From the model fitted to the cut data, with joint draws.
    inside : array of bool
        Whether the prediction lies in the observed interval.
    at_risk : array
        Subjects still at risk in the full data.
    error : str
        Why the model could not be fitted to the cut data; the predictions are then NaN.
    """

    model: str
    cut: float
    time: Float
    predicted: Float
    predicted_low: Float
    predicted_high: Float
    observed: Float
    low: Float
    high: Float
    inside: npt.NDArray[np.bool_]
    at_risk: Float
    error: str = ""

    @property
    def largest_error(self) -> float:
        """Largest absolute difference between predicted and observed survival."""
        return (
            float(np.nanmax(np.abs(self.predicted - self.observed)))
            if np.isfinite(self.predicted).any()
            else float("nan")
        )


def early_cut_validation(
    data: SurvivalData,
    cut: float,
    models: Sequence[str | ModelName],
    times: npt.ArrayLike | None = None,
    *,
    draws: int = 500,
    seed: int = 20260101,
) -> tuple[EarlyCut, ...]:
    """Cut every subject's follow-up at `cut`, refit, and compare the predictions with what came.

    The cut is in follow-up time, as if each subject had been seen for at most `cut`; a cut in calendar time
    would leave late entrants with less. The models are marginal: no covariates, all-cause hazard.

    Raises
    ------
    InputError
        When the cut is not inside the follow-up or a time lies outside (cut, last time].
    """
    if not 0 < cut < data.last_time:
        raise InputError(
            "the cut must lie inside the follow-up",
            field="cut",
            found=cut,
            allowed=f"0 to {data.last_time:g}",
        )
    t = np.linspace(cut, data.last_time, 6)[1:] if times is None else _positive(times)
    if np.any((t <= cut) | (t > data.last_time)):
        raise InputError("validation times lie after the cut and within the full follow-up", field="times")
    early, _ = data.cut(cut)
    truth = kaplan_meier(data)
    observed, low, high = truth.survival_at(t), truth.low_at(t), truth.high_at(t)
    at_risk = number_at_risk(data, t)
    results = []
    for model in models:
        error = ""
        nothing = np.full(t.size, np.nan)
        predicted, predicted_low, predicted_high = nothing, nothing, nothing
        try:
            fitted = fit(early, model)
            marks = fitted_landmarks(fitted, t, draws=draws, seed=seed)
            predicted, predicted_low, predicted_high = marks.survival, marks.low, marks.high
        except CartsightError as problem:
            error = str(problem)
        inside = np.asarray((predicted >= low) & (predicted <= high))
        results.append(
            EarlyCut(
                str(model),
                cut,
                t,
                predicted,
                predicted_low,
                predicted_high,
                observed,
                low,
                high,
                inside,
                at_risk,
                error,
            )
        )
    return tuple(results)


def _positive(times: npt.ArrayLike) -> Float:
    t = np.atleast_1d(np.asarray(times, dtype=np.float64))
    if t.size == 0 or not np.all(np.isfinite(t) & (t > 0)):
        raise InputError("landmark times are positive numbers", field="times")
    return t
