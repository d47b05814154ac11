"""Distributions from what papers print: mean and sd, median and quartiles, mean and interval, events out of n.

Closed forms where they exist; otherwise a bracketed root in one shape parameter. Every constructor is the inverse of
reading the same numbers off the distribution (tested as a round trip), or says that it cannot be.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cartsight.core.distributions import (
    PERT,
    Beta,
    Constant,
    Distribution,
    Exponential,
    Gamma,
    LogNormal,
    Normal,
    Uniform,
    Weibull,
)
from cartsight.core.errors import InputError
from cartsight.core.normal import normal_quantile

Z_QUARTILE = 0.6744897501960817


def _root(function: Callable[[float], float], low: float, high: float, what: str) -> float:
    from scipy.optimize import brentq

    if function(low) * function(high) > 0:
        raise InputError(f"{what}: no distribution of this kind has these values")
    return float(brentq(function, low, high, xtol=1e-14, rtol=1e-13, maxiter=500))


def from_mean_sd(kind: str, mean: float, sd: float) -> Distribution:
    """Return the `kind` of law with a printed mean and standard deviation (method of moments).

    Raises
    ------
    InputError
        The law has no member with these moments, for example a beta with sd^2 >= mean (1 - mean).
    """
    if not (math.isfinite(mean) and math.isfinite(sd)) or sd < 0:
        raise InputError("a mean and standard deviation must be finite, the latter not negative", found=(mean, sd))
    if sd == 0:
        return Constant(mean)
    if kind == "normal":
        return Normal(mean, sd)
    if kind == "uniform":
        return Uniform(mean - sd * math.sqrt(3.0), mean + sd * math.sqrt(3.0))
    if mean <= 0:
        raise InputError(f"{kind}: the mean must be above zero", found=mean)
    ratio = (sd / mean) ** 2
    if kind == "lognormal":
        sigma = math.sqrt(math.log1p(ratio))
        return LogNormal(math.log(mean) - 0.5 * sigma**2, sigma)
    if kind == "gamma":
        return Gamma(1.0 / ratio, mean * ratio)
    if kind == "beta":
        if not mean < 1 or sd**2 >= mean * (1.0 - mean):
            raise InputError("beta: needs 0 < mean < 1 and sd^2 < mean (1 - mean)", found=(mean, sd))
        total = mean * (1.0 - mean) / sd**2 - 1.0
        return Beta(mean * total, (1.0 - mean) * total)
    if kind == "weibull":

        def gap(log_shape: float) -> float:
            k = math.exp(log_shape)
            return math.lgamma(1 + 2 / k) - 2 * math.lgamma(1 + 1 / k) - math.log1p(ratio)

        shape = math.exp(_root(gap, math.log(0.05), math.log(500.0), "weibull"))
        return Weibull(shape, mean / math.gamma(1 + 1 / shape))
    if kind == "exponential":
        if not math.isclose(mean, sd, rel_tol=1e-9):
            raise InputError("exponential: mean and sd must be equal", found=(mean, sd))
        return Exponential(mean)
    raise InputError(
        "no such law from a mean and sd", found=kind, allowed="normal, lognormal, gamma, beta, weibull, uniform"
    )


def _two_quantiles(kind: str, p: tuple[float, float], x: tuple[float, float]) -> Distribution:
    (p1, p2), (x1, x2) = p, x
    if not x1 < x2:
        raise InputError("the lower value must be below the upper", found=x)
    z1, z2 = float(normal_quantile(p1)), float(normal_quantile(p2))
    if kind == "normal":
        sigma = (x2 - x1) / (z2 - z1)
        return Normal(x1 - sigma * z1, sigma)
    if kind == "uniform":
        slope = (x2 - x1) / (p2 - p1)
        return Uniform(x1 - slope * p1, x1 + slope * (1.0 - p1))
    if x1 <= 0:
        raise InputError(f"{kind}: values must be above zero", found=x1)
    if kind == "lognormal":
        sigma = math.log(x2 / x1) / (z2 - z1)
        return LogNormal(math.log(x1) - sigma * z1, sigma)
    if kind == "weibull":
        l1, l2 = math.log(-math.log1p(-p1)), math.log(-math.log1p(-p2))
        shape = (l2 - l1) / math.log(x2 / x1)
        return Weibull(shape, x1 / math.exp(l1 / shape))
    if kind == "gamma":
        target = math.log(x2 / x1)

        def spread(log_shape: float) -> float:
            law = Gamma(math.exp(log_shape), 1.0)
            return math.log(float(law.quantile(p2)) / max(float(law.quantile(p1)), 1e-300)) - target

        shape = math.exp(_root(spread, math.log(0.02), math.log(1e7), "gamma"))
        return Gamma(shape, x1 / float(Gamma(shape, 1.0).quantile(p1)))
    if kind == "beta":
        return _beta_from_quantiles(p, x)
    raise InputError(
        "no such law from two quantiles", found=kind, allowed="normal, lognormal, weibull, gamma, beta, uniform"
    )


def _beta_from_quantiles(p: tuple[float, float], x: tuple[float, float]) -> Beta:
    from scipy.optimize import least_squares
    from scipy.special import betaincinv, logit

    if not 0 < x[0] < x[1] < 1:
        raise InputError("beta: both values must lie inside (0, 1)", found=x)
    middle = 0.5 * (x[0] + x[1])
    sd = max((x[1] - x[0]) / (float(normal_quantile(p[1])) - float(normal_quantile(p[0]))), 1e-6)
    total = max(middle * (1 - middle) / sd**2 - 1.0, 0.5)
    target = logit(list(x))

    def gap(theta: npt.NDArray[np.float64], /) -> npt.NDArray[np.float64]:
        a, b = (math.exp(min(max(float(t), -12.0), 18.0)) for t in theta)
        values = [min(max(float(betaincinv(a, b, q)), 1e-300), 1 - 1e-16) for q in p]
        return np.asarray(logit(values) - target)

    fit = least_squares(
        gap, [math.log(middle * total), math.log((1 - middle) * total)], xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    if max(abs(fit.fun)) > 1e-6:
        raise InputError("beta: no beta distribution has these two values at these probabilities", found=x)
    return Beta(math.exp(fit.x[0]), math.exp(fit.x[1]))


def from_quartiles(kind: str, low: float, high: float) -> Distribution:
    """Return the `kind` of law with a printed interquartile range (25th and 75th percentile)."""
    return _two_quantiles(kind, (0.25, 0.75), (low, high))


def from_median_iqr(kind: str, median: float, low: float, high: float) -> Distribution:
    """Return the two-parameter law with a printed median and the width of the interquartile range.

    The median is kept exactly; the quartiles fix the spread on the law's own scale, so a skew that the law cannot
    have is averaged (lognormal: the ratio high/low; normal: the difference high - low).

    Raises
    ------
    InputError
        Not low <= median <= high, or values that the law cannot take.
    """
    if not low <= median <= high or low == high:
        raise InputError("needs 25th percentile <= median <= 75th percentile, not all equal", found=(low, median, high))
    if kind == "normal":
        return Normal(median, (high - low) / (2.0 * Z_QUARTILE))
    if low <= 0:
        raise InputError(f"{kind}: values must be above zero", found=low)
    if kind == "lognormal":
        return LogNormal(math.log(median), math.log(high / low) / (2.0 * Z_QUARTILE))
    if kind == "weibull":
        shape = math.log(math.log(4.0) / math.log(4.0 / 3.0)) / math.log(high / low)
        return Weibull(shape, median / math.log(2.0) ** (1.0 / shape))
    if kind == "gamma":
        shape = _two_quantiles("gamma", (0.25, 0.75), (low, high)).shape  # type: ignore[attr-defined]
        return Gamma(shape, median / float(Gamma(shape, 1.0).quantile(0.5)))
    raise InputError("no such law from a median and quartiles", found=kind, allowed="normal, lognormal, weibull, gamma")


def from_mean_interval(kind: str, mean: float, low: float, high: float, level: float = 0.95) -> Distribution:
    """Return the law whose central `level` interval is [low, high]; used for the uncertainty of an estimate.

    For normal and lognormal the centre is the printed estimate (as mean, or as median on the log scale) and the interval
    gives the spread, because published intervals are symmetric on that scale up to rounding. For beta, gamma and
    Weibull the interval alone gives both parameters.
    """
    if not (low <= mean <= high) or low == high:
        raise InputError("needs low <= estimate <= high and low < high", found=(low, mean, high))
    z = float(normal_quantile(0.5 + level / 2.0))
    if kind == "normal":
        return Normal(mean, (high - low) / (2.0 * z))
    if kind == "lognormal":
        if low <= 0:
            raise InputError("lognormal: the interval must lie above zero", found=low)
        return LogNormal(math.log(mean), math.log(high / low) / (2.0 * z))
    tail = (1.0 - level) / 2.0
    return _two_quantiles(kind, (tail, 1.0 - tail), (low, high))


def from_events(events: float, n: float, prior: tuple[float, float] = (0.5, 0.5)) -> Beta:
    """Return the posterior of a proportion after `events` out of `n` under a beta prior (Jeffreys by default).

    Zero events in 33 patients is not zero risk: the posterior has mean 0.5/34 and an upper tail.

    Raises
    ------
    InputError
        Not 0 <= events <= n, or n not above zero.
    """
    if not (n > 0 and 0 <= events <= n):
        raise InputError("needs 0 <= events <= n and n > 0", found=(events, n))
    return Beta(prior[0] + events, prior[1] + n - events)


def from_range(kind: str, mode: float, low: float, high: float) -> Distribution:
    """Return PERT, triangular or uniform on a stated range."""
    from cartsight.core.distributions import Triangular

    if kind == "pert":
        return PERT(low, mode, high)
    if kind == "triangular":
        return Triangular(low, mode, high)
    if kind == "uniform":
        return Uniform(low, high)
    raise InputError("no such law from a range", found=kind, allowed="pert, triangular, uniform")
