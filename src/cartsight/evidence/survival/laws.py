"""Survival laws: frozen objects that give survival, hazard, quantiles and means at any time.

Parameters may be arrays; they broadcast against the times, so that a thousand parameter draws are one law.
A quantile is the inverse of survival: `law.survival(law.quantile(u)) == u`, infinite where survival never
falls to u.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import gammainccinv, gammaincinv, gammaln, ndtri

from cartsight.core.errors import InputError
from cartsight.evidence.survival import families
from cartsight.evidence.survival.families import SMALLEST_TIME, Family
from cartsight.evidence.survival.observations import Float

# Finite stand-in for infinite time, at which every law has reached its limit.
LARGEST_TIME = 1e300
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)


class Law(ABC):
    """A distribution of the time to an event, on [0, infinity)."""

    @abstractmethod
    def log_hazard_and_cumulative(self, t: Float) -> tuple[Float, Float]:
        """Return log h(t) and H(t) at positive times."""

    @abstractmethod
    def citation(self) -> str:
        """Return the source of the law."""

    @property
    def cure_fraction(self) -> Any:
        """Limit of survival at infinite time: the fraction that never has the event."""
        return 0.0

    def cumulative_hazard(self, t: npt.ArrayLike) -> Float:
        """Return H(t), 0 for t <= 0."""
        t = np.asarray(t, dtype=np.float64)
        with np.errstate(over="ignore", under="ignore"):
            _, cumulative = self.log_hazard_and_cumulative(np.clip(t, SMALLEST_TIME, LARGEST_TIME))
        return np.asarray(np.where(t <= 0, 0.0, cumulative))

    def survival(self, t: npt.ArrayLike) -> Float:
        """Return S(t) = exp(-H(t))."""
        with np.errstate(under="ignore"):
            return np.asarray(np.exp(-self.cumulative_hazard(t)))

    def hazard(self, t: npt.ArrayLike) -> Float:
        """Return h(t) per unit of time, 0 for t < 0; at 0 the limit from the right."""
        t = np.asarray(t, dtype=np.float64)
        with np.errstate(over="ignore", under="ignore"):
            log_h, _ = self.log_hazard_and_cumulative(np.clip(t, SMALLEST_TIME, LARGEST_TIME))
            return np.asarray(np.where(t < 0, 0.0, np.exp(log_h)))

    def density(self, t: npt.ArrayLike) -> Float:
        """Return f(t) = h(t) S(t)."""
        t = np.asarray(t, dtype=np.float64)
        with np.errstate(over="ignore", under="ignore"):
            log_h, cumulative = self.log_hazard_and_cumulative(np.clip(t, SMALLEST_TIME, LARGEST_TIME))
            return np.asarray(np.where(t < 0, 0.0, np.exp(log_h - cumulative)))

    def quantile(self, u: npt.ArrayLike) -> Float:
        """Return the time at which survival has fallen to `u`, infinite where it never does."""
        u = _probability(u)
        with np.errstate(divide="ignore"):
            return invert_cumulative_hazard(self.cumulative_hazard, -np.log(u))

    def conditional_survival(self, t: npt.ArrayLike, given: npt.ArrayLike) -> Float:
        """Return S(given + t) / S(given)."""
        start = np.asarray(given, dtype=np.float64)
        return np.asarray(
            np.exp(self.cumulative_hazard(start) - self.cumulative_hazard(start + np.asarray(t, dtype=np.float64)))
        )

    def restricted_mean(self, horizon: float, panels: int = 60) -> Any:
        """Return the area under S up to `horizon`, by Gauss-Legendre on panels that widen with t.

        Raises
        ------
        InputError
            When the horizon is not positive and finite.
        """
        if not (np.isfinite(horizon) and horizon > 0):
            raise InputError("the horizon of a restricted mean must be positive", field="horizon", found=horizon)
        edges = horizon * np.concatenate([[0.0], np.geomspace(1e-9, 1.0, panels)])
        half = 0.5 * np.diff(edges)
        t = ((edges[:-1] + half)[:, None] + half[:, None] * _NODES).ravel()
        weight = (half[:, None] * _WEIGHTS).ravel()
        extra = np.ndim(self.cumulative_hazard(1.0))
        values = self.survival(t.reshape((-1,) + (1,) * extra))
        total = np.tensordot(weight, values, axes=(0, 0))
        return float(total) if np.ndim(total) == 0 else total

    def mean(self) -> Any:
        """Return the mean time to the event, infinite where a fraction is cured or the tail is too heavy."""
        if np.any(np.asarray(self.cure_fraction) > 0):
            return float("inf")
        # Far enough that what remains is below rounding for any law whose tail is lighter than 1/t^2.
        far = float(np.max(self.quantile(1e-16)))
        return self.restricted_mean(far, panels=200)


@dataclass(frozen=True)
class FamilyLaw(Law):
    """A law of one parametric family with natural parameters as its fields."""

    family: ClassVar[Family]
    source: ClassVar[str]

    def __post_init__(self) -> None:
        for name, is_log in zip(self.family.parameters, self.family.logarithmic, strict=True):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if not np.all(np.isfinite(value)) or (is_log and np.any(value <= 0)):
                raise InputError(
                    f"a parameter of the {self.family.name} law is out of range",
                    field=name,
                    found=getattr(self, name),
                    allowed="positive" if is_log else "finite",
                )

    @property
    def theta(self) -> list[Float]:
        """Unconstrained parameters in the order of the family."""
        return [
            np.log(np.asarray(getattr(self, name), dtype=np.float64))
            if is_log
            else np.asarray(getattr(self, name), dtype=np.float64)
            for name, is_log in zip(self.family.parameters, self.family.logarithmic, strict=True)
        ]

    @classmethod
    def from_theta(cls, theta: npt.ArrayLike) -> FamilyLaw:
        """Return the law for unconstrained parameters along the first axis."""
        rows = np.asarray(theta, dtype=np.float64)
        values = [np.exp(row) if is_log else row for row, is_log in zip(rows, cls.family.logarithmic, strict=True)]
        return cls(
            **{
                name: float(value) if np.ndim(value) == 0 else value
                for name, value in zip(cls.family.parameters, values, strict=True)
            }
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """Natural parameters by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def log_hazard_and_cumulative(self, t: Float) -> tuple[Float, Float]:
        return self.family.hazards(t, self.theta)

    def citation(self) -> str:
        return self.source


@dataclass(frozen=True)
class Exponential(FamilyLaw):
    """Constant hazard `rate`, per unit of time."""

    rate: Any
    family: ClassVar[Family] = families.Exponential()
    source: ClassVar[str] = "Exponential law: constant hazard; NICE DSU Technical Support Document 14 (Latimer 2011)"

    def quantile(self, u: npt.ArrayLike) -> Float:
        with np.errstate(divide="ignore"):
            return np.asarray(-np.log(_probability(u)) / self.rate)

    def mean(self) -> Any:
        return 1.0 / self.rate


@dataclass(frozen=True)
class Weibull(FamilyLaw):
    """S(t) = exp(-(t / scale)^shape)."""

    scale: Any
    shape: Any
    family: ClassVar[Family] = families.Weibull()
    source: ClassVar[str] = "Weibull 1951, J Appl Mech 18:293, doi:10.1115/1.4010337"

    def quantile(self, u: npt.ArrayLike) -> Float:
        with np.errstate(divide="ignore"):
            return np.asarray(self.scale * (-np.log(_probability(u))) ** (1.0 / np.asarray(self.shape)))

    def mean(self) -> Any:
        return _scalar(self.scale * np.exp(gammaln(1 + 1 / np.asarray(self.shape))))


@dataclass(frozen=True)
class Gompertz(FamilyLaw):
    """h(t) = rate exp(shape t); a negative shape implies a cured fraction exp(rate / shape)."""

    rate: Any
    shape: Any
    family: ClassVar[Family] = families.Gompertz()
    source: ClassVar[str] = "Gompertz 1825, Phil Trans R Soc 115:513, doi:10.1098/rstl.1825.0026"

    @property
    def cure_fraction(self) -> Any:
        shape = np.asarray(self.shape, dtype=np.float64)
        safe = np.where(shape < 0, shape, -1.0)
        return _scalar(np.where(shape < 0, np.exp(self.rate / safe), 0.0))

    def quantile(self, u: npt.ArrayLike) -> Float:
        shape, rate = np.asarray(self.shape, dtype=np.float64), np.asarray(self.rate, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            target = -np.log(_probability(u)) / rate
            # H(t) = target where e^(shape t) = 1 + growth; a growth of -1 or less is beyond the cured fraction.
            growth = np.where(shape == 0, 0.0, shape * target)
            safe = np.where(growth > -1, growth, 0.0)
            t = np.where(np.abs(growth) < 1e-12, target, np.log1p(safe) / np.where(shape == 0, 1.0, shape))
        return np.asarray(np.where(growth <= -1, np.inf, t))


@dataclass(frozen=True)
class LogLogistic(FamilyLaw):
    """S(t) = 1 / (1 + (t / scale)^shape)."""

    scale: Any
    shape: Any
    family: ClassVar[Family] = families.LogLogistic()
    source: ClassVar[str] = "Bennett 1983, Appl Stat 32:165, doi:10.2307/2347295"

    def quantile(self, u: npt.ArrayLike) -> Float:
        u = _probability(u)
        with np.errstate(divide="ignore"):
            return np.asarray(self.scale * np.exp((np.log1p(-u) - np.log(u)) / np.asarray(self.shape)))

    def mean(self) -> Any:
        shape = np.asarray(self.shape, dtype=np.float64)
        angle = np.pi / np.where(shape > 1, shape, 2.0)
        return _scalar(np.where(shape > 1, self.scale * angle / np.sin(angle), np.inf))


@dataclass(frozen=True)
class LogNormal(FamilyLaw):
    """log T is normal with mean `mu` and standard deviation `sigma`."""

    mu: Any
    sigma: Any
    family: ClassVar[Family] = families.LogNormal()
    source: ClassVar[str] = "Log-normal law: NICE DSU Technical Support Document 14 (Latimer 2011)"

    def quantile(self, u: npt.ArrayLike) -> Float:
        with np.errstate(over="ignore"):
            return np.asarray(np.exp(self.mu - np.asarray(self.sigma) * ndtri(_probability(u))))

    def mean(self) -> Any:
        return _scalar(np.exp(self.mu + np.asarray(self.sigma) ** 2 / 2))


@dataclass(frozen=True)
class GeneralisedGamma(FamilyLaw):
    """Prentice's law: Q = 1 Weibull, Q = 0 log-normal, Q = sigma gamma, Q = -1 inverse Weibull."""

    mu: Any
    sigma: Any
    Q: Any
    family: ClassVar[Family] = families.GeneralisedGamma()
    source: ClassVar[str] = "Prentice 1974, Biometrika 61:539, doi:10.1093/biomet/61.3.539"

    def quantile(self, u: npt.ArrayLike) -> Float:
        u, q = np.broadcast_arrays(_probability(u), np.asarray(self.Q, dtype=np.float64))
        near_zero = np.abs(q) < 1e-5
        safe = np.where(near_zero, 1.0, q)
        a = safe**-2.0
        with np.errstate(divide="ignore", over="ignore"):
            gamma = np.where(safe > 0, gammainccinv(a, u), gammaincinv(a, u))
            w = np.where(near_zero, -ndtri(u), np.log(gamma / a) / safe)
            return np.asarray(np.exp(self.mu + np.asarray(self.sigma) * w))

    def mean(self) -> Any:
        q, sigma = np.broadcast_arrays(np.asarray(self.Q, dtype=np.float64), np.asarray(self.sigma, dtype=np.float64))
        near_zero = np.abs(q) < 1e-4
        safe = np.where(near_zero, 1.0, q)
        a = safe**-2.0
        shifted = a + sigma / safe
        finite = near_zero | (shifted > 0)
        moment = gammaln(np.where(shifted > 0, shifted, 1.0)) - gammaln(a) - sigma / safe * np.log(a)
        return _scalar(np.where(finite, np.exp(self.mu + np.where(near_zero, sigma**2 / 2, moment)), np.inf))


@dataclass(frozen=True)
class RoystonParmar(Law):
    """log H(t) as a natural cubic spline of log t.

    Parameters
    ----------
    coefficients : array, shape (k + 2, ...)
        gamma_0, gamma_1, ... for k inner knots.
    knots : tuple of float
        Log times of the boundary and inner knots, increasing.
    """

    coefficients: Any
    knots: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.knots) < 2 or np.any(np.diff(self.knots) <= 0):
            raise InputError("knots must increase and include both boundaries", field="knots", found=self.knots)
        if np.shape(self.coefficients)[0] != len(self.knots):
            raise InputError(
                "a spline has as many coefficients as knots",
                field="coefficients",
                found=np.shape(self.coefficients)[0],
                allowed=str(len(self.knots)),
            )

    @property
    def parameters(self) -> dict[str, Any]:
        """Coefficients by name."""
        return {f"gamma_{j}": value for j, value in enumerate(self.coefficients)}

    def log_hazard_and_cumulative(self, t: Float) -> tuple[Float, Float]:
        return families.RoystonParmar(self.knots).hazards(t, list(np.asarray(self.coefficients, dtype=np.float64)))

    def citation(self) -> str:
        return "Royston & Parmar 2002, Stat Med 21:2175, doi:10.1002/sim.1203"


def invert_cumulative_hazard(cumulative: Callable[[Float], Float], target: Float) -> Float:
    """Return t with H(t) = target by bisection on log t; infinite where H stays below the target.

    Parameters
    ----------
    cumulative : callable
        H, increasing, broadcasting an array of times.
    target : array
        Cumulative hazards to reach (0 gives 0).
    """
    shape = np.broadcast_shapes(np.shape(target), np.shape(cumulative(np.asarray(1.0))))
    goal = np.broadcast_to(target, shape)
    low, high = np.full(shape, -200.0), np.full(shape, 200.0)
    never = cumulative(np.exp(high)) < goal * (1 - 1e-13)
    for _ in range(64):
        middle = 0.5 * (low + high)
        below = cumulative(np.exp(middle)) < goal
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    t = np.exp(0.5 * (low + high))
    return np.asarray(np.where(goal <= 0, 0.0, np.where(never, np.inf, t)))


def _probability(u: npt.ArrayLike) -> Float:
    value = np.asarray(u, dtype=np.float64)
    if not np.all((value >= 0) & (value <= 1)):
        raise InputError("survival lies between 0 and 1", field="u", found=float(value.ravel()[0]), allowed="0 to 1")
    return value


def _scalar(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)


LAWS: dict[str, type[FamilyLaw]] = {
    law.family.name: law for law in (Exponential, Weibull, Gompertz, LogLogistic, LogNormal, GeneralisedGamma)
}


def law_of(family: Family, theta: npt.ArrayLike) -> FamilyLaw | RoystonParmar:
    """Return the law of `family` for unconstrained parameters along the first axis."""
    if isinstance(family, families.RoystonParmar):
        return RoystonParmar(np.asarray(theta, dtype=np.float64), family.knots)
    return LAWS[family.name].from_theta(theta)


__all__ = [
    "Exponential",
    "FamilyLaw",
    "GeneralisedGamma",
    "Gompertz",
    "Law",
    "LogLogistic",
    "LogNormal",
    "RoystonParmar",
    "Weibull",
    "invert_cumulative_hazard",
    "law_of",
]
