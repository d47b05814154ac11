"""Who is referred, how their disease behaves while they wait, and what happens to those never infused."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from cartsight.scenario.numbers import (
    Frozen,
    LogOdds,
    Money,
    MoneyPerMonth,
    Number,
    Probability,
    Rate,
    Ratio,
    Utility,
    VariableYears,
)
from cartsight.scenario.survival import SurvivalLaw


class Region(Frozen):
    """A region that refers patients to its own hospitals."""

    referrals_per_year: Rate = Field(description="Referrals per year from the whole region.")
    hospitals: int = Field(ge=1, le=500, description="Treatment centres; patients are spread evenly over them.")


class HealthState(Frozen):
    """A state of health while waiting. Rates apply from referral to infusion; the three clocks compete."""

    death: Rate = Field(description="Death while waiting.")
    ineligibility: Rate = Field(description="Becoming too ill for cell therapy while waiting.")
    worsening: Rate | None = Field(None, description="Moving on to `worsens_to`.")
    worsens_to: str | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.worsening is None) != (self.worsens_to is None):
            raise ValueError("worsening and worsens_to belong together")
        return self


class BackgroundMortality(Frozen):
    """Mortality of people of the same age and sex, and how much higher it is in these patients even when cured."""

    life_table: str = Field(description="Country of the life table, for example us.")
    year: int = Field(description="Year of the life table.")
    standardised_mortality_ratio: Ratio

    @model_validator(mode="after")
    def _known(self) -> Self:
        from cartsight.core.errors import InputError
        from cartsight.evidence.life_tables import life_table

        try:
            life_table(self.life_table, self.year)
        except InputError as error:
            raise ValueError(str(error)) from None
        return self


class OtherCare(Frozen):
    """What patients receive who are never infused, from the day they leave the pathway."""

    label: str
    survival: SurvivalLaw = Field(description="Survival from the day other care starts, all causes.")
    utility: Utility
    cost_per_month: MoneyPerMonth
    cost_at_start: Money | None = None


class UtilityByAge(Frozen):
    """Utility of the general population, constant + per_year age + per_year_squared age^2, used as a multiplier."""

    constant: Number
    per_year: Number
    per_year_squared: Number

    def multiplier(self, age_from: float, age_to: float) -> float:
        """Return utility at `age_to` over utility at `age_from`."""
        return self._at(age_to) / self._at(age_from)

    def _at(self, age: float) -> float:
        return self.constant.x + self.per_year.x * age + self.per_year_squared.x * age * age


class Population(Frozen):
    """The patients."""

    indication: str
    description: str
    regions: dict[str, Region] = Field(min_length=1)
    age: VariableYears
    minimum_age: float = Field(18, ge=0, le=120)
    maximum_age: float = Field(90, ge=0, le=120)
    female: Probability
    health_states: dict[str, HealthState] = Field(
        min_length=1, description="In order; the first is the state at referral."
    )
    frailty_sd: LogOdds = Field(
        description="Sd, on the log-hazard scale, of the frailty that patients carry through every clock."
    )
    background_mortality: BackgroundMortality
    other_care: OtherCare
    utility_by_age: UtilityByAge
    waiting_utility: Utility
    waiting_cost_per_month: MoneyPerMonth

    @model_validator(mode="after")
    def _states(self) -> Self:
        names = list(self.health_states)
        for name, state in self.health_states.items():
            if state.worsens_to is None:
                continue
            if state.worsens_to not in names:
                raise ValueError(
                    f"health_states.{name}.worsens_to: unknown state {state.worsens_to!r}; allowed: {', '.join(names)}"
                )
            if names.index(state.worsens_to) <= names.index(name):
                raise ValueError(f"health_states.{name}.worsens_to: must be a later state than {name!r}")
        if self.minimum_age >= self.maximum_age:
            raise ValueError("minimum_age must be below maximum_age")
        return self
