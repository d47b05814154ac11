"""A plant: its lines, its people, and when it takes new starts."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from cartsight.scenario.numbers import Frozen

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


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
                raise ValueError(
                    f"an outage is [first day, last day] with 0 <= first < last, not [{first:g}, {last:g}]"
                )
        return self
