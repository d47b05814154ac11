"""Maximum likelihood fits with joint uncertainty of all coefficients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from cartsight.core.errors import CartsightError, InputError
from cartsight.evidence.survival.background import BackgroundRates
from cartsight.evidence.survival.composite_laws import Background, OnBackground, cure_law
from cartsight.evidence.survival.families import GeneralisedGamma
from cartsight.evidence.survival.kaplan_meier import kaplan_meier, normal_quantile
from cartsight.evidence.survival.laws import Law, law_of
from cartsight.evidence.survival.likelihood import Likelihood
from cartsight.evidence.survival.models import ModelName, parse_model
from cartsight.evidence.survival.observations import Float, SurvivalData

# Half the Newton decrement g' I^-1 g: how far, in log likelihood, the fit is from the top of the hill.
CONVERGED = 1e-7
# On the logit scale: beyond this a cure fraction is 0 (or 1) for all the data can say.
CURE_BOUNDARY = 9.0
# A generalised gamma whose likelihood still rises at this |Q| is on its way to a law with a threshold, not to a maximum.
LARGEST_GAMMA_SHAPE = 12.0
LARGEST_STANDARD_ERROR = 100.0
"""Of an unconstrained coefficient: its interval spans exp(400), which only a flat likelihood gives."""


class FitError(CartsightError):
    """The likelihood of a model has no maximum that could be found on these data."""


@dataclass(frozen=True)
class Fit:
    """A fitted model.

    Attributes
    ----------
    model : ModelName
        The model.
    likelihood : Likelihood
        Data, family, covariates and background that it was fitted to.
    coefficients : array, shape (p,)
        Unconstrained: cure logit(s), family parameters (logs where positive), covariates.
    covariance : array, shape (p, p)
        Inverse of the observed information. Rows and columns of a cure intercept at its boundary are 0.
    log_likelihood : float
    decrement : float
        Newton decrement at the solution; convergence means below 1e-7.
    notes : tuple of str
        What a reader must know: a boundary, a direction that the data do not inform.
    """

    model: ModelName
    likelihood: Likelihood
    coefficients: Float
    covariance: Float
    log_likelihood: float
    decrement: float
    covariate_names: tuple[str, ...] = ()
    cure_covariate_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.model)

    @property
    def data(self) -> SurvivalData:
        """The data."""
        return self.likelihood.data

    @property
    def aic(self) -> float:
        """Akaike's criterion, -2 log L + 2 p."""
        return -2 * self.log_likelihood + 2 * self.coefficients.size

    @property
    def bic(self) -> float:
        """Schwarz's criterion, -2 log L + p log(n), n the (weighted) number of subjects."""
        return -2 * self.log_likelihood + self.coefficients.size * float(np.log(self.data.weight.sum()))

    @property
    def has_cure(self) -> bool:
        """Whether the model has a cured fraction."""
        return self.model.cure != "none"

    @property
    def coefficient_names(self) -> tuple[str, ...]:
        """Names on the unconstrained scale, in the order of the coefficients."""
        family = self.likelihood.family
        cure = ("logit_cure_fraction", *(f"cure:{c}" for c in self.cure_covariate_names)) if self.has_cure else ()
        core = tuple(f"log_{n}" if log else n for n, log in zip(family.parameters, family.logarithmic, strict=True))
        return (*cure, *core, *self.covariate_names)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names on the natural scale: cure fraction and positive parameters, not logits and logs."""
        cure = ("cure_fraction", *(f"cure:{c}" for c in self.cure_covariate_names)) if self.has_cure else ()
        return (*cure, *self.likelihood.family.parameters, *self.covariate_names)

    def natural(self, coefficients: Float) -> Float:
        """Return coefficients (last axis) on the natural scale."""
        out = np.array(coefficients, dtype=np.float64)
        c, k = self.likelihood.cure_size, len(self.likelihood.family.parameters)
        if c:
            out[..., 0] = expit(out[..., 0])
        out[..., c : c + k] = self.likelihood.family.natural(out[..., c : c + k])
        return out

    @property
    def parameters(self) -> dict[str, float]:
        """Estimates on the natural scale, at covariates 0."""
        return dict(zip(self.parameter_names, map(float, self.natural(self.coefficients)), strict=True))

    @property
    def standard_errors(self) -> Float:
        """Standard errors of the unconstrained coefficients."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))

    def parameter_intervals(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Return Wald intervals, taken on the unconstrained scale and mapped to the natural one."""
        half = normal_quantile(level) * self.standard_errors
        low, high = self.natural(self.coefficients - half), self.natural(self.coefficients + half)
        return {name: (float(a), float(b)) for name, a, b in zip(self.parameter_names, low, high, strict=True)}

    def law(
        self,
        covariates: npt.ArrayLike = (),
        cure_covariates: npt.ArrayLike = (),
        *,
        coefficients: npt.ArrayLike | None = None,
        background: Background | None = None,
    ) -> Law:
        """Return the fitted law at given covariates (default: all 0).

        Parameters
        ----------
        covariates, cure_covariates : arrays, shape (q,) and (r,)
            Values for which the law is wanted.
        coefficients : array, shape (p,) or (draws, p), optional
            A draw, or many, in place of the estimate; many give a law of shape (draws, times).
        background : Background, optional
            For a model fitted on background mortality: the population law of the person. Without it the law
            is that of the excess hazard alone (net survival).
        """
        beta = self.coefficients if coefficients is None else np.asarray(coefficients, dtype=np.float64)
        # Parameters first, draws next, and a last axis of one against which times broadcast.
        rows = beta if beta.ndim == 1 else beta.T[:, :, None]
        c, k = self.likelihood.cure_size, len(self.likelihood.family.parameters)
        theta = rows[c : c + k].copy()
        theta[self.likelihood.family.location] += _predictor(covariates, rows[c + k :], "covariates")
        law: Law = law_of(self.likelihood.family, theta)
        if self.has_cure:
            pi = expit(rows[0] + _predictor(cure_covariates, rows[1:c], "cure_covariates"))
            law = cure_law(self.model.cure, pi, law)
        if background is not None:
            rates = self.likelihood.background
            law = OnBackground(law, background, rates.standardised_mortality_ratio if rates is not None else 1.0)
        return law

    def draw(self, count: int, rng: np.random.Generator) -> Float:
        """Return joint normal draws of the coefficients, shape (count, p), with the inverse information.

        Coefficients are never drawn one by one: their correlation is part of the uncertainty.
        """
        root = _square_root(self.covariance)
        return np.asarray(self.coefficients + rng.standard_normal((count, self.coefficients.size)) @ root.T)

    def survival_draws(
        self,
        times: npt.ArrayLike,
        draws: Float,
        covariates: npt.ArrayLike = (),
        cure_covariates: npt.ArrayLike = (),
    ) -> Float:
        """Return S(t) for every draw of the coefficients, shape (draws, times)."""
        t = np.asarray(times, dtype=np.float64)
        return self.law(covariates, cure_covariates, coefficients=np.asarray(draws)).survival(t)

    def citation(self) -> str:
        """Return the sources of the model."""
        return self.law(
            np.zeros(self.likelihood.covariates.shape[1]), np.zeros(self.likelihood.cure_covariates.shape[1])
        ).citation()


def fit(
    data: SurvivalData,
    model: str | ModelName,
    *,
    covariates: npt.ArrayLike | None = None,
    cure_covariates: npt.ArrayLike | None = None,
    covariate_names: Sequence[str] = (),
    cure_covariate_names: Sequence[str] = (),
    background: BackgroundRates | None = None,
    knots: tuple[float, ...] | None = None,
) -> Fit:
    """Fit one model by maximum likelihood.

    Parameters
    ----------
    data : SurvivalData
        Right, interval censored and left truncated times, weighted or not.
    model : str or ModelName
        See `models.parse_model`.
    covariates, cure_covariates : array, shape (n, q) and (n, r), optional
        In the family's location parameter, and in the logit of the cure fraction.
    background : BackgroundRates, optional
        Population mortality: the model then describes the excess hazard.
    knots : tuple of float, optional
        Log times of a spline's knots; by default centiles of the event times.

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        For an unknown model, covariates of the wrong shape, or fewer events than coefficients.
    FitError
        When no maximum is found.
    """
    name = model if isinstance(model, ModelName) else parse_model(model)
    x = _design(covariates, data.n, "covariates")
    z = _design(cure_covariates, data.n, "cure_covariates")
    if z.shape[1] and name.cure == "none":
        raise InputError("cure covariates need a cure model", field="cure_covariates", found=str(name))
    checked = background.checked(data) if background is not None else None
    likelihood = Likelihood(data, name.family_for(data, knots), name.cure, x, z, checked)
    if data.events < likelihood.size:
        raise InputError(
            f"{name} has {likelihood.size} coefficients",
            found=f"{data.events} events",
            allowed="at least one event per coefficient",
        )
    best = max((climb(likelihood, start) for start in _starts(likelihood)), key=lambda top: top[1])
    return _finish(
        name,
        likelihood,
        best[0],
        _names(covariate_names, x.shape[1], "covariate"),
        _names(cure_covariate_names, z.shape[1], "cure_covariate"),
    )


def bootstrap(fitted: Fit, count: int, rng: np.random.Generator) -> Float:
    """Return coefficients refitted to `count` resamples of the subjects, shape (at most count, p).

    Resamples on which no maximum is found are left out; the caller sees how many by the length.
    """
    base = fitted.likelihood
    results = []
    for _ in range(count):
        rows = rng.integers(0, base.data.n, base.data.n)
        part = Likelihood(
            base.data.subset(rows),
            base.family,
            base.cure,
            base.covariates[rows],
            base.cure_covariates[rows],
            None if base.background is None else base.background.subset(rows),
        )
        beta, value = climb(part, fitted.coefficients)
        if np.isfinite(value):
            results.append(beta)
    return np.array(results).reshape(-1, fitted.coefficients.size)


def climb(likelihood: Likelihood, start: Float, free: npt.NDArray[np.bool_] | None = None) -> tuple[Float, float]:
    """Return the coefficients of the highest likelihood reached from `start` and that log likelihood.

    BFGS in coordinates scaled by the outer product of the scores, so that units and spline bases do not
    matter.

    Parameters
    ----------
    free : array of bool, shape (p,), optional
        Coefficients that may move; the others stay at their start (profile likelihood).
    """
    moving = np.ones(start.size, dtype=bool) if free is None else free
    beta = np.array(start, dtype=np.float64)
    value = likelihood.value_and_gradient(beta)[0]
    if not moving.any() or not np.isfinite(value):
        return beta, value

    for _ in range(3):
        root = _score_scaling(likelihood, beta, moving)

        def downhill(step: Float, base: Float = beta.copy(), root: Float = root) -> tuple[float, Float]:
            at = base.copy()
            at[moving] += root @ np.clip(step, -1e6, 1e6)
            v, g = likelihood.value_and_gradient(at)
            return (-v, -(root.T @ g[moving])) if np.isfinite(v) else (1e300, np.zeros_like(step))

        result = minimize(
            downhill,
            np.zeros(int(moving.sum())),
            jac=True,
            method="BFGS",
            options={"gtol": 1e-5, "maxiter": 200},
        )
        gain = -float(result.fun) - value
        if np.isfinite(result.fun) and gain > 0:
            beta[moving] += root @ result.x
            value = -float(result.fun)
        if gain < 1e-6:
            break
    return beta, value


def _score_scaling(likelihood: Likelihood, beta: Float, moving: npt.NDArray[np.bool_]) -> Float:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        scores = likelihood.value_and_scores(beta)[1][:, moving]
    outer = scores.T @ scores
    scale = np.sqrt(np.maximum(np.diag(outer), 1e-12))
    values, vectors = np.linalg.eigh(
        outer / np.outer(scale, scale) if np.all(np.isfinite(outer)) else np.eye(scale.size)
    )
    # Directions that the scores do not see get a bounded step instead of an infinite one.
    return np.asarray((vectors / np.sqrt(np.maximum(values, 1e-6))) / scale[:, None])


def _finish(
    name: ModelName,
    likelihood: Likelihood,
    beta: Float,
    covariate_names: tuple[str, ...],
    cure_names: tuple[str, ...],
) -> Fit:
    notes: list[str] = []
    free = np.ones(beta.size, dtype=bool)
    if isinstance(likelihood.family, GeneralisedGamma) and abs(beta[likelihood.cure_size + 2]) > LARGEST_GAMMA_SHAPE:
        raise FitError(f"{name}: no maximum, the likelihood still rises at |Q| above {LARGEST_GAMMA_SHAPE:g}")
    if name.cure != "none" and abs(beta[0]) > CURE_BOUNDARY:
        free[: likelihood.cure_size] = False
        notes.append(f"the cure fraction is at its boundary {0 if beta[0] < 0 else 1}; its coefficients are held there")
    value, decrement, information = -np.inf, np.inf, np.eye(int(free.sum()))
    for _ in range(8):
        root = _score_scaling(likelihood, beta, free)
        steps = np.full(beta.size, 1e-4)
        steps[free] = 1e-2 * np.minimum(np.sqrt(np.sum(root**2, axis=1)), 1.0)
        information = likelihood.observed_information(beta, steps)[np.ix_(free, free)]
        value, gradient = likelihood.value_and_gradient(beta)
        if not (np.isfinite(value) and np.all(np.isfinite(information))):
            raise FitError(f"{name}: the likelihood cannot be computed near its maximum")
        step = np.linalg.lstsq(information, gradient[free], rcond=1e-13)[0]
        decrement = abs(0.5 * float(gradient[free] @ step))
        if decrement < CONVERGED:
            break
        beta, moved = _newton(likelihood, beta, free, step, value)
        if not moved:
            break
    covariance = np.zeros((beta.size, beta.size))
    inner, singular = _inverse(information)
    covariance[np.ix_(free, free)] = inner
    if singular:
        notes.append(
            "the data do not inform some direction of the coefficients: intervals and draws understate uncertainty"
        )
    if decrement > 1e-3:
        raise FitError(f"{name}: no maximum found (distance in log likelihood {decrement:.2g})")
    first, names = likelihood.cure_size, likelihood.family.parameters
    errors = np.sqrt(np.maximum(np.diag(covariance)[first : first + len(names)], 0.0))
    if np.any(errors > LARGEST_STANDARD_ERROR):
        loose = ", ".join(n for n, error in zip(names, errors, strict=True) if error > LARGEST_STANDARD_ERROR)
        raise FitError(
            f"{name}: the likelihood is flat, the data do not identify {loose}. Use a law with fewer parameters"
        )
    value = likelihood.value_and_gradient(beta)[0]
    return Fit(name, likelihood, beta, covariance, value, decrement, covariate_names, cure_names, tuple(notes))


def _newton(
    likelihood: Likelihood, beta: Float, free: npt.NDArray[np.bool_], step: Float, value: float
) -> tuple[Float, bool]:
    for shrink in (1.0, 0.3, 0.1, 0.01, 1e-3):
        trial = beta.copy()
        trial[free] += shrink * step
        if likelihood.value_and_gradient(trial)[0] >= value:
            return trial, True
    return beta, False


def _inverse(information: Float) -> tuple[Float, bool]:
    scale = np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    good = values > 1e-9
    inverse = (vectors[:, good] / values[good]) @ vectors[:, good].T
    return inverse / np.outer(scale, scale), not bool(good.all())


def _square_root(covariance: Float) -> Float:
    scale = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    return np.asarray(scale[:, None] * vectors * np.sqrt(np.maximum(values, 0.0)))


def _starts(likelihood: Likelihood) -> list[Float]:
    family, data = likelihood.family, likelihood.data
    q = likelihood.covariates.shape[1]
    cores = [np.concatenate([core, np.zeros(q)]) for core in family.starts(data)]
    if likelihood.cure == "none":
        return cores
    r = likelihood.cure_covariates.shape[1]
    tail = _tail(data)
    starts = []
    for pi in dict.fromkeys((float(np.clip(tail, 0.05, 0.9)), float(np.clip(0.5 * tail, 0.03, 0.5)))):
        events_only = SurvivalData(data.time[data.event], data.event[data.event], upper=data.upper[data.event])
        for core in family.starts(events_only):
            starts.append(np.concatenate([[np.log(pi / (1 - pi))], np.zeros(r), core, np.zeros(q)]))
    return starts


def _tail(data: SurvivalData) -> float:
    if data.interval_censored.any():
        return float(1 - data.weight[data.event].sum() / data.weight.sum())
    curve = kaplan_meier(data)
    return float(curve.survival[-1]) if curve.survival.size else 1.0


def _design(value: npt.ArrayLike | None, n: int, name: str) -> Float:
    if value is None:
        return np.empty((n, 0))
    matrix = np.asarray(value, dtype=np.float64)
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    if matrix.ndim != 2 or matrix.shape[0] != n:
        raise InputError("covariates have one row per subject", field=name, found=matrix.shape, allowed=f"({n}, q)")
    if not np.all(np.isfinite(matrix)):
        raise InputError("a covariate is missing or not finite", field=name)
    if matrix.shape[1] and np.linalg.matrix_rank(np.column_stack([np.ones(n), matrix])) <= matrix.shape[1]:
        raise InputError("covariates are collinear with each other or constant", field=name)
    return matrix


def _names(given: Sequence[str], count: int, stem: str) -> tuple[str, ...]:
    return tuple(given) if given else tuple(f"{stem}_{j + 1}" for j in range(count))


def _predictor(values: npt.ArrayLike, weights: Float, name: str) -> Float:
    vector = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if vector.size == 0:
        vector = np.zeros(weights.shape[0])
    if vector.shape != weights.shape[:1]:
        raise InputError(
            "wrong number of covariate values", field=name, found=vector.size, allowed=str(weights.shape[0])
        )
    return np.asarray(np.tensordot(vector, weights, axes=(0, 0)))
