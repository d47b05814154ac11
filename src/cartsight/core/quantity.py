"""`Quantity`: no number without an origin.

A quantity is a value with a unit, what we do not know about it (`Uncertainty`) and where it comes from (`Provenance`).
How much patients, lots or sites differ is another thing (`Variability`) and has another type: sampling the one per
patient and the other per parameter draw is the most common error of patient-level models, and here it does not type-check
and does not run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from cartsight.core.distributions import Constant, Distribution
from cartsight.core.errors import InputError
from cartsight.core.units import conversion_factor, unit

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """What we do not know about one parameter: sampled once per parameter draw, the same for all patients."""

    law: Distribution
    basis: str

    def __post_init__(self) -> None:
        if not isinstance(self.law, Distribution):
            raise TypeError(f"Uncertainty takes a distribution, not {type(self.law).__name__}")

    def draw(self, u: npt.ArrayLike) -> Float:
        """Return parameter values, one per parameter draw, at uniforms `u`."""
        return self.law.quantile(u)


@dataclass(frozen=True, slots=True)
class Variability:
    """How patients, lots or sites differ: sampled once per entity, within every parameter draw."""

    law: Distribution
    basis: str

    def __post_init__(self) -> None:
        if not isinstance(self.law, Distribution):
            raise TypeError(f"Variability takes a distribution, not {type(self.law).__name__}")

    def sample(self, u: npt.ArrayLike) -> Float:
        """Return one value per entity at uniforms `u`."""
        return self.law.quantile(u)


Origin = Literal["cited", "estimated", "elicited", "assumed"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a number comes from.

    Parameters
    ----------
    origin : {"cited", "estimated", "elicited", "assumed"}
        Assumed numbers are listed first in every report.
    statement : str
        The reason of an assumption, the method of an estimate, the panel of an elicitation, or what was cited.
    evidence_id, source_key : str, optional
        Row of the literature tables and its source.
    verified : bool
        False for a figure from memory that nobody has read in its source; reports list it among the assumptions.
    """

    origin: Origin
    statement: str
    evidence_id: str | None = None
    source_key: str | None = None
    verified: bool = True

    def __post_init__(self) -> None:
        if not self.statement.strip():
            raise InputError("a number needs an origin: a reason, a source or a method", found=self.statement)
        if self.origin == "cited" and self.source_key is None:
            raise InputError("a cited number needs a source", found=self.statement)

    @property
    def is_assumption(self) -> bool:
        """Whether reports list the number among the assumptions (assumed, or cited from memory)."""
        return self.origin == "assumed" or not self.verified


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value, its unit, its uncertainty and its provenance."""

    value: float
    unit: str
    provenance: Provenance
    uncertainty: Uncertainty | None = None

    def __post_init__(self) -> None:
        unit(self.unit)
        if not math.isfinite(self.value):
            raise InputError("a quantity must be a finite number", found=self.value)
        if self.uncertainty is not None and not isinstance(self.uncertainty, Uncertainty):
            raise TypeError(
                f"uncertainty must be an Uncertainty, not {type(self.uncertainty).__name__}: "
                "variability between patients is not uncertainty about a parameter"
            )

    def to(self, target: str) -> Quantity:
        """Return the same quantity in another unit of the same dimension (money: see `cartsight.core.money`)."""
        return self.scaled(conversion_factor(self.unit, target), target)

    def scaled(self, factor: float, target: str) -> Quantity:
        """Return the quantity multiplied by `factor` and expressed in `target`."""
        from cartsight.core.distributions import scaled

        if factor == 1.0:
            return replace(self, unit=target)
        spread = self.uncertainty
        if spread is not None:
            spread = Uncertainty(scaled(spread.law, factor), spread.basis)
        return Quantity(self.value * factor, target, self.provenance, spread)

    @property
    def is_uncertain(self) -> bool:
        """Whether parameter draws move this number."""
        return self.uncertainty is not None and not isinstance(self.uncertainty.law, Constant)

    def draw(self, u: npt.ArrayLike) -> Float:
        """Return values for parameter draws at uniforms `u`; the value itself where nothing is uncertain."""
        if self.uncertainty is None:
            return np.full(np.shape(u), self.value)
        return self.uncertainty.draw(u)
