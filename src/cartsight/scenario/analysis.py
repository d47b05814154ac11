"""The payer's view and how the analysis is run."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from cartsight.core.units import unit
from cartsight.scenario.numbers import AnyNumber, Frozen

Perspective = Literal["payer", "health_system_at_cost"]


class Correlation(Frozen):
    """Rank correlation of two uncertain numbers."""

    first: str = Field(description="Field path, for example arms.axi.efficacy.complete_response.")
    second: str
    rho: float = Field(ge=-0.99, le=0.99)
    reason: str = Field(min_length=3)

    @model_validator(mode="after")
    def _two_numbers(self) -> Self:
        if self.first == self.second:
            raise ValueError("a number cannot be correlated with itself; name two")
        return self


class Analysis(Frozen):
    """Perspective, horizon, discounting, draws and seed."""

    perspective: Perspective = "payer"
    money: str = Field("usd_2024", description="Currency and price year of every result.")
    horizon_years: float = Field(gt=0, le=100, description="Follow-up of each patient from referral.")
    discount_rate_costs: float = Field(ge=0, le=0.2)
    discount_rate_effects: float = Field(ge=0, le=0.2)
    willingness_to_pay: tuple[float, ...] = Field((50_000.0, 100_000.0, 150_000.0, 200_000.0), min_length=1)
    decision_threshold: float = Field(150_000.0, gt=0, description="Money per QALY used for net monetary benefit.")
    patients: int = Field(
        2000, ge=50, le=1_000_000, description="Expected number of counted patients per arm and draw."
    )
    warm_up_days: float = Field(365.0, ge=0, le=3650)
    draws: int = Field(256, ge=1, le=100_000, description="Parameter draws.")
    sampling: Literal["latin_hypercube", "sobol"] = Field(
        "latin_hypercube", description="latin_hypercube is keyed by parameter name; sobol wants a power of two draws."
    )
    seed: int = Field(2024, ge=0, lt=2**63)
    allow_overload: bool = Field(
        False, description="Run although a queue never empties: when shortage is what you study."
    )
    correlations: tuple[Correlation, ...] = ()
    reference_arm: str | None = Field(None, description="Arm that differences are taken from; the first when absent.")

    @model_validator(mode="after")
    def _money_unit(self) -> Self:
        if not unit(self.money).is_money:
            raise ValueError(f"money must be a currency and price year such as usd_2024, not {self.money!r}")
        pairs: set[frozenset[str]] = set()
        for correlation in self.correlations:
            pair = frozenset((correlation.first, correlation.second))
            if pair in pairs:
                raise ValueError(f"correlations: {correlation.first} and {correlation.second} are stated twice")
            pairs.add(pair)
        if any(not math.isfinite(w) or w < 0 for w in self.willingness_to_pay):
            raise ValueError("willingness_to_pay must be finite and not negative")
        return self


class ValidationTarget(Frozen):
    """A published figure that was not used to set the model, beside what the model gives.

    `metric` names a result (see docs/guide/validation.md). The target passes when the model's value lies inside
    [low, high] (an interval of the source) or within `tolerance` of the value, whichever is stated.
    """

    label: str
    arm: str | None = None
    metric: str
    published: AnyNumber
    tolerance: float | None = Field(None, gt=0, description="Largest relative difference that passes.")
    low: float | None = None
    high: float | None = None
    change: dict[str, float] = Field(
        default_factory=dict, description="Numbers to change first: field path -> value in the field's own unit."
    )
    extra_wait_days: float | None = Field(
        None, ge=0, description="Extra waiting added before the product for every patient."
    )
    less: str | None = Field(
        None, description="Key of another target of the same metric; its model value is subtracted (a gain)."
    )
    note: str | None = None

    @model_validator(mode="after")
    def _criterion(self) -> Self:
        if (self.tolerance is None) == (self.low is None or self.high is None):
            raise ValueError("state either tolerance or both low and high")
        return self
