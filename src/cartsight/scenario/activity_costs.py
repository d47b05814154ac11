"""Costs by activity: an amount, or hours of work, per one of a cost driver; and the staff that stands by."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from cartsight.core.errors import nearest
from cartsight.core.units import unit
from cartsight.scenario.cost_drivers import DRIVERS, FIXED_DRIVERS, driver, driver_names, find_driver
from cartsight.scenario.cost_numbers import MoneyPerDriver, MoneyPerHour, WorkHours
from cartsight.scenario.numbers import Frozen, Ratio

Kind = Literal[
    "materials",
    "vector",
    "labour",
    "quality control",
    "quality assurance",
    "utilities",
    "logistics",
    "facility",
    "other",
]


class Activity(Frozen):
    """Something that is done or bought in a plant, costed per one of its driver."""

    driver: str = Field(description='Name of a cost driver, for example "batches started".')
    kind: Kind
    amount: MoneyPerDriver | None = Field(None, description="Money per one of the driver.")
    hours: WorkHours | None = Field(None, description="Hours of work per one of the driver, instead of an amount.")
    cost_per_hour: MoneyPerHour | None = Field(None, description="Of work that is paid by the hour.")
    staff: str | None = Field(None, description="Role of `staff` that does the work within its paid hours.")

    @model_validator(mode="after")
    def _stated_once(self) -> Self:
        if find_driver(self.driver) is None:
            hint = nearest(self.driver, DRIVERS)
            raise ValueError(f"unknown cost driver {self.driver!r}; allowed: {driver_names()}. {hint or ''}".strip())
        if (self.amount is None) == (self.hours is None):
            raise ValueError("an activity needs either amount or hours")
        if self.amount is not None:
            if self.cost_per_hour is not None or self.staff is not None:
                raise ValueError("cost_per_hour and staff go with hours, not with an amount")
            per, fitting = unit(self.amount.stated_unit).per, driver(self.driver).units
            if per is not None and per not in fitting:
                raise ValueError(
                    f"an amount per {per} does not fit the driver {self.driver!r}; allowed: per {', '.join(fitting)}"
                )
        elif (self.cost_per_hour is None) == (self.staff is None):
            raise ValueError("hours need either cost_per_hour or staff")
        return self

    @property
    def fixed(self) -> bool:
        """Whether the cost runs whatever is made."""
        return driver(self.driver).fixed


class Staff(Frozen):
    """People on duty by shift: paid whether there is work or not."""

    head_count_per_shift: int = Field(ge=1, le=10_000, description="People on duty at one of `per`.")
    per: str = Field("site years", description="What the head count is for: each site, line, ...")
    shifts_per_week: int = Field(ge=1, le=42)
    hours_per_shift: float = Field(gt=0, le=24)
    cost_per_hour: MoneyPerHour = Field(description="Wage with overheads, per paid hour.")
    cover: Ratio | None = Field(
        None, description="Paid hours per hour on duty (leave, training, absence); 1 when absent."
    )
    kind: Kind = "labour"

    @model_validator(mode="after")
    def _fixed(self) -> Self:
        if self.per not in FIXED_DRIVERS:
            raise ValueError(
                f"staff stand by per site, line or post, not per {self.per!r}; allowed: {', '.join(FIXED_DRIVERS)}. "
                f"{nearest(self.per, FIXED_DRIVERS) or ''}".strip()
            )
        if self.cover is not None and self.cover.x < 1.0:
            raise ValueError("cover is paid hours per hour on duty, so it is 1 at least")
        return self
