"""The care pathway that every patient shares before and around the product."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cartsight.scenario.numbers import Frozen, HazardRatio, Money, MoneyPerMonth, Probability, VariableDuration

Modality = Literal["autologous", "allogeneic", "in_vivo", "other_care"]


class Step(Frozen):
    """A step before the product: it takes time, then some patients leave."""

    time: VariableDuration
    leaves: Probability = Field(description="Share of patients who leave at the end of the step.")
    because: str = Field(description="Name of the reason, as reports print it.")
    cost: Money | None = None
    modalities: tuple[Modality, ...] = Field(("autologous", "allogeneic", "in_vivo", "other_care"), min_length=1)


class Bridging(Frozen):
    """Bridging therapy between leukapheresis (or order) and infusion."""

    share: Probability
    hazard_ratio_of_worsening: HazardRatio
    cost_per_month: MoneyPerMonth


class Bed(Frozen):
    """Infusion and monitoring capacity of a hospital."""

    beds_per_hospital: int = Field(ge=1, le=1000)
    stay: VariableDuration = Field(description="How long an infused patient holds a bed.")


class CarePathway(Frozen):
    """Referral to infusion, apart from what belongs to a product."""

    steps: dict[str, Step] = Field(description="In order, from referral.")
    bridging: Bridging | None = None
    infusion_bed: Bed
