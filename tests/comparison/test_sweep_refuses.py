"""A sweep is refused before anything runs where a value breaks a rule of its section."""

from __future__ import annotations

import pytest

from cartsight.comparison.sweep import plan_sweep
from cartsight.core.errors import InputError
from tests.scenario_builder import build, days, number, probability


def test_a_value_that_its_section_refuses_stops_the_sweep_at_once() -> None:
    source = {
        "units_per_lot": number(100, "count"),
        "lead_time": days(20),
        "failure": probability(0.1),
        "shelf_life": days(700),
    }
    supply = {"source": source, "reorder_point": 100, "order_up_to": 300, "initial_stock": 200}
    scenario = build(
        arms={"autologous": {"supplies": {"vector": supply}}, "allogeneic": {"lots": {"thaw_loss": probability(0.1)}}}
    )
    path = "arms.autologous.supplies.vector.source.failure"
    plan_sweep(scenario, {path: [0.0, 0.5]}, draws=2)
    with pytest.raises(InputError, match="every lot fails"):
        plan_sweep(scenario, {path: [0.0, 1.0]}, draws=2)
    with pytest.raises(InputError, match="thaw_loss must be below 1"):
        plan_sweep(scenario, {"arms.allogeneic.lots.thaw_loss": [1.0]}, draws=2)
    with pytest.raises(InputError, match="thaw_loss must be below 1"):
        plan_sweep(
            scenario, {"arms.allogeneic.lots.thaw_loss": [1.0], "arms.autologous.collection.attempts": [1, 2]}, draws=2
        )
