"""Numbers in a scenario. Each has an origin, a unit and, unless stated otherwise, an uncertainty.

Three ways to write one in TOML::

    manufacturing_failure = { evidence = "Q030" }                                   # a row of the literature tables
    eligible = { value = 0.66, unit = "probability", assumed = "why", low = 0.5, high = 0.8, interval = "range" }
    cure = { value = 0.37, unit = "probability", source = "neelapu2023fiveyear", low = 0.28, high = 0.46, interval = "confidence_95" }

A number's field says which dimension it takes (`Probability`, `Duration`, `Rate`, ...); a unit of the same dimension is
converted, any other is refused. Draws replace values and keep everything else: a scenario at a parameter draw is a
scenario.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from cartsight.core.distributions import Distribution
from cartsight.core.errors import InputError
from cartsight.core.quantity import Provenance, Quantity, Uncertainty
from cartsight.core.units import DAYS_PER_MONTH, DAYS_PER_YEAR, conversion_factor, unit

if TYPE_CHECKING:
    from cartsight.evidence.literature import EvidenceRow

IntervalKind = Literal["confidence_95", "credible_95", "confidence_90", "confidence_80", "interquartile_range", "range"]
# Intervals of evidence rows that say how uncertain the figure is. A plain "range" or quartiles of patients do not:
# they are variability, and using them as uncertainty needs the scenario's own word.
_ROW_INTERVALS = {
    "confidence_95": "confidence_95",
    "credible_95": "credible_95",
    "confidence_90": "confidence_90",
    "sensitivity_range": "range",
    "judgement_range": "range",
}
NOT_A_NUMBER = "not_a_number"
"""Type of the validation error of a text, or of true or false, in a number's place; its context names the field."""
LEVELS = {"confidence_95": 0.95, "credible_95": 0.95, "confidence_90": 0.90, "confidence_80": 0.80}


class Frozen(BaseModel):
    """Base of every scenario section: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_numbers(cls, data: Any) -> Any:
        # Without this, "0.2" would be read as 0.2 and true as 1.
        for name, value in data.items() if isinstance(data, Mapping) else ():
            items = value if isinstance(value, (list, tuple)) else (value,)
            if not any(isinstance(item, (str, bool)) for item in items) or name not in cls.model_fields:
                continue
            if _takes_only_numbers(cls.model_fields[name].annotation):
                raise PydanticCustomError(NOT_A_NUMBER, "input should be a number", {"field": name, "found": value})
        return data


def _takes_only_numbers(annotation: Any) -> bool:
    parts = get_args(annotation)
    if not parts:
        return annotation in (int, float, type(None), ...)
    return all(_takes_only_numbers(part) for part in parts)


class Number(Frozen):
    """A number with an origin. Use the subclass that names its dimension."""

    target_unit: ClassVar[str] = "ratio"
    minimum: ClassVar[float] = -math.inf
    maximum: ClassVar[float] = math.inf

    value: float | None = Field(None, description="The value, in `unit`.")
    unit: str | None = Field(None, description="A unit from the closed list; converted to the field's own.")
    evidence: str | None = Field(None, description="Id of a row of the literature tables.")
    assumed: str | None = Field(None, min_length=3, description="Reason of an assumption.")
    source: str | None = Field(None, description="BibTeX key in the literature tables' sources.")
    estimated: str | None = Field(None, min_length=3, description="Method and data of an estimate from a user's data.")
    elicited: str | None = Field(None, min_length=3, description="Panel and pooling rule of an elicitation.")
    low: float | None = Field(None, description="Lower end of the interval, in `unit`.")
    high: float | None = Field(None, description="Upper end of the interval, in `unit`.")
    interval: IntervalKind | None = Field(None, description="What low and high mean.")
    events: float | None = Field(
        None, ge=0, description="Events observed; with `of`, the uncertainty is Beta(0.5+events, 0.5+of-events)."
    )
    of: float | None = Field(None, gt=0, description="Patients or lots observed.")
    relative_sd: float | None = Field(
        None, gt=0, le=5, description="Standard deviation of the uncertainty over the value."
    )
    spread_reason: str | None = Field(None, description="Why the uncertainty is as wide as stated.")
    certain: str | None = Field(
        None, min_length=3, description="Why the number is held fixed in the uncertainty analysis."
    )
    same_as: str | None = Field(
        None, description="Field path of the number that this one repeats, value and draw alike."
    )
    note: str | None = None

    _quantity: Quantity = PrivateAttr()

    @model_validator(mode="after")
    def _resolve(self) -> Self:
        try:
            self._quantity = self._make_quantity()
        except InputError as error:
            raise ValueError(_one_line(error)) from error
        return self

    @property
    def quantity(self) -> Quantity:
        """The number as a Quantity in the field's own unit."""
        return self._quantity

    @property
    def x(self) -> float:
        """The value in the field's own unit."""
        return self._quantity.value

    def at(self, value: float) -> Self:
        """Return the same number at another value (a parameter draw), in the field's own unit."""
        moved = self.model_copy()
        moved._quantity = Quantity(value, self._quantity.unit, self._quantity.provenance, self._quantity.uncertainty)
        return moved

    def _row(self) -> EvidenceRow | None:
        if self.evidence is None:
            return None
        from cartsight.evidence.literature import load_evidence

        return load_evidence().row(self.evidence)

    def _make_quantity(self) -> Quantity:
        row = self._row()
        origins = {
            "evidence": self.evidence,
            "assumed": self.assumed,
            "source": self.source,
            "estimated": self.estimated,
            "elicited": self.elicited,
        }
        given = [name for name, text in origins.items() if text is not None]
        if len(given) != 1:
            raise InputError(
                "a number needs exactly one origin",
                found=given or None,
                allowed="one of evidence, assumed, source, estimated, elicited",
            )
        if self.value is None and row is None:
            raise InputError("a number needs a value or an evidence row")
        own_unit = self.unit or (row.unit if row is not None else None)
        if own_unit is None:
            raise InputError("a number needs a unit", allowed=f"for example {self.target_unit}")
        factor, base_unit = self._factor(own_unit, row)
        value = self._value(row) * factor
        self._check(value)
        return Quantity(value, base_unit, self._provenance(row), self._uncertainty(row, value, factor))

    def _value(self, row: EvidenceRow | None) -> float:
        if self.value is not None:
            return self.value
        assert row is not None
        if isinstance(row.value, str) or row.value is None or not math.isfinite(row.value):
            raise InputError(f"evidence row {row.id} holds no number", found=row.value)
        return float(row.value)

    def _factor(self, own_unit: str, row: EvidenceRow | None) -> tuple[float, str]:
        if row is not None and self.value is None and self.unit is not None:
            return conversion_factor(row.unit, self.target_unit), self.target_unit
        return conversion_factor(own_unit, self.target_unit), self.target_unit

    def _check(self, value: float) -> None:
        if not math.isfinite(value):
            raise InputError("must be a finite number", found=value)
        if not self.minimum <= value <= self.maximum:
            bounds = f"{self.minimum:g} to {self.maximum:g} {self.target_unit}".replace("inf", "any")
            raise InputError("out of bounds", found=value, allowed=bounds)

    def _provenance(self, row: EvidenceRow | None) -> Provenance:
        if row is not None:
            statement = row.quantity + (f" ({self.note})" if self.note else "")
            if self.value is not None:
                statement += f"; the scenario uses {self.value:g} {self.unit or row.unit} from it"
            return Provenance("cited", statement, row.id, row.source_key, row.status == "read")
        if self.source is not None:
            from cartsight.evidence.literature import load_evidence

            load_evidence().source(self.source)
            return Provenance("cited", self.note or f"from {self.source}", None, self.source)
        for origin in ("assumed", "estimated", "elicited"):
            text = getattr(self, origin)
            if text is not None:
                return Provenance(origin, text)
        raise InputError("a number needs an origin")

    def _uncertainty(self, row: EvidenceRow | None, value: float, factor: float) -> Uncertainty | None:
        stated = [
            self.events is not None or self.of is not None,
            self.low is not None or self.high is not None,
            self.relative_sd is not None,
            self.certain is not None,
        ]
        if sum(stated) > 1:
            raise InputError(
                "state the uncertainty once", allowed="events and of, or low and high, or relative_sd, or certain"
            )
        if self.certain is not None:
            return None
        if self.events is not None or self.of is not None:
            return self._from_events(self.events, self.of, value)
        if self.low is not None or self.high is not None:
            if self.low is None or self.high is None or self.interval is None:
                raise InputError(
                    "an interval needs low, high and interval",
                    found={"low": self.low, "high": self.high, "interval": self.interval},
                    allowed="interval = " + " | ".join([*LEVELS, "interquartile_range", "range"]),
                )
            return self._from_interval(self.interval, value, self.low * factor, self.high * factor)
        if self.relative_sd is not None:
            if not (self.spread_reason or "").strip():
                raise InputError("a relative sd needs its reason", allowed="spread_reason beside relative_sd")
            return self._from_sd(value, abs(value) * self.relative_sd)
        if row is None or self.value is not None:
            return None
        if row.events is not None and row.sample_size and self.target_unit == "probability":
            return self._from_events(row.events, row.sample_size, value)
        if row.low is not None and row.high is not None and row.interval in _ROW_INTERVALS:
            return self._from_interval(_ROW_INTERVALS[row.interval], value, row.low * factor, row.high * factor)
        if row.sample_size and self.target_unit == "probability":
            stated_spread = self._from_events(value * row.sample_size, row.sample_size, value)
            if row.statistic != "survival_probability":
                return stated_spread
            # A Kaplan-Meier landmark of n patients, some censored before it, is less certain than a share of n.
            return Uncertainty(stated_spread.law, stated_spread.basis + "; too narrow where patients were censored")
        return None

    def _from_events(self, events: float | None, of: float | None, value: float) -> Uncertainty:
        from cartsight.core.fitting import from_events

        if self.target_unit != "probability":
            raise InputError("events out of n describe a probability, not this field", found=self.target_unit)
        if events is None or of is None:
            raise InputError("events and of belong together", found={"events": events, "of": of})
        if abs(events / of - value) > 0.02 + 0.5 / of:
            raise InputError(
                "value and events/of disagree", found=value, allowed=f"{events / of:.4g} from {events:g}/{of:g}"
            )
        return Uncertainty(from_events(events, of), f"Beta from {events:g} of {of:g} (Jeffreys prior)")

    def _from_interval(self, kind: str, value: float, low: float, high: float) -> Uncertainty:
        self._check(low)
        self._check(high)
        if not low <= value <= high:
            raise InputError("the value must lie inside its interval", found=value, allowed=f"{low:g} to {high:g}")
        if low == high:
            return Uncertainty(_constant(value), "interval of width zero")
        if kind == "range":
            from cartsight.core.distributions import PERT

            return Uncertainty(PERT(low, value, high), f"PERT on the range {low:g} to {high:g}")
        level = LEVELS.get(kind, 0.5)
        return Uncertainty(self._law(value, low, high, level), f"{kind.replace('_', ' ')} {low:g} to {high:g}")

    def _law(self, value: float, low: float, high: float, level: float) -> Distribution:
        from cartsight.core.fitting import from_mean_interval, from_mean_sd
        from cartsight.core.normal import normal_quantile

        if self.minimum == 0.0 and self.maximum == 1.0:
            sd = (high - low) / (2.0 * float(normal_quantile(0.5 + level / 2.0)))
            return from_mean_sd("beta", value, min(sd, 0.95 * math.sqrt(value * (1.0 - value))))
        if self.minimum >= 0.0 and low > 0.0:
            return from_mean_interval("lognormal", value, low, high, level)
        return from_mean_interval("normal", value, low, high, level)

    def _from_sd(self, value: float, sd: float) -> Uncertainty:
        from cartsight.core.fitting import from_mean_sd

        if value == 0.0:
            raise InputError("a relative sd needs a value other than zero", found=value)
        kind = "normal" if self.minimum < 0 else "beta" if self.maximum == 1.0 else "lognormal"
        return Uncertainty(from_mean_sd(kind, value, sd), f"relative sd {sd / abs(value):.2g} ({self.spread_reason})")


def _constant(value: float) -> Distribution:
    from cartsight.core.distributions import Constant

    return Constant(value)


def _one_line(error: InputError) -> str:
    return str(error)


class AnyNumber(Number):
    """A number in whatever unit it is stated in; used for published figures that results are compared with."""

    def _factor(self, own_unit: str, row: EvidenceRow | None) -> tuple[float, str]:
        if row is not None and self.value is None and row.unit != own_unit:
            return conversion_factor(row.unit, own_unit), own_unit
        return 1.0, own_unit


class Probability(Number):
    """A probability or a share."""

    target_unit = "probability"
    minimum = 0.0
    maximum = 1.0


class Duration(Number):
    """A length of time, in days."""

    target_unit = "days"
    minimum = 0.0


class Rate(Number):
    """A rate per day (written per day, week, month or year). Never a probability."""

    target_unit = "per_day"
    minimum = 0.0


class HazardRatio(Number):
    """A ratio of hazards."""

    target_unit = "hazard_ratio"
    minimum = 0.0


class OddsRatio(Number):
    """A ratio of odds."""

    target_unit = "odds_ratio"
    minimum = 0.0


class Ratio(Number):
    """A plain ratio, for example a standardised mortality ratio or a coefficient of variation."""

    target_unit = "ratio"
    minimum = 0.0


class LogOdds(Number):
    """A standard deviation or an effect on the log-odds or log scale."""

    target_unit = "log_odds"


class Utility(Number):
    """A health-state utility."""

    target_unit = "utility"
    minimum = -0.6
    maximum = 1.0


class Count(Number):
    """A count, for example doses per lot."""

    target_unit = "count"
    minimum = 0.0


class Years(Number):
    """A length of time, in years, for example an age."""

    target_unit = "years"
    minimum = 0.0


class Money(Number):
    """An amount of money. Converted to the analysis's currency and price year when the scenario is loaded.

    A unit may say what the amount is paid for. It must agree with the field: an amount per year in a field that is
    charged per month is converted, an amount per lot in a field that is charged per batch is refused.
    """

    minimum = 0.0
    target_unit = "money"
    denominators: ClassVar[Mapping[str, float]] = {"patient": 1.0, "person": 1.0, "therapy": 1.0, "visit": 1.0}

    def _factor(self, own_unit: str, row: EvidenceRow | None) -> tuple[float, str]:
        # Without a value the amount is the row's, and so are its currency and price year.
        stated = row.unit if row is not None and self.value is None else own_unit
        money = unit(stated)
        if not money.is_money:
            raise InputError("an amount of money is expected here", found=stated, allowed="for example usd_2024")
        if stated != own_unit and (money.currency, money.price_year) != (
            unit(own_unit).currency,
            unit(own_unit).price_year,
        ):
            raise InputError(
                "the row states its own currency and price year, which are converted; leave the unit out, or state a value",
                found=own_unit,
                allowed=stated,
            )
        if money.per is not None and money.per not in self.denominators:
            raise InputError(
                f"an amount per {money.per} does not fit this field",
                found=stated,
                allowed=", ".join(f"{money.currency}_{money.price_year}/{per}" for per in self.denominators),
            )
        factor = 1.0 if money.per is None else self.denominators[money.per]
        return factor, f"{money.currency}_{money.price_year}"

    def in_unit(self, target: str) -> Self:
        """Return the amount in `target` (for example ``usd_2024``), through the cited index tables."""
        if self._quantity.unit == target:
            return self
        from cartsight.core.money import convert

        moved = self.model_copy()
        moved._quantity = self._quantity.scaled(convert(1.0, self._quantity.unit, target), target)
        return moved


class MoneyPerYear(Money):
    """Money per year."""

    denominators = {
        "year": 1.0,
        "site_year": 1.0,
        "patient_year": 1.0,
        "month": 12.0,
        "week": DAYS_PER_YEAR / 7.0,
        "day": DAYS_PER_YEAR,
        "line_day": DAYS_PER_YEAR,
    }


class MoneyPerMonth(Money):
    """Money per month."""

    denominators = {
        "month": 1.0,
        "year": 1.0 / 12.0,
        "patient_year": 1.0 / 12.0,
        "week": DAYS_PER_MONTH / 7.0,
        "day": DAYS_PER_MONTH,
    }


class MoneyPerBatch(Money):
    """Money per batch for one patient."""

    denominators = {"batch": 1.0, "therapy": 1.0, "patient": 1.0, "dose": 1.0}


class MoneyPerLot(Money):
    """Money per lot of many doses."""

    denominators = {"lot": 1.0, "batch": 1.0}


class MoneyPerDose(Money):
    """Money per dose."""

    denominators = {"dose": 1.0, "vial": 1.0}


class MoneyPerShipment(Money):
    """Money per shipment."""

    denominators = {"shipment": 1.0}


LawName = Literal["constant", "exponential", "lognormal", "gamma", "weibull", "normal", "uniform", "triangular", "pert"]


class Variable(Number):
    """A number that differs between patients, lots or sites: a centre with its origin, and a spread between entities.

    ``{ evidence = "LA010", law = "lognormal" }`` takes the median and quartiles of the row;
    ``{ value = 7, unit = "days", assumed = "...", law = "lognormal", cv = 0.2, spread_reason = "..." }`` states them.
    `low`, `high`, `relative_sd`, `events` describe what is not known about the centre; `cv`, `quartiles` and `bounds`
    describe how entities differ.
    """

    law: LawName = Field("constant", description="Law between entities.")
    centre: Literal["mean", "median"] = Field("mean", description="Whether the value is the mean or the median.")
    cv: float | None = Field(None, gt=0, le=10, description="Coefficient of variation between entities.")
    quartiles: tuple[float, float] | None = Field(
        None, description="25th and 75th percentile between entities, in `unit`."
    )
    bounds: tuple[float, float] | None = Field(
        None, description="Smallest and largest value between entities, in `unit`."
    )

    _unit_law: Distribution = PrivateAttr()

    @model_validator(mode="after")
    def _shape(self) -> Self:
        try:
            self._unit_law = self._law_at_one()
        except InputError as error:
            raise ValueError(_one_line(error)) from error
        return self

    @property
    def distribution(self) -> Distribution:
        """The law between entities at the current centre, in the field's own unit."""
        from cartsight.core.distributions import Constant, scaled

        if self.x == 0.0:
            return Constant(0.0)
        return scaled(self._unit_law, self.x)

    def _uncertainty(self, row: EvidenceRow | None, value: float, factor: float) -> Uncertainty | None:
        stated = super()._uncertainty(row, value, factor)
        if stated is None and row is not None and self.value is None and row.interval == "interquartile_range":
            return self._of_a_median(row, value)
        return stated

    def _of_a_median(self, row: EvidenceRow, value: float) -> Uncertainty | None:
        # Standard error of a median of n lognormal observations: sqrt(pi/2) sigma / sqrt(n) on the log scale.
        from cartsight.core.distributions import LogNormal
        from cartsight.core.fitting import Z_QUARTILE

        if not row.sample_size or not row.low or not row.high or row.low <= 0:
            return None
        sigma = math.log(row.high / row.low) / (2.0 * Z_QUARTILE)
        error = math.sqrt(math.pi / 2.0) * sigma / math.sqrt(row.sample_size)
        return Uncertainty(LogNormal(math.log(value), error), f"standard error of a median of {row.sample_size:g}")

    def _ends_of_row(self, row: EvidenceRow | None, interval: str) -> tuple[float, float] | None:
        """Return low and high of a row that states this kind of interval, in the field's own unit."""
        if row is None or row.interval != interval:
            return None
        factor = conversion_factor(row.unit, self.target_unit)
        return float(row.low or 0.0) * factor, float(row.high or 0.0) * factor

    def _ends(
        self, stated: tuple[float, float] | None, row: EvidenceRow | None, interval: str
    ) -> tuple[float, float] | None:
        """Return the stated ends, else the row's, in the field's own unit."""
        if stated is None:
            return self._ends_of_row(row, interval)
        factor = conversion_factor(self.unit or (row.unit if row is not None else self.target_unit), self.target_unit)
        return stated[0] * factor, stated[1] * factor

    def _law_at_one(self) -> Distribution:
        from cartsight.core.distributions import Constant, Exponential
        from cartsight.core.fitting import from_mean_sd, from_median_iqr, from_range

        centre = self.x
        if self.law == "constant" or centre == 0.0:
            return Constant(1.0)
        if self.law == "exponential":
            return Exponential(1.0 if self.centre == "mean" else 1.0 / math.log(2.0))
        row = self._row()
        if self.law in ("uniform", "triangular", "pert"):
            pair = self._ends(self.bounds, row, "range")
            if pair is None:
                raise InputError(f"law {self.law} needs bounds = [smallest, largest]")
            low, high = pair[0] / centre, pair[1] / centre
            return from_range(self.law, min(max(1.0, low), high), low, high)
        if self.cv is not None:
            law = from_mean_sd(self.law, 1.0, self.cv)
            if self.centre == "median":
                from cartsight.core.distributions import scaled

                return scaled(law, 1.0 / law.median)
            return law
        quartiles = self._ends(self.quartiles, row, "interquartile_range")
        if quartiles is None:
            raise InputError(
                f"law {self.law} needs its spread between entities", allowed="cv, quartiles, or a row with quartiles"
            )
        return from_median_iqr(self.law, 1.0, quartiles[0] / centre, quartiles[1] / centre)


class VariableDuration(Variable):
    """A duration, in days, that differs between patients, lots or sites."""

    target_unit = "days"
    minimum = 0.0


class VariableYears(Variable):
    """Years, for example an age, that differ between patients."""

    target_unit = "years"
    minimum = 0.0


def describe(number: Number) -> dict[str, Any]:
    """Return what a report prints of a number: value, unit, uncertainty, origin."""
    quantity = number.quantity
    interval = quantity.uncertainty.law.interval() if quantity.uncertainty is not None else None
    return {
        "value": quantity.value,
        "unit": quantity.unit,
        "low_95": None if interval is None else interval[0],
        "high_95": None if interval is None else interval[1],
        "uncertainty": None if quantity.uncertainty is None else quantity.uncertainty.basis,
        "origin": quantity.provenance.origin,
        "verified": quantity.provenance.verified,
        "statement": quantity.provenance.statement,
        "evidence_id": quantity.provenance.evidence_id,
        "source": quantity.provenance.source_key,
        "held_fixed_because": number.certain,
    }
