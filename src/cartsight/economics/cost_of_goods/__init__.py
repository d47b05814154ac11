"""Cost of goods: the plants' budget line by line, who bears it, and how it falls with volume."""

from cartsight.economics.cost_of_goods.allocation import (
    Reconciliation,
    ReconciliationRow,
    SunkCost,
    apportion,
    reconcile,
)
from cartsight.economics.cost_of_goods.budget import cost_of_goods
from cartsight.economics.cost_of_goods.result import CostLine, CostOfGoods
from cartsight.economics.cost_of_goods.volume import (
    LinearCost,
    SteppedCost,
    break_even_volume,
    linear_cost,
    stepped_cost,
)

__all__ = [
    "CostLine",
    "CostOfGoods",
    "LinearCost",
    "Reconciliation",
    "ReconciliationRow",
    "SteppedCost",
    "SunkCost",
    "apportion",
    "break_even_volume",
    "cost_of_goods",
    "linear_cost",
    "reconcile",
    "stepped_cost",
]
