"""Costs by activity on the floor of lots: every count carries a cost, and the budget is borne to the cent."""

from __future__ import annotations

import pytest

from cartsight.core.errors import InputError
from cartsight.economics.cost_of_goods import cost_of_goods, reconcile
from cartsight.scenario.arms import LotArm
from cartsight.simulation.pathways import run_flow
from tests.lots_floor_builder import allogeneic_floor, with_lots
from tests.scenario_builder import Raw, build, days, money, number, probability

AMOUNTS = {
    "donors screened": ("person", 3_000.0),
    "donor leukaphereses": ("visit", 12_000.0),
    "vials filled": ("vial", 40.0),
    "fillings": ("lot", 25_000.0),
    "lots recalled": ("lot", 200_000.0),
    "doses withdrawn": ("dose", 150.0),
    "consignments to depots": ("shipment", 900.0),
    "doses lost at thaw": ("dose", 100.0),
    "fill line years": ("line", 750_000.0),
}


def floor() -> Raw:
    """Return a scenario with every counted part of an allogeneic floor, and a cost on each."""
    lots = allogeneic_floor(
        recall={"probability": probability(0.3), "found_after": days(30), "odds_ratio_of_response": number(1.0, "odds_ratio")},
        depots={
            "north": {"regions": ["north"], "reorder_point": 8, "order_up_to": 20, "transport": days(2), "delivery": days(1)}
        },
        fill_line={"lines": 2, "time": days(3), "failure": probability(0.1)},
        stage_failures={"contamination": {"probability": probability(0.2), "found_at": probability(0.5)}},
        thaw_loss=probability(0.05),
        supplies={
            "vector": {
                "source": {
                    "units_per_lot": number(4, "count"),
                    "lead_time": days(60),
                    "failure": probability(0.2),
                    "shelf_life": days(900),
                },
                "reorder_point": 6,
                "order_up_to": 12,
                "initial_stock": 8,
                "cost_per_lot": money(400_000),
            }
        },
    )  # fmt: skip
    raw = with_lots(lots)
    raw["analysis"]["patients"] = 1200
    costs = raw["arms"]["allogeneic"]["costs"]
    costs["vector_per_lot"] = money(0)
    costs["activities"] = {
        name: {
            "driver": name,
            "kind": "other",
            "amount": {"value": amount, "unit": f"usd_2024/{per}", "assumed": "round figure for tests"},
        }
        for name, (per, amount) in AMOUNTS.items()
    }
    return raw


def test_each_count_of_the_floor_carries_its_cost_and_the_budget_is_borne_to_the_cent() -> None:
    scenario = build(floor())
    arm = scenario.arms["allogeneic"]
    assert isinstance(arm, LotArm)
    plant = run_flow(scenario, "allogeneic", 3).plant
    assert plant is not None
    goods = cost_of_goods(arm, plant)
    totals = {line.name: line.total for line in goods.lines}
    for name, (_, amount) in AMOUNTS.items():
        assert plant.counts[name] > 0, name
        assert totals[name] == pytest.approx(amount * plant.counts[name])
    assert totals["vector lots"] == pytest.approx(400_000 * plant.counts["vector lots ordered"])
    table = reconcile(goods, plant)
    assert sum(row.cents for row in table.rows) == table.budget_cents == round(goods.total * 100)
    # Half a run for the lots that were lost to contamination; a whole one for those lost in filling.
    assert plant.batches is not None
    failed = plant.batches.has_fate("failed")
    assert plant.batches.run_days[failed].min() < 15.0 < plant.batches.run_days[failed].max() < 40.0


def test_a_vector_that_is_paid_twice_is_refused() -> None:
    raw = floor()
    raw["arms"]["allogeneic"]["costs"]["vector_per_lot"] = money(100_000)
    scenario = build(raw)
    arm = scenario.arms["allogeneic"]
    assert isinstance(arm, LotArm)
    plant = run_flow(scenario, "allogeneic", 3).plant
    assert plant is not None
    with pytest.raises(InputError, match="vector_per_lot and the cost of a lot"):
        cost_of_goods(arm, plant)
