"""Capital of a plant, stated for a factorial estimate: equipment, installation factors, rooms, life, interest."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from cartsight.scenario.cost_numbers import Area, InterestRate, MoneyPerSquareMetre, MoneyPerUnit, Share
from cartsight.scenario.numbers import Frozen, Ratio, Years

DirectItem = Literal[
    "erection",
    "piping",
    "instrumentation",
    "electrical",
    "buildings",
    "clean_room_fit_out",
    "ventilation",
    "utilities",
    "storage",
    "site_development",
    "ancillary_buildings",
    "qualification",
]
IndirectItem = Literal["engineering", "construction", "contractor_fee", "contingency"]
ROOM_ITEMS: tuple[str, ...] = ("buildings", "clean_room_fit_out", "ancillary_buildings")
"""Direct items that `rooms` states instead."""


class Equipment(Frozen):
    """A kind of equipment. With capacities its cost is scaled from another size: cost x (capacity / reference)^exponent."""

    purchase_cost: MoneyPerUnit = Field(
        description="Delivered cost of one, at `reference_capacity` where that is given."
    )
    number: int = Field(1, ge=1, le=10_000, description="Pieces per line or per site.")
    capacity: float | None = Field(None, gt=0, description="Size of the piece, in the unit of `reference_capacity`.")
    reference_capacity: float | None = Field(None, gt=0, description="Size that `purchase_cost` is known for.")
    exponent: Ratio | None = Field(None, description="Scaling exponent; 0.6 (the six-tenths rule) when absent.")

    @model_validator(mode="after")
    def _scaled(self) -> Self:
        if (self.capacity is None) != (self.reference_capacity is None):
            raise ValueError("capacity and reference_capacity belong together")
        if self.exponent is not None and self.capacity is None:
            raise ValueError("exponent needs capacity and reference_capacity")
        return self


class Rooms(Frozen):
    """Building area of one clean-room grade."""

    cost_per_square_metre: MoneyPerSquareMetre = Field(description="Built and fitted out.")
    area_per_line: Area | None = None
    area_per_site: Area | None = None

    @model_validator(mode="after")
    def _some_area(self) -> Self:
        if self.area_per_line is None and self.area_per_site is None:
            raise ValueError("rooms need area_per_line or area_per_site")
        return self


class Capital(Frozen):
    """Fixed capital investment by factorial estimate, and its annual charge.

    Either one Lang factor on the purchase cost of all equipment, which contains the buildings, or itemised factors.
    """

    line_equipment: dict[str, Equipment] = Field(default_factory=dict, description="Equipment of one line.")
    site_equipment: dict[str, Equipment] = Field(default_factory=dict, description="Equipment that a site has once.")
    lang_factor: Ratio | None = Field(None, description="Fixed capital investment over purchase cost of equipment.")
    direct_factors: dict[DirectItem, Ratio] | None = Field(None, description="Share of the purchase cost.")
    indirect_factors: dict[IndirectItem, Ratio] | None = Field(
        None, description="Share of the direct cost, rooms included."
    )
    rooms: dict[str, Rooms] = Field(
        default_factory=dict, description="By clean-room grade; only with itemised factors."
    )
    equipment_life: Years = Field(description="Depreciation life of the equipment and its installation.")
    building_life: Years | None = Field(None, description="Depreciation life of the rooms.")
    interest_rate: InterestRate = Field(description="Per year.")
    salvage: Share | None = Field(None, description="Share of the purchase cost that is left at the end of its life.")

    @model_validator(mode="after")
    def _states_things_once(self) -> Self:
        if not (self.line_equipment or self.site_equipment or self.rooms):
            raise ValueError("capital needs line_equipment, site_equipment or rooms")
        if (self.lang_factor is None) == (self.direct_factors is None):
            raise ValueError("capital needs either lang_factor or direct_factors")
        if self.lang_factor is not None:
            if self.lang_factor.x < 1.0:
                raise ValueError("lang_factor contains the equipment itself, so it is 1 at least")
            if self.indirect_factors is not None:
                raise ValueError("a Lang factor contains the indirect cost; leave indirect_factors out")
            if self.rooms:
                raise ValueError("a Lang factor contains the buildings; state direct_factors to use rooms")
        doubled = [item for item in self.direct_factors or () if item in ROOM_ITEMS] if self.rooms else []
        if doubled:
            raise ValueError(f"rooms state the buildings; leave {', '.join(doubled)} out of direct_factors")
        if bool(self.rooms) != (self.building_life is not None):
            raise ValueError("rooms and building_life belong together")
        lives = [self.equipment_life, *([self.building_life] if self.building_life is not None else [])]
        if any(life.x <= 0.0 for life in lives):
            raise ValueError("a depreciation life must be above 0")
        return self

    @property
    def of_lines(self) -> bool:
        """Whether part of it comes with each line."""
        return bool(self.line_equipment) or any(room.area_per_line is not None for room in self.rooms.values())

    @property
    def of_sites(self) -> bool:
        """Whether part of it comes with each site."""
        return bool(self.site_equipment) or any(room.area_per_site is not None for room in self.rooms.values())
