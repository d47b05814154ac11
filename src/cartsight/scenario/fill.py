"""From bulk to vials to doses: fill, samples, partial lots; a fill-finish line of its own; lines shared with others."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from cartsight.scenario.numbers import AnyNumber, Duration, Frozen, Number, Probability, Ratio, VariableDuration

Float = npt.NDArray[np.float64]


class Amount(AnyNumber):
    """What one dose holds: cells, transducing_units or milligrams."""

    minimum = 0.0


class VialsPerHour(Number):
    """Speed of a filling line."""

    target_unit = "count/hour"
    minimum = 0.0


class Fill(Frozen):
    """How the bulk of a lot becomes doses."""

    amount_per_dose: Amount = Field(description="In cells, transducing_units or milligrams.")
    vials_per_dose: int = Field(1, ge=1, le=100)
    overfill: Ratio | None = Field(None, description="Filled beyond the label, over the label: 0.1 is ten per cent.")
    loss: Probability = Field(description="Bulk lost in fill and finish: hold-up, line losses, rejected vials.")
    maximum_vials: int | None = Field(
        None, ge=1, description="Vials that one filling can take; more bulk is discarded."
    )
    release_samples: int = Field(0, ge=0, description="Vials used up by release tests.")
    retains: int = Field(0, ge=0, description="Vials kept back for later tests.")
    minimum_doses: int | None = Field(None, ge=1, description="A lot below it is a partial lot.")
    partial_lot: Literal["rejected", "released"] = Field("rejected", description="What becomes of a partial lot.")

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if not self.amount_per_dose.x > 0.0:
            raise ValueError("amount_per_dose must be above zero")
        if self.maximum_vials is not None and self.maximum_vials <= self.release_samples + self.retains:
            raise ValueError("maximum_vials must exceed release_samples and retains together")
        return self

    @property
    def vials_per_amount(self) -> float:
        """Vials per unit of bulk, before rounding down."""
        overfill = 0.0 if self.overfill is None else self.overfill.x
        return self.vials_per_dose * (1.0 - self.loss.x) / (max(self.amount_per_dose.x, 1e-300) * (1.0 + overfill))

    def doses(self, amount: npt.ArrayLike, sampled: int = 0) -> Float:
        """Return the doses from bulk amounts, rounded down, before partial lots are rejected; shape of `amount`.

        `sampled` vials go to an acceptance sample beside the release samples.
        """
        vials = np.asarray(amount, dtype=np.float64) * self.vials_per_amount
        if self.maximum_vials is not None:
            vials = np.minimum(vials, self.maximum_vials)
        left = vials - (self.release_samples + self.retains + sampled)
        return np.maximum(np.floor(left / self.vials_per_dose), 0.0)

    def smallest_released(self) -> int:
        """Return the fewest doses that a released lot has."""
        return 1 if self.minimum_doses is None or self.partial_lot == "released" else self.minimum_doses


class SharedLine(Frozen):
    """Lines that also serve another use, for example vaccine plants: campaigns that close them to new starts.

    Each line in turn is closed for `campaign` out of every campaign / other_use_fraction days; work in progress is
    finished. In a surge the other use takes every line, unless this product goes first.
    """

    other_use_fraction: Probability = Field(description="Share of the time that the other use has a line.")
    campaign: Duration = Field(description="Length of a campaign of the other use.")
    surges: tuple[tuple[float, float], ...] = Field(
        (), description="Days [first, last] from the start of the simulation of a surge, such as a pandemic."
    )
    priority_in_surge: Literal["other_use", "own_product"] = "other_use"

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.other_use_fraction.x > 0.95:
            raise ValueError("other_use_fraction must not exceed 0.95: nothing would be left for this product")
        if self.other_use_fraction.x > 0.0 and self.campaign.x <= 0.0:
            raise ValueError("campaign must be above zero days")
        for first, last in self.surges:
            if not 0 <= first < last:
                raise ValueError(f"a surge is [first day, last day] with 0 <= first < last, not [{first:g}, {last:g}]")
        return self


class FillLine(Frozen):
    """A fill-finish line apart from the lines that make the bulk. Give `vials_per_hour` or `time`."""

    lines: int = Field(ge=1, le=1000)
    vials_per_hour: VialsPerHour | None = None
    hours_per_day: float = Field(8.0, gt=0, le=24, description="Hours of filling per day.")
    time: VariableDuration | None = Field(None, description="Filling of one lot, in place of vials_per_hour.")
    changeover: Duration | None = Field(None, description="Cleaning and set-up before each filling.")
    failure: Probability = Field(description="Fillings that lose the lot, for example in a media or integrity failure.")
    shared: SharedLine | None = None

    @model_validator(mode="after")
    def _speed(self) -> Self:
        if (self.vials_per_hour is None) == (self.time is None):
            raise ValueError("give either vials_per_hour or time")
        if self.vials_per_hour is not None and self.vials_per_hour.x <= 0.0:
            raise ValueError("vials_per_hour must be above zero")
        return self
