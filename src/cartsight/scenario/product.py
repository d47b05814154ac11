"""What every arm that infuses a product has, however it is made: efficacy, toxicity, utilities, price."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from cartsight.scenario.long_term import AfterRelapse, SecondaryMalignancy, Transplant
from cartsight.scenario.numbers import (
    Duration,
    Frozen,
    HazardRatio,
    Money,
    MoneyPerMonth,
    MoneyPerYear,
    OddsRatio,
    Probability,
    Utility,
    VariableDuration,
)
from cartsight.scenario.survival import SurvivalLaw


class Cure(Frozen):
    """Long-term disease control in complete responders. Only where the evidence shows a plateau."""

    among_complete_responders: Probability
    justification: str = Field(
        min_length=20, description="Why a cure model is justified here: follow-up, plateau, source."
    )


class Efficacy(Frozen):
    """What happens to the disease after infusion of an in-specification product in a patient who has not worsened."""

    complete_response: Probability
    overall_response: Probability
    cure: Cure | None = None
    relapse: SurvivalLaw = Field(description="Time from infusion to relapse of responders who are not cured.")
    survival_after_relapse: SurvivalLaw = Field(
        description="From relapse or from the first assessment without response."
    )
    assessment: Duration = Field(description="First response assessment after infusion.")
    odds_ratio_if_worsened: OddsRatio = Field(description="On response, for patients who worsened before infusion.")
    hazard_ratio_if_worsened: HazardRatio = Field(description="On relapse, for patients who worsened before infusion.")
    non_relapse_mortality: Probability = Field(
        description="Early death from other causes than the disease, within a year."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.overall_response.x < self.complete_response.x:
            raise ValueError("overall_response must not be below complete_response")
        return self


class AdverseEvent(Frozen):
    """An adverse event after infusion."""

    probability: Probability
    cost: Money
    utility_loss: Utility = Field(description="Loss of utility while it lasts (positive).")
    lasts: Duration


class Aplasia(Frozen):
    """B-cell aplasia with immunoglobulin replacement."""

    probability: Probability
    lasts: Duration
    immunoglobulin_cost_per_month: MoneyPerMonth


class Toxicity(Frozen):
    """Toxicity of the product."""

    events: dict[str, AdverseEvent] = Field(min_length=1)
    b_cell_aplasia: Aplasia | None = None


class LongTerm(Frozen):
    """Utilities and costs after infusion."""

    utility_remission: Utility
    utility_relapsed: Utility
    follow_up_cost_first_year: MoneyPerYear
    follow_up_cost_per_year_later: MoneyPerYear
    relapse_care_cost_at_start: Money
    relapse_care_cost_per_month: MoneyPerMonth
    end_of_life_cost: Money


class Retreatment(Frozen):
    """A second course of the same product at relapse."""

    share: Probability = Field(description="Relapsed patients who are treated again.")
    odds_ratio_of_response: OddsRatio


class Price(Frozen):
    """What the payer pays. Never a cost of goods."""

    per_patient: Money
    paid_if_out_of_specification: bool = False


class HospitalCosts(Frozen):
    """What the hospital's work around the product costs the payer."""

    leukapheresis: Money | None = None
    lymphodepletion: Money | None = None
    infusion_and_stay: Money


class Arm(Frozen):
    """What all arms that infuse a product share."""

    label: str = Field(max_length=60)
    description: str
    evidence_note: str = Field(description="How strong the evidence for this arm is, in one sentence with its n.")
    efficacy: Efficacy
    toxicity: Toxicity
    long_term: LongTerm
    price: Price
    hospital: HospitalCosts
    lymphodepletion: VariableDuration | None = None
    retreatment: Retreatment | None = None
    after_relapse: AfterRelapse | None = None
    transplant: Transplant | None = None
    secondary_malignancy: SecondaryMalignancy | None = None

    @model_validator(mode="after")
    def _later(self) -> Self:
        later = self.transplant is not None and self.transplant.share_in_later_response is not None
        if later and self.after_relapse is None:
            raise ValueError("transplant.share_in_later_response needs the later lines of after_relapse")
        return self
