"""What may follow an infusion in the long run: later lines, transplant, secondary malignancy. All optional.

A scenario without these tables behaves exactly as before: what follows a relapse is then inside
`efficacy.survival_after_relapse`, its utility and its cost. With `after_relapse`, that law becomes survival while the
disease is out of control: its clock stands still during a response to a later line, so that a law read off patients who
did get later lines would count them twice.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from cartsight.scenario.numbers import (
    Duration,
    Frozen,
    HazardRatio,
    Money,
    MoneyPerMonth,
    Probability,
    Utility,
)
from cartsight.scenario.survival import SurvivalLaw


class LaterLine(Frozen):
    """One line of treatment after the product has failed, for example a bispecific antibody."""

    label: str = Field(max_length=60)
    share: Probability = Field(
        description="Patients alive when the treatment before failed who receive it; the others receive no later line."
    )
    response: Probability = Field(description="Of those treated.")
    time_to_failure: SurvivalLaw = Field(
        description="Of responders, from the start of the line; a cured share never fails."
    )
    assessment: Duration = Field(description="From the start to the assessment that finds no response.")
    treatment_related_mortality: Probability | None = Field(
        None, description="Death from the treatment within a year of its start."
    )
    utility_in_response: Utility
    cost_at_start: Money
    cost_per_month: MoneyPerMonth | None = Field(
        None, description="From the start to the failure of the line, or for `paid_for_at_most`."
    )
    paid_for_at_most: Duration | None = Field(None, description="Longest time that the monthly cost is charged for.")

    @model_validator(mode="after")
    def _paid(self) -> Self:
        if self.paid_for_at_most is not None and self.cost_per_month is None:
            raise ValueError("paid_for_at_most needs a cost_per_month")
        return self


class AfterRelapse(Frozen):
    """Later lines of treatment, in the order in which they are given."""

    lines: dict[str, LaterLine] = Field(min_length=1)


class Transplant(Frozen):
    """Transplant of stem cells from a donor that consolidates a response; at most one per patient."""

    share_in_first_response: Probability = Field(
        description="Responders to the product who are still in response `after` the last course."
    )
    share_in_later_response: Probability | None = Field(
        None, description="Responders to a later line who are still in response `after` its start."
    )
    after: Duration = Field(description="From the last course, or from the start of a later line.")
    hazard_ratio_of_relapse: HazardRatio = Field(
        description="On relapse after the transplant; 0 is a plateau from the transplant on."
    )
    treatment_related_mortality: Probability = Field(description="Within a year of the transplant.")
    cost: Money
    utility_loss: Utility = Field(description="Loss of utility while it lasts (positive).")
    lasts: Duration


class SecondaryMalignancy(Frozen):
    """A new cancer after the infusion. Onset has a constant hazard -ln(1 - probability) / within."""

    probability: Probability = Field(description="Onset by `within` of the infusion, were nobody to die before it.")
    within: Duration
    risk_lasts: Duration | None = Field(
        None, description="From the infusion; nobody falls ill later. For life when absent."
    )
    survival: SurvivalLaw = Field(
        description="From onset, deaths of the new cancer alone; it competes with all other causes."
    )
    utility_loss: Utility = Field(description="Loss of utility while it lasts (positive).")
    lasts: Duration | None = Field(
        None, description="Of the loss of utility and the monthly cost; to death when absent."
    )
    cost_at_start: Money
    cost_per_month: MoneyPerMonth | None = None

    @model_validator(mode="after")
    def _window(self) -> Self:
        if self.within.x <= 0:
            raise ValueError("within must be above zero days")
        if self.probability.x >= 1:
            raise ValueError("probability must be below one: its hazard would be infinite")
        return self
