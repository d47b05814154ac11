"""Vector and other raw materials that arrive in lots: how many runs a lot is enough for, when it comes, what if it fails."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from cartsight.core.distributions import Distribution, scaled
from cartsight.scenario.numbers import (
    Duration,
    Frozen,
    MoneyPerLot,
    Number,
    Probability,
    Ratio,
    Variable,
    VariableDuration,
)


class VariableCount(Variable):
    """A count that differs between lots."""

    target_unit = "count"
    minimum = 0.0


class VariableTitre(Variable):
    """A vector titre, in transducing units per millilitre, that differs between lots."""

    target_unit = "transducing_units_per_millilitre"
    minimum = 0.0


class Volume(Number):
    """A volume, in millilitres."""

    target_unit = "millilitres"
    minimum = 0.0


class Cells(Number):
    """A number of cells."""

    target_unit = "cells"
    minimum = 0.0


class MultiplicityOfInfection(Number):
    """Transducing units added per cell."""

    target_unit = "transducing_units_per_cell"
    minimum = 0.0


class VectorYield(Frozen):
    """Runs that a vector lot is enough for: titre x volume x recovery / (multiplicity x cells x overage)."""

    titre: VariableTitre = Field(description="After concentration; differs between lots.")
    volume: Volume = Field(description="Harvested volume at that titre.")
    recovery: Probability = Field(description="Share left after purification, fill and quality control samples.")
    multiplicity_of_infection: MultiplicityOfInfection
    cells_transduced: Cells = Field(description="Cells transduced in one run.")
    overage: Ratio = Field(description="Vector drawn per run over vector needed, at least 1.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.overage.x < 1.0:
            raise ValueError("overage is vector drawn over vector needed: at least 1")
        if self.multiplicity_of_infection.x * self.cells_transduced.x <= 0.0:
            raise ValueError("multiplicity_of_infection and cells_transduced must be above zero")
        return self

    @property
    def units_per_lot(self) -> Distribution:
        """The law of runs per lot between lots, before rounding down."""
        needed = self.multiplicity_of_infection.x * self.cells_transduced.x * self.overage.x
        return scaled(self.titre.distribution, self.volume.x * self.recovery.x / needed)


class SupplySource(Frozen):
    """One maker of lots. Give `units_per_lot`, or what it follows from."""

    units_per_lot: VariableCount | None = Field(None, description="Runs that a lot is enough for.")
    vector_yield: VectorYield | None = Field(None, description="In place of `units_per_lot`, for a vector.")
    lead_time: VariableDuration = Field(description="From the order to the receipt of the lot.")
    quality_control_hold: VariableDuration | None = Field(None, description="From the receipt to the release for use.")
    failure: Probability = Field(description="Lots rejected at the end of the hold; the time is spent.")
    shelf_life: VariableDuration = Field(description="From the release for use.")
    lots_at_once: int | None = Field(
        None, ge=1, le=1000, description="Lots that the maker has in making at once; further orders queue."
    )
    outages: tuple[tuple[float, float], ...] = Field(
        (),
        description="Days [first, last] from the start of the simulation on which the maker starts no lot; "
        "orders of those days wait, or go to a second source that works.",
    )

    @model_validator(mode="after")
    def _amount(self) -> Self:
        if (self.units_per_lot is None) == (self.vector_yield is None):
            raise ValueError("give either units_per_lot or vector_yield")
        last = -1.0
        for start, end in self.outages:
            if not last < start < end:
                raise ValueError(
                    f"outages are [first day, last day] in order of time and apart, not [{start:g}, {end:g}]"
                )
            last = end
        if self.expected_units < 1.0:
            raise ValueError(f"a lot must be enough for at least one run, not {self.expected_units:.3g}")
        return self

    @property
    def law_of_units(self) -> Distribution:
        """The law of units per lot between lots, before rounding down."""
        if self.units_per_lot is not None:
            return self.units_per_lot.distribution
        assert self.vector_yield is not None
        return self.vector_yield.units_per_lot

    @property
    def expected_units(self) -> float:
        """Mean units per lot that does not fail."""
        return self.law_of_units.mean


class SecondSource(SupplySource):
    """A further maker of the same material."""

    share: Probability = Field(description="Share of the lots that are ordered from it, once it is qualified.")
    qualified_on_day: float = Field(
        0.0, ge=0, le=36500, description="Day from the start of the simulation from which it may be ordered from."
    )
    cost_per_lot: MoneyPerLot | None = Field(None, description="Where it differs from the first source.")


class Supply(Frozen):
    """A material without which no run starts. One stock serves every plant of the arm.

    A unit is what one run uses `units_per_run` of. Lots are ordered when the units on hand and on order, less those
    that runs wait for, fall to `reorder_point` (the safety stock and the use over a lead time), up to `order_up_to`.
    """

    source: SupplySource
    second_source: SecondSource | None = None
    units_per_run: int = Field(1, ge=1, le=1000)
    reorder_point: int = Field(ge=0, description="Units on hand or on order at which lots are ordered.")
    order_up_to: int = Field(ge=1, description="Units on hand or on order to reach.")
    initial_stock: int = Field(0, ge=0, description="Units on hand at the start, with a full shelf life.")
    stock_out: Literal["delay", "lose"] = Field(
        "delay",
        description="delay: the start waits for a lot, off the line. lose: the booked slot passes unused and is booked anew.",
    )
    rebooking: Duration | None = Field(None, description="From a lost slot to the next request of one.")
    allocation: Literal["first_in_line", "worsened_first", "reserve"] = Field(
        "first_in_line", description="Who gets the next unit when runs wait."
    )
    reserve: int = Field(0, ge=0, description="With `reserve`: units kept back for patients who worsened.")
    cost_per_lot: MoneyPerLot | None = Field(
        None, description="Per lot ordered, failed ones included. With it, costs.vector_per_batch may be zero."
    )

    @model_validator(mode="after")
    def _levels(self) -> Self:
        if self.order_up_to <= self.reorder_point:
            raise ValueError("order_up_to must be above reorder_point")
        if self.stock_out == "lose" and self.rebooking is None:
            raise ValueError("rebooking is needed where a stock-out loses the slot")
        if self.stock_out != "lose" and self.rebooking is not None:
            raise ValueError("rebooking belongs to stock_out = 'lose': with 'delay' the start waits for a lot")
        if self.expected_units_per_order() <= 0.0:
            raise ValueError("failure: every lot fails, so nothing ever arrives")
        if (self.reserve > 0) != (self.allocation == "reserve"):
            raise ValueError("reserve (units kept back) and allocation = 'reserve' belong together")
        return self

    def expected_units_per_order(self) -> float:
        """Return the mean units that one ordered lot brings, failures included (for the units on order)."""
        first = self.source.expected_units * (1.0 - self.source.failure.x)
        other = self.second_source
        if other is None:
            return first
        return (1.0 - other.share.x) * first + other.share.x * other.expected_units * (1.0 - other.failure.x)
