"""The arms: one product with its process, network, efficacy, toxicity, costs and price. A union over the modality.

What every infused product has (efficacy, toxicity, price) is shared; how it is made differs by modality.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from cartsight.scenario.autologous import AutologousArm, AutologousProcess, Collection
from cartsight.scenario.lots import AllogeneicArm, InVivoArm, LotProcess, Redosing
from cartsight.scenario.numbers import Frozen, Money
from cartsight.scenario.plant import Site, Weekday
from cartsight.scenario.plant_costs import LotCosts, PlantCosts
from cartsight.scenario.product import (
    AdverseEvent,
    Aplasia,
    Arm,
    Cure,
    Efficacy,
    HospitalCosts,
    LongTerm,
    Price,
    Retreatment,
    Toxicity,
)

__all__ = [
    "MODALITIES",
    "AdverseEvent",
    "AllogeneicArm",
    "AnyArm",
    "Aplasia",
    "Arm",
    "AutologousArm",
    "AutologousProcess",
    "Collection",
    "Cure",
    "Efficacy",
    "HospitalCosts",
    "InVivoArm",
    "LongTerm",
    "LotArm",
    "LotCosts",
    "LotProcess",
    "OtherCareArm",
    "PlantCosts",
    "Price",
    "ProductArm",
    "Redosing",
    "Retreatment",
    "Site",
    "Toxicity",
    "Weekday",
    "as_product",
]


class OtherCareArm(Frozen):
    """No cell therapy: every referred patient receives other care after the steps that apply."""

    modality: Literal["other_care"]
    label: str = Field(max_length=60)
    description: str
    evidence_note: str
    end_of_life_cost: Money


AnyArm = Annotated[AutologousArm | AllogeneicArm | InVivoArm | OtherCareArm, Field(discriminator="modality")]
LotArm = AllogeneicArm | InVivoArm
ProductArm = AutologousArm | AllogeneicArm | InVivoArm

MODALITIES: tuple[str, ...] = ("autologous", "allogeneic", "in_vivo", "other_care")


def as_product(arm: Any) -> ProductArm | None:
    """Return the arm when it infuses a product, else None."""
    return arm if isinstance(arm, Arm) else None  # type: ignore[return-value]
