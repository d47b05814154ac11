"""What in-line measurements up to a day say of every batch: failure, harvest day, control, and what stopping early is worth.

Finished batches are predicted by models that did not see them; running ones by a model of all that are finished.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError, nearest
from cartsight.evidence.quality.process_analytics.batch_control import fit_batch_model, judge, left_out_verdicts, unfold
from cartsight.evidence.quality.process_analytics.early_warning import (
    Stopping,
    cross_validated_warning,
    fit_logistic,
    predict_harvest_day,
    value_of_stopping,
)
from cartsight.evidence.quality.process_analytics.partial_least_squares import (
    cross_validate,
    derivative,
    fit_partial_least_squares,
    standard_normal_variate,
)
from cartsight.evidence.quality.process_analytics.trajectories import Trajectories

Float = npt.NDArray[np.float64]
DRIVERS = 3
FEWEST_FAILURES = 10
"""Below, a word about how little a model can learn."""


@dataclass(frozen=True)
class SpectraCalibration:
    """Partial least squares from spectra to a measured signal, judged on batches left out whole."""

    signal: str
    components: int
    error: float
    relative_error: float
    q_squared: float


@dataclass(frozen=True)
class FailureWarning:
    """How good the predicted probabilities of failure are on batches that the model did not see."""

    area_under_curve: float
    area_lower: float
    area_upper: float
    brier: float
    brier_of_base_rate: float
    calibration_intercept: float
    calibration_slope: float


@dataclass(frozen=True)
class HarvestDay:
    """How good the predicted harvest day is on batches that the model did not see; `error_days` is a root mean square."""

    batches: int
    components: int
    error_days: float
    sd_days: float
    q_squared: float


@dataclass(frozen=True)
class Control:
    """The model of good batches; `left_out_outside` is the share of good batches outside a model of the others."""

    reference_batches: int
    components: int
    explained: float
    t_squared_limit: float
    prediction_error_limit: float
    alpha: float
    left_out_outside: float


@dataclass(frozen=True)
class BatchReport:
    """One batch; `drivers` are the (signal, day) cells that make up most of its squared prediction error."""

    batch: str
    status: str
    failure_probability: float
    predicted_harvest_day: float
    t_squared: float
    prediction_error: float
    outside: bool | None
    drivers: tuple[str, ...]


@dataclass(frozen=True)
class Monitoring:
    """The report: what could not be computed is None, with the reason among the warnings."""

    day: float
    signals: tuple[str, ...]
    finished: int
    failed: int
    running: int
    spectra: SpectraCalibration | None
    warning: FailureWarning | None
    harvest_day: HarvestDay | None
    stopping: Stopping | None
    control: Control | None
    batches: tuple[BatchReport, ...]
    warnings: tuple[str, ...]


def calibrate_spectra(
    trajectories: Trajectories, spectra: npt.ArrayLike, signal: str, *, times: int = 0, seed: int = 1
) -> tuple[Trajectories, SpectraCalibration]:
    """Return trajectories with the signal as read from spectra, and how well it is read.

    Parameters
    ----------
    trajectories : Trajectories
    spectra : array_like, shape (batches, times, channels)
    signal : str
        The measured signal that the spectra are calibrated against; it is replaced by its cross-validated prediction,
        because in use only the spectra are there.
    times : int
        Order of the Savitzky-Golay derivative, 0 for none. Spectra are standardised one by one.
    """
    if signal not in trajectories.signals:
        raise InputError(
            "no such signal to calibrate against",
            found=signal,
            allowed=", ".join(trajectories.signals),
            hint=nearest(signal, trajectories.signals),
        )
    data = np.asarray(spectra, dtype=np.float64)
    n, days, channels = data.shape
    rows = data.reshape(n * days, channels)
    if times:
        rows = derivative(rows, window=min(15, channels - (channels + 1) % 2), times=times)
    rows = standard_normal_variate(rows)
    column = trajectories.signals.index(signal)
    measured = trajectories.values[:, :, column].ravel()
    fit = cross_validate(rows, measured, np.repeat(np.arange(n), days), scale=False, seed=seed)
    values = trajectories.values.copy()
    values[:, :, column] = fit.predicted.reshape(n, days)
    read = Trajectories(
        trajectories.batches,
        trajectories.days,
        tuple(f"{name} (spectra)" if name == signal else name for name in trajectories.signals),
        values,
        trajectories.failed,
        trajectories.harvest_day,
        trajectories.remarks,
    )
    middle = abs(float(measured.mean()))
    return read, SpectraCalibration(
        signal, fit.components, fit.error, fit.error / middle if middle > 0 else math.nan, fit.q_squared
    )


def monitor(
    trajectories: Trajectories,
    *,
    value_per_day: float | None = None,
    loss_of_good_batch: float | None = None,
    decision_days: float = 0.0,
    alpha: float = 0.01,
    components: int | None = None,
    penalty: float = 1.0,
    folds: int = 10,
    seed: int = 1,
    spectra: SpectraCalibration | None = None,
) -> Monitoring:
    """Return the report on every batch of `trajectories`.

    Parameters
    ----------
    trajectories : Trajectories
    value_per_day, loss_of_good_batch : float, optional
        What a day of knowing a failure sooner is worth, and what a good batch that is stopped costs, in one unit. Given
        together; without them nothing is said of stopping.
    decision_days : float
        Days the decision takes.
    alpha : float
        Share of good batches outside each control limit.
    components : int, optional
        Principal components of the control model.
    penalty : float
        Ridge of the logistic regression.
    folds : int
    seed : int
        Of the folds and the bootstrap.
    spectra : SpectraCalibration, optional
        From `calibrate_spectra`, to be reported along.

    Raises
    ------
    InputError
        No finished batch, or one of the two values without the other.
    """
    if (value_per_day is None) != (loss_of_good_batch is None):
        raise InputError("the value of stopping needs both what a day is worth and what a good batch costs")
    known = ~np.isnan(trajectories.failed)
    if not known.any():
        raise InputError(
            "no batch is finished, so there is nothing to learn from", field="failed", allowed="0 or 1 per batch"
        )
    words = list(trajectories.remarks)
    rows = unfold(trajectories.values)
    failed = trajectories.failed == 1.0
    day = float(trajectories.days[-1])
    probability, quality = _failure(rows, failed, known, penalty, folds, seed, words)
    predicted, harvest = _harvest(rows, trajectories, folds, seed, words)
    stopping = None
    if value_per_day is not None and loss_of_good_batch is not None and quality is not None:
        stopping = _stopping(
            trajectories, known, failed, probability, day, value_per_day, loss_of_good_batch, decision_days, seed, words
        )
    control, t_squared, error, outside, drivers = _control(
        trajectories, rows, known & ~failed, components, alpha, words
    )
    status = np.where(~known, "running", np.where(failed, "failed", "good"))
    reports = tuple(
        BatchReport(
            batch=name,
            status=str(status[i]),
            failure_probability=float(probability[i]),
            predicted_harvest_day=float(predicted[i]),
            t_squared=float(t_squared[i]),
            prediction_error=float(error[i]),
            outside=None if control is None else bool(outside[i]),
            drivers=drivers[i],
        )
        for i, name in enumerate(trajectories.batches)
    )
    return Monitoring(
        day=day,
        signals=trajectories.signals,
        finished=int(known.sum()),
        failed=int((failed & known).sum()),
        running=int((~known).sum()),
        spectra=spectra,
        warning=quality,
        harvest_day=harvest,
        stopping=stopping,
        control=control,
        batches=reports,
        warnings=tuple(words),
    )


def _failure(
    rows: Float,
    failed: npt.NDArray[np.bool_],
    known: npt.NDArray[np.bool_],
    penalty: float,
    folds: int,
    seed: int,
    words: list[str],
) -> tuple[Float, FailureWarning | None]:
    probability = np.full(rows.shape[0], math.nan)
    bad, good = int((failed & known).sum()), int((~failed & known).sum())
    if bad < 2 or good < 2:
        words.append(f"no warning of failure: {bad} failed and {good} good batches, two of each are needed")
        return probability, None
    if bad < FEWEST_FAILURES:
        words.append(f"only {bad} failures: probabilities from so few are rough, see the interval of the area")
    quality = cross_validated_warning(rows[known], failed[known], penalty=penalty, count=folds, seed=seed)
    probability[known] = quality.probability
    if (~known).any():
        probability[~known] = fit_logistic(rows[known], failed[known], penalty).probability(rows[~known])
    if quality.brier >= quality.brier_of_base_rate:
        words.append("the warning is no better than the base rate of failure (Brier score)")
    return probability, FailureWarning(
        quality.area_under_curve,
        quality.area_lower,
        quality.area_upper,
        quality.brier,
        quality.brier_of_base_rate,
        quality.calibration_intercept,
        quality.calibration_slope,
    )


def _harvest(
    rows: Float, trajectories: Trajectories, folds: int, seed: int, words: list[str]
) -> tuple[Float, HarvestDay | None]:
    predicted = np.full(rows.shape[0], math.nan)
    stated = ~np.isnan(trajectories.harvest_day)
    days = trajectories.harvest_day[stated]
    if days.size < 5 or np.ptp(days) == 0.0:
        words.append(
            f"no prediction of the harvest day: {days.size} batches state one"
            + (", all the same" if days.size >= 5 else ", five are needed")
        )
        return predicted, None
    fit = predict_harvest_day(rows[stated], days, count=folds, seed=seed)
    predicted[stated] = fit.predicted
    if (~stated).any():
        predicted[~stated] = fit_partial_least_squares(rows[stated], days, fit.components).predict(rows[~stated])
    spread = float(days.std(ddof=1))
    if fit.error >= spread:
        words.append("the harvest day is predicted no better than by its mean")
    return predicted, HarvestDay(int(days.size), fit.components, fit.error, spread, fit.q_squared)


def _stopping(
    trajectories: Trajectories,
    known: npt.NDArray[np.bool_],
    failed: npt.NDArray[np.bool_],
    probability: Float,
    day: float,
    value_per_day: float,
    loss: float,
    decision_days: float,
    seed: int,
    words: list[str],
) -> Stopping | None:
    ends = trajectories.harvest_day[known]
    if np.isnan(ends).all():
        words.append("no value of stopping: no harvest_day says when a failure would otherwise be known")
        return None
    if np.isnan(ends).any():
        words.append("batches without a harvest_day are taken to end at the mean of the others")
        ends = np.where(np.isnan(ends), np.nanmean(ends), ends)
    return value_of_stopping(
        probability[known],
        failed[known],
        ends,
        day=day,
        value_per_day=value_per_day,
        loss_of_good_batch=loss,
        decision_days=decision_days,
        seed=seed,
    )


def _control(
    trajectories: Trajectories,
    rows: Float,
    good: npt.NDArray[np.bool_],
    components: int | None,
    alpha: float,
    words: list[str],
) -> tuple[Control | None, Float, Float, npt.NDArray[np.bool_], list[tuple[str, ...]]]:
    n = rows.shape[0]
    t_squared, error = np.full(n, math.nan), np.full(n, math.nan)
    outside = np.zeros(n, dtype=np.bool_)
    drivers: list[tuple[str, ...]] = [()] * n
    if int(good.sum()) < 7:
        words.append(f"no control of trajectories: {int(good.sum())} good batches, seven are needed")
        return None, t_squared, error, outside, drivers
    model = fit_batch_model(rows[good], components=components, alpha=alpha)
    left_out = left_out_verdicts(rows[good], components=components, alpha=alpha)
    verdict = judge(model, rows)
    # a good batch is judged by a model of the others, like every batch to come
    for target, all_of_them, others in (
        (t_squared, verdict.t_squared, left_out.t_squared),
        (error, verdict.prediction_error, left_out.prediction_error),
    ):
        target[:] = all_of_them
        target[good] = others
    outside = verdict.outside.copy()
    outside[good] = left_out.outside
    contributions = verdict.contributions.copy()
    contributions[good] = left_out.contributions
    cells = [f"{name}, day {d:g}" for d in trajectories.days for name in trajectories.signals]
    drivers = [
        tuple(cells[k] for k in np.argsort(-contributions[i], kind="stable")[:DRIVERS]) if outside[i] else ()
        for i in range(n)
    ]
    share = float(left_out.outside.mean())
    if share > 4.0 * alpha + 1e-12:
        words.append(f"{share:.0%} of good batches lie outside a model of the others: few batches for so many cells")
    return (
        Control(
            int(good.sum()),
            int(model.loadings.shape[1]),
            model.explained,
            model.t_squared_limit,
            model.prediction_error_limit,
            alpha,
            share,
        ),
        t_squared,
        error,
        outside,
        drivers,
    )
