"""The arms: one product with its process, network, efficacy, toxicity, costs and price. A union over the modality.

What every infused product has (efficacy, toxicity, price) is shared; how it is made differs by modality.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from cartsight.scenario.numbers import (
    Count,
    Duration,
    Frozen,
    HazardRatio,
    LogOdds,
    Money,
    MoneyPerMonth,
    MoneyPerYear,
    OddsRatio,
    Probability,
    Rate,
    Utility,
    VariableDuration,
)
from cartsight.scenario.plant_costs import LotCosts, PlantCosts
from cartsight.scenario.survival import SurvivalLaw

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


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


class Site(Frozen):
    """A plant."""

    lines: int = Field(ge=1, le=5000, description="Closed production lines; each is held for a whole run.")
    quality_control_lanes: int = Field(ge=1, le=5000, description="Batches in release testing at once.")
    serves: tuple[str, ...] | None = Field(None, description="Regions served; all when absent.")
    closed_to_starts: tuple[Weekday, ...] = Field((), description="Weekdays without new starts.")
    yearly_shutdown_days: int = Field(0, ge=0, le=120)
    outages: tuple[tuple[float, float], ...] = Field(
        (), description="Days [first, last] from the start of the simulation without new starts."
    )
    operator_teams: int | None = Field(
        None, ge=1, le=5000, description="Teams on duty; a run holds one beside its line. Unlimited when absent."
    )
    quality_assurance_reviewers: int | None = Field(
        None, ge=1, le=5000, description="Batch records under review at once. Unlimited when absent."
    )

    @model_validator(mode="after")
    def _outages(self) -> Self:
        for first, last in self.outages:
            if not 0 <= first < last:
                raise ValueError(f"an outage is [first day, last day] with 0 <= first < last, not [{first:g}, {last:g}]")
        return self


class Collection(Frozen):
    """Leukapheresis."""

    wait_for_slot: VariableDuration = Field(
        description="From the decision to the collection, apart from queueing for a line."
    )
    beds_per_hospital: int = Field(ge=1, le=200, description="Leukapheresis places per hospital.")
    time: VariableDuration
    failure: Probability
    attempts: int = Field(2, ge=1, le=5)


class AutologousProcess(Frozen):
    """From the patient's cells to the released product."""

    starting_material: Literal["fresh", "cryopreserved"] = Field(
        description="Fresh cells need a line reserved before collection; frozen cells queue at the plant."
    )
    fresh_window: Duration | None = Field(None, description="How long fresh cells keep before the run must start.")
    shipping_out: VariableDuration
    shipping_back: VariableDuration
    manufacturing: VariableDuration
    release_testing: VariableDuration
    quality_assurance_review: VariableDuration | None = Field(
        None, description="Review of the batch record and disposition, after the last release test."
    )
    manufacturing_failure: Probability = Field(description="Batches that yield no product.")
    out_of_specification: Probability = Field(description="Finished batches that fail a release test.")
    odds_ratio_if_worsened: OddsRatio = Field(description="On both, for patients who worsened before collection.")
    patient_sd: LogOdds = Field(description="Sd of the patient effect, on the log-odds, that repeat attempts share.")
    attempts: int = Field(2, ge=1, le=5, description="Batches per patient, the first included.")
    infuse_out_of_specification: Probability = Field(description="Policy: share infused under expanded access.")
    out_of_specification_approval: VariableDuration
    odds_ratio_response_out_of_specification: OddsRatio


class AutologousArm(Arm):
    """One batch per patient, from the patient's own cells."""

    modality: Literal["autologous"]
    collection: Collection
    process: AutologousProcess
    sites: dict[str, Site] | None = Field(None, description="Named plants; give these or `at_every_hospital`.")
    at_every_hospital: Site | None = Field(None, description="Point of care: one small plant per hospital.")
    costs: PlantCosts

    @model_validator(mode="after")
    def _network(self) -> Self:
        if (self.sites is None) == (self.at_every_hospital is None):
            raise ValueError("give either sites or at_every_hospital")
        plants = [self.at_every_hospital] if self.at_every_hospital is not None else list((self.sites or {}).values())
        reviewers = any(site.quality_assurance_reviewers is not None for site in plants)
        if reviewers and self.process.quality_assurance_review is None:
            raise ValueError("process.quality_assurance_review is needed where a site has quality_assurance_reviewers")
        if self.process.starting_material == "fresh" and self.process.fresh_window is None:
            raise ValueError("process.fresh_window is needed for fresh starting material")
        return self


class LotProcess(Frozen):
    """From a bank or a vector to released doses. A failed lot is lost whole."""

    lines: int = Field(ge=1, le=5000)
    sites: int = Field(1, ge=1, le=200)
    manufacturing: VariableDuration
    release_testing: VariableDuration
    failure: Probability = Field(description="Lots that yield nothing.")
    rejection: Probability = Field(description="Finished lots that fail release.")
    doses_per_lot: Count
    shelf_life: VariableDuration
    reorder_point: int = Field(ge=0, description="Doses on hand or in making at which a new lot is started.")
    order_up_to: int = Field(ge=1, description="Doses on hand or in making to reach with new lots.")
    initial_stock: int = Field(0, ge=0)
    lot_effect_sd: LogOdds = Field(description="Sd of the effect of a lot on the log-odds of response.")

    @model_validator(mode="after")
    def _levels(self) -> Self:
        if self.order_up_to <= self.reorder_point:
            raise ValueError("order_up_to must be above reorder_point")
        return self


class AllogeneicArm(Arm):
    """Doses from donor or stem-cell lots, from stock."""

    modality: Literal["allogeneic"]
    cell_source: Literal["donor", "ipsc"]
    lots: LotProcess
    order_to_delivery: VariableDuration
    doses_per_course: int = Field(1, ge=1, le=10)
    costs: LotCosts


class Redosing(Frozen):
    """Further doses when the first does not take."""

    maximum_courses: int = Field(1, ge=1, le=6)
    interval: Duration
    immunity: Rate = Field(description="Onset of neutralising immunity against the vector after the first dose.")
    visit_cost: Money


class InVivoArm(Arm):
    """A vector or mRNA from vial stock, infused as such; the patient's body makes the cells."""

    modality: Literal["in_vivo"]
    vector: Literal["lentiviral", "mrna_lnp", "aav"]
    lots: LotProcess
    order_to_delivery: VariableDuration
    doses_per_course: int = Field(1, ge=1, le=10)
    dose_interval: Duration | None = None
    expression: Probability = Field(description="Courses that produce CAR-expressing cells.")
    redosing: Redosing
    costs: LotCosts

    @model_validator(mode="after")
    def _interval(self) -> Self:
        if self.doses_per_course > 1 and self.dose_interval is None:
            raise ValueError("dose_interval is needed for more than one dose per course")
        return self


class OtherCareArm(Frozen):
    """No cell therapy: every referred patient receives other care after the steps that apply."""

    modality: Literal["other_care"]
    label: str = Field(max_length=60)
    description: str
    evidence_note: str
    end_of_life_cost: Money


AnyArm = Annotated[AutologousArm | AllogeneicArm | InVivoArm | OtherCareArm, Field(discriminator="modality")]
LotArm = AllogeneicArm | InVivoArm
ProductArm = AutologousArm | AllogeneicArm | InVivoArm

MODALITIES: tuple[str, ...] = ("autologous", "allogeneic", "in_vivo", "other_care")


def as_product(arm: Any) -> ProductArm | None:
    """Return the arm when it infuses a product, else None."""
    return arm if isinstance(arm, Arm) else None  # type: ignore[return-value]
