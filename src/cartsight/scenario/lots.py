"""Arms whose product is made in lots: allogeneic cells from a bank, and vectors that work in the body."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from cartsight.scenario.numbers import (
    Count,
    Duration,
    Frozen,
    LogOdds,
    Money,
    Probability,
    Rate,
    Ratio,
    VariableDuration,
)
from cartsight.scenario.plant_costs import LotCosts
from cartsight.scenario.product import Arm
from cartsight.scenario.release_fields import LOTS, from_specification


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
    doses_per_lot_cv: Ratio | None = Field(None, description="Coefficient of variation of the doses between lots.")
    release_specification: str | None = Field(
        None,
        min_length=1,
        max_length=400,
        description="Release specification (TOML) that the failures come from, beside this file.",
    )
    release_region: str | None = Field(None, description="Specification set of this region instead of the file's own.")

    model_config = ConfigDict(json_schema_extra=from_specification(LOTS))

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
