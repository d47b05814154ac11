"""What plants spend: per year whether busy or idle, and per batch, lot, dose or shipment."""

from __future__ import annotations

from pydantic import Field

from cartsight.scenario.numbers import (
    Frozen,
    MoneyPerBatch,
    MoneyPerDose,
    MoneyPerLot,
    MoneyPerShipment,
    MoneyPerYear,
)


class PlantCosts(Frozen):
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

    @property
    def itemised(self) -> bool:
        """Whether costs are stated by activity beside the fields of this section."""
        return False


class LotCosts(Frozen):
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

    @property
    def itemised(self) -> bool:
        """Whether costs are stated by activity beside the fields of this section."""
        return False
