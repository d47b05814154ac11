"""A plant: its lines, its people, its stores, and when it takes new starts."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from cartsight.scenario.numbers import Duration, Frozen, Probability, VariableDuration

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MOST_LANES = 5000
"""Places in release testing that a plant may state."""


class Shift(Frozen):
    """Operator teams on duty on some days of the week between two hours of the day."""

    days: tuple[Weekday, ...] = Field(min_length=1)
    from_hour: float = Field(0.0, ge=0, lt=24)
    to_hour: float = Field(24.0, gt=0, le=24)
    teams: int = Field(ge=1, le=5000)

    @model_validator(mode="after")
    def _hours(self) -> Self:
        if self.to_hour <= self.from_hour:
            raise ValueError("to_hour must be after from_hour; write a night shift as two shifts")
        return self


class Pickup(Frozen):
    """When a courier collects: days of the week and hours of the day. What misses the cut-off waits for the next."""

    days: tuple[Weekday, ...] = Field(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), min_length=1)
    from_hour: float = Field(0.0, ge=0, lt=24)
    cut_off_hour: float = Field(24.0, gt=0, le=24)

    @model_validator(mode="after")
    def _hours(self) -> Self:
        if self.cut_off_hour <= self.from_hour:
            raise ValueError("cut_off_hour must be after from_hour")
        return self


class MediaFills(Frozen):
    """Simulated process runs that qualify aseptic operation: each line is closed to starts for some days."""

    per_year: int = Field(ge=1, le=12, description="Campaigns a year, evenly spaced.")
    days: int = Field(ge=1, le=60, description="Days that a line takes no new start, per campaign.")


class Breakdown(Frozen):
    """Failure and repair of lines."""

    between: Duration = Field(description="Mean time between failures of one line.")
    repair: VariableDuration
    run_lost: Probability = Field(description="Failures that cost the run in progress, where there is one.")

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.between.x <= 0.0:
            raise ValueError("between must be above zero days")
        return self


class Expansion(Frozen):
    """Lines that are added: decided on a day, running after a lead time."""

    decided_on_day: float = Field(ge=0, le=36500, description="Day from the start of the simulation.")
    lead_time: Duration = Field(description="Building, qualification and licence.")
    lines: int = Field(ge=1, le=5000)


class PlantFloor(Frozen):
    """People, instruments and calendar of a plant, whatever it makes."""

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
    operator_shifts: tuple[Shift, ...] = Field(
        (), description="In place of operator_teams: who is on duty when. Shifts that overlap add up."
    )
    operators_trained: Probability | None = Field(
        None, description="Share of the teams trained on this product; the others do not count. Rounded down."
    )
    quality_control_instruments: int | None = Field(
        None, ge=1, le=5000, description="Instruments; a batch in testing holds one beside its lane."
    )
    quality_control_days: tuple[Weekday, ...] | None = Field(
        None, min_length=1, description="Weekdays on which testing starts; every day when absent."
    )
    quality_assurance_days: tuple[Weekday, ...] | None = Field(
        None, min_length=1, description="Weekdays on which reviews start; every day when absent."
    )
    media_fills: MediaFills | None = None
    breakdown: Breakdown | None = None
    opens_on_day: float = Field(0.0, ge=0, le=36500, description="Day from which the plant takes starts.")
    ramp_up: tuple[tuple[float, int], ...] = Field(
        (), description="[days after opening, lines running from then on]; the last step is all of `lines`."
    )
    expansions: dict[str, Expansion] = Field(default_factory=dict, max_length=20)

    @model_validator(mode="after")
    def _outages(self) -> Self:
        for first, last in self.outages:
            if not 0 <= first < last:
                raise ValueError(
                    f"an outage is [first day, last day] with 0 <= first < last, not [{first:g}, {last:g}]"
                )
        return self

    @model_validator(mode="after")
    def _operators(self) -> Self:
        if self.operator_shifts and self.operator_teams is not None:
            raise ValueError("give either operator_teams or operator_shifts")
        if self.operators_trained is not None and not (self.operator_shifts or self.operator_teams):
            raise ValueError("operators_trained is a share of operator_teams or operator_shifts")
        return self

    def check_ramp_up(self, running: int) -> None:
        """Raise ValueError where `ramp_up` does not rise in days up to all of the lines, `running`."""
        last = -1.0
        for day, lines in self.ramp_up:
            if not (day > last and day >= 0.0 and 0 <= lines <= running):
                raise ValueError("ramp_up is [days after opening, lines], days rising, lines up to `lines`")
            last = day
        if self.ramp_up and self.ramp_up[-1][1] != running:
            raise ValueError("the last step of ramp_up is all of `lines`")


class Site(PlantFloor):
    """A plant."""

    lines: int = Field(ge=1, le=5000, description="Closed production lines; each is held for a whole run.")
    quality_control_lanes: int = Field(ge=1, le=MOST_LANES, description="Batches in release testing at once.")
    serves: tuple[str, ...] | None = Field(None, description="Regions served; all when absent.")
    starting_material_places: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Cryostorage places for cells that wait for a line. When full, cells wait outside.",
    )
    product_places: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="Cryostorage places from harvest to dispatch. When full, a run keeps its line.",
    )
    processes: tuple[str, ...] = Field(
        (),
        description="Names of the arm's `processes` that this plant runs beside or instead of `standard`; standard when empty.",
    )

    @model_validator(mode="after")
    def _ramp(self) -> Self:
        self.check_ramp_up(self.lines)
        return self


class LotPlant(PlantFloor):
    """What limits each plant of a product made in lots, beside its lines."""

    quality_control_lanes: int | None = Field(
        None, ge=1, le=MOST_LANES, description="Lots in release testing at once. Unlimited when absent."
    )

    @property
    def limits_quality_control(self) -> bool:
        """Whether lots may have to wait for release testing."""
        return self.quality_control_lanes is not None or self.quality_control_days is not None

    @property
    def changes_starts(self) -> bool:
        """Whether the lines are at times closed to new starts, fewer, or broken."""
        return bool(
            self.closed_to_starts
            or self.yearly_shutdown_days
            or self.outages
            or self.media_fills is not None
            or self.breakdown is not None
            or self.opens_on_day
            or self.ramp_up
            or self.expansions
        )

    def at(self, lines: int) -> Site:
        """Return one plant with `lines` lines; lanes without limit are as many as a plant may state."""
        shared: dict[str, Any] = {name: getattr(self, name) for name in PlantFloor.model_fields}
        return Site(lines=lines, quality_control_lanes=self.quality_control_lanes or MOST_LANES, **shared)
