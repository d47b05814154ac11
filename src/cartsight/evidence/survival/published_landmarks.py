"""Fit a law to published landmarks only: n-year survival and a median with their intervals.

Minimum chi-squared (generalised least squares) on the scale log(-log S), or logit S. Landmarks read off one
Kaplan-Meier curve are not independent: log S has independent increments, so that

    cov(log S(s), log S(t)) = var(log S(min(s, t)))        (Greenwood's sum)

and that covariance, carried to the working scale, weights the residuals. A printed interval gives var(log
S); without one, (1 - S) / (n S) is used, which ignores censoring and is therefore a lower bound. The
interval of a median is carried to the survival scale through the law being fitted, by iteration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares
from scipy.special import expit, logit
from scipy.stats import chi2

from cartsight.core.errors import InputError
from cartsight.evidence.survival.composite_laws import Background, OnBackground, cure_law
from cartsight.evidence.survival.families import RoystonParmar
from cartsight.evidence.survival.fitting import FitError
from cartsight.evidence.survival.kaplan_meier import normal_quantile
from cartsight.evidence.survival.laws import Law, law_of
from cartsight.evidence.survival.likelihood import Likelihood
from cartsight.evidence.survival.models import ModelName, parse_model
from cartsight.evidence.survival.observations import Float, SurvivalData

Scale = Literal["cloglog", "logit"]
_MEDIAN_ROUNDS = 8
LARGEST_FALL_ON_A_PLATEAU = 0.10
"""Relative fall of survival, without background mortality, between the last two landmarks."""


@dataclass(frozen=True)
class Landmark:
    """Published survival at a time, with the limits of its interval where printed (NaN otherwise)."""

    time: float
    survival: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True)
class PublishedMedian:
    """Published median; `high` NaN when the upper limit was not reached."""

    time: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True)
class LandmarkFit:
    """A law fitted to published landmarks.

    Attributes
    ----------
    coefficients, covariance : arrays
        Unconstrained (cure logit first, logs of positive parameters) and their joint covariance.
    chi_squared, degrees_of_freedom, p_value : float, int, float
        Goodness of fit; p is NaN when there are no degrees of freedom left.
    time, published, fitted, standard_error : arrays, shape (k,)
        Points in time order (a median is a point with survival 1/2); the standard error is that of survival.
    just_identified : bool
        As many landmarks as parameters: the law passes through the points and nothing tests its shape.
    """

    model: ModelName
    likelihood: Likelihood
    coefficients: Float
    covariance: Float
    chi_squared: float
    degrees_of_freedom: int
    p_value: float
    time: Float
    published: Float
    fitted: Float
    standard_error: Float
    background: Background | None
    standardised_mortality_ratio: float
    notes: tuple[str, ...]

    @property
    def just_identified(self) -> bool:
        """Whether no degree of freedom is left to test the law."""
        return self.degrees_of_freedom == 0

    @property
    def parameters(self) -> dict[str, float]:
        """Estimates on the natural scale."""
        family = self.likelihood.family
        values = dict(
            zip(
                family.parameters,
                map(float, family.natural(self.coefficients[self.likelihood.cure_size :])),
                strict=True,
            )
        )
        return {"cure_fraction": float(expit(self.coefficients[0])), **values} if self.model.cure != "none" else values

    def parameter_intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Return Wald intervals from the unconstrained scale."""
        half = normal_quantile(level) * np.sqrt(np.diag(self.covariance))
        c, family = self.likelihood.cure_size, self.likelihood.family
        names = (("cure_fraction",) if c else ()) + family.parameters

        def natural(beta: Float) -> list[float]:
            return [*map(float, expit(beta[:c])), *map(float, family.natural(beta[c:]))]

        return dict(
            zip(
                names,
                zip(natural(self.coefficients - half), natural(self.coefficients + half), strict=True),
                strict=True,
            )
        )

    def excess_law(self, coefficients: npt.ArrayLike | None = None) -> Law:
        """Return the fitted law without background mortality."""
        beta = self.coefficients if coefficients is None else np.asarray(coefficients, dtype=np.float64)
        c = self.likelihood.cure_size
        rows = beta if beta.ndim == 1 else beta.T[:, :, None]
        law: Law = law_of(self.likelihood.family, rows[c:])
        if self.model.cure == "none":
            return law
        return cure_law(self.model.cure, expit(rows[0]), law)

    def law(self, coefficients: npt.ArrayLike | None = None) -> Law:
        """Return the fitted all-cause law, with the background it was fitted on if any."""
        law = self.excess_law(coefficients)
        return law if self.background is None else OnBackground(law, self.background, self.standardised_mortality_ratio)

    def draw(self, count: int, rng: np.random.Generator) -> Float:
        """Return joint draws of the coefficients, shape (count, p)."""
        return np.asarray(rng.multivariate_normal(self.coefficients, self.covariance, size=count, method="eigh"))

    def survival_draws(self, times: npt.ArrayLike, draws: Float) -> Float:
        """Return S(t) for every draw, shape (draws, times)."""
        t = np.asarray(times, dtype=np.float64)
        return self.law(np.asarray(draws)).survival(t)

    def citation(self) -> str:
        """Return the sources of the law."""
        return self.law().citation()


def fit_landmarks(
    landmarks: Sequence[Landmark],
    model: str,
    *,
    median: PublishedMedian | None = None,
    n: int | None = None,
    level: float = 0.95,
    scale: Scale = "cloglog",
    same_curve: bool = True,
    background: Background | None = None,
    standardised_mortality_ratio: float = 1.0,
    knots: tuple[float, ...] | None = None,
) -> LandmarkFit:
    """Fit `model` to published landmarks.

    Parameters
    ----------
    landmarks : sequence of Landmark
        n-year survival, each with its interval, or without when `n` is given.
    model : str
        See `models.parse_model`; splines need `knots`.
    median : PublishedMedian, optional
    n : int, optional
        Number of patients, for landmarks printed without an interval.
    level : float
        Of the printed intervals.
    scale : {"cloglog", "logit"}
        Working scale.
    same_curve : bool
        Whether all landmarks come from one curve and are therefore correlated; False for separate studies.
    background, standardised_mortality_ratio : optional
        Population mortality: the fitted law is then that of the excess hazard.

    Raises
    ------
    InputError
        For fewer landmarks than parameters (the number is named), survival outside (0, 1), limits that do not
        enclose it, survival that rises with time, or neither an interval nor `n`.
    FitError
        When no minimum is found.
    """
    name = parse_model(model)
    z = normal_quantile(level)
    points, notes = _points(landmarks, median, n, z)
    time, survival, variance = points
    if name.family.startswith("royston_parmar") and knots is None:
        raise InputError("a spline fitted to landmarks needs its knots as log times", field="knots")
    data = SurvivalData(time, np.ones(time.size, dtype=bool))
    empty = np.empty((time.size, 0))
    family = RoystonParmar(knots) if knots is not None else name.family_for(data)
    likelihood = Likelihood(data, family, name.cure, empty, empty, None)
    freedom = time.size - likelihood.size
    if freedom < 0:
        raise InputError(
            f"{name} has {likelihood.size} parameters",
            field="landmarks",
            found=f"{time.size} landmarks",
            allowed=f"at least {likelihood.size}",
            hint="Choose a model with fewer parameters",
        )
    smr = standardised_mortality_ratio
    added = (
        np.zeros(time.size)
        if background is None
        else smr * np.asarray(background.cumulative_hazard(time), dtype=np.float64)
    )
    target = _to_scale(np.log(survival), scale)[0]
    beta: Float | None = None
    needs_law = np.isnan(variance)
    for _ in range(_MEDIAN_ROUNDS if needs_law.any() else 1):
        if needs_law.any():
            variance = variance.copy()
            variance[needs_law] = _median_variance(median, likelihood, beta, z, background, smr)
        root = _whitening(survival, variance, scale, same_curve, notes)
        beta, cost, jacobian = _solve(likelihood, beta, target, root, added, scale)
    assert beta is not None
    information = jacobian.T @ jacobian
    eigen = np.linalg.eigvalsh(information)
    if eigen[0] < 1e-10 * eigen[-1]:
        notes.append("the landmarks do not inform some direction of the parameters: intervals are not meaningful")
    covariance = np.asarray(np.linalg.pinv(information, rcond=1e-12, hermitian=True), dtype=np.float64)
    chi_squared = 2 * cost
    if freedom == 0:
        notes.append("just identified: as many landmarks as parameters, nothing tests the shape of the law")
        if chi_squared > 1e-6:
            notes.append("the law cannot pass through all landmarks although it has a parameter for each")
    if name.cure != "none":
        notes.append(_cure_note(time, survival, added))
    fitted = np.exp(-(likelihood.excess_terms(time, beta, slice(None)).cumulative_hazard + added))
    return LandmarkFit(
        name,
        likelihood,
        beta,
        covariance,
        chi_squared,
        freedom,
        float(chi2.sf(chi_squared, freedom)) if freedom else float("nan"),
        time,
        survival,
        fitted,
        survival * np.sqrt(variance),
        background,
        smr,
        tuple(dict.fromkeys(notes)),
    )


def _cure_note(time: Float, survival: Float, background: Float) -> str:
    """Return what the cured fraction of a landmark fit rests on: seldom on a plateau that somebody saw."""
    words = "the cured fraction rests on the assumed law of the uncured: compare a model without cure"
    if time.size < 2:
        return words
    excess = np.log(survival) + background
    if np.expm1(excess[-1] - excess[-2]) < -LARGEST_FALL_ON_A_PLATEAU:
        words += (
            f"; no plateau: survival falls from {survival[-2]:.2g} to {survival[-1]:.2g} between the last two landmarks"
        )
    return words


def _points(
    landmarks: Sequence[Landmark], median: PublishedMedian | None, n: int | None, z: float
) -> tuple[tuple[Float, Float, Float], list[str]]:
    notes: list[str] = []
    rows: list[tuple[float, float, float]] = []
    for mark in landmarks:
        where = f"landmark at {mark.time:g}"
        if not (np.isfinite(mark.time) and mark.time > 0):
            raise InputError("a landmark time is a positive number", field="time", found=mark.time)
        if not 0 < mark.survival < 1:
            raise InputError(
                f"{where}: survival must lie strictly between 0 and 1", field="survival", found=mark.survival
            )
        rows.append((mark.time, mark.survival, _log_variance(mark, n, z, where, notes)))
    if median is not None:
        if not (np.isfinite(median.time) and median.time > 0):
            raise InputError("a median is a positive number", field="median", found=median.time)
        if np.isnan(median.low) and np.isnan(median.high) and n is None:
            raise InputError("a median needs an interval or the number of patients", field="median")
        if median.low >= median.time or median.high <= median.time:
            raise InputError(
                "the limits of the median do not enclose it", field="median", found=(median.low, median.high)
            )
        known = np.isnan(median.low) and np.isnan(median.high)
        if known:
            notes.append("the median has no interval: its variance, 1/n, ignores censoring and is a lower bound")
        rows.append((median.time, 0.5, 1.0 / n if known and n else float("nan")))
    if not rows:
        raise InputError("no landmarks", field="landmarks")
    rows.sort()
    time, survival, variance = (np.array(column) for column in zip(*rows, strict=True))
    if np.any(np.diff(time) <= 0):
        raise InputError(
            "two landmarks at the same time", field="landmarks", found=float(time[1:][np.diff(time) <= 0][0])
        )
    if np.any(np.diff(survival) > 0):
        place = int(np.argmax(np.diff(survival)))
        raise InputError(
            "survival rises between landmarks",
            field="landmarks",
            found=f"{survival[place]:g} at {time[place]:g}, {survival[place + 1]:g} at {time[place + 1]:g}",
        )
    return (time, survival, variance), notes


def _log_variance(mark: Landmark, n: int | None, z: float, where: str, notes: list[str]) -> float:
    if np.isnan(mark.low) and np.isnan(mark.high):
        if n is None:
            raise InputError(f"{where} has neither an interval nor a number of patients", field="landmarks")
        notes.append(f"{where} has no interval: its variance ignores censoring and is a lower bound")
        return (1 - mark.survival) / (n * mark.survival)
    if mark.low >= mark.survival or mark.high <= mark.survival or mark.low < 0 or mark.high > 1:
        raise InputError(
            f"{where}: the limits do not enclose the survival", field="landmarks", found=(mark.low, mark.high)
        )

    def cloglog(s: float) -> float:
        return float(np.log(-np.log(s)))

    sides = []
    if 0 < mark.low < 1:
        sides.append(cloglog(mark.low) - cloglog(mark.survival))
    if 0 < mark.high < 1:
        sides.append(cloglog(mark.survival) - cloglog(mark.high))
    if not sides:
        raise InputError(f"{where}: an interval from 0 to 1 says nothing", field="landmarks")
    return float((np.mean(sides) / z * np.log(mark.survival)) ** 2)


def _median_variance(
    median: PublishedMedian | None,
    likelihood: Likelihood,
    beta: Float | None,
    z: float,
    background: Any,
    smr: float,
) -> float:
    assert median is not None
    start = _cumulative(likelihood, beta, median.time, background, smr) if beta is not None else np.log(2)
    sides = []
    for limit in (median.low, median.high):
        if not np.isnan(limit):
            # The first round has no law yet: proportional hazard growth with time, as under an exponential.
            here = (
                _cumulative(likelihood, beta, limit, background, smr)
                if beta is not None
                else np.log(2) * limit / median.time
            )
            sides.append(abs(float(np.log(here / start))))
    return float(max(np.mean(sides) / z * np.log(2), 1e-4) ** 2)


def _cumulative(likelihood: Likelihood, beta: Float, t: float, background: Any, smr: float) -> float:
    one = np.array([t])
    value = float(likelihood.excess_terms(one, beta, slice(0, 1)).cumulative_hazard[0])
    return value + (0.0 if background is None else smr * float(background.cumulative_hazard(t)))


def _to_scale(log_s: Float, scale: Scale) -> tuple[Float, Float]:
    """Return the working-scale value of log S and its derivative in log S."""
    if scale == "cloglog":
        return np.log(-log_s), 1.0 / log_s
    if scale == "logit":
        return log_s - np.log(-np.expm1(log_s)), -1.0 / np.expm1(log_s)
    raise InputError("unknown working scale", field="scale", found=scale, allowed="cloglog, logit")


def _whitening(survival: Float, variance: Float, scale: Scale, same_curve: bool, notes: list[str]) -> Float:
    slope = _to_scale(np.log(survival), scale)[1]
    grown = variance.copy()
    if same_curve:
        for k in range(1, grown.size):
            # Greenwood's sum grows with time; printed limits are rounded and may not.
            if grown[k] < grown[k - 1] * 1.02:
                grown[k] = grown[k - 1] * 1.02
                notes.append("the printed intervals narrow with time; variances were raised to grow as Greenwood's")
        covariance = np.minimum.outer(grown, grown) * np.outer(slope, slope)
    else:
        covariance = np.diag(grown * slope**2)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)))


def _solve(
    likelihood: Likelihood, start: Float | None, target: Float, root: Float, added: Float, scale: Scale
) -> tuple[Float, float, Float]:
    time = likelihood.data.time

    def parts(beta: Float) -> tuple[Float, Float]:
        with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
            terms = likelihood.excess_terms(time, beta, slice(None))
            log_s = -np.clip(terms.cumulative_hazard + added, 1e-12, 700.0)
            value, slope = _to_scale(log_s, scale)
            jacobian = (-slope * terms.d_cumulative_hazard).T
        return root @ (value - target), root @ np.nan_to_num(jacobian)

    def residuals(beta: Float) -> Float:
        return parts(beta)[0]

    def slopes(beta: Float) -> Float:
        return parts(beta)[1]

    best: tuple[Float, float, Float] | None = None
    for begin in [start] if start is not None else _landmark_starts(likelihood, target, scale):
        result = least_squares(
            residuals, begin, jac=slopes, x_scale="jac", xtol=1e-12, ftol=1e-12, gtol=1e-10, max_nfev=500
        )
        if np.isfinite(result.cost) and (best is None or result.cost < best[1]):
            best = (np.asarray(result.x), float(result.cost), np.asarray(result.jac))
    if best is None:
        raise FitError("no law of this model fits the landmarks")
    return best


def _landmark_starts(likelihood: Likelihood, target: Float, scale: Scale) -> list[Float]:
    survival = np.exp(-np.exp(target)) if scale == "cloglog" else expit(target)
    time = likelihood.data.time
    last = float(survival[-1])
    starts = []
    for pi in (0.9 * last, 0.6 * last, 0.2 * last) if likelihood.cure != "none" else (0.0,):
        uncured = np.clip((survival - pi) / (1 - pi), 1e-3, 0.999)
        rate = float(np.median(-np.log(uncured) / time))
        pretend = SurvivalData(np.array([1 / rate]), np.array([True]))
        for core in likelihood.family.starts(pretend):
            starts.append(
                np.concatenate([[float(logit(np.clip(pi, 1e-3, 0.99)))], core]) if likelihood.cure != "none" else core
            )
    return starts
