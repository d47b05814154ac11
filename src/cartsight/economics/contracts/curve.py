"""The curve a contract is written on: time from infusion to the end of remission, or to death.

A mixture of patients who never have the event (share `cured`) and others whose time follows a two-parameter law::

    S(t) = c + (1 - c) S_u(t)

Every law gives both the curve, for closed forms, and its inverse, so that one uniform per patient is one patient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.core.normal import normal_quantile

Float = npt.NDArray[np.float64]

LawName = Literal["exponential", "weibull", "log_logistic", "lognormal", "gompertz"]
LAWS: tuple[LawName, ...] = ("exponential", "weibull", "log_logistic", "lognormal", "gompertz")


class StatedCurve(Protocol):
    """Survival of an endpoint from infusion, in years."""

    def survival(self, years: npt.ArrayLike) -> Float:
        """Return P(T > years)."""

    def quantile(self, uniform: npt.ArrayLike) -> Float:
        """Return the time at which survival falls to `uniform`; infinite for the cured."""


@dataclass(frozen=True, slots=True)
class MixtureCurve:
    """A cured share and a law for the others.

    Parameters
    ----------
    law : {"exponential", "weibull", "log_logistic", "lognormal", "gompertz"}
        exponential exp(-r t); weibull exp(-(r t)^k); log_logistic 1 / (1 + (r t)^k);
        lognormal Phi(-ln(r t) / k); gompertz exp(-(r / k) (exp(k t) - 1)).
    rate_per_year : float
        r: the hazard at time zero (exponential, gompertz), else one over the scale.
    shape : float
        k: dimensionless, or per year for gompertz. Not used by the exponential.
    cured : float
        c, from 0 to 1.
    """

    law: LawName = "exponential"
    rate_per_year: float = 1.0
    shape: float = 1.0
    cured: float = 0.0

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise InputError("unknown law", field="law", found=self.law, allowed=", ".join(LAWS))
        if not (math.isfinite(self.rate_per_year) and 0.0 <= self.rate_per_year <= 1e6):
            raise InputError("must be from 0 to 1 000 000", field="rate_per_year", found=self.rate_per_year)
        falling = self.law == "gompertz" and self.shape < 0.0
        if not (math.isfinite(self.shape) and 0.01 <= abs(self.shape) <= 100.0 and (self.shape > 0.0 or falling)):
            raise InputError("must be from 0.01 to 100 in size", field="shape", found=self.shape)
        if not 0.0 <= self.cured <= 1.0:
            raise InputError("must be a share from 0 to 1", field="cured", found=self.cured)

    def survival(self, years: npt.ArrayLike) -> Float:
        """Return P(T > years), one before time zero."""
        t = np.maximum(np.asarray(years, dtype=np.float64), 0.0)
        x = self.rate_per_year * t
        match self.law:
            case "exponential":
                others = np.exp(-x)
            case "weibull":
                others = np.exp(-(x**self.shape))
            case "log_logistic":
                others = 1.0 / (1.0 + x**self.shape)
            case "lognormal":
                from scipy.special import ndtr

                with np.errstate(divide="ignore"):
                    others = np.asarray(ndtr(-np.log(x) / self.shape))
            case "gompertz":
                others = np.exp(-(self.rate_per_year / self.shape) * np.expm1(self.shape * t))
        return np.asarray(self.cured + (1.0 - self.cured) * others, dtype=np.float64)

    def quantile(self, uniform: npt.ArrayLike) -> Float:
        """Return t with S(t) = uniform; infinite where uniform does not exceed the cured share."""
        u = np.asarray(uniform, dtype=np.float64)
        if self.cured >= 1.0 or self.rate_per_year == 0.0:
            return np.full(u.shape, np.inf)
        # Share of the uncured that has not failed, kept off zero where the patient is cured anyway.
        v = np.maximum((u - self.cured) / (1.0 - self.cured), 1e-300)
        match self.law:
            case "exponential":
                time = -np.log(v) / self.rate_per_year
            case "weibull":
                time = (-np.log(v)) ** (1.0 / self.shape) / self.rate_per_year
            case "log_logistic":
                time = (1.0 / v - 1.0) ** (1.0 / self.shape) / self.rate_per_year
            case "lognormal":
                time = np.exp(-self.shape * normal_quantile(np.clip(v, 1e-300, 1.0 - 1e-16))) / self.rate_per_year
            case "gompertz":
                inside = -np.log(v) * self.shape / self.rate_per_year
                # With a falling hazard some never fail: the logarithm has no solution for them.
                time = np.where(inside > -1.0, np.log1p(np.maximum(inside, -1.0 + 1e-300)) / self.shape, np.inf)
        return np.asarray(np.where(u <= self.cured, np.inf, time), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class PointCurve:
    """Survival read at stated times, linear between them, flat after the last.

    Parameters
    ----------
    years : tuple of float
        Strictly increasing, from 0 exclusive.
    share : tuple of float
        Survival at those times, not increasing, from 0 to 1. It is one at time zero.
    """

    years: tuple[float, ...]
    share: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.years or len(self.years) != len(self.share):
            raise InputError("a curve by points needs as many shares as times", field="share", found=len(self.share))
        times, shares = np.array((0.0, *self.years)), np.array((1.0, *self.share))
        if not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0.0):
            raise InputError("times must increase from above zero", field="months", found=list(self.years))
        if not np.all((shares >= 0.0) & (shares <= 1.0)) or np.any(np.diff(shares) > 0.0):
            raise InputError("shares must fall, or stay, between 1 and 0", field="share", found=list(self.share))

    def survival(self, years: npt.ArrayLike) -> Float:
        """Return P(T > years)."""
        t = np.asarray(years, dtype=np.float64)
        return np.asarray(np.interp(t, (0.0, *self.years), (1.0, *self.share)), dtype=np.float64)

    def quantile(self, uniform: npt.ArrayLike) -> Float:
        """Return the time at which the curve falls to `uniform`; infinite where it never does."""
        u = np.asarray(uniform, dtype=np.float64)
        # A flat piece has several times for one share, but no patient has exactly that share.
        shares, times = np.array((1.0, *self.share)), np.array((0.0, *self.years))
        time = np.interp(u, shares[::-1], times[::-1])
        return np.asarray(np.where(u <= self.share[-1], np.inf, time), dtype=np.float64)


def check_order(remission: StatedCurve, survival: StatedCurve) -> None:
    """Refuse curves by which patients would be in remission after their death.

    Raises
    ------
    InputError
        When the curve of remission exceeds that of survival anywhere on a fine grid over 40 years.
    """
    grid = np.linspace(0.0, 40.0, 4001)
    excess = remission.survival(grid) - survival.survival(grid)
    if excess.max() > 1e-9:
        at = float(grid[int(np.argmax(excess))])
        raise InputError(
            "more patients are in remission than alive",
            field="survival_curve",
            found=f"{float(excess.max()):.3f} more at {at:.2f} years",
            hint="Survival must be at least the share in remission at every time.",
        )
