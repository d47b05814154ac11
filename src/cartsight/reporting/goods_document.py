"""The cost of goods of one arm as plain data: budget by line, who bears it, what is lost, capital, cost against volume."""

from __future__ import annotations

import math
from typing import Any

from cartsight.economics.capital import CapitalEstimate, capital_of_a_line, capital_of_a_site
from cartsight.economics.cost_of_goods import (
    CostOfGoods,
    Reconciliation,
    linear_cost,
    reconcile,
    stepped_cost,
)
from cartsight.scenario.arms import ProductArm
from cartsight.simulation.pathways.plant import PlantRecord

VOLUMES: tuple[int, ...] = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
PLANNED_UTILISATION = 0.85


def goods_document(arm: ProductArm, goods: CostOfGoods, plant: PlantRecord, money: str) -> dict[str, Any]:
    """Return everything about an arm's cost of goods in a run that kept its table of batches.

    Parameters
    ----------
    arm : arm that infuses a product
    goods, plant
        Of the same run.
    money : str
        Unit of every amount.
    """
    table = reconcile(goods, plant)
    return {
        "unit": money,
        "years": goods.years,
        "budget": {
            "total": goods.total,
            "per_year": goods.per_year,
            "fixed": goods.fixed,
            "variable": goods.variable,
            "lines": budget_lines(goods),
        },
        "by_kind": [
            {"kind": kind, "total": amount, "share": amount / goods.total if goods.total > 0 else math.nan}
            for kind, amount in goods.by_kind.items()
        ],
        "idle": {
            "total": goods.idle,
            "share": goods.idle / goods.total if goods.total > 0 else math.nan,
            "parts": goods.idle_parts,
        },
        "utilisation": {use.name: use.utilisation for use in plant.resources},
        "counts": {"started": goods.started, "released": goods.released, "infused": goods.infused},
        "per_started": goods.per_started,
        "per_released": goods.per_released,
        "per_infused": goods.per_infused,
        "sunk": sunk_rows(table),
        "reconciliation": reconciliation_document(table),
        "capital": _capital(arm),
        "volume": _volume(arm, goods, plant),
    }


def budget_lines(goods: CostOfGoods) -> list[dict[str, Any]]:
    """Return the budget's lines that cost anything, fixed ones first."""
    return [
        {
            "name": line.name,
            "kind": line.kind,
            "driver": line.driver,
            "count": line.count,
            "unit_cost": line.unit_cost,
            "total": line.total,
            "per_infused": line.total / goods.infused if goods.infused else math.nan,
            "fixed": line.fixed,
            "used": line.used if line.fixed else None,
            "idle": line.idle if line.fixed else None,
        }
        for line in sorted(goods.lines, key=lambda line: not line.fixed)
        if line.total > 0.0
    ]


def sunk_rows(table: Reconciliation) -> list[dict[str, Any]]:
    """Return what was spent on batches, lots and doses that were lost."""
    return [
        {
            "what": loss.what,
            "lost": loss.step,
            "count": loss.count,
            "total": loss.total,
            "variable": loss.variable,
            "each": loss.each,
        }
        for loss in table.sunk
    ]


def reconciliation_document(table: Reconciliation) -> dict[str, Any]:
    """Return the budget beside the rows that bear it, in cents."""
    return {
        "budget_cents": table.budget_cents,
        "budget_per_year_cents": table.budget_per_year_cents,
        "difference_cents": table.difference_cents,
        "difference_per_year_cents": table.difference_per_year_cents,
        "rows": [
            {
                "name": row.name,
                "count": row.count,
                "cents": row.cents,
                "fixed_cents": row.fixed_cents,
                "variable_cents": row.variable_cents,
                "per_year_cents": row.per_year_cents,
                "each": row.each,
                "by_kind_cents": row.by_kind,
            }
            for row in table.rows
        ],
    }


def _capital(arm: ProductArm) -> dict[str, Any] | None:
    capital = arm.costs.capital
    if capital is None:
        return None
    return {
        "line": _estimate(capital_of_a_line(capital)) if capital.of_lines else None,
        "site": _estimate(capital_of_a_site(capital)) if capital.of_sites else None,
    }


def _estimate(estimate: CapitalEstimate) -> dict[str, Any]:
    return {
        "items": estimate.items,
        "fixed_capital": estimate.fixed_capital,
        "lang_factor": estimate.lang_factor,
        "annual_charge": estimate.annual_charge,
    }


def _volume(arm: ProductArm, goods: CostOfGoods, plant: PlantRecord) -> dict[str, Any] | None:
    if goods.infused == 0 or plant.utilisation("line") <= 0.0:
        return None
    everywhere = getattr(arm, "at_every_hospital", None) is not None
    as_built = linear_cost(goods)
    grown = stepped_cost(goods, plant, utilisation=PLANNED_UTILISATION, fewest_sites=plant.sites if everywhere else 1)
    return {
        "fixed_per_year": as_built.fixed_per_year,
        "variable_per_infused": as_built.variable_per_infused,
        "planned_utilisation": PLANNED_UTILISATION,
        "sites": grown.sites(VOLUMES).tolist(),
        "lines": grown.lines(VOLUMES).tolist(),
        "infused_per_year": list(VOLUMES),
        "per_infused": grown.per_infused(VOLUMES).tolist(),
    }
