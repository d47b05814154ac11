"""Probability distributions, every one sampled by inversion of a single uniform.

One uniform gives one variate, never by rejection, so that common random numbers stay common when a parameter moves.
Each distribution can be made from what papers print (`from_mean_sd`, `from_median_iqr`, `from_mean_interval`,
`from_events`); see `cartsight.core.fitting`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.normal import normal_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

Float = npt.NDArray[np.float64]


def _finite(law: str, **parameters: float) -> None:
    for name, value in parameters.items():
        if not math.isfinite(value):
            raise InputError(f"{law}: {name} must be a finite number", found=value)


def _positive(law: str, **parameters: float) -> None:
    _finite(law, **parameters)
    for name, value in parameters.items():
        if value <= 0:
            raise InputError(f"{law}: {name} must be above zero", found=value)


class Distribution(ABC):
    """Base of all distributions: `quantile`, `mean`, `variance` and `support`."""

    __slots__ = ()
    kind: ClassVar[str]

    @abstractmethod
    def quantile(self, u: npt.ArrayLike) -> Float:
        """Return the value below which a share `u` of the distribution lies; `u` in (0, 1)."""

    @property
    @abstractmethod
    def mean(self) -> float:
        """Expected value."""

    @property
    @abstractmethod
    def variance(self) -> float:
        """Variance."""

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value."""

    @property
    def sd(self) -> float:
        """Standard deviation."""
        return math.sqrt(self.variance)

    @property
    def median(self) -> float:
        """Middle of the distribution."""
        return float(self.quantile(0.5))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the central interval that holds a share `level`."""
        tail = (1.0 - level) / 2.0
        low, high = self.quantile(np.array([tail, 1.0 - tail]))
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Constant(Distribution):
    """A single value."""

    value: float
    kind: ClassVar[str] = "constant"

    def __post_init__(self) -> None:
        _finite("constant", value=self.value)

    def quantile(self, u: npt.ArrayLike) -> Float:
        return np.full(np.shape(u), self.value)

    @property
    def mean(self) -> float:
        return self.value

    @property
    def variance(self) -> float:
        return 0.0

    @property
    def support(self) -> tuple[float, float]:
        return self.value, self.value


@dataclass(frozen=True, slots=True)
class Exponential(Distribution):
    """Exponential with a mean (not a rate)."""

    mean_value: float
    kind: ClassVar[str] = "exponential"

    def __post_init__(self) -> None:
        _positive("exponential", mean=self.mean_value)

    def quantile(self, u: npt.ArrayLike) -> Float:
        return -self.mean_value * np.log1p(-np.asarray(u, dtype=np.float64))

    @property
    def mean(self) -> float:
        return self.mean_value

    @property
    def variance(self) -> float:
        return self.mean_value**2

    @property
    def support(self) -> tuple[float, float]:
        return 0.0, math.inf


@dataclass(frozen=True, slots=True)
class Uniform(Distribution):
    """Uniform between `low` and `high`."""

    low: float
    high: float
    kind: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        _finite("uniform", low=self.low, high=self.high)
        if self.low > self.high:
            raise InputError("uniform: low must not exceed high", found=(self.low, self.high))

    def quantile(self, u: npt.ArrayLike) -> Float:
        return self.low + (self.high - self.low) * np.asarray(u, dtype=np.float64)

    @property
    def mean(self) -> float:
        return 0.5 * (self.low + self.high)

    @property
    def variance(self) -> float:
        return (self.high - self.low) ** 2 / 12.0

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class Triangular(Distribution):
    """Triangular on [low, high] with its peak at `mode`."""

    low: float
    mode: float
    high: float
    kind: ClassVar[str] = "triangular"

    def __post_init__(self) -> None:
        _ordered("triangular", self.low, self.mode, self.high)

    def quantile(self, u: npt.ArrayLike) -> Float:
        p = np.asarray(u, dtype=np.float64)
        width = self.high - self.low
        cut = (self.mode - self.low) / width
        rising = self.low + np.sqrt(p * width * (self.mode - self.low))
        falling = self.high - np.sqrt((1.0 - p) * width * (self.high - self.mode))
        return np.where(p < cut, rising, falling)

    @property
    def mean(self) -> float:
        return (self.low + self.mode + self.high) / 3.0

    @property
    def variance(self) -> float:
        a, b, c = self.low, self.high, self.mode
        return (a * a + b * b + c * c - a * b - a * c - b * c) / 18.0

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high


def _ordered(law: str, low: float, mode: float, high: float) -> None:
    _finite(law, low=low, mode=mode, high=high)
    if not low <= mode <= high or low == high:
        raise InputError(f"{law}: needs low <= mode <= high and low < high", found=(low, mode, high))


@dataclass(frozen=True, slots=True)
class Normal(Distribution):
    """Normal with mean and standard deviation."""

    mu: float
    sigma: float
    kind: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        _finite("normal", mean=self.mu)
        _positive("normal", sd=self.sigma)

    def quantile(self, u: npt.ArrayLike) -> Float:
        return self.mu + self.sigma * normal_quantile(u)

    @property
    def mean(self) -> float:
        return self.mu

    @property
    def variance(self) -> float:
        return self.sigma**2

    @property
    def support(self) -> tuple[float, float]:
        return -math.inf, math.inf


@dataclass(frozen=True, slots=True)
class LogNormal(Distribution):
    """Lognormal; `mu` and `sigma` are the mean and sd of the logarithm."""

    mu: float
    sigma: float
    kind: ClassVar[str] = "lognormal"

    def __post_init__(self) -> None:
        _finite("lognormal", mu=self.mu)
        _positive("lognormal", sigma=self.sigma)

    def quantile(self, u: npt.ArrayLike) -> Float:
        return np.exp(self.mu + self.sigma * normal_quantile(u))

    @property
    def mean(self) -> float:
        return math.exp(self.mu + 0.5 * self.sigma**2)

    @property
    def variance(self) -> float:
        return math.expm1(self.sigma**2) * math.exp(2.0 * self.mu + self.sigma**2)

    @property
    def support(self) -> tuple[float, float]:
        return 0.0, math.inf


@dataclass(frozen=True, slots=True)
class Gamma(Distribution):
    """Gamma with shape and scale (mean = shape x scale)."""

    shape: float
    scale: float
    kind: ClassVar[str] = "gamma"

    def __post_init__(self) -> None:
        _positive("gamma", shape=self.shape, scale=self.scale)

    def quantile(self, u: npt.ArrayLike) -> Float:
        from scipy.special import gammaincinv

        return np.asarray(self.scale * gammaincinv(self.shape, np.asarray(u, dtype=np.float64)))

    @property
    def mean(self) -> float:
        return self.shape * self.scale

    @property
    def variance(self) -> float:
        return self.shape * self.scale**2

    @property
    def support(self) -> tuple[float, float]:
        return 0.0, math.inf


@dataclass(frozen=True, slots=True)
class Beta(Distribution):
    """Beta with parameters alpha and beta, stretched to [low, high]."""

    alpha: float
    beta: float
    low: float = 0.0
    high: float = 1.0
    kind: ClassVar[str] = "beta"

    def __post_init__(self) -> None:
        _positive("beta", alpha=self.alpha, beta=self.beta)
        _finite("beta", low=self.low, high=self.high)
        if self.low >= self.high:
            raise InputError("beta: low must be below high", found=(self.low, self.high))

    def quantile(self, u: npt.ArrayLike) -> Float:
        from scipy.special import betaincinv

        share = betaincinv(self.alpha, self.beta, np.asarray(u, dtype=np.float64))
        return np.asarray(self.low + (self.high - self.low) * share)

    @property
    def mean(self) -> float:
        return self.low + (self.high - self.low) * self.alpha / (self.alpha + self.beta)

    @property
    def variance(self) -> float:
        total = self.alpha + self.beta
        return (self.high - self.low) ** 2 * self.alpha * self.beta / (total**2 * (total + 1.0))

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class PERT(Distribution):
    """PERT: a beta on [low, high] with mode `mode` and weight 4 (Malcolm et al. 1959, doi:10.1287/opre.7.5.646)."""

    low: float
    mode: float
    high: float
    kind: ClassVar[str] = "pert"

    def __post_init__(self) -> None:
        _ordered("PERT", self.low, self.mode, self.high)

    @property
    def as_beta(self) -> Beta:
        """The same law as a stretched beta."""
        width = self.high - self.low
        return Beta(
            1.0 + 4.0 * (self.mode - self.low) / width, 1.0 + 4.0 * (self.high - self.mode) / width, self.low, self.high
        )

    def quantile(self, u: npt.ArrayLike) -> Float:
        return self.as_beta.quantile(u)

    @property
    def mean(self) -> float:
        return (self.low + 4.0 * self.mode + self.high) / 6.0

    @property
    def variance(self) -> float:
        return self.as_beta.variance

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class Weibull(Distribution):
    """Weibull with shape and scale: S(x) = exp(-(x/scale)^shape)."""

    shape: float
    scale: float
    kind: ClassVar[str] = "weibull"

    def __post_init__(self) -> None:
        _positive("weibull", shape=self.shape, scale=self.scale)

    def quantile(self, u: npt.ArrayLike) -> Float:
        return self.scale * (-np.log1p(-np.asarray(u, dtype=np.float64))) ** (1.0 / self.shape)

    @property
    def mean(self) -> float:
        return self.scale * math.gamma(1.0 + 1.0 / self.shape)

    @property
    def variance(self) -> float:
        return self.scale**2 * (math.gamma(1.0 + 2.0 / self.shape) - math.gamma(1.0 + 1.0 / self.shape) ** 2)

    @property
    def support(self) -> tuple[float, float]:
        return 0.0, math.inf


@dataclass(frozen=True, slots=True)
class QuantileTable(Distribution):
    """Any law as an inverse distribution function: linear between (probability, value) knots.

    Probabilities rise from 0 to 1 and values do not fall, so support is bounded by the first and last value.
    Use it for an empirical sample (`from_sample`), an elicited law, or a law without a closed-form inverse.
    """

    probabilities: tuple[float, ...]
    values: tuple[float, ...]
    kind: ClassVar[str] = "quantile_table"

    def __post_init__(self) -> None:
        p, v = np.asarray(self.probabilities, dtype=np.float64), np.asarray(self.values, dtype=np.float64)
        if p.shape != v.shape or p.ndim != 1 or p.size < 2:
            raise InputError("quantile table: needs equally many probabilities and values, at least two")
        if not (np.isfinite(p).all() and np.isfinite(v).all()):
            raise InputError("quantile table: all knots must be finite numbers")
        if p[0] != 0.0 or p[-1] != 1.0 or (np.diff(p) <= 0).any():
            raise InputError("quantile table: probabilities must rise strictly from 0 to 1", found=tuple(p))
        if (np.diff(v) < 0).any():
            raise InputError("quantile table: values must not fall", found=tuple(v))

    @classmethod
    def from_sample(cls, sample: Sequence[float] | Float) -> QuantileTable:
        """Return the empirical law of a sample, with linear interpolation between its order statistics."""
        ordered = np.sort(np.asarray(sample, dtype=np.float64))
        if ordered.size < 2:
            raise InputError("quantile table: an empirical law needs at least two observations", found=ordered.size)
        return cls(tuple(np.linspace(0.0, 1.0, ordered.size).tolist()), tuple(ordered.tolist()))

    def quantile(self, u: npt.ArrayLike) -> Float:
        return np.interp(np.asarray(u, dtype=np.float64), self.probabilities, self.values)

    @property
    def mean(self) -> float:
        p, v = np.asarray(self.probabilities), np.asarray(self.values)
        return float(np.sum(np.diff(p) * 0.5 * (v[1:] + v[:-1])))

    @property
    def variance(self) -> float:
        p, v = np.asarray(self.probabilities), np.asarray(self.values)
        second = np.sum(np.diff(p) * (v[1:] ** 2 + v[1:] * v[:-1] + v[:-1] ** 2) / 3.0)
        return max(float(second) - self.mean**2, 0.0)

    @property
    def support(self) -> tuple[float, float]:
        return self.values[0], self.values[-1]


@dataclass(frozen=True, slots=True)
class Dirichlet:
    """Dirichlet over the shares of exclusive outcomes; sampled by normalised gammas, one uniform per share.

    The only multivariate law: `quantile` takes one column of uniforms per outcome and rows sum to one.
    """

    concentrations: tuple[float, ...]
    kind: ClassVar[str] = "dirichlet"

    def __post_init__(self) -> None:
        if len(self.concentrations) < 2:
            raise InputError("dirichlet: needs at least two outcomes", found=self.concentrations)
        for value in self.concentrations:
            _positive("dirichlet", concentration=value)

    def quantile(self, u: npt.ArrayLike) -> Float:
        """Return shares, shape (n, outcomes), from uniforms of the same shape."""
        from scipy.special import gammaincinv

        weights = gammaincinv(np.asarray(self.concentrations), np.atleast_2d(np.asarray(u, dtype=np.float64)))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    @property
    def mean(self) -> Float:
        """Expected shares."""
        weights = np.asarray(self.concentrations)
        return np.asarray(weights / weights.sum())


def scaled(law: Distribution, factor: float) -> Distribution:
    """Return the law of `factor` times a variate of `law`; `factor` above zero."""
    _positive("scale", factor=factor)
    match law:
        case Constant(value):
            return Constant(value * factor)
        case Exponential(mean):
            return Exponential(mean * factor)
        case Uniform(low, high):
            return Uniform(low * factor, high * factor)
        case Triangular(low, mode, high):
            return Triangular(low * factor, mode * factor, high * factor)
        case PERT(low, mode, high):
            return PERT(low * factor, mode * factor, high * factor)
        case Normal(mu, sigma):
            return Normal(mu * factor, sigma * factor)
        case LogNormal(mu, sigma):
            return LogNormal(mu + math.log(factor), sigma)
        case Gamma(shape, scale):
            return Gamma(shape, scale * factor)
        case Beta(alpha, beta, low, high):
            return Beta(alpha, beta, low * factor, high * factor)
        case Weibull(shape, scale):
            return Weibull(shape, scale * factor)
        case QuantileTable(probabilities, values):
            return QuantileTable(probabilities, tuple(value * factor for value in values))
    raise InputError("a law of this kind cannot be scaled", found=type(law).__name__)
