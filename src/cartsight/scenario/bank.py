"""What a lot of allogeneic cells starts from: donors who are recruited, or the vials of an iPSC bank."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from cartsight.scenario.numbers import Count, Frozen, LogOdds, Number, Probability, VariableDuration


class LogScale(Number):
    """A standard deviation on the log scale."""

    target_unit = "log_scale"
    minimum = 0.0


class DonorBank(Frozen):
    """Healthy donors. One leukapheresis is enough for several lots, which share what is particular to the donor.

    Material is counted in lots. A donor is recruited when the lots' worth of material on hand or coming falls to
    `reorder_point`; one who fails screening is replaced, and the time is spent again.
    """

    lots_per_leukapheresis: int = Field(ge=1, le=1000, description="Lots made from one donor's leukapheresis.")
    lead_time: VariableDuration = Field(description="Recruitment and screening of one donor, and the leukapheresis.")
    screening_failure: Probability = Field(description="Donors who fail screening, found at the end of the lead time.")
    shelf_life: VariableDuration = Field(description="Of frozen starting material.")
    reorder_point: int = Field(ge=0, description="Lots' worth of material at which a donor is recruited.")
    order_up_to: int = Field(ge=1, description="Lots' worth of material to reach.")
    initial_material: int = Field(0, ge=0, description="Lots' worth at the start, from one average donor.")
    yield_sd: LogScale | None = Field(None, description="Sd between donors of the log of the cells made.")
    effect_sd: LogOdds | None = Field(
        None,
        description="Sd between donors of the log-odds of response, beside lot_effect_sd between lots of one donor.",
    )

    @model_validator(mode="after")
    def _levels(self) -> Self:
        if self.order_up_to <= self.reorder_point:
            raise ValueError("order_up_to must be above reorder_point")
        return self


class CellBank(Frozen):
    """A master bank of engineered iPSC, working banks made from its vials, and lots made from theirs.

    When the master bank is used up no working bank follows, and lots wait for ever.
    """

    master_vials: int = Field(ge=0, le=100_000, description="Vials of the master bank at the start.")
    working_vials: int = Field(ge=1, le=100_000, description="Vials of one working bank, after its own testing.")
    initial_working_vials: int = Field(0, ge=0, description="Working vials at the start.")
    vials_per_lot: int = Field(1, ge=1, le=1000)
    reorder_point: int = Field(ge=0, description="Working vials at which the next working bank is made.")
    qualification: VariableDuration = Field(description="Making and testing a working bank.")
    qualification_failure: Probability = Field(description="Working banks that fail; the master vial is lost.")
    doublings: Count = Field(description="Cumulative population doublings of a working vial.")

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if self.working_vials < self.vials_per_lot:
            raise ValueError("working_vials must be at least vials_per_lot")
        return self
