"""Survival laws as a scenario states them: by median or by landmarks, with one shape parameter."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from cartsight.scenario.numbers import Duration, Frozen, Probability, Ratio


class Shape(Ratio):
    """Shape parameter of a survival law (Weibull, log-logistic) or sigma of a lognormal."""

    minimum = 0.05
    maximum = 20.0


class SurvivalLaw(Frozen):
    """Time to an event by its median and a shape.

    exponential: no shape. weibull: S = exp(-ln2 (t/median)^shape). log_logistic: S = 1/(1 + (t/median)^shape).
    lognormal: S = Phi(-ln(t/median)/shape).
    """

    law: Literal["exponential", "weibull", "log_logistic", "lognormal"]
    median: Duration
    shape: Shape | None = None
    cured: Probability | None = Field(None, description="Share who never have the event; the median is of the others.")

    @model_validator(mode="after")
    def _needs(self) -> Self:
        if (self.law == "exponential") != (self.shape is None):
            raise ValueError("shape is needed by every law but the exponential, which has none")
        if self.median.x <= 0:
            raise ValueError("median must be above zero days")
        return self

    def survival(self, days: float) -> float:
        """Return the probability of no event by `days`."""
        ratio = max(days, 0.0) / self.median.x
        shape = 1.0 if self.shape is None else self.shape.x
        match self.law:
            case "exponential" | "weibull":
                uncured = math.exp(-math.log(2.0) * ratio**shape)
            case "log_logistic":
                uncured = 1.0 / (1.0 + ratio**shape)
            case "lognormal":
                uncured = 0.5 * math.erfc(math.log(ratio) / shape / math.sqrt(2.0)) if ratio > 0 else 1.0
        cured = 0.0 if self.cured is None else self.cured.x
        return cured + (1.0 - cured) * uncured
