"""Laws made of laws: cure mixtures, excess hazard on background mortality, model averages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cartsight.core.errors import InputError
from cartsight.evidence.survival.laws import Law, _probability
from cartsight.evidence.survival.observations import Float


class Background(Protocol):
    """Mortality of the population from time 0 of the follow-up on: any object with these two methods."""

    def hazard(self, t: Any) -> Any:
        """Return the population hazard per unit of time, t units after time 0."""

    def cumulative_hazard(self, t: Any) -> Any:
        """Return the cumulative population hazard from 0 to t."""


@dataclass(frozen=True)
class MixtureCure(Law):
    """S(t) = pi + (1 - pi) S_u(t): a fraction pi never has the event (Boag 1949; Berkson & Gage 1952).

    Parameters
    ----------
    cure : float or array
        pi, in [0, 1).
    uncured : Law
        Law of the uncured.
    """

    cure: Any
    uncured: Law

    def __post_init__(self) -> None:
        _check_cure(self.cure)

    @property
    def cure_fraction(self) -> Any:
        # An improper law of the uncured (a Gompertz of falling hazard) leaves event-free people of its own.
        return self.cure + (1.0 - self.cure) * self.uncured.cure_fraction

    @property
    def parameters(self) -> dict[str, Any]:
        """Cure fraction and the parameters of the uncured law."""
        return {"cure_fraction": self.cure, **getattr(self.uncured, "parameters", {})}

    def log_hazard_and_cumulative(self, t: Float) -> tuple[Float, Float]:
        pi = np.asarray(self.cure, dtype=np.float64)
        log_h, cumulative = self.uncured.log_hazard_and_cumulative(t)
        log_s = np.log1p(-(1 - pi) * -np.expm1(-cumulative))
        with np.errstate(divide="ignore"):
            # With pi = 0 and a far tail the sum above loses S_u itself; the sum of logs does not.
            log_s = np.where(pi > 0, log_s, -cumulative)
        return np.log1p(-pi) + _log_density(log_h, cumulative) - log_s, -log_s

    def quantile(self, u: npt.ArrayLike) -> Float:
        u, pi = np.broadcast_arrays(_probability(u), np.asarray(self.cure, dtype=np.float64))
        inside = np.clip((u - pi) / (1 - pi), 0.0, 1.0)
        return np.asarray(
            np.where(
                u <= pi,
                np.where(pi > 0, np.inf, self.uncured.quantile(inside)),
                self.uncured.quantile(inside),
            )
        )

    def citation(self) -> str:
        return (
            "Mixture cure: Boag 1949, J R Stat Soc B 11:15; Berkson & Gage 1952, "
            f"J Am Stat Assoc 47:501; uncured: {self.uncured.citation()}"
        )


@dataclass(frozen=True)
class NonMixtureCure(Law):
    """S(t) = pi^F(t), the bounded cumulative hazard model (Chen, Ibrahim & Sinha 1999).

    Parameters
    ----------
    cure : float or array
        pi, in (0, 1).
    kernel : Law
        Law with distribution function F.
    """

    cure: Any
    kernel: Law

    def __post_init__(self) -> None:
        _check_cure(self.cure)
        if np.any(np.asarray(self.cure) <= 0):
            raise InputError("a non-mixture cure fraction is above 0", field="cure", found=self.cure)

    @property
    def cure_fraction(self) -> Any:
        # F of an improper kernel stays below one.
        return self.cure ** (1.0 - self.kernel.cure_fraction)

    @property
    def parameters(self) -> dict[str, Any]:
        """Cure fraction and the parameters of the kernel."""
        return {"cure_fraction": self.cure, **getattr(self.kernel, "parameters", {})}

    def log_hazard_and_cumulative(self, t: Float) -> tuple[Float, Float]:
        bound = -np.log(np.asarray(self.cure, dtype=np.float64))
        log_h, cumulative = self.kernel.log_hazard_and_cumulative(t)
        return np.log(bound) + _log_density(log_h, cumulative), bound * -np.expm1(-cumulative)

    def quantile(self, u: npt.ArrayLike) -> Float:
        u, pi = np.broadcast_arrays(_probability(u), np.asarray(self.cure, dtype=np.float64))
        with np.errstate(divide="ignore"):
            share = np.clip(1 - np.log(u) / np.log(pi), 0.0, 1.0)
        return np.asarray(np.where(u <= pi, np.inf, self.kernel.quantile(share)))

    def citation(self) -> str:
        return f"Non-mixture cure: Chen, Ibrahim & Sinha 1999; kernel: {self.kernel.citation()}"


@dataclass(frozen=True)
class OnBackground(Law):
    """All-cause law: h(t) = SMR h_pop(t) + h_excess(t), S(t) = S_pop(t)^SMR S_excess(t).

    With a cure law as the excess this is the mixture cure model on background mortality of Lambert 2007
    (doi:10.1177/1536867X0700700304): the cured die as the population does, times the ratio.

    Parameters
    ----------
    excess : Law
        Law of the excess hazard.
    background : Background
        Population mortality from time 0 on, in the same time unit.
    standardised_mortality_ratio : float
        Multiplies the population hazard; above 1 for survivors who stay frailer than the population.
    """

    excess: Law
    background: Background
    standardised_mortality_ratio: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.standardised_mortality_ratio) and self.standardised_mortality_ratio >= 0):
            raise InputError(
                "a standardised mortality ratio is 0 or more",
                field="standardised_mortality_ratio",
                found=self.standardised_mortality_ratio,
            )

    def log_hazard_and_cumulative(self, t: Float) -> tuple[Float, Float]:
        log_h, cumulative = self.excess.log_hazard_and_cumulative(t)
        smr = self.standardised_mortality_ratio
        with np.errstate(divide="ignore"):
            log_background = np.log(smr * np.asarray(self.background.hazard(t), dtype=np.float64))
        return (
            np.logaddexp(log_h, log_background),
            cumulative + smr * np.asarray(self.background.cumulative_hazard(t), dtype=np.float64),
        )

    @property
    def statistically_cured(self) -> Any:
        """Fraction without excess hazard in the long run (not the fraction that never dies)."""
        return self.excess.cure_fraction

    def citation(self) -> str:
        source = "Excess hazard on background mortality: Lambert 2007, doi:10.1177/1536867X0700700304"
        return f"{source}; {self.excess.citation()}"


@dataclass(frozen=True)
class ModelAverage(Law):
    """S(t) = sum of w_m S_m(t), structural uncertainty as a mixture (Buckland, Burnham & Augustin 1997).

    Parameters
    ----------
    laws : tuple of Law
        The candidate laws.
    weights : tuple of float
        Non-negative, adding up to 1.
    """

    laws: tuple[Law, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.laws) != len(self.weights) or not self.laws:
            raise InputError("a model average needs one weight per law", field="weights", found=len(self.weights))
        if min(self.weights) < 0 or abs(sum(self.weights) - 1) > 1e-9:
            raise InputError("model weights are not negative and add up to 1", field="weights", found=self.weights)

    @property
    def cure_fraction(self) -> Any:
        return sum(w * law.cure_fraction for w, law in zip(self.weights, self.laws, strict=True))

    def log_hazard_and_cumulative(self, t: Float) -> tuple[Float, Float]:
        parts = [law.log_hazard_and_cumulative(t) for law in self.laws]
        with np.errstate(divide="ignore"):
            logs = np.log(np.asarray(self.weights))
        log_s = np.logaddexp.reduce([w - h for w, (_, h) in zip(logs, parts, strict=True)], axis=0)
        log_f = np.logaddexp.reduce(
            [w + _log_density(log_h, h) for w, (log_h, h) in zip(logs, parts, strict=True)], axis=0
        )
        return np.asarray(log_f - log_s), np.asarray(-log_s)

    def citation(self) -> str:
        sources = "; ".join(dict.fromkeys(law.citation() for law in self.laws))
        return f"Model averaging: Buckland, Burnham & Augustin 1997, doi:10.2307/2533961; {sources}"


def cure_law(kind: str, cure: Any, uncured: Law) -> Law:
    """Return a "mixture" or "non_mixture" cure law, with the fraction kept inside its open range."""
    inside = np.clip(np.asarray(cure, dtype=np.float64), 1e-300, 1 - 1e-12)
    value = float(inside) if inside.ndim == 0 else inside
    return MixtureCure(value, uncured) if kind == "mixture" else NonMixtureCure(value, uncured)


def all_cause_average(laws: Sequence[Law]) -> ModelAverage:
    """Return the equal-weight average of subjects' laws: the survival of the group as a whole."""
    return ModelAverage(tuple(laws), tuple([1.0 / len(laws)] * len(laws)))


def _log_density(log_h: Float, cumulative: Float) -> Float:
    # Far out both are infinite, and the density is 0.
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.isfinite(cumulative), log_h - cumulative, -np.inf))


def _check_cure(cure: Any) -> None:
    value = np.asarray(cure, dtype=np.float64)
    if not np.all((value >= 0) & (value < 1)):
        raise InputError("a cure fraction lies in [0, 1)", field="cure", found=cure)
