"""Survival laws as a scenario states them: by median or by landmarks, with one shape parameter."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from cartsight.scenario.numbers import Duration, Frozen, Probability, Ratio

LARGEST_EXPONENT = 700.0
"""Above it exp overflows."""


class Shape(Ratio):
    """Shape of a survival law (Weibull, log-logistic), sigma of a lognormal, or the rise of a Gompertz hazard."""

    minimum = 0.05
    maximum = 20.0


class SurvivalLaw(Frozen):
    """Time to an event by its median and a shape.

    exponential: no shape. weibull: S = exp(-ln2 (t/median)^shape). log_logistic: S = 1/(1 + (t/median)^shape).
    lognormal: S = Phi(-ln(t/median)/shape). gompertz: S = exp(-ln2 (e^(shape t/median) - 1)/(e^shape - 1)): the hazard
    at the median is e^shape times that at day 0, and the rate of the usual form is shape / median. The hazard rises;
    a plateau is stated by `cured`.
    """

    law: Literal["exponential", "weibull", "log_logistic", "lognormal", "gompertz"]
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
            case "gompertz":
                # Survival is zero in double precision long before the exponent is cut.
                rise = math.expm1(min(shape * ratio, LARGEST_EXPONENT)) / math.expm1(shape)
                uncured = math.exp(-math.log(2.0) * rise)
        cured = 0.0 if self.cured is None else self.cured.x
        return cured + (1.0 - cured) * uncured
