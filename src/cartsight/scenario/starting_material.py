"""What the leukapheresis is like and what it does to the run: attributes of the cells, and of the patient behind them."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from cartsight.core.distributions import Constant, LogNormal, Normal
from cartsight.scenario.numbers import Frozen, Number, OddsRatio, Probability, Ratio, Variable, Years


class VariableAttribute(Variable):
    """An attribute of the leukapheresis, in its own unit, that differs between patients and collections."""

    target_unit = "score"

    def _factor(self, own_unit: str, row: Any) -> tuple[float, str]:
        return 1.0, own_unit

    def _ends_of_row(self, row: Any, interval: str) -> tuple[float, float] | None:
        if row is None or row.interval != interval:
            return None
        return float(row.low or 0.0), float(row.high or 0.0)

    def _ends(self, stated: tuple[float, float] | None, row: Any, interval: str) -> tuple[float, float] | None:
        return self._ends_of_row(row, interval) if stated is None else stated


class Correlation(Number):
    """A correlation that is not negative."""

    target_unit = "correlation"
    minimum = 0.0
    maximum = 1.0


class Effects(Frozen):
    """What one step (or doubling, or belonging to a category) multiplies. Absent: no effect."""

    ratio_of_manufacturing_time: Ratio | None = Field(None, description="On the days from start to harvest.")
    odds_ratio_manufacturing_failure: OddsRatio | None = None
    odds_ratio_out_of_specification: OddsRatio | None = None

    @model_validator(mode="after")
    def _above_zero(self) -> Self:
        for name in type(self).model_fields:
            number = getattr(self, name)
            if isinstance(number, Number) and number.x <= 0.0:
                raise ValueError(f"{name} must be above zero")
        return self

    @property
    def log_time(self) -> float:
        """Effect on the logarithm of the manufacturing time."""
        return _log(self.ratio_of_manufacturing_time)

    @property
    def logit_failure(self) -> float:
        """Effect on the log-odds of manufacturing failure."""
        return _log(self.odds_ratio_manufacturing_failure)

    @property
    def logit_out_of_specification(self) -> float:
        """Effect on the log-odds of out of specification."""
        return _log(self.odds_ratio_out_of_specification)


def _log(number: Number | None) -> float:
    return 0.0 if number is None else math.log(number.x)


class LeukapheresisAttribute(Effects):
    """An attribute of the collected cells (cell count, CD4/CD8 ratio, ...), drawn at every collection.

    The effects are per doubling of the attribute (lognormal law) or per `step` of it (normal law), from `reference`.
    """

    value: VariableAttribute = Field(description="Law lognormal or normal, between patients.")
    per: Literal["doubling", "step"]
    reference: float = Field(description="Value without effect, in the unit of `value`.")
    step: float = Field(1.0, gt=0, description="With per = 'step': how much of the attribute is one step.")
    same_patient_correlation: Correlation = Field(description="Between collections of one patient.")

    @model_validator(mode="after")
    def _law(self) -> Self:
        law = self.value.distribution
        wanted = LogNormal if self.per == "doubling" else Normal
        if not isinstance(law, (wanted, Constant)):
            raise ValueError(
                f"per = {self.per!r} needs value with law = {'lognormal' if wanted is LogNormal else 'normal'!r}"
            )
        if self.per == "doubling" and self.reference <= 0.0:
            raise ValueError("reference must be above zero for an effect per doubling")
        return self

    @property
    def score(self) -> tuple[float, float]:
        """Mean and sd between patients of the number of steps or doublings from the reference."""
        law = self.value.distribution
        if self.per == "doubling":
            mean, sd = (law.mu, law.sigma) if isinstance(law, LogNormal) else (math.log(law.mean), 0.0)
            return (mean - math.log(self.reference)) / math.log(2.0), sd / math.log(2.0)
        return (law.mean - self.reference) / self.step, law.sd / self.step

    def value_of(self, score: Any) -> Any:
        """Return the attribute, in its own unit, of a score."""
        return self.reference * 2.0**score if self.per == "doubling" else self.reference + self.step * score


class PatientCategory(Effects):
    """One category of a patient covariate, for example one prior line."""

    share: Probability = Field(description="Of the patients; shares are scaled to sum to one.")


class AgeEffects(Effects):
    """Effects per `step` years of the patient's age from `reference`."""

    reference: Years
    step: Years = Field(description="Years that are one step.")

    @model_validator(mode="after")
    def _step(self) -> Self:
        if self.step.x <= 0.0:
            raise ValueError("step must be above zero years")
        return self


class StartingMaterial(Frozen):
    """Attributes of the leukapheresis and of the patient that drive the run. Stated shares of failures stay as stated.

    `manufacturing_failure`, `out_of_specification` and the mean manufacturing time of the process remain those of the
    population of first batches: the level without effect follows from them.
    """

    leukapheresis: dict[str, LeukapheresisAttribute] = Field(default_factory=dict, max_length=10)
    patient: dict[str, dict[str, PatientCategory]] = Field(
        default_factory=dict, max_length=5, description="Covariates with categories, for example prior_lines."
    )
    age: AgeEffects | None = None

    @model_validator(mode="after")
    def _shares(self) -> Self:
        for name, categories in self.patient.items():
            if not 2 <= len(categories) <= 12:
                raise ValueError(f"patient.{name}: needs 2 to 12 categories")
            if not 0.98 <= sum(category.share.x for category in categories.values()) <= 1.02:
                raise ValueError(f"patient.{name}: the shares must sum to one")
        if not (self.leukapheresis or self.patient or self.age):
            raise ValueError("give leukapheresis, patient or age; or leave starting_material out")
        return self
