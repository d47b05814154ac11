"""What plants spend: per year whether busy or idle, and per batch, lot, dose or shipment."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from cartsight.core.errors import nearest
from cartsight.scenario.activity_costs import Activity, Staff
from cartsight.scenario.capital_costs import Capital
from cartsight.scenario.numbers import (
    Frozen,
    MoneyPerBatch,
    MoneyPerDose,
    MoneyPerLot,
    MoneyPerShipment,
    MoneyPerYear,
)


class ItemisedCosts(Frozen):
    """Costs by activity, beside the fields of a section; each thing is stated once."""

    activities: dict[str, Activity] | None = Field(None, description="What is done or bought, per cost driver.")
    staff: dict[str, Staff] | None = Field(None, description="People on duty by shift, by role.")
    capital: Capital | None = Field(None, description="In place of the capital in line_per_year and site_per_year.")

    @property
    def itemised(self) -> bool:
        """Whether costs are stated by activity beside the fields of this section."""
        return bool(self.activities or self.staff) or self.capital is not None

    @model_validator(mode="after")
    def _states_things_once(self) -> Self:
        stated = {name: getattr(self, name) for name in _SAME_THING if getattr(self, name, None) is not None}
        for name, amount in stated.items():
            if amount.x == 0.0:
                continue
            for key, activity in (self.activities or {}).items():
                if (activity.kind, activity.driver) in _SAME_THING[name]:
                    raise ValueError(
                        f"{name} and activities.{key} both state {activity.kind} per {activity.driver}; set one of them to 0"
                    )
        for name, has in (("line_per_year", "of_lines"), ("site_per_year", "of_sites")):
            if self.capital is not None and getattr(self.capital, has) and stated[name].x > 0.0:
                raise ValueError(
                    f"{name} and capital both state capital; set {name} to 0 and state what else it held as activities "
                    f"per {name.removesuffix('_per_year')} years"
                )
        for key, activity in (self.activities or {}).items():
            if activity.staff is not None and activity.staff not in (self.staff or {}):
                raise ValueError(
                    f"activities.{key}.staff: unknown role {activity.staff!r}; allowed: {', '.join(self.staff or {}) or 'none'}. "
                    f"{nearest(activity.staff, self.staff or {}) or ''}".strip()
                )
        return self


_SAME_THING: dict[str, tuple[tuple[str, str], ...]] = {
    "site_per_year": (("facility", "site years"),),
    "line_per_year": (("facility", "line years"),),
    "quality_overhead_per_site_year": (("quality assurance", "site years"),),
    "materials_per_batch": (("materials", "batches started"),),
    "vector_per_batch": (("vector", "batches started"),),
    "labour_per_batch": (("labour", "batches started"),),
    "quality_control_per_batch": (("quality control", "batches finished"), ("quality control", "batches started")),
    "materials_per_lot": (("materials", "lots started"),),
    "vector_per_lot": (("vector", "lots started"),),
    "labour_per_lot": (("labour", "lots started"),),
    "quality_control_per_lot": (("quality control", "lots finished"), ("quality control", "lots started")),
    "shipping_per_shipment": (("logistics", "shipments"),),
}
"""What each field states, as kind and driver of an activity that would state it again."""


class PlantCosts(ItemisedCosts):
    """Cost of goods: what a plant spends, whether it is busy or idle, and what a batch adds."""

    site_per_year: MoneyPerYear = Field(description="Facility and general overhead of one site.")
    line_per_year: MoneyPerYear = Field(description="Capital and standing cost of one line.")
    quality_overhead_per_site_year: MoneyPerYear = Field(
        description="Quality unit, licence and validation of one licensed site."
    )
    materials_per_batch: MoneyPerBatch
    vector_per_batch: MoneyPerBatch
    labour_per_batch: MoneyPerBatch
    quality_control_per_batch: MoneyPerBatch
    shipping_per_shipment: MoneyPerShipment


class LotCosts(ItemisedCosts):
    """Cost of goods of a product made in lots."""

    site_per_year: MoneyPerYear
    line_per_year: MoneyPerYear
    quality_overhead_per_site_year: MoneyPerYear
    materials_per_lot: MoneyPerLot
    vector_per_lot: MoneyPerLot
    labour_per_lot: MoneyPerLot
    quality_control_per_lot: MoneyPerLot
    fill_and_storage_per_dose: MoneyPerDose
    shipping_per_shipment: MoneyPerShipment
    donor_per_lot: MoneyPerLot | None = None
