"""Log hazard, cumulative hazard and their analytic derivatives for the parametric families.

Every family is written in unconstrained parameters theta, so that normal approximations and joint draws
stay inside the parameter space. `location` is the parameter that covariates act on:

=================  ==============================================  ==========================================
family             theta                                           H(t)
=================  ==============================================  ==========================================
exponential        log rate                                        rate t
Weibull            log scale, log shape                            (t / scale)^shape
Gompertz           log rate, shape                                 rate (e^(shape t) - 1) / shape
log-logistic       log scale, log shape                            log(1 + (t / scale)^shape)
log-normal         mu, log sigma                                   -log Phi(-(log t - mu) / sigma)
generalised gamma  mu, log sigma, Q (Prentice)                     see `generalised_gamma`
Royston-Parmar     gamma_0, gamma_1, ... (log cumulative hazard)   exp(natural cubic spline of log t)
=================  ==============================================  ==========================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_ndtr

from cartsight.evidence.survival.generalised_gamma import (
    LARGEST_EXPONENT,
    LOG_ROOT_TWO_PI,
    log_survival,
    phi1,
    phi2,
    standard_terms,
)
from cartsight.evidence.survival.observations import Float, SurvivalData

Parameters = Sequence[Float]
SMALLEST_TIME = 1e-100
# Below this d(log H)/d(log t) a spline stops being a cumulative hazard; the log is continued linearly, a
# barrier.
SMALLEST_SLOPE = 1e-4


@dataclass(frozen=True)
class Terms:
    """log h and H at n times, with their derivatives in the p parameters (rows) when asked for."""

    log_hazard: Float
    cumulative_hazard: Float
    d_log_hazard: Float
    d_cumulative_hazard: Float


@dataclass(frozen=True)
class Family(ABC):
    """A parametric law seen by the likelihood: functions of t > 0 and of unconstrained parameters."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the family."""

    @property
    @abstractmethod
    def parameters(self) -> tuple[str, ...]:
        """Names of the natural parameters."""

    @property
    @abstractmethod
    def logarithmic(self) -> tuple[bool, ...]:
        """Whether each theta is the log of its natural parameter."""

    @property
    def location(self) -> int:
        """Index of the parameter that covariates act on."""
        return 0

    @abstractmethod
    def terms(self, t: Float, theta: Parameters) -> Terms:
        """Return log h(t), H(t) and their derivatives; each theta is a scalar array or of the shape of t."""

    @abstractmethod
    def hazards(self, t: Float, theta: Parameters) -> tuple[Float, Float]:
        """Return log h(t) and H(t) only, broadcasting theta against t."""

    @abstractmethod
    def starts(self, data: SurvivalData) -> list[Float]:
        """Return one or more starting points for the maximisation, from the data alone."""

    def natural(self, theta: Float) -> Float:
        """Return the natural parameters (last axis) for unconstrained ones."""
        logs = np.asarray(self.logarithmic)
        return np.asarray(np.where(logs, np.exp(np.where(logs, theta, 0.0)), theta))


def _stack(*rows: Float) -> Float:
    return np.stack(np.broadcast_arrays(*rows))


@dataclass(frozen=True)
class Exponential(Family):
    """Constant hazard."""

    name = "exponential"
    parameters = ("rate",)
    logarithmic = (True,)

    def terms(self, t: Float, theta: Parameters) -> Terms:
        log_h, cumulative = self.hazards(t, theta)
        return Terms(log_h, cumulative, np.ones((1, t.size)), cumulative[None, :])

    def hazards(self, t: Float, theta: Parameters) -> tuple[Float, Float]:
        log_h = theta[0] + 0.0 * t
        return log_h, np.exp(np.minimum(theta[0], LARGEST_EXPONENT)) * t

    def starts(self, data: SurvivalData) -> list[Float]:
        return [np.array([np.log(_crude_rate(data))])]


@dataclass(frozen=True)
class Weibull(Family):
    """H = (t / scale)^shape; covariates act on log scale (accelerated time)."""

    name = "weibull"
    parameters = ("scale", "shape")
    logarithmic = (True, True)

    def terms(self, t: Float, theta: Parameters) -> Terms:
        k, y, e = self._parts(t, theta)
        log_h = theta[1] - np.log(t) + y
        return Terms(log_h, e, _stack(-k + 0 * y, 1 + y), _stack(-k * e, y * e))

    def hazards(self, t: Float, theta: Parameters) -> tuple[Float, Float]:
        _, y, e = self._parts(t, theta)
        return theta[1] - np.log(t) + y, e

    def _parts(self, t: Float, theta: Parameters) -> tuple[Float, Float, Float]:
        k = np.exp(np.minimum(theta[1], LARGEST_EXPONENT))
        y = k * (np.log(t) - theta[0])
        return k, y, np.exp(np.minimum(y, LARGEST_EXPONENT))

    def starts(self, data: SurvivalData) -> list[Float]:
        return [np.array([-np.log(_crude_rate(data)), 0.0])]


@dataclass(frozen=True)
class Gompertz(Family):
    """h = rate e^(shape t); a negative shape leaves a fraction exp(rate / shape) that never has the event."""

    name = "gompertz"
    parameters = ("rate", "shape")
    logarithmic = (True, False)

    def terms(self, t: Float, theta: Parameters) -> Terms:
        log_h, cumulative = self.hazards(t, theta)
        x = np.minimum(theta[1] * t, LARGEST_EXPONENT)
        # phi1' = (e^x - phi1) / x, written with phi2 so that it keeps its digits at small x.
        d_phi1 = phi1(x) - phi2(x)
        slope = np.exp(np.minimum(theta[0], LARGEST_EXPONENT)) * t**2 * d_phi1
        return Terms(log_h, cumulative, _stack(np.ones_like(t), t), _stack(cumulative, slope))

    def hazards(self, t: Float, theta: Parameters) -> tuple[Float, Float]:
        x = np.minimum(theta[1] * t, LARGEST_EXPONENT)
        return theta[0] + x, np.exp(np.minimum(theta[0], LARGEST_EXPONENT)) * t * phi1(x)

    def starts(self, data: SurvivalData) -> list[Float]:
        return [np.array([np.log(_crude_rate(data)), 0.0])]


@dataclass(frozen=True)
class LogLogistic(Family):
    """S = 1 / (1 + (t / scale)^shape); covariates act on log scale (accelerated time)."""

    name = "log_logistic"
    parameters = ("scale", "shape")
    logarithmic = (True, True)

    def terms(self, t: Float, theta: Parameters) -> Terms:
        k = np.exp(np.minimum(theta[1], LARGEST_EXPONENT))
        y = k * (np.log(t) - theta[0])
        p = expit(y)
        log_h = theta[1] - np.log(t) - np.logaddexp(0.0, -y)
        return Terms(log_h, np.logaddexp(0.0, y), _stack(-k * (1 - p), 1 + y * (1 - p)), _stack(-k * p, y * p))

    def hazards(self, t: Float, theta: Parameters) -> tuple[Float, Float]:
        y = np.exp(np.minimum(theta[1], LARGEST_EXPONENT)) * (np.log(t) - theta[0])
        return theta[1] - np.log(t) - np.logaddexp(0.0, -y), np.logaddexp(0.0, y)

    def starts(self, data: SurvivalData) -> list[Float]:
        return [np.array([-np.log(_crude_rate(data)) - 0.3, 0.2])]


@dataclass(frozen=True)
class LogNormal(Family):
    """log T is normal(mu, sigma); covariates act on mu (accelerated time)."""

    name = "log_normal"
    parameters = ("mu", "sigma")
    logarithmic = (False, True)

    def terms(self, t: Float, theta: Parameters) -> Terms:
        sigma = np.exp(np.clip(theta[1], -LARGEST_EXPONENT, LARGEST_EXPONENT))
        z = (np.log(t) - theta[0]) / sigma
        cumulative = -log_ndtr(-z)
        r = np.exp(-(z**2) / 2 - LOG_ROOT_TWO_PI + cumulative)
        log_h = -np.log(t) - theta[1] - z**2 / 2 - LOG_ROOT_TWO_PI + cumulative
        slope = r - z
        return Terms(log_h, cumulative, _stack(-slope / sigma, -1 - z * slope), _stack(-r / sigma, -z * r))

    def hazards(self, t: Float, theta: Parameters) -> tuple[Float, Float]:
        z = (np.log(t) - theta[0]) / np.exp(np.clip(theta[1], -LARGEST_EXPONENT, LARGEST_EXPONENT))
        cumulative = -log_ndtr(-z)
        return -np.log(t) - theta[1] - z**2 / 2 - LOG_ROOT_TWO_PI + cumulative, cumulative

    def starts(self, data: SurvivalData) -> list[Float]:
        return [np.array([-np.log(_crude_rate(data)) - 0.4, 0.0])]


@dataclass(frozen=True)
class GeneralisedGamma(Family):
    """Prentice's generalised gamma: w = (log t - mu) / sigma has the log gamma density of shape Q.

    Stacy's parameters (1962, doi:10.1214/aoms/1177704481), f proportional to t^(d p - 1) exp(-(t / a)^p),
    are for Q > 0: p = Q / sigma, d = 1 / Q^2 and a = exp(mu) Q^(2 sigma / Q).
    """

    name = "generalised_gamma"
    parameters = ("mu", "sigma", "Q")
    logarithmic = (False, True, False)

    def terms(self, t: Float, theta: Parameters) -> Terms:
        sigma = np.exp(np.clip(theta[1], -LARGEST_EXPONENT, LARGEST_EXPONENT))
        w = (np.log(t) - theta[0]) / sigma
        g = standard_terms(w, float(np.clip(np.ravel(theta[2])[0], -20.0, 20.0)))
        cumulative = -g.log_survival
        r = np.exp(np.minimum(g.log_density + cumulative, LARGEST_EXPONENT))
        slope = g.d_log_density_dw + r
        log_h = -np.log(t) - theta[1] + g.log_density + cumulative
        return Terms(
            log_h,
            cumulative,
            _stack(-slope / sigma, -1 - w * slope, g.d_log_density_dq - g.d_log_survival_dq),
            _stack(-r / sigma, -w * r, -g.d_log_survival_dq),
        )

    def hazards(self, t: Float, theta: Parameters) -> tuple[Float, Float]:
        sigma = np.exp(np.clip(theta[1], -LARGEST_EXPONENT, LARGEST_EXPONENT))
        w, q = np.broadcast_arrays((np.log(t) - theta[0]) / sigma, theta[2])
        if np.all(q == q.flat[0]):
            g = standard_terms(np.ravel(w), float(q.flat[0]))
            cumulative, log_density = -g.log_survival.reshape(w.shape), g.log_density.reshape(w.shape)
        else:
            cumulative = -log_survival(w, q)
            # The density needs no shape-specific normalisation beyond Stirling's remainder, taken per
            # distinct shape.
            log_density = _log_density(w, q)
        return -np.log(t) - theta[1] + log_density + cumulative, cumulative

    def starts(self, data: SurvivalData) -> list[Float]:
        level = -np.log(_crude_rate(data))
        return [np.array([level, 0.0, 0.7]), np.array([level - 0.6, 0.2, -0.3])]


def _log_density(w: Float, q: Float) -> Float:
    from cartsight.evidence.survival.generalised_gamma import stirling

    distinct, place = np.unique(q, return_inverse=True)
    remainder = np.array([stirling(float(value))[0] for value in distinct])[place].reshape(q.shape)
    return np.asarray(-LOG_ROOT_TWO_PI - remainder - w**2 * phi2(q * w))


@dataclass(frozen=True)
class RoystonParmar(Family):
    """Royston & Parmar 2002 (doi:10.1002/sim.1203): log H is a natural cubic spline of log t.

    Parameters
    ----------
    knots : tuple of float
        Log times: lower boundary, inner knots, upper boundary. No inner knot gives the Weibull law exactly,
        with gamma_1 = shape and gamma_0 = -shape log(scale).
    """

    knots: tuple[float, ...] = (0.0, 1.0)

    @property
    def name(self) -> str:
        return f"royston_parmar_{len(self.knots) - 2}"

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(f"gamma_{j}" for j in range(len(self.knots)))

    @property
    def logarithmic(self) -> tuple[bool, ...]:
        return (False,) * len(self.knots)

    def terms(self, t: Float, theta: Parameters) -> Terms:
        x = np.log(t)
        basis, slopes = spline_basis(x, self.knots)
        spline, slope = self._combine(basis, slopes, theta)
        log_slope, d_log_slope = _barrier_log(slope)
        cumulative = np.exp(np.minimum(spline, LARGEST_EXPONENT))
        return Terms(spline + log_slope - x, cumulative, basis + slopes * d_log_slope, basis * cumulative)

    def hazards(self, t: Float, theta: Parameters) -> tuple[Float, Float]:
        x = np.log(t)
        shape = np.broadcast_shapes(x.shape, *(np.shape(p) for p in theta))
        x = np.broadcast_to(x, shape)
        basis, slopes = spline_basis(x.ravel(), self.knots)
        spline, slope = self._combine(
            basis.reshape(-1, *shape), slopes.reshape(-1, *shape), [np.broadcast_to(p, shape) for p in theta]
        )
        log_slope, _ = _barrier_log(slope)
        return spline + log_slope - x, np.exp(np.minimum(spline, LARGEST_EXPONENT))

    def _combine(self, basis: Float, slopes: Float, theta: Parameters) -> tuple[Float, Float]:
        spline = sum((basis[j] * theta[j] for j in range(len(theta))), np.zeros_like(basis[0]))
        slope = sum((slopes[j] * theta[j] for j in range(1, len(theta))), np.zeros_like(basis[0]))
        return spline, slope

    def starts(self, data: SurvivalData) -> list[Float]:
        start = np.zeros(len(self.knots))
        start[:2] = [np.log(_crude_rate(data)), 1.0]
        return [start]


def spline_basis(x: Float, knots: Sequence[float]) -> tuple[Float, Float]:
    """Return the natural cubic spline basis of Royston & Parmar and its derivative, shape (len(knots), n)."""
    low, high = knots[0], knots[-1]
    columns, slopes = [np.ones_like(x), x], [np.zeros_like(x), np.ones_like(x)]
    below, above = np.maximum(x - low, 0.0), np.maximum(x - high, 0.0)
    for knot in knots[1:-1]:
        share = (high - knot) / (high - low)
        here = np.maximum(x - knot, 0.0)
        columns.append(here**3 - share * below**3 - (1 - share) * above**3)
        slopes.append(3 * (here**2 - share * below**2 - (1 - share) * above**2))
    return np.stack(columns), np.stack(slopes)


def knots_from_events(data: SurvivalData, inner: int) -> tuple[float, ...]:
    """Return knots at even centiles of the log event times, with boundaries at the first and last event."""
    ends = np.where(data.interval_censored, 0.5 * (data.time + np.nan_to_num(data.upper)), data.time)
    logs = np.log(np.maximum(ends[data.event], SMALLEST_TIME))
    return tuple(float(v) for v in np.quantile(logs, np.linspace(0, 1, inner + 2)))


def _barrier_log(slope: Float) -> tuple[Float, Float]:
    inside = slope > SMALLEST_SLOPE
    safe = np.where(inside, slope, SMALLEST_SLOPE)
    value = np.where(inside, np.log(safe), np.log(SMALLEST_SLOPE) + (slope - SMALLEST_SLOPE) / SMALLEST_SLOPE)
    return value, 1.0 / safe


def _crude_rate(data: SurvivalData) -> float:
    exposure = float(np.sum(data.weight * (data.time - data.entry)))
    events = float(np.sum(data.weight[data.event]))
    return max(events, 0.5) / max(exposure, SMALLEST_TIME)


PLAIN_FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (Exponential(), Weibull(), Gompertz(), LogLogistic(), LogNormal(), GeneralisedGamma())
}
