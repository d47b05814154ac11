"""Where doses wait and what may be wrong with them: regional depots, recall of a bad lot, sampling for release."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from cartsight.scenario.numbers import Duration, Frozen, OddsRatio, Probability, VariableDuration


class Depot(Frozen):
    """A regional store that the central store replenishes: at the reorder point, up to a level."""

    regions: tuple[str, ...] = Field(min_length=1, description="Regions that take their doses here.")
    reorder_point: int = Field(ge=0, description="Doses on hand or in transit at which more are sent.")
    order_up_to: int = Field(ge=1, description="Doses on hand or in transit to reach.")
    initial_stock: int = Field(0, ge=0)
    transport: Duration = Field(description="From the central store; one consignment takes as long as another.")
    shelf_life: Duration | None = Field(
        None, description="Longest storage at the depot where it is shorter than what is left, as for thawed vials."
    )
    delivery: VariableDuration = Field(description="From the depot to the hospital, in place of order_to_delivery.")

    @model_validator(mode="after")
    def _levels(self) -> Self:
        if self.order_up_to <= self.reorder_point:
            raise ValueError("order_up_to must be above reorder_point")
        return self


class AcceptanceSampling(Frozen):
    """Inspection of vials at release: at most `acceptance` of `sample_size` may be defective. Samples are used up.

    Lots are of two kinds: good, and bad with a larger share of defective vials. A bad lot that passes is released.
    """

    sample_size: int = Field(ge=1, le=2000)
    acceptance: int = Field(0, ge=0)
    bad_lots: Probability = Field(description="Lots that are bad, before inspection.")
    defective_in_bad: Probability = Field(description="Defective vials in a bad lot.")
    defective_in_good: Probability = Field(description="Defective vials in a good lot.")

    @model_validator(mode="after")
    def _plan(self) -> Self:
        if self.acceptance >= self.sample_size:
            raise ValueError("acceptance must be below sample_size")
        return self

    @property
    def consumers_risk(self) -> float:
        """Probability that a bad lot is accepted (binomial)."""
        return self._accepted(self.defective_in_bad.x)

    @property
    def producers_risk(self) -> float:
        """Probability that a good lot is rejected (binomial)."""
        return 1.0 - self._accepted(self.defective_in_good.x)

    def _accepted(self, defective: float) -> float:
        from cartsight.evidence.quality.acceptance_sampling import AcceptancePlan

        return AcceptancePlan(self.sample_size, self.acceptance).acceptance_probability(defective)


class Recall(Frozen):
    """A released lot turns out to be bad: doses on hand are withdrawn, and patients have been treated from it."""

    probability: Probability | None = Field(
        None, description="Released lots that are bad; with `sampling`, leave it out: it follows from the inspection."
    )
    found_after: VariableDuration = Field(description="From release to the recall.")
    odds_ratio_of_response: OddsRatio = Field(description="For patients treated from a bad lot.")
    odds_ratio_of_adverse_events: OddsRatio | None = Field(
        None, description="Of each adverse event, for patients treated from a bad lot."
    )
