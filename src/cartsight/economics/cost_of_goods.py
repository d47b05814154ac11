"""Cost of goods: what the plants spend in the observation window, over what they made.

Fixed cost (site, lines, quality overhead of every licensed site) runs whether a line is busy or idle;
variable cost is posted per batch or lot started, so a failure late in the run has sunk all of it. The total
reconciles with the plants' spending in the window to rounding; only the denominator differs between cost per
started, released and infused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cartsight.scenario.arms import AllogeneicArm, AutologousArm, InVivoArm
from cartsight.simulation.pathways.plant import PlantRecord


@dataclass(frozen=True, slots=True)
class CostOfGoods:
    """Spending in the window by category, in the scenario's money, and the denominators.

    `idle` is the part of the line cost that bought unused time; it is contained in `categories["lines"]`.
    """

    categories: dict[str, float]
    fixed: float
    variable: float
    idle: float
    started: int
    released: int
    infused: int
    years: float

    @property
    def total(self) -> float:
        """Spending in the window."""
        return sum(self.categories.values())

    @property
    def per_started(self) -> float:
        """Cost per batch or lot started."""
        return _over(self.total, self.started)

    @property
    def per_released(self) -> float:
        """Cost per batch or lot released (infused out of specification included, since it left the plant)."""
        return _over(self.total, self.released)

    @property
    def per_infused(self) -> float:
        """Cost per patient infused in the window."""
        return _over(self.total, self.infused)

    @property
    def per_year(self) -> float:
        """Spending per year."""
        return self.total / self.years


def _over(amount: float, count: int) -> float:
    return amount / count if count > 0 else math.nan


def cost_of_goods(arm: AutologousArm | AllogeneicArm | InVivoArm, plant: PlantRecord) -> CostOfGoods:
    """Return the cost of goods of an arm from what its plants did.

    Parameters
    ----------
    arm : arm of the scenario at a parameter draw, money in the analysis's unit
    plant : PlantRecord

    Returns
    -------
    CostOfGoods
    """
    costs = arm.costs
    fixed = {
        "site": costs.site_per_year.x * plant.sites * plant.years,
        "lines": costs.line_per_year.x * plant.lines * plant.years,
        "quality overhead": costs.quality_overhead_per_site_year.x * plant.sites * plant.years,
    }
    if isinstance(arm, AutologousArm):
        own = arm.costs
        variable = {
            "materials": own.materials_per_batch.x * plant.started,
            "vector": own.vector_per_batch.x * plant.started,
            "labour": own.labour_per_batch.x * plant.started,
            "quality control": own.quality_control_per_batch.x * (plant.started - plant.failed),
        }
    else:
        lot = arm.costs
        variable = {
            "materials": lot.materials_per_lot.x * plant.started,
            "vector": lot.vector_per_lot.x * plant.started,
            "labour": lot.labour_per_lot.x * plant.started,
            "quality control": lot.quality_control_per_lot.x * (plant.started - plant.failed),
            "fill and storage": lot.fill_and_storage_per_dose.x * plant.doses_received,
        }
        if lot.donor_per_lot is not None:
            variable["donor"] = lot.donor_per_lot.x * plant.started
    variable["shipping"] = costs.shipping_per_shipment.x * plant.shipments
    return CostOfGoods(
        categories=fixed | variable,
        fixed=sum(fixed.values()),
        variable=sum(variable.values()),
        idle=fixed["lines"] * (1.0 - min(plant.utilisation("line"), 1.0)),
        started=plant.started,
        released=plant.released,
        infused=plant.infused,
        years=plant.years,
    )
